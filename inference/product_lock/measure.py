"""The certificate: how far a stored master is from its product, measured from the stored files alone.
Knows bytes, boxes and pixels; shares nothing with the code that placed and painted the picture.
"""

from __future__ import annotations

import functools
import hashlib
import io
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from inference.product_lock.color import is_srgb
from inference.product_lock.pixels import Gray, Levels, Lock, Rgb
from inference.product_lock.place import PlacedBox
from inference.product_lock.reference import LockError

RING_PX = 3  # the rim that is judged: this far outside the lock
WINDOW_PX = 25  # levels are averaged along the rim over this window, so that the scene's own texture cancels out
TEXTURE_SHARE = 0.5
HALO_SHARE = 75  # percentile of the overshoot along the rim that is reported: texture meets it by chance on less


@dataclass(frozen=True)
class Certificate:
    """Numbers about one stored master, in levels of 255.

    lock_max_diff, lock_mean_diff: absolute difference to the product placed again, over all channels inside the lock.
    rim_contrast: by how much the worst quarter of the rim is nearer to the old background than the product's edge and
    the scene beside it. placement is "keep" or "x,y,width,height,filter" of the whole photo on the canvas.
    """

    lock_max_diff: int
    lock_mean_diff: float
    rim_contrast: float
    photo_sha256: str
    lock_mask_sha256: str
    master_sha256: str
    placement: str
    lock_pixels: int

    def to_json(self) -> dict[str, str | int | float]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Raises LockError when fields are missing or unknown."""
        names = {field.name for field in fields(cls)}
        if set(data) != names:
            raise LockError(f"A certificate has the fields {', '.join(sorted(names))}, not {', '.join(sorted(data))}.")
        return cls(**data)


def certify(
    master: bytes, *, photo: bytes, lock_mask: bytes, box: PlacedBox | None, width: int, height: int
) -> Certificate:
    """Measure a stored master (lossless file, width x height pixels) against its stored photo and mask.

    The product is placed again by the recorded box alone (None: keep), by code of its own: every channel is resampled
    as a picture of its own and premultiplied colors are divided here. A whole photo resized without its mask gives
    the same pixels but near the lock's edge, within three pixels of the photo or of the master, whichever are larger;
    see docs/product-lock.md.
    Raises LockError when a file cannot be read, the master is not width x height, a kept master does not carry its
    photo's profile, or no locked pixel lies on the canvas.
    """
    got, got_profile = _pixels(master)
    if got.shape != (height, width, 3):
        raise LockError(f"The master is {got.shape[1]} x {got.shape[0]} pixels, not {width} x {height}.")
    expected, lock, old, profile = placed_again(photo, lock_mask, box, width, height)
    if got_profile != profile:
        raise LockError("The master does not carry its photo's color profile, so its colors cannot be compared.")
    if not lock.any():
        raise LockError("No locked pixel lies on the canvas; the recorded box does not belong to this master.")
    difference = np.abs(got[lock].astype(np.int16) - expected[lock])
    return Certificate(
        lock_max_diff=int(difference.max()),
        lock_mean_diff=round(float(difference.mean()), 6),
        rim_contrast=round(rim_contrast(got, lock, old), 3),
        photo_sha256=hashlib.sha256(photo).hexdigest(),
        lock_mask_sha256=hashlib.sha256(lock_mask).hexdigest(),
        master_sha256=hashlib.sha256(master).hexdigest(),
        placement="keep" if box is None else f"{box.x},{box.y},{box.width},{box.height},{box.filter}",
        lock_pixels=int(np.count_nonzero(lock)),
    )


def _pixels(data: bytes) -> tuple[Gray, bytes | None]:
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return np.array(picture), picture.info.get("icc_profile") or None
    except (OSError, ValueError, SyntaxError) as error:
        raise LockError("A stored file cannot be read as a picture, so nothing can be measured.") from error


# The images of one product in one place are measured one after another.
@functools.lru_cache(maxsize=4)
def placed_again(
    photo: bytes, lock_mask: bytes, box: PlacedBox | None, width: int, height: int
) -> tuple[Rgb, Lock, Rgb, bytes | None]:
    """(expected canvas, its lock, the old background at the same place, the profile that the master must carry).

    Canvases are uint8 (height, width, 3), the lock bool (height, width). Raises LockError when a file cannot be read.
    """
    pixels, profile = _pixels(photo)
    mask, _ = _pixels(lock_mask)
    if mask.ndim != 2 or mask.shape != pixels.shape[:2]:
        raise LockError("The stored mask is not a gray picture of its photo's size.")
    rgb, locked = pixels[..., :3], mask >= 128
    old = _over_white(pixels) if pixels.shape[2] == 4 else rgb
    if box is None:
        return rgb, locked, old, profile
    if box.filter != "lanczos":
        raise LockError(f'The recorded filter "{box.filter}" is unknown; lanczos is the only one.')
    if profile is not None and not is_srgb(profile):
        rgb, old = _srgb(rgb, profile), _srgb(old, profile)
    planes = [np.where(locked, rgb[..., channel], np.uint8(0)) for channel in range(3)]
    planes.append(np.where(locked, np.uint8(255), np.uint8(0)))
    red, green, blue, cover = (_laid(_resized(plane, box), box, width, height) for plane in planes)
    divisor = np.maximum(cover, 1).astype(np.int32)
    straight = [np.minimum(plane.astype(np.int32) * 255 // divisor, 255) for plane in (red, green, blue)]
    plain = np.asarray(Image.fromarray(old).resize((box.width, box.height), Image.Resampling.BILINEAR))
    return np.dstack(straight).astype(np.uint8), cover >= 128, _laid(plain, box, width, height), None


def _resized(plane: Gray, box: PlacedBox) -> Gray:
    return np.asarray(Image.fromarray(plane).resize((box.width, box.height), Image.Resampling.LANCZOS))


def _laid(scaled: NDArray[np.uint8], box: PlacedBox, width: int, height: int) -> NDArray[np.uint8]:
    canvas = np.zeros((height, width, *scaled.shape[2:]), np.uint8)
    first_row, first_column = max(0, -box.y), max(0, -box.x)
    shown = scaled[first_row : max(first_row, height - box.y), first_column : max(first_column, width - box.x)]
    row, column = box.y + first_row, box.x + first_column
    canvas[row : row + shown.shape[0], column : column + shown.shape[1]] = shown
    return canvas


def _over_white(rgba: Gray) -> Rgb:
    alpha = rgba[..., 3:].astype(np.uint16)
    return ((rgba[..., :3] * alpha + 255 * (255 - alpha)) // 255).astype(np.uint8)


def _srgb(rgb: Rgb, profile: bytes) -> Rgb:
    converted = ImageCms.profileToProfile(
        Image.fromarray(np.ascontiguousarray(rgb)),
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    return np.asarray(converted)


def rim_contrast(rgb: Rgb, lock: Lock, old: Rgb) -> float:
    """Overshoot of the rim towards the old background, in levels: HALO_SHARE percentile over the rim's pixels.

    rgb and old uint8 (H, W, 3), lock bool (H, W). At every rim pixel the mean level of the rim beside it is held
    against the product's edge inside and the scene outside; what lies between the two is a soft edge and counts 0,
    and so does what the scene's own texture makes likely (TEXTURE_SHARE of its standard deviation nearby).
    """
    view = _around(lock)
    inside = lock[view].astype(np.uint8)
    away = cv2.distanceTransform(1 - inside, cv2.DIST_L2, cv2.DIST_MASK_5)
    depth = cv2.distanceTransform(np.pad(inside, 1), cv2.DIST_L2, cv2.DIST_MASK_5)[1:-1, 1:-1]
    ring, scene, edge = (away > 0) & (away <= RING_PX), (away >= 6) & (away <= 12), (depth >= 2) & (depth <= 5)
    if not (ring.any() and scene.any()):
        return 0.0
    level = _levels(rgb[view])
    rim_mean, old_mean = _local_means(level, ring, ring), _local_means(_levels(old[view]), ring, ring)
    scene_mean, edge_mean = _local_means(level, scene, ring), _local_means(level, edge, ring)
    texture = np.sqrt(np.maximum(_local_means(level * level, scene, ring) - scene_mean**2, 0))
    bright = np.minimum(rim_mean, old_mean) - np.fmax(edge_mean, scene_mean)
    dark = np.fmin(edge_mean, scene_mean) - np.maximum(rim_mean, old_mean)
    over = np.fmax(bright, dark) - TEXTURE_SHARE * texture
    return float(np.percentile(np.clip(np.nan_to_num(over), 0, None), HALO_SHARE))


def _around(lock: Lock) -> tuple[slice, slice]:
    columns, rows = np.flatnonzero(lock.any(axis=0)), np.flatnonzero(lock.any(axis=1))
    reach = 12 + WINDOW_PX
    return (
        slice(max(0, int(rows[0]) - reach), int(rows[-1]) + reach),
        slice(max(0, int(columns[0]) - reach), int(columns[-1]) + reach),
    )


def _levels(rgb: Rgb) -> Levels:
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2GRAY), np.float32)


def _local_means(level: Levels, where: Lock, at: Lock) -> Levels:
    """At the N pixels of `at`, the level's mean (N,) over `where` in the window around; NaN where there is none."""
    window = (WINDOW_PX, WINDOW_PX)
    share = cv2.boxFilter(where.astype(np.float32), -1, window)[at]
    total = cv2.boxFilter(np.where(where, level, np.float32(0)), -1, window)[at]
    return np.asarray(np.where(share > 1e-5, total / np.maximum(share, 1e-6), np.nan), np.float32)
