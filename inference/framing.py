"""Pictures between the model's size and the delivered one, never stretched. Knows pixels only."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from inference.product_lock.paint import inner_crop
from inference.references import Frame
from inference.requests import Size

FLAT_LEVELS = 1.0


@dataclass(frozen=True, eq=False)
class Framed:
    """A picture at the model's own size, uint8 (h, w, 3); `crop` (left, top, right, bottom) is the delivered one in
    it, what lies around only makes up the aspect."""

    image: NDArray[np.uint8]
    crop: tuple[int, int, int, int]


def fit(picture: NDArray[np.uint8], *, width: int, height: int) -> NDArray[np.uint8]:
    """Scale uint8 (h, w, 3) RGB to cover width × height (Lanczos) and cut the overhang off evenly; never stretched.

    The model painted at its nearest shape, so the overhang is a few percent.
    """
    fitted = ImageOps.fit(Image.fromarray(picture), (width, height), Image.Resampling.LANCZOS)
    return np.asarray(fitted)


def frame(picture: NDArray[np.uint8], *, delivered: Size, painted_size: Size, part: Frame | None = None) -> Framed:
    """Bring a picture uint8 (h, w, 3) of any shape to the model's size, both (width, height) in pixels.

    It is scaled to cover the delivered image and cut evenly; of that, the part alone where there is one. What the
    model's shape has more is made up by reflection.
    """
    across, down = delivered
    covering = fit(picture, width=across, height=down)
    if part is not None:
        covering = covering[part.y : part.y + part.height, part.x : part.x + part.width]
    left, top, right, bottom = crop = inner_crop((covering.shape[1], covering.shape[0]), painted_size)
    inner = np.asarray(Image.fromarray(covering).resize((right - left, bottom - top), Image.Resampling.LANCZOS))
    pads = (top, painted_size[1] - bottom, left, painted_size[0] - right)
    image = cv2.copyMakeBorder(inner, *pads, borderType=cv2.BORDER_REFLECT)
    return Framed(image=np.asarray(image, np.uint8), crop=crop)


def unframe(
    picture: NDArray[np.uint8], crop: tuple[int, int, int, int], *, width: int, height: int
) -> NDArray[np.uint8]:
    """The delivered picture uint8 (height, width, 3) out of one that the model painted from a framed one (Lanczos)."""
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS, box=crop))


def within(picture: NDArray[np.uint8], *, side_px: int) -> NDArray[np.uint8]:
    """A picture, uint8 (h, w, 3), at most so many pixels on its longer side (Lanczos), never enlarged."""
    image = Image.fromarray(picture)
    image.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    return np.asarray(image)


def is_blank(picture: NDArray[np.uint8]) -> bool:
    """Whether nothing is in it: no channel varies by more than FLAT_LEVELS (standard deviation, 0 to 255)."""
    return float(picture.std(axis=(0, 1)).max()) <= FLAT_LEVELS
