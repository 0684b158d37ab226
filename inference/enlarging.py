"""Pictures made larger: enlarged, cut into tiles, and the painted tiles joined again without a seam.
Knows pixels and where tiles lie; nothing of models, files or who is asking.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from inference.framing import fit
from inference.tiling import Grid

Pixels = NDArray[np.uint8]  # (h, w, 3)
Levels = NDArray[np.float32]  # (h, w, 3) or (n,)

# Neighbors fade into each other over at most this share of a tile: two different details at once look blurred.
FADE_SHARE = 1 / 4
# Colors of shapes that are larger than this share of a tile stay those of the enlarged picture.
KEPT_SHARE = 1 / 16
# Lanczos leaves edges as soft as they were. So much is a hand's usual touch; more draws light lines along them.
SHARPEN_PERCENT = 60
SHARPEN_THRESHOLD = 2
# What is blurred widely needs few pixels.
SHRINK = 4


def sharpened(picture: Pixels, *, factor: float) -> Pixels:
    """An enlarged picture with mild unsharp masking, as wide as it was enlarged; the same bytes every time."""
    mask = ImageFilter.UnsharpMask(radius=0.6 * factor, percent=SHARPEN_PERCENT, threshold=SHARPEN_THRESHOLD)
    return np.asarray(Image.fromarray(picture).filter(mask))


def enlarged(picture: Pixels, *, width: int, height: int) -> Pixels:
    """A picture uint8 (h, w, 3) at width x height pixels (Lanczos); one of another shape is cut evenly."""
    return fit(picture, width=width, height=height)


def cut(picture: Pixels, grid: Grid) -> tuple[Pixels, ...]:
    """The picture's tiles, in the order of the grid's boxes; what the canvas has more is made up by reflection."""
    across, down = grid.canvas
    height, width = picture.shape[:2]
    if (across, down) != (width, height):
        pads = (0, down - height, 0, across - width)
        picture = np.asarray(cv2.copyMakeBorder(picture, *pads, borderType=cv2.BORDER_REFLECT), np.uint8)
    return tuple(picture[top:bottom, left:right] for left, top, right, bottom in grid.boxes)


def joined(picture: Pixels, painted: Sequence[Pixels], grid: Grid) -> Pixels:
    """One picture of the size of the enlarged one, out of its painted tiles in the order of the grid's boxes.

    Each tile's colors are brought back to the enlarged picture's, whose large shapes so cannot drift; where tiles
    overlap, one fades into the next. Rounded once, at the end.
    """
    height, width = picture.shape[:2]
    shown = cut(picture, grid)
    across, down = _weights(grid.lefts, grid.tile[0]), _weights(grid.tops, grid.tile[1])
    canvas = np.empty((grid.canvas[1], grid.canvas[0], 3), np.uint8)
    # Row by row: a whole canvas in float32 would take four times the picture.
    strip, strip_top = np.zeros((0, grid.canvas[0], 3), np.float32), 0
    for row, top in enumerate(grid.tops):
        first = row * len(grid.lefts)
        next_strip = _row(shown[first:], painted[first:], grid, across) * down[row][:, None, None]
        done = top - strip_top
        canvas[strip_top:top] = _rounded(strip[:done])
        next_strip[: len(strip) - done] += strip[done:]
        strip, strip_top = next_strip, top
    canvas[strip_top:] = _rounded(strip)
    return np.ascontiguousarray(canvas[:height, :width])


def _row(shown: Sequence[Pixels], painted: Sequence[Pixels], grid: Grid, across: Sequence[Levels]) -> Levels:
    strip = np.zeros((grid.tile[1], grid.canvas[0], 3), np.float32)
    for left, weight, before, after in zip(grid.lefts, across, shown, painted, strict=False):
        strip[:, left : left + grid.tile[0]] += _with_colors_of(before, after) * weight[None, :, None]
    return strip


def _with_colors_of(shown: Pixels, painted: Pixels) -> Levels:
    """A painted tile with the wide differences to what was shown taken out: a low pass of them is subtracted."""
    levels = painted.astype(np.float32)
    difference = shown.astype(np.float32) - levels
    height, width = shown.shape[:2]
    small = cv2.resize(difference, (width // SHRINK, height // SHRINK), interpolation=cv2.INTER_AREA)
    sigma = KEPT_SHARE * min(width, height) / SHRINK
    wide = cv2.GaussianBlur(small, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    return np.asarray(levels + cv2.resize(wide, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _weights(starts: Sequence[int], tile: int) -> list[Levels]:
    """Every tile's share of its pixels along one side; the shares of all tiles add up to 1 everywhere."""
    weights = [np.ones(tile, np.float32) for _ in starts]
    for index, (start, after) in enumerate(pairwise(starts)):
        shared, apart = start + tile - after, after - start
        # Three tiles may share a place: between two fades there is one of a single tile.
        fade = min(shared, apart, round(FADE_SHARE * tile))
        middle = after + shared / 2
        place = np.arange(tile, dtype=np.float32) + 0.5
        weights[index] *= 1 - _risen((start + place - middle) / fade + 0.5)
        weights[index + 1] *= _risen((after + place - middle) / fade + 0.5)
    return weights


def _risen(share: NDArray[np.floating]) -> Levels:
    """0 below 0, 1 above 1, and half a cosine between: no corner where a fade begins and ends."""
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.clip(share, 0, 1)), np.float32)


def _rounded(levels: Levels) -> Pixels:
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)
