"""Small product photos, masks and painted scenes drawn with numpy, for the product lock's tests."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[np.uint8]


def product_photo(width: int, height: int, *, ground: int = 250, seed: int = 1) -> Array:
    """A textured blue-red product on a light ground, RGB; the product is where product_lock is True."""
    rng = np.random.default_rng(seed)
    rgb = np.full((height, width, 3), ground, np.uint8)
    lock = product_lock(width, height)
    texture = rng.integers(0, 120, (height, width, 3)) + np.array([20, 40, 110])
    rgb[lock] = texture[lock]
    return rgb


def product_lock(width: int, height: int) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[0:height, 0:width]
    return np.asarray(((columns / width - 0.5) / 0.3) ** 2 + ((rows / height - 0.45) / 0.35) ** 2 < 1, np.bool_)


def scene(width: int, height: int, *, seed: int = 3) -> Array:
    """A painted picture: a gradient with noise."""
    rng = np.random.default_rng(seed)
    rows = np.linspace(0, 60, height)[:, None, None]
    return np.asarray(np.clip(30 + rows + rng.normal(0, 6, (height, width, 3)), 0, 255), np.uint8)


def png(pixels: Array | NDArray[np.bool_], *, icc_profile: bytes | None = None) -> bytes:
    """Lossless PNG of RGB, RGBA or gray pixels, or of a lock as a 0/255 mask."""
    array = np.where(pixels, 255, 0).astype(np.uint8) if pixels.dtype == np.bool_ else pixels
    file = io.BytesIO()
    Image.fromarray(np.asarray(array, np.uint8)).save(file, "PNG", icc_profile=icc_profile)
    return file.getvalue()


def pixels(data: bytes) -> Array:
    return np.array(Image.open(io.BytesIO(data)))
