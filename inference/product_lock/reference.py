"""The reference: a product's normalized photo and its lock, decoded and checked.
Knows the two files; knows nothing of placements, painting and measuring.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from inference.product_lock.color import ProfileError, is_srgb
from inference.product_lock.pixels import Gray, Lock, Rgb

LOCK_FROM = 128  # a mask pixel is locked from half coverage on


class LockError(ValueError):
    """A photo, mask, placement or picture that the product lock cannot work with; one sentence says what to do."""


@dataclass(frozen=True, eq=False)
class Reference:
    """rgb uint8 (H, W, 3) straight, lock bool (H, W), the photo's ICC profile, its alpha uint8 (H, W) if it has one."""

    rgb: Rgb
    lock: Lock
    icc_profile: bytes | None
    alpha: Gray | None = None


def reference(photo: bytes, lock_mask: bytes) -> Reference:
    """Decode a normalized photo (8-bit RGB or straight RGBA) and its mask (single channel, white on the product).

    Locked is mask >= 128. Inside the lock the photo's RGB counts and its alpha is ignored.
    Raises LockError for an empty mask, a mask of another size, and a color profile that cannot be used.
    """
    picture = decoded(photo, "photo")
    mask = decoded(lock_mask, "mask")
    if picture.mode not in ("RGB", "RGBA"):
        raise LockError(f"The photo is in mode {picture.mode}; convert it to 8-bit RGB or RGBA first.")
    if len(mask.getbands()) != 1:
        raise LockError("The mask has colors; give one in gray, white on the product.")
    if mask.size != picture.size:
        raise LockError(
            f"The mask is {mask.width} x {mask.height} pixels but its photo is {picture.width} x {picture.height};"
            " make them the same size."
        )
    lock = np.asarray(mask.convert("L")) >= LOCK_FROM
    if not lock.any():
        raise LockError("The mask is empty: paint the product white in it.")
    pixels = np.asarray(picture)
    alpha = pixels[..., 3].copy() if picture.mode == "RGBA" else None
    return Reference(rgb=np.ascontiguousarray(pixels[..., :3]), lock=lock, icc_profile=_profile(picture), alpha=alpha)


def decoded(data: bytes, name: str) -> Image.Image:
    """Decode an image file's bytes whole; LockError names which one could not be read."""
    try:
        picture = Image.open(io.BytesIO(data))
        picture.load()
    except (OSError, ValueError, SyntaxError) as error:
        raise LockError(f"The stored {name} cannot be read; upload it again.") from error
    return picture


def _profile(picture: Image.Image) -> bytes | None:
    profile: bytes | None = picture.info.get("icc_profile") or None
    try:
        is_srgb(profile)
    except ProfileError as error:
        raise LockError(str(error)) from error
    return profile
