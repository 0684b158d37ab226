"""Where a catalogue entry's weights lie on this machine, and the facts their configs state.
Reads JSON only: knows nothing about torch, pictures or queues.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from inference.catalog import single_file
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
CONFIGS = ("*.json", "*.txt")
WEIGHTS = ("*.safetensors", *CONFIGS)

Size = tuple[int, int]
FileStamp = tuple[str, int, int]


class CheckpointMissingError(LookupError):
    """The weights of an entry are not on this machine; the sentence says how to install them."""


class CheckpointUnreadableError(ValueError):
    """A folder is no checkpoint that the studio can run; the sentence says what is wrong with it."""


@dataclass(frozen=True)
class CheckpointSource:
    """A checkpoint's folder in diffusers' format and what its configs say; sizes are (width, height) in pixels.

    is_inpainting: it was made for inpainting, and sees what it paints around. Where all its weights are one file, the
    folder is the one whose configs and tokenizers go with it.
    """

    slug: str
    folder: Path
    family: Family
    native_size_px: int
    sizes: tuple[Size, ...]
    is_inpainting: bool = False
    file: Path | None = None

    @property
    def is_built_on_first_load(self) -> bool:
        """Whether the folder is the tiny stand-in of the starter, which the engine makes where it is missing."""
        return self.slug == STARTER and self.folder.name == "starter-tiny"


def resolve(entry: CatalogEntry, *, overrides: Mapping[str, Path], data_dir: Path) -> CheckpointSource:
    """The checkpoint that renders an entry: an overriding folder or file, the one installed, or the starter's stand-in.

    Raises CheckpointMissingError with what to do, CheckpointUnreadableError for what is no checkpoint.
    """
    installed = data_dir / "checkpoints" / entry.slug
    bundled = [STARTER_FOLDER] if entry.slug == STARTER else []
    # An absolute folder stays what it is.
    config_folder = None if entry.config_folder is None else data_dir / "checkpoints" / entry.config_folder
    if entry.slug in overrides:
        return _with_sizes_of(entry, read_source(overrides[entry.slug], slug=entry.slug, config_folder=config_folder))
    for folder in (*bundled, installed):
        if (folder / "model_index.json").is_file():
            return _with_sizes_of(entry, read_source(folder, slug=entry.slug))
    file = installed.with_name(installed.name + single_file.SUFFIX)
    if file.is_file():
        return _with_sizes_of(entry, read_source(file, slug=entry.slug, config_folder=config_folder))
    if entry.slug == STARTER:
        return _tiny_starter(data_dir)
    raise CheckpointMissingError(_how_to_install(entry, installed))


def read_source(path: Path, *, slug: str, config_folder: Path | None = None) -> CheckpointSource:
    """The facts of a checkpoint: of a folder, from model_index.json and the configs of its denoiser and VAE; of a
    single file (`.safetensors`) from its header, with the configs of `config_folder`.

    Raises CheckpointMissingError for what is not there, CheckpointUnreadableError for something of another kind.
    """
    if path.suffix == single_file.SUFFIX and path.is_file():
        return _read_file(path, slug=slug, config_folder=config_folder)
    if not path.is_dir():
        raise CheckpointMissingError(
            f'The checkpoint folder of "{slug}" is not there: {path}. Correct its path, or put the checkpoint there.'
        )
    family = _family(path)
    in_channels = _number(path / DENOISERS[family] / "config.json", "in_channels")
    return _source(path, family, slug=slug, in_channels=in_channels)


def _read_file(file: Path, *, slug: str, config_folder: Path | None) -> CheckpointSource:
    try:
        facts = single_file.facts(file)
    except single_file.SingleFileError as error:
        raise CheckpointUnreadableError(f"{file} {error}") from error
    if config_folder is None or not config_folder.is_dir():
        where = "" if config_folder is None else f" {config_folder} is not there."
        raise CheckpointMissingError(
            f"{file} needs the configs and tokenizers of a checkpoint of its kind.{where} Name such a folder in the "
            f"entry's config_folder."
        )
    family = _family(config_folder)
    if family != facts.family:
        raise CheckpointUnreadableError(
            f"{file} is of the family {facts.family}, and its config_folder {config_folder} of {family}. Name another."
        )
    return _source(config_folder, family, slug=slug, in_channels=facts.in_channels, file=file)


def _family(folder: Path) -> Family:
    pipeline = _read_json(folder / "model_index.json").get("_class_name")
    if not isinstance(pipeline, str) or pipeline not in FAMILIES:
        raise CheckpointUnreadableError(
            f"{folder} holds a {pipeline}; only Stable Diffusion 1.5, 2, XL, FLUX.1 and their inpainting versions run."
        )
    return FAMILIES[pipeline]


def _source(folder: Path, family: Family, *, slug: str, in_channels: int, file: Path | None = None) -> CheckpointSource:
    if in_channels not in CHANNELS[family]:
        raise CheckpointUnreadableError(
            f"{file or folder} has a {DENOISERS[family]} with {in_channels} input channels; only "
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
        file=file,
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

    Raises CheckpointMissingError where there are none.
    """
    files = _files(source)
    if not files or (source.file is not None and not source.file.is_file()):
        what_to_do = (
            "It is made by the first render." if source.is_built_on_first_load else "Copy the checkpoint there."
        )
        raise CheckpointMissingError(f"{source.file or source.folder} holds no checkpoint. {what_to_do}")
    return tuple((name, path.stat().st_size, path.stat().st_mtime_ns) for name, path in files.items())


_fingerprints: dict[tuple[Path, Path | None, tuple[FileStamp, ...]], str] = {}


def fingerprint(source: CheckpointSource) -> str:
    """SHA-256 (hex) over names and bytes of the weight and config files; kept in memory until a file changes.

    Raises CheckpointMissingError where there are none.
    """
    key = (source.folder, source.file, stamp(source))
    if key not in _fingerprints:
        _fingerprints[key] = _hash_files(_files(source))
    return _fingerprints[key]


def folder_fingerprint(folder: Path) -> str:
    """The same over a folder beside the checkpoint, such as a ControlNet's."""
    paths = sorted({path for pattern in WEIGHTS for path in folder.rglob(pattern)})
    files = {path.relative_to(folder).as_posix(): path for path in paths}
    stamps = tuple((name, path.stat().st_size, path.stat().st_mtime_ns) for name, path in files.items())
    key = (folder, None, stamps)
    if key not in _fingerprints:
        _fingerprints[key] = _hash_files(files)
    return _fingerprints[key]


def _hash_files(files: Mapping[str, Path]) -> str:
    digest = hashlib.sha256()
    for name, path in files.items():
        with path.open("rb") as file:
            # The length of the name and a file's own hash keep one file's bytes from passing for another's.
            digest.update(f"{len(name)}:{name}".encode())
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _files(source: CheckpointSource) -> Mapping[str, Path]:
    """Name → path of what the checkpoint is read from; of the folder beside a single file, only what is no weight."""
    patterns = WEIGHTS if source.file is None else CONFIGS
    paths = sorted({path for pattern in patterns for path in source.folder.rglob(pattern)})
    files = {path.relative_to(source.folder).as_posix(): path for path in paths}
    return files if source.file is None else {**files, source.file.name: source.file}


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
