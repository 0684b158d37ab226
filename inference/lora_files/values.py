"""Whether the numbers in a safetensors file are numbers, read piece by piece. Knows dtypes, not what they are for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from inference.lora_files.header import Header, LoraFileError, Tensor

CHUNK_BYTES: Final = 8 << 20
DTYPES: Final[Mapping[str, str]] = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4"}
# What half precision holds: beyond it, a number is infinite on a GPU.
HALF_MAX: Final = 65504.0
# bfloat16 is the upper half of a float32: without its sign, what lies above is larger than HALF_MAX or no number.
BF16_MAX: Final = 0x477F


def check(path: Path, header: Header) -> None:
    """Read every number once, 8 MB at a time.

    :raises LoraFileError: one is NaN, infinite, or too large for half precision; its tensor is named.
    """
    with path.open("rb") as file:
        for name, tensor in header.tensors.items():
            file.seek(tensor.start)
            left = tensor.end - tensor.start
            while left:
                data = file.read(min(left, CHUNK_BYTES))
                left -= len(data)
                if not data or not _are_sound(np.frombuffer(data, DTYPES[tensor.dtype]), tensor):
                    raise LoraFileError(
                        f"has values at {name} that are no numbers, or too large for half precision. Get it again."
                    )


def _are_sound(values: npt.NDArray[Any], tensor: Tensor) -> bool:
    if tensor.dtype == "BF16":
        return bool(((values & 0x7FFF) <= BF16_MAX).all())
    # Comparing with NaN is false.
    return bool(((values <= HALF_MAX) & (values >= -HALF_MAX)).all())
