"""A picture of where a stored master differs from its product's photo, for the eyes of a reviewer.
Knows the stored files and the recorded box; shares nothing with the code that placed and painted the picture.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from inference.product_lock.measure import placed_again
from inference.product_lock.pixels import Gray
from inference.product_lock.place import PlacedBox

INSIDE_GAIN = 32  # one level of difference inside the lock is seen as 32
FLOOR = 24  # the scene is never black: black is kept for what is unchanged inside the lock
STEP = 8  # and comes in few levels, which makes the lossless file small


def compare(master: bytes, *, photo: bytes, lock_mask: bytes, placement: str) -> Gray:
    """uint8 (H, W): 0 on every locked pixel that is the photo's own, up to 255 where one differs.

    Outside the lock: how far the scene is from the photo's old background at the same place, dimmed to 24..151.

    :param placement: as a certificate records it.
    Raises LockError when a file cannot be read.
    """
    with Image.open(io.BytesIO(master)) as picture:
        got = np.asarray(picture.convert("RGB")).astype(np.int16)
    height, width = got.shape[:2]
    expected, lock, old, _ = placed_again(photo, lock_mask, _box(placement), width, height)
    inside = np.abs(got - expected).max(axis=-1) * INSIDE_GAIN
    outside = np.abs(got - old).max(axis=-1) // 2 // STEP * STEP + FLOOR
    return np.asarray(np.where(lock, np.minimum(inside, 255), outside), np.uint8)


def _box(placement: str) -> PlacedBox | None:
    if placement == "keep":
        return None
    x, y, width, height = (int(part) for part in placement.split(",")[:4])
    return PlacedBox(x=x, y=y, width=width, height=height)
