"""A picture painted from text alone, brought from the model's size to the delivered one. Knows pixels only."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

FLAT_LEVELS = 1.0


def fit(picture: NDArray[np.uint8], *, width: int, height: int) -> NDArray[np.uint8]:
    """Scale uint8 (h, w, 3) RGB to cover width × height (Lanczos) and cut the overhang off evenly; never stretched.

    The model painted at its nearest shape, so the overhang is a few percent.
    """
    fitted = ImageOps.fit(Image.fromarray(picture), (width, height), Image.Resampling.LANCZOS)
    return np.asarray(fitted)


def is_blank(picture: NDArray[np.uint8]) -> bool:
    """Whether nothing is in it: no channel varies by more than FLAT_LEVELS (standard deviation, 0 to 255)."""
    return float(picture.std(axis=(0, 1)).max()) <= FLAT_LEVELS
