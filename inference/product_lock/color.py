"""Color profiles of photos: is one sRGB, and pixels from and to sRGB through Little CMS.
Knows nothing about masks and placement.
"""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

from inference.product_lock.pixels import Rgb

INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION
SAME_LEVELS = 1  # sRGB profiles in the wild write the same curve in tables of different length: one level of 255


class ProfileError(ValueError):
    """A color profile that cannot be used for an RGB photo; the sentence says what to do."""


@lru_cache(maxsize=8)
def _transform(icc_profile: bytes, to_srgb: bool) -> ImageCms.ImageCmsTransform:
    srgb = ImageCms.createProfile("sRGB")
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))
        source, target = (own, srgb) if to_srgb else (srgb, own)
        return ImageCms.buildTransform(source, target, "RGB", "RGB", INTENT, FLAGS)
    except (OSError, ImageCms.PyCMSError) as error:
        raise ProfileError(
            "The photo's color profile cannot be used; save the photo as sRGB and upload it again."
        ) from error


def to_srgb(rgb: Rgb, icc_profile: bytes) -> Rgb:
    """Return rgb uint8 (H, W, 3) of the profile's colors as sRGB uint8 (H, W, 3). Raises ProfileError."""
    return _applied(rgb, _transform(icc_profile, True))


def from_srgb(rgb: Rgb, icc_profile: bytes) -> Rgb:
    """Return sRGB uint8 (H, W, 3) as uint8 (H, W, 3) of the profile's colors. Raises ProfileError."""
    return _applied(rgb, _transform(icc_profile, False))


def _applied(rgb: Rgb, transform: ImageCms.ImageCmsTransform) -> Rgb:
    return np.array(transform.apply(Image.fromarray(rgb)))


@lru_cache(maxsize=32)
def is_srgb(icc_profile: bytes | None) -> bool:
    """True without a profile and for every profile that moves no color of a 17 x 17 x 17 grid by more than a level.

    Raises ProfileError when the profile cannot be used, in either direction.
    """
    if icc_profile is None:
        return True
    steps = np.linspace(0, 255, 17).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(17, 17 * 17, 3)
    _transform(icc_profile, False)
    moved = np.abs(to_srgb(grid, icc_profile).astype(np.int16) - grid)
    return int(moved.max()) <= SAME_LEVELS
