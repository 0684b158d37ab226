"""Stored pictures that a request begins from or follows, read as sRGB pixels. Knows files and color profiles."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gallery import storage
from inference.product_lock.color import ProfileError, is_srgb, to_srgb


class PictureError(ValueError):
    """A picture that a request refers to cannot be used; the sentence says which, and what to do."""


def read(key: str, *, what: str) -> NDArray[np.uint8]:
    """The picture under a storage key as sRGB, uint8 (h, w, 3); what is transparent is white.

    :param what: what it is to the request, as a sentence begins with it: "The base image".
    :raises PictureError: it is gone, or cannot be read.
    :raises OSError: storage does not answer.
    """
    try:
        data = storage.read(key)
    except FileNotFoundError as error:
        raise PictureError(f"{what} is no longer in storage. Choose another one.") from error
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            return _srgb(image)
    except (OSError, ValueError, SyntaxError, ProfileError) as error:
        raise PictureError(f"{what} cannot be read. Choose another one, or upload it again.") from error


def _srgb(image: Image.Image) -> NDArray[np.uint8]:
    profile: bytes | None = image.info.get("icc_profile") or None
    if image.has_transparency_data:
        straight = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), straight)
    rgb = np.array(image.convert("RGB"))
    return rgb if profile is None or is_srgb(profile) else to_srgb(rgb, profile)
