"""Where the product stands: a photo placed on the canvas, resampled at most once, with the rim that surrounds it.
Knows references and placements; knows nothing of checkpoints and painted pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from inference.product_lock.color import is_srgb, to_srgb
from inference.product_lock.pixels import Gray, Lock, Rgb
from inference.product_lock.reference import LOCK_FROM, LockError, Reference
from inference.product_lock.rim import Rim, rim_of_cutout, rim_of_photo

if TYPE_CHECKING:
    from inference.references import Placement

MARGIN_SHARE = 0.06  # of the canvas side: room for a contact shadow under a product that stands on the edge
PHOTO_MAX_PX = 120_000_000  # the scaled photo, whole: about 1 GB while it is resampled


@dataclass(frozen=True)
class PlacedBox:
    """The whole photo scaled to width x height pixels, its top left corner at (x, y) of the canvas.

    x and y may be negative and the box may reach beyond the canvas. filter names Pillow's resampling filter.
    """

    x: int
    y: int
    width: int
    height: int
    filter: Literal["lanczos"] = "lanczos"


@dataclass(frozen=True, eq=False)
class PlacedProduct:
    """The product on its canvas: what the painted picture is laid under.

    rgb uint8 (H, W, 3), lock bool (H, W). For keep (box None) rgb is the photo as it is, in the photo's own colors
    (icc_profile); otherwise sRGB, and zero outside the lock. has_background tells whether rgb holds a scene outside
    the lock. rim is what stands on the pixels just outside the lock. warnings are sentences for the reviewer.
    """

    rgb: Rgb
    lock: Lock
    box: PlacedBox | None
    icc_profile: bytes | None
    rim: Rim
    has_background: bool
    warnings: tuple[str, ...] = ()


def place(reference: Reference, *, placement: Placement | None, width: int, height: int) -> PlacedProduct:
    """Place the product on a canvas of width x height pixels.

    placement None (keep) resamples and converts nothing; the canvas must be the photo's size. Otherwise the photo is
    converted to sRGB when its profile is another one, and scaled whole, once, with its lock as premultiplied alpha, so
    that the product's height or width becomes `scale` of the canvas's, whichever fits first. An anchored product keeps
    MARGIN_SHARE of the canvas side to the edge it stands on, or half of the free room where that is less.
    Raises LockError when the sizes do not fit or nothing of the product would be left.
    """
    if placement is None:
        return _kept(reference, width, height)
    box = _box(reference.lock, placement, width, height)
    cutout = _scaled(reference, box)
    lock = cutout[..., 3] >= LOCK_FROM
    if not lock.any():
        raise LockError("At this scale nothing of the product is left; choose a larger scale or a larger canvas.")
    if placement.scale <= 1:
        box = _inside(box, lock, width, height)
    return _placed(reference, cutout, box, width=width, height=height)


def enlarge(reference: Reference, *, width: int, height: int) -> PlacedProduct:
    """Place a kept photo's product where the photo has it, on a canvas of the photo's shape at width x height pixels.

    The photo is converted to sRGB and scaled whole, once, as `place` does. Raises LockError when nothing of it is left.
    """
    box = PlacedBox(x=0, y=0, width=width, height=height)
    return _placed(reference, _scaled(reference, box), box, width=width, height=height)


def _placed(reference: Reference, cutout: Gray, box: PlacedBox, *, width: int, height: int) -> PlacedProduct:
    canvas = _on_canvas(cutout, box, width, height)
    placed_lock = canvas[..., 3] >= LOCK_FROM
    if not placed_lock.any():
        raise LockError("The product would stand outside the canvas; choose a smaller scale.")
    scaled_lock = cutout[..., 3] >= LOCK_FROM
    return PlacedProduct(
        rgb=np.where(placed_lock[..., None], canvas[..., :3], np.uint8(0)),
        lock=placed_lock,
        box=box,
        icc_profile=None,
        rim=rim_of_cutout(canvas[..., :3], canvas[..., 3]),
        has_background=False,
        warnings=_warnings(reference.lock, box, is_cut=int(placed_lock.sum()) < int(scaled_lock.sum())),
    )


def _kept(reference: Reference, width: int, height: int) -> PlacedProduct:
    photo_height, photo_width = reference.lock.shape
    if (photo_width, photo_height) != (width, height):
        raise LockError(
            f"A kept placement needs the photo's own size, {photo_width} x {photo_height} pixels,"
            f" not {width} x {height}."
        )
    if reference.alpha is None:
        rim = rim_of_photo(reference.rgb, reference.lock)
    else:
        coverage = np.minimum(reference.alpha, np.uint8(LOCK_FROM - 1))
        rim = rim_of_cutout(reference.rgb, np.where(reference.lock, np.uint8(255), coverage))
    return PlacedProduct(
        rgb=reference.rgb,
        lock=reference.lock,
        box=None,
        icc_profile=reference.icc_profile,
        rim=rim,
        has_background=reference.alpha is None,
    )


def bounds(lock: Lock) -> tuple[int, int, int, int]:
    """Bounding box (left, top, right, bottom) in pixels of a lock that is not empty; right and bottom are exclusive."""
    columns, rows = np.flatnonzero(lock.any(axis=0)), np.flatnonzero(lock.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _box(lock: Lock, placement: Placement, width: int, height: int) -> PlacedBox:
    left, top, right, bottom = bounds(lock)
    factor = min(placement.scale * width / (right - left), placement.scale * height / (bottom - top))
    photo_height, photo_width = lock.shape
    scaled_width, scaled_height = max(1, round(photo_width * factor)), max(1, round(photo_height * factor))
    if scaled_width * scaled_height > PHOTO_MAX_PX:
        raise LockError(
            f"The photo would be enlarged {factor:.1f} times, to {scaled_width} x {scaled_height} pixels;"
            " crop it to the product or choose a smaller scale."
        )
    across, down = _anchor(placement.anchor)
    x = _start(across, width, (right - left) * factor) - left * scaled_width / photo_width
    y = _start(down, height, (bottom - top) * factor) - top * scaled_height / photo_height
    return PlacedBox(x=round(x), y=round(y), width=scaled_width, height=scaled_height)


def _anchor(anchor: str) -> tuple[int, int]:
    """(across, down) of an anchor's name: 0 is left or top, 1 the center, 2 right or bottom."""
    words = anchor.split("-")
    across = 0 if "left" in words else 2 if "right" in words else 1
    down = 0 if "top" in words else 2 if "bottom" in words else 1
    return across, down


def _start(position: int, side: int, extent: float) -> float:
    free = side - extent
    margin = min(MARGIN_SHARE * side, free / 2)
    return (margin, free / 2, free - margin)[position]


def _scaled(reference: Reference, box: PlacedBox) -> Gray:
    rgb = reference.rgb
    if reference.icc_profile is not None and not is_srgb(reference.icc_profile):
        rgb = to_srgb(rgb, reference.icc_profile)
    alpha = np.where(reference.lock, np.uint8(255), np.uint8(0))
    # Pillow multiplies by alpha before it resamples RGBA and divides after: no background reaches the product.
    cutout = Image.fromarray(np.dstack([rgb, alpha]), "RGBA")
    return np.asarray(cutout.resize((box.width, box.height), Image.Resampling.LANCZOS))


def _inside(box: PlacedBox, lock: Lock, width: int, height: int) -> PlacedBox:
    """Undo what rounding pushed over the canvas's edge: a product of scale <= 1 stands on the canvas whole."""
    left, top, right, bottom = bounds(lock)
    x = max(-left, min(box.x, width - right))
    y = max(-top, min(box.y, height - bottom))
    return PlacedBox(x=x, y=y, width=box.width, height=box.height)


def _on_canvas(cutout: Gray, box: PlacedBox, width: int, height: int) -> Gray:
    canvas = np.zeros((height, width, 4), np.uint8)
    left, top = max(0, box.x), max(0, box.y)
    right, bottom = min(width, box.x + box.width), min(height, box.y + box.height)
    if left < right and top < bottom:
        canvas[top:bottom, left:right] = cutout[top - box.y : bottom - box.y, left - box.x : right - box.x]
    return canvas


def _warnings(lock: Lock, box: PlacedBox, *, is_cut: bool) -> tuple[str, ...]:
    found = []
    factor = box.width / lock.shape[1]
    if factor > 1:
        found.append(f"The photo is enlarged {factor:.2f} times and the product will look soft; use a larger photo.")
    if is_cut:
        found.append("The product does not fit on the canvas and is cut off; choose a smaller scale.")
    left, top, right, bottom = bounds(lock)
    if left == 0 or top == 0 or right == lock.shape[1] or bottom == lock.shape[0]:
        found.append("The product is cut off by its photo's edge, and here the cut shows; keep its placement.")
    return tuple(found)
