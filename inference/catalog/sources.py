"""Where a catalogue entry's weights lie on this machine, and the facts their configs state.
Reads JSON only: knows nothing about torch, pictures or queues.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from inference.catalog.entry import CatalogEntry, Family

STARTER = "starter"
STARTER_FOLDER = Path(__file__).parents[1] / "starter" / "checkpoint"
TINY_NATIVE_SIZE_PX = 256

# Width to height of the shapes that channels ask for, from square to film.
ASPECTS = ((1, 1), (5, 4), (4, 5), (3, 2), (2, 3), (16, 9), (9, 16))
FAMILIES: Mapping[str, Family] = {
    "StableDiffusionPipeline": "sd",
    "StableDiffusionInpaintPipeline": "sd",
    "StableDiffusionXLPipeline": "sdxl",
    "StableDiffusionXLInpaintPipeline": "sdxl",
    "FluxPipeline": "flux",
    "FluxFillPipeline": "flux",
}
# The folder of the network that removes noise.
DENOISERS: Mapping[Family, str] = {"sd": "unet", "sdxl": "unet", "flux": "transformer"}
# Input channels, and whether they are those of a model made for inpainting. A U-Net sees latents (4), then also a mask
# (1) and the masked picture's latents (4). FLUX packs 2 × 2 cells of 16 channels, and then of 8 × 8 mask pixels each.
CHANNELS: Mapping[Family, Mapping[int, bool]] = {
    "sd": {4: False, 9: True},
    "sdxl": {4: False, 9: True},
    "flux": {64: False, 384: True},
}
WEIGHTS = ("*.safetensors", "*.json", "*.txt")

Size = tuple[int, int]
FileStamp = tuple[str, int, int]


class CheckpointMissingError(LookupError):
    """The weights of an entry are not on this machine; the sentence says how to install them."""


class CheckpointUnreadableError(ValueError):
    """A folder is no checkpoint that the studio can run; the sentence says what is wrong with it."""


@dataclass(frozen=True)
class CheckpointSource:
    """A checkpoint's folder in diffusers' format and what its configs say; sizes are (width, height) in pixels.

    is_inpainting: it was made for inpainting, and sees what it paints around.
    """

    slug: str
    folder: Path
    family: Family
    native_size_px: int
    sizes: tuple[Size, ...]
    is_inpainting: bool = False

    @property
    def is_built_on_first_load(self) -> bool:
        """Whether the folder is the tiny stand-in of the starter, which the engine makes where it is missing."""
        return self.slug == STARTER and self.folder.name == "starter-tiny"


def resolve(entry: CatalogEntry, *, overrides: Mapping[str, Path], data_dir: Path) -> CheckpointSource:
    """The checkpoint that renders an entry: an overriding folder, the one installed, or the starter's stand-in.

    Raises CheckpointMissingError with what to do, CheckpointUnreadableError for a folder that is no checkpoint.
    """
    installed = data_dir / "checkpoints" / entry.slug
    bundled = [STARTER_FOLDER] if entry.slug == STARTER else []
    if entry.slug in overrides:
        return _with_sizes_of(entry, read_source(overrides[entry.slug], slug=entry.slug))
    for folder in (*bundled, installed):
        if (folder / "model_index.json").is_file():
            return _with_sizes_of(entry, read_source(folder, slug=entry.slug))
    if entry.slug == STARTER:
        return _tiny_starter(data_dir)
    raise CheckpointMissingError(_how_to_install(entry, installed))


def read_source(folder: Path, *, slug: str) -> CheckpointSource:
    """The facts of a checkpoint folder, from model_index.json and the configs of its denoiser and VAE.

    Raises CheckpointMissingError for a folder that is not there, CheckpointUnreadableError for one of another kind.
    """
    if not folder.is_dir():
        raise CheckpointMissingError(
            f'The checkpoint folder of "{slug}" is not there: {folder}. Correct its path, or put the checkpoint there.'
        )
    pipeline = _read_json(folder / "model_index.json").get("_class_name")
    if not isinstance(pipeline, str) or pipeline not in FAMILIES:
        raise CheckpointUnreadableError(
            f"{folder} holds a {pipeline}; only Stable Diffusion 1.5, 2, XL, FLUX.1 and their inpainting versions run."
        )
    family = FAMILIES[pipeline]
    in_channels = _number(folder / DENOISERS[family] / "config.json", "in_channels")
    if in_channels not in CHANNELS[family]:
        raise CheckpointUnreadableError(
            f"{folder} has a {DENOISERS[family]} with {in_channels} input channels; only "
            f"{' and '.join(str(number) for number in CHANNELS[family])} can run."
        )
    native_size_px = _native_size_px(folder, family)
    return CheckpointSource(
        slug=slug,
        folder=folder,
        family=family,
        native_size_px=native_size_px,
        sizes=derived_sizes(native_size_px),
        is_inpainting=CHANNELS[family][in_channels],
    )


def _native_size_px(folder: Path, family: Family) -> int:
    """Pixels a side that a model was trained at: a U-Net states it in latent cells, FLUX's VAE in pixels."""
    if DENOISERS[family] == "unet":
        return _number(folder / "unet" / "config.json", "sample_size") * _vae_factor(folder)
    return _number(folder / "vae" / "config.json", "sample_size")


def derived_sizes(native_size_px: int) -> tuple[Size, ...]:
    """(width, height) of every common aspect at about the native area, in steps that keep the U-Net whole."""
    step = 64 if native_size_px >= 512 else 32
    sides = [(math.sqrt(width / height), math.sqrt(height / width)) for width, height in ASPECTS]
    sizes = [(round(native_size_px * x / step) * step, round(native_size_px * y / step) * step) for x, y in sides]
    return tuple(dict.fromkeys((max(step, width), max(step, height)) for width, height in sizes))


def stamp(source: CheckpointSource) -> tuple[FileStamp, ...]:
    """Name, size and modification time (ns) of every weight and config file: equal stamps mean untouched files.

    Raises CheckpointMissingError where the folder holds none.
    """
    stamps = tuple(_stamps(source.folder))
    if not stamps:
        what_to_do = (
            "It is made by the first render." if source.is_built_on_first_load else "Copy the checkpoint there."
        )
        raise CheckpointMissingError(f"{source.folder} holds no checkpoint. {what_to_do}")
    return stamps


_fingerprints: dict[tuple[Path, tuple[FileStamp, ...]], str] = {}


def fingerprint(source: CheckpointSource) -> str:
    """SHA-256 (hex) over names and bytes of the weight and config files; kept in memory until a file changes.

    Raises CheckpointMissingError where the folder holds none.
    """
    key = (source.folder, stamp(source))
    if key not in _fingerprints:
        _fingerprints[key] = _hash_files(source.folder, [name for name, _, _ in key[1]])
    return _fingerprints[key]


def _hash_files(folder: Path, names: list[str]) -> str:
    digest = hashlib.sha256()
    for name in names:
        with (folder / name).open("rb") as file:
            # The length of the name and a file's own hash keep one file's bytes from passing for another's.
            digest.update(f"{len(name)}:{name}".encode())
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _stamps(folder: Path) -> Iterator[FileStamp]:
    for path in sorted({path for pattern in WEIGHTS for path in folder.rglob(pattern)}):
        status = path.stat()
        yield path.relative_to(folder).as_posix(), status.st_size, status.st_mtime_ns


def _with_sizes_of(entry: CatalogEntry, source: CheckpointSource) -> CheckpointSource:
    """The entry's own sizes, unless the folder was trained at another size than the entry's first, native one."""
    width, height = entry.sizes[0]
    if round(math.sqrt(width * height)) != source.native_size_px:
        return source
    return replace(source, sizes=entry.sizes)


def _tiny_starter(data_dir: Path) -> CheckpointSource:
    return CheckpointSource(
        slug=STARTER,
        folder=data_dir / "checkpoints" / "starter-tiny",
        family="sd",
        native_size_px=TINY_NATIVE_SIZE_PX,
        sizes=derived_sizes(TINY_NATIVE_SIZE_PX),
    )


def _how_to_install(entry: CatalogEntry, folder: Path) -> str:
    if entry.source.repo is None:
        return f"The weights of {entry.name} are not installed. Put its checkpoint folder at {folder}."
    return (
        f"The weights of {entry.name} are not installed. Fetch them once with "
        f"`hf download {entry.source.repo} --revision {entry.source.revision} --local-dir {folder}`, "
        "or copy that folder there from another machine."
    )


def _vae_factor(folder: Path) -> int:
    """Pixels a latent cell: the VAE halves the picture at every block but the last."""
    blocks = _read_json(folder / "vae" / "config.json").get("block_out_channels")
    if not isinstance(blocks, list) or not blocks:
        raise CheckpointUnreadableError(f"{folder}/vae/config.json does not state block_out_channels; copy it again.")
    return int(2 ** (len(blocks) - 1))


def _number(path: Path, field: str) -> int:
    value = _read_json(path).get(field)
    if type(value) is not int or value < 1:
        raise CheckpointUnreadableError(f"{path} does not state {field}; copy the checkpoint again.")
    return value


def _read_json(path: Path) -> dict[str, Any]:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointUnreadableError(
            f"{path} is missing; the folder is no checkpoint in diffusers' format."
        ) from error
    except ValueError as error:
        raise CheckpointUnreadableError(f"{path} is damaged ({error}); copy the checkpoint again.") from error
    if not isinstance(table, dict):
        raise CheckpointUnreadableError(f"{path} is damaged (no JSON object); copy the checkpoint again.")
    return table
