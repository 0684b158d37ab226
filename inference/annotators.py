"""From a picture to the map that a ControlNet follows: its edges, or its drawn lines; depth and pose are given as maps.
Knows pixels only, and needs no weights.
"""

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

# The thresholds of the pictures that public edge ControlNets were trained on (Zhang et al. 2023, section 4).
CANNY_LEVELS = (100, 200)
# How far around a pixel its paper is looked for, as a share of the shorter side.
PAPER_SHARE = 0.02
LINE_GAIN = 2.0


def canny(picture: Pixels) -> Pixels:
    """Edges as white lines on black, uint8 (H, W, 3), of uint8 (H, W, 3) RGB (Canny 1986)."""
    edges = cv2.Canny(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), *CANNY_LEVELS)
    return _as_rgb(edges)


def lineart(picture: Pixels) -> Pixels:
    """Drawn lines as white on black, uint8 (H, W, 3): what is darker than what surrounds it, as pencil on paper is."""
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    paper = cv2.GaussianBlur(gray, (0, 0), max(1.0, PAPER_SHARE * min(gray.shape)))
    lines = (paper - gray) / np.maximum(paper, 1) * 255 * LINE_GAIN
    return _as_rgb(np.clip(lines, 0, 255).round().astype(np.uint8))


def given(picture: Pixels) -> Pixels:
    """The picture itself, uint8 (H, W, 3): a map that was made elsewhere. Estimating one takes a network of its own."""
    return picture


ANNOTATORS: Mapping[str, Callable[[Pixels], Pixels]] = {
    "canny": canny,
    "lineart": lineart,
    "depth": given,
    "pose": given,
}


def _as_rgb(lines: object) -> Pixels:
    return np.repeat(np.asarray(lines, np.uint8)[..., None], 3, axis=2)
