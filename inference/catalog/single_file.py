"""What a checkpoint in one safetensors file is, from its header alone.
Reads no weights: knows nothing about torch or folders in diffusers' format.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from inference.catalog.entry import Family

SUFFIX = ".safetensors"
# The format's own limit (safetensors, "Format"): what says more is no header.
MAX_HEADER_BYTES = 100_000_000
FIRST_LAYER = "model.diffusion_model.input_blocks.0.0.weight"
# Keys that only one architecture has, where the programs that write such files put its text encoder; the first counts.
TEXT_ENCODERS: Mapping[str, Family] = {
    "conditioner.embedders.1.model.": "sdxl",
    "cond_stage_model.": "sd",
}
# What else comes as one file, by keys that it has, and what to tell.
OTHERS: Mapping[str, str] = {
    "lora_": "is a LoRA, not a checkpoint. Add it as a LoRA.",
    "conditioner.embedders.0.model.": "is a Stable Diffusion XL refiner, which cannot run by itself. Take the base.",
    "double_blocks.": "is a FLUX.1 transformer without its text encoders. Take the folder in diffusers' format.",
    "model.diffusion_model.double_blocks.": "is a FLUX.1 file. Take the folder in diffusers' format.",
    "model.diffusion_model.joint_blocks.": "is a Stable Diffusion 3, which cannot run here.",
}


class SingleFileError(ValueError):
    """A file is no checkpoint that can run; the sentence goes on after the file's name."""


@dataclass(frozen=True)
class FileFacts:
    """The architecture, and how many channels its U-Net takes."""

    family: Family
    in_channels: int


def facts(path: Path) -> FileFacts:
    """What a file is, by the names and shapes of its tensors.

    :raises SingleFileError: it is damaged, or no Stable Diffusion 1.5, 2 or XL checkpoint.
    """
    read = shapes(path)
    for prefix, family in TEXT_ENCODERS.items():
        if FIRST_LAYER in read and any(key.startswith(prefix) for key in read):
            shape = read[FIRST_LAYER]
            if len(shape) != 4:
                raise SingleFileError(f"has a first layer of shape {list(shape)}; only whole checkpoints can run.")
            return FileFacts(family, shape[1])
    for prefix, what in OTHERS.items():
        if any(key.startswith(prefix) for key in read):
            raise SingleFileError(what)
    if FIRST_LAYER in read:
        raise SingleFileError("holds a U-Net without its text encoder. Take the full checkpoint.")
    raise SingleFileError("is no Stable Diffusion 1.5, 2 or XL checkpoint; only those run from one file.")


def shapes(path: Path) -> Mapping[str, tuple[int, ...]]:
    """Tensor name → shape of any safetensors file of a checkpoint.

    :raises SingleFileError: it is damaged.
    """
    try:
        with path.open("rb") as file:
            [length] = struct.unpack("<Q", file.read(8))
            if length > MAX_HEADER_BYTES:
                raise ValueError(f"a header of {length} bytes")
            header = json.loads(file.read(length))
        return {name: tuple(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__"}
    except (struct.error, ValueError, TypeError, KeyError, AttributeError) as error:
        raise SingleFileError(f"is damaged, or no safetensors file ({error}). Copy it again.") from error
