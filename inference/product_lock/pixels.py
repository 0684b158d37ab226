"""Array types of the product lock, and how colors are carried from where they are known to where they are not.
Knows arrays only: nothing of files, profiles or placements.
"""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb: TypeAlias = NDArray[np.uint8]  # (H, W, 3)
Gray: TypeAlias = NDArray[np.uint8]  # (H, W)
Lock: TypeAlias = NDArray[np.bool_]  # (H, W)
Levels: TypeAlias = NDArray[np.float32]  # (H, W), (H, W, 3) or (N, 3), 0..255 or 0..1


def distance_to(there: Lock) -> Levels:
    """Distance in pixels of every pixel to the nearest True one (0 on it); infinite where there is none."""
    if not there.any():
        return np.full(there.shape, np.inf, np.float32)
    away = cv2.distanceTransform((~there).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.asarray(away, np.float32)


def nearest(rgb: Rgb, known: Lock, wanted: Lock, *, average_px: int) -> Levels:
    """Colors (N, 3) for the N pixels of `wanted`: that of the nearest known pixel, averaged with its known neighbours.

    average_px is the side of the averaging window, odd; at least one pixel must be known.
    """
    window = (average_px, average_px)
    share = cv2.boxFilter(known.astype(np.float32), -1, window, normalize=False, borderType=cv2.BORDER_CONSTANT)
    total = cv2.boxFilter(
        np.where(known[..., None], rgb, np.uint8(0)).astype(np.float32),
        -1,
        window,
        normalize=False,
        borderType=cv2.BORDER_CONSTANT,
    )
    _, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    at = np.flatnonzero(known)
    where = np.zeros(at.size + 1, np.intp)
    where[labels.ravel()[at]] = at
    source = where[labels[wanted]]
    return np.asarray(total.reshape(-1, 3)[source] / share.ravel()[source, None], np.float32)


def spread(rgb: Levels, known: Lock) -> Levels:
    """Fill (H, W, 3) float32 smoothly from its known pixels: known ones stay, far ones get the mean of a wide area.

    The pull-push pyramid of Gortler et al., "The Lumigraph" (1996): averages go down by halves until everything is
    known, then fill what the finer level does not know. Zeros where nothing is known at all.
    """
    weight = known.astype(np.float32)[..., None]
    return _filled(rgb * weight, weight)


def _filled(weighted: Levels, weight: Levels) -> Levels:
    color = np.asarray(weighted / np.maximum(weight, 1e-6), np.float32)
    height, width = weight.shape[:2]
    if height * width == 1 or bool((weight >= 1).all()):
        return color
    half = ((width + 1) // 2, (height + 1) // 2)
    # Four times the mean, at most 1: a coarse pixel with one known child knows its color.
    share = _halved(weight, half)
    known = np.minimum(np.float32(1), 4 * share)
    below = _filled(np.asarray(_halved(weighted, half) * (known / np.maximum(share, 1e-6)), np.float32), known)
    pushed = cv2.resize(below, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, 3)
    return np.asarray(color * weight + pushed * (1 - weight), np.float32)


def _halved(plane: Levels, size: tuple[int, int]) -> Levels:
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32).reshape(size[1], size[0], -1)
