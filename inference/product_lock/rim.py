"""The rim: two to three pixels outside the lock where product edge colors fade into the painted scene.
Knows photos and locks; knows nothing of files, placements and painted pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from inference.product_lock.pixels import Gray, Levels, Lock, Rgb, distance_to, nearest

RIM_PX = 3.0  # width of the feather outside the lock
CORE_PX = 2.0  # edge colors come from this deep inside: the outermost pixels are already mixed with the old background
BACKGROUND_PX = 6.0  # the old background is looked up this far outside, beyond the photo's own soft edge
SMOOTH_PX = 0.8  # a cut-out's coverage is smoothed by this much (sigma), or its locked pixels show as a staircase
CONTRAST_LEVELS = 40.0  # product and background must differ by about this much for a pixel's mix of them to be read


@dataclass(frozen=True, eq=False)
class Rim:
    """The feather's pixels: where bool (H, W), color float32 (N, 3) of the extended product edge, weight float32 (N,).

    N pixels in row order of `where`; weight 1 shows the edge color alone, 0 the scene alone.
    """

    where: Lock
    color: Levels
    weight: Levels


def rim_of_photo(rgb: Rgb, lock: Lock) -> Rim:
    """The rim of a product in an opaque photo, rgb uint8 (H, W, 3): how much product each pixel holds is estimated."""
    view = _around(lock)
    where, color, away = _edge(rgb[view], lock[view])
    weight = _matte(rgb[view], where, away, color)
    return _on_whole(lock.shape, view, where, color, weight)


def rim_of_cutout(rgb: Rgb, coverage: Gray) -> Rim:
    """The rim of a product whose coverage uint8 (H, W) is known, locked from 128 on; rgb uint8 (H, W, 3)."""
    lock = coverage >= 128
    view = _around(lock)
    where, color, away = _edge(rgb[view], lock[view])
    # Pixels from half coverage on are shown whole, so the fade starts at the lock with 1 and not with a half.
    smooth = cv2.GaussianBlur(coverage[view].astype(np.float32), (0, 0), SMOOTH_PX) * np.float32(2 / 255)
    weight = _faded(np.minimum(smooth[where], np.float32(1)), away[where])
    return _on_whole(lock.shape, view, where, color, weight)


def _around(lock: Lock) -> tuple[slice, slice]:
    margin = int(2 * BACKGROUND_PX) + 4
    columns, rows = np.flatnonzero(lock.any(axis=0)), np.flatnonzero(lock.any(axis=1))
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + 1 + margin),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + 1 + margin),
    )


def _edge(rgb: Rgb, lock: Lock) -> tuple[Lock, Levels, Levels]:
    """(where the rim is, its extended edge colors, the distance of every pixel to the lock)."""
    core = lock & (distance_to(~lock) > CORE_PX)
    # A strap or a string is thinner than that: there the lock itself is the best that is known.
    core |= lock & (distance_to(core) > 2 * CORE_PX)
    away = distance_to(lock)
    where = (away > 0) & (away <= RIM_PX)
    return where, nearest(rgb, core, where, average_px=3), away


def _matte(rgb: Rgb, where: Lock, away: Levels, product: Levels) -> Levels:
    """Share of product (N,) in each rim pixel: how far its color is from the old background towards the product's."""
    distance = away[where]
    outside = away >= BACKGROUND_PX
    guess = np.clip(0.55 - 0.2 * distance, 0, 1)  # a soft edge of a sharp photo, half covered at the lock's border
    if not outside.any():
        return np.asarray(guess, np.float32)
    background = nearest(rgb, outside, where, average_px=5)
    span = product - background
    length = (span**2).sum(axis=1)
    share = ((rgb[where] - background) * span).sum(axis=1) / np.maximum(length, 1)
    sure = length / (length + CONTRAST_LEVELS**2)
    return _faded(sure * np.clip(share, 0, 1) + (1 - sure) * guess, distance)


def _faded(share: Levels, distance: Levels) -> Levels:
    """Weights (N,) that end at RIM_PX whatever the coverage says."""
    end = np.clip((RIM_PX + 1 - distance) / RIM_PX, 0, 1)
    return np.asarray(share * end, np.float32)


def _on_whole(shape: tuple[int, ...], view: tuple[slice, slice], where: Lock, color: Levels, weight: Levels) -> Rim:
    whole = np.zeros(shape, np.bool_)
    whole[view] = where
    return Rim(where=whole, color=color, weight=weight)
