"""Edits of a picture that is its own product: laid on a larger canvas as it is, and a part of it painted by itself.
Knows placed products; knows nothing of checkpoints, painted pictures and stored files.
"""

from __future__ import annotations

import numpy as np

from inference.product_lock.color import is_srgb, to_srgb
from inference.product_lock.pixels import Rgb
from inference.product_lock.place import PlacedBox, PlacedProduct
from inference.product_lock.reference import LockError, Reference
from inference.product_lock.rim import Rim, rim_of_cutout

Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels of the canvas; right and bottom exclusive


def extend(reference: Reference, *, x: int, y: int, width: int, height: int) -> PlacedProduct:
    """Lay a picture on a canvas of width x height pixels, its top left corner at (x, y), unscaled.

    It is converted to sRGB when its profile is another one. Raises LockError when it does not fit on the canvas.
    """
    picture_height, picture_width = reference.lock.shape
    if x < 0 or y < 0 or x + picture_width > width or y + picture_height > height:
        raise LockError(
            f"The picture of {picture_width} x {picture_height} pixels does not fit on a canvas of {width} x {height}"
            f" at {x}, {y}; extend it anew."
        )
    rgb = reference.rgb
    if reference.icc_profile is not None and not is_srgb(reference.icc_profile):
        rgb = to_srgb(rgb, reference.icc_profile)
    where = (slice(y, y + picture_height), slice(x, x + picture_width))
    lock = np.zeros((height, width), np.bool_)
    lock[where] = reference.lock
    canvas = np.zeros((height, width, 3), np.uint8)
    canvas[where] = np.where(reference.lock[..., None], rgb, np.uint8(0))
    return PlacedProduct(
        rgb=canvas,
        lock=lock,
        box=PlacedBox(x=x, y=y, width=picture_width, height=picture_height),
        icc_profile=None,
        rim=rim_of_cutout(canvas, np.where(lock, np.uint8(255), np.uint8(0))),
        has_background=False,
    )


def cut(whole: PlacedProduct, box: Box) -> PlacedProduct:
    """The part of a canvas inside the box, as a canvas of its own, with what the whole knows of its rim.

    Raises LockError when the box reaches beyond the canvas or nothing in it is kept.
    """
    left, top, right, bottom = box
    height, width = whole.lock.shape
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise LockError("The part to paint lies outside of the picture; mark it again.")
    view = (slice(top, bottom), slice(left, right))
    lock = whole.lock[view]
    if not lock.any():
        raise LockError("Nothing of the picture is kept beside what is painted; leave some of it around.")
    inside = np.zeros_like(whole.lock)
    inside[view] = True
    chosen = inside[whole.rim.where]
    return PlacedProduct(
        rgb=np.ascontiguousarray(whole.rgb[view]),
        lock=np.ascontiguousarray(lock),
        box=None,
        icc_profile=whole.icc_profile,
        rim=Rim(where=whole.rim.where[view], color=whole.rim.color[chosen], weight=whole.rim.weight[chosen]),
        has_background=whole.has_background,
    )


def paste(whole: PlacedProduct, part: Rgb, box: Box) -> Rgb:
    """The canvas uint8 (H, W, 3) with a finished part of it in place; what lies outside of the box is as it was."""
    left, top, right, bottom = box
    canvas = whole.rgb.copy()
    canvas[top:bottom, left:right] = part
    return canvas
