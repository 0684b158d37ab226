"""Where the tiles of an enlarged picture lie: each of the model's own size, overlapping, as few as cover it.
Knows numbers only: nothing of pixels, models or prices.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

Size = tuple[int, int]
Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels, right and bottom exclusive

# Of a tile's side, at least so much is its neighbor's too: room to fade one into the other.
OVERLAP_SHARE = 1 / 8


@dataclass(frozen=True)
class Grid:
    """Tiles of one size (width, height) in rows and columns, on a canvas of at least that size; all in pixels."""

    tile: Size
    canvas: Size
    lefts: tuple[int, ...]
    tops: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many tiles there are."""
        return len(self.lefts) * len(self.tops)

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Every tile's box, row by row from the top, each row from the left."""
        width, height = self.tile
        return tuple((left, top, left + width, top + height) for top in self.tops for left in self.lefts)


def grid(size: Size, tile: Size) -> Grid:
    """The tiles that cover a picture of (width, height) pixels, evenly spread.

    A picture that is smaller than a tile lies at the top left of a canvas that is as large as one.
    """
    canvas = max(size[0], tile[0]), max(size[1], tile[1])
    return Grid(tile=tile, canvas=canvas, lefts=_starts(canvas[0], tile[0]), tops=_starts(canvas[1], tile[1]))


def tile_size(sizes: Sequence[Size], size: Size) -> Size:
    """Which of a model's (width, height) sizes covers a picture in the fewest tiles; the first of equals."""
    return _fewest(tuple(sizes), size)


@functools.lru_cache(maxsize=256)
def _fewest(sizes: tuple[Size, ...], size: Size) -> Size:
    return min(sizes, key=lambda tile: grid(size, tile).count)


def tile_seed(seed: int, number: int) -> int:
    """The seed of a picture's tile, 0 <= seed < 2**32: noise that repeats from tile to tile would show as a pattern."""
    return int.from_bytes(hashlib.sha256(f"{seed}:tile:{number}".encode()).digest()[:4], "big")


def _starts(side: int, tile: int) -> tuple[int, ...]:
    overlap = math.ceil(tile * OVERLAP_SHARE)
    number = math.ceil((side - overlap) / (tile - overlap))
    if number == 1:
        return (0,)
    return tuple(round(index * (side - tile) / (number - 1)) for index in range(number))
