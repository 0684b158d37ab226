"""What a checkpoint is, told by its files alone: family, sizes, parameters, the memory its weights take.
Reads headers, not weights: knows nothing about torch or what a batch needs beside them.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.catalog.single_file import MAX_HEADER_BYTES
from inference.catalog.sources import CheckpointSource, CheckpointUnreadableError

# Prefixes of the keys in a checkpoint of one file, and the part that they belong to.
PARTS_OF_ONE_FILE: Mapping[str, str] = {
    "model.diffusion_model.": "unet",
    "first_stage_model.": "vae",
    "cond_stage_model.": "text_encoder",
    "conditioner.embedders.0.": "text_encoder",
    "conditioner.embedders.1.": "text_encoder_2",
}
# Parts that some folders have and the engine leaves where they are.
NEVER_READ = ("safety_checker", "image_encoder", "feature_extractor")
FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")
CPU_BYTES = 4
GPU_BYTES = 2


@dataclass(frozen=True)
class Weights:
    """How many parameters each part has, and what they take in memory once loaded."""

    parts: Mapping[str, int]

    @property
    def parameters(self) -> int:
        """Of all parts."""
        return sum(self.parts.values())

    @property
    def cpu_bytes(self) -> int:
        """Everything is float32 there."""
        return self.parameters * CPU_BYTES

    @property
    def gpu_bytes(self) -> int:
        """Half precision there, but for the VAE."""
        vae = self.parts.get("vae", 0)
        return (self.parameters - vae) * GPU_BYTES + vae * CPU_BYTES


def weights(source: CheckpointSource) -> Weights:
    """The parameters of the files that the engine reads.

    :raises CheckpointUnreadableError: a file is damaged, or there is none.
    """
    parts: dict[str, int] = {}
    for part, count in _of_file(source.file) if source.file else _of_folder(source.folder):
        parts[part] = parts.get(part, 0) + count
    if not parts:
        raise CheckpointUnreadableError(f"{source.folder} holds no safetensors files. Copy the checkpoint again.")
    return Weights(parts)


def lines(source: CheckpointSource) -> Iterator[str]:
    """What `describe` prints of a checkpoint, but for its fingerprint.

    :raises CheckpointUnreadableError: a file is damaged.
    """
    found = weights(source)
    yield f"family       {source.family}{', made for inpainting' if source.is_inpainting else ''}"
    yield f"tasks        {_tasks(source)}"
    yield f"native size  {source.native_size_px} px"
    yield f"sizes        {' '.join(f'{width}x{height}' for width, height in source.sizes)}"
    parts = ", ".join(f"{part} {_short(count)}" for part, count in sorted(found.parts.items()))
    yield f"parameters   {_short(found.parameters)} ({parts})"
    yield f"memory       {_bytes(found.gpu_bytes)} on a GPU, {_bytes(found.cpu_bytes)} on a CPU, for the weights alone"


def _tasks(source: CheckpointSource) -> str:
    if source.is_inpainting:
        return "inpaint; text2img and img2img by painting over everything"
    return "text2img img2img inpaint"


def _of_folder(folder: Path) -> Iterator[tuple[str, int]]:
    for part in sorted(path for path in folder.iterdir() if path.is_dir() and path.name not in NEVER_READ):
        files = sorted(part.glob("*.safetensors"))
        # As the engine chooses: half-precision copies only where the full ones are not there.
        full = [path for path in files if ".fp16" not in path.name]
        for path in full or files:
            yield part.name, sum(_sizes(path).values())


def _of_file(file: Path) -> Iterator[tuple[str, int]]:
    for name, count in _sizes(file).items():
        part = next((part for prefix, part in PARTS_OF_ONE_FILE.items() if name.startswith(prefix)), None)
        if part is not None:
            yield part, count


def _sizes(path: Path) -> Mapping[str, int]:
    """Tensor name → number of values, of those that are no counters or ids (safetensors, "Format")."""
    try:
        with path.open("rb") as file:
            [length] = struct.unpack("<Q", file.read(8))
            if length > MAX_HEADER_BYTES:
                raise ValueError(f"a header of {length} bytes")
            header: dict[str, Any] = json.loads(file.read(length))
        tensors = {name: tensor for name, tensor in header.items() if name != "__metadata__"}
        return {name: math.prod(each["shape"]) for name, each in tensors.items() if each["dtype"] in FLOATS}
    except (struct.error, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointUnreadableError(f"{path} is damaged ({error}). Copy it again.") from error


def _short(count: int) -> str:
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)


def _bytes(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"
