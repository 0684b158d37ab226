"""The header of a safetensors file, read as if somebody had made it to hurt us; nothing of its tensors is read.
Knows the format (safetensors, "Format"), not what the tensors are for.
"""

from __future__ import annotations

import json
import math
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

LENGTH_BYTES: Final = 8
# Real ones take some hundred kilobytes, the tags of their training pictures included.
MAX_HEADER_BYTES: Final = 4_000_000
MAX_TENSORS: Final = 20_000
MAX_NAME_LENGTH: Final = 300
MAX_SIDE: Final = 1 << 20
MAX_DIMENSIONS: Final = 4  # a convolution's
ITEM_BYTES: Final[Mapping[str, int]] = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4}
FIELDS: Final = {"dtype", "shape", "data_offsets"}
METADATA: Final = "__metadata__"
AGAIN: Final = "Get the file again."


class LoraFileError(ValueError):
    """A file that cannot be used as a LoRA; the sentence goes on after the file's name and says what to do."""


@dataclass(frozen=True)
class Tensor:
    """One tensor: where its bytes lie in the file, from `start` up to `end`."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Header:
    """What a file says of itself: its tensors by name, in the order of their bytes, and texts about them."""

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]


def read(path: Path) -> Header:
    """The header of a file.

    :raises LoraFileError: it is no safetensors file, or one that is not made as the format says.
    :raises OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return read_from(file, size_bytes=path.stat().st_size)


def read_from(file: BinaryIO, *, size_bytes: int) -> Header:
    """The header of an open file that stands at its beginning and is so long; raises as `read`."""
    first = file.read(LENGTH_BYTES)
    if len(first) < LENGTH_BYTES:
        raise LoraFileError("is too short to be a safetensors file. Choose the LoRA’s .safetensors file.")
    [length] = struct.unpack("<Q", first)
    if length > min(MAX_HEADER_BYTES, size_bytes - LENGTH_BYTES):
        # Only then: a sound header's length may begin with the same bytes.
        if first.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04")):
            raise LoraFileError(
                "is a file that could run a program when it is opened (a pickle or a ZIP). "
                "Only safetensors files are taken: convert it, or choose the LoRA’s .safetensors file."
            )
        raise LoraFileError(
            "is damaged or no safetensors file: it says that its header is longer than can be. " + AGAIN
        )
    text = file.read(length)
    if len(text) < length:
        raise LoraFileError(f"ends in the middle of its header. {AGAIN}")
    table = _parsed(text)
    data_from = LENGTH_BYTES + length
    metadata = _metadata(table.pop(METADATA, {}))
    if not 1 <= len(table) <= MAX_TENSORS:
        raise LoraFileError(f"holds {len(table):,} tensors; a LoRA has 1 to {MAX_TENSORS:,}. Choose another file.")
    tensors = {name: _tensor(name, values, data_from) for name, values in table.items()}
    return Header(_in_order(tensors, data_from=data_from, size_bytes=size_bytes), metadata)


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        table = json.loads(text.decode("utf-8"), object_pairs_hook=_without_twins, parse_constant=_refuse_constant)
    except LoraFileError:
        raise
    except (ValueError, RecursionError):
        table = None
    # The format lets a header begin with nothing else.
    if not isinstance(table, dict) or not text.startswith(b"{"):
        raise LoraFileError("is damaged or no safetensors file: its header cannot be read. " + AGAIN)
    return table


def _without_twins(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Two programs may take different ones of two equal keys, so that one checks what none loads."""
    table = dict(pairs)
    if len(table) < len(pairs):
        twin = next(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
        raise LoraFileError(f"names {_short(twin)} twice in its header, so that nobody can tell what it holds. {AGAIN}")
    return table


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def _metadata(values: Any) -> dict[str, str]:
    is_plain = isinstance(values, dict) and all(isinstance(value, str) for value in values.values())
    if not is_plain:
        raise LoraFileError(f"has notes in its header that are no texts. {AGAIN}")
    return dict(values)


def _tensor(name: str, values: Any, data_from: int) -> Tensor:
    if not name.isprintable() or len(name) > MAX_NAME_LENGTH:
        raise LoraFileError(f"names a tensor {_short(name)}, which is no name of a layer. {AGAIN}")
    if not isinstance(values, dict) or set(values) != FIELDS:
        raise LoraFileError(f"does not say dtype, shape and data_offsets of {name}. {AGAIN}")
    dtype, shape, offsets = values["dtype"], values["shape"], values["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        known = ", ".join(ITEM_BYTES)
        raise LoraFileError(f"has {name} in {_short(str(dtype))}; only {known} can be read. Save it in one of them.")
    if not _is_list(shape, MAX_DIMENSIONS) or not all(1 <= side <= MAX_SIDE for side in shape):
        raise LoraFileError(f"gives {name} the shape {_short(str(shape))}, which no layer has. {AGAIN}")
    if not _is_list(offsets, 2) or len(offsets) != 2 or offsets[1] - offsets[0] != math.prod(shape) * ITEM_BYTES[dtype]:
        raise LoraFileError(f"has more or fewer bytes for {name} than its shape takes. {AGAIN}")
    return Tensor(dtype, tuple(shape), data_from + offsets[0], data_from + offsets[1])


def _is_list(values: Any, most: int) -> bool:
    return isinstance(values, list) and len(values) <= most and all(type(value) is int for value in values)


def _in_order(tensors: Mapping[str, Tensor], *, data_from: int, size_bytes: int) -> dict[str, Tensor]:
    """The tensors as they follow each other: without gaps or overlaps, to the end of the file."""
    ordered = dict(sorted(tensors.items(), key=lambda item: item[1].start))
    at = data_from
    for name, tensor in ordered.items():
        if tensor.start != at:
            raise LoraFileError(f"has bytes before {name} that belong to nothing, or to two tensors. {AGAIN}")
        at = tensor.end
    if at != size_bytes:
        what = "ends before its last tensor does" if at > size_bytes else "goes on after its last tensor"
        raise LoraFileError(f"{what}. {AGAIN}")
    return ordered


def _short(text: str) -> str:
    shown = "".join(sign for sign in text if sign.isprintable())
    return f'"{shown[:60]}…"' if len(shown) > 60 else f'"{shown}"'
