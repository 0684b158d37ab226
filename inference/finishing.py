"""From a request to what the engine is given, and from the model's picture to the lossless file, measured.

Knows pixels and files; nothing about queues, engines or who is asking.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gallery import storage
from inference import framing, product_lock
from inference.engine.batching import BatchKey
from inference.engine.interface import EngineInput
from inference.references import ProductReference
from inference.requests import ImageRequest, Size

PLACED_KEPT = 4


@dataclass(frozen=True, eq=False)
class Prepared:
    """A request with its product as placed and the model-sized frame around it; no product: nothing of these."""

    request: ImageRequest
    photo: bytes = b""
    lock_mask: bytes = b""
    placed: product_lock.PlacedProduct | None = None
    frame: product_lock.PaintFrame | None = None


@dataclass(frozen=True, eq=False)
class Master:
    """A finished image: its pixels, its lossless file, the lock beside it, and what was measured."""

    image: NDArray[np.uint8]
    icc_profile: bytes | None
    data: bytes
    lock_mask: bytes
    certificate: product_lock.Certificate | None
    flaw: str | None

    def for_pages(self) -> Image.Image:
        """The image with its profile, as renditions are made from it."""
        image = Image.fromarray(self.image)
        if self.icc_profile:
            image.info["icc_profile"] = self.icc_profile
        return image


def prepare(request: ImageRequest, key: BatchKey) -> Prepared:
    """Read and place what a request shows.

    :raises inference.product_lock.LockError: the product cannot be used as it is.
    :raises FileNotFoundError: a file of it is gone.
    """
    if request.product is None:
        return Prepared(request)
    return Prepared(request, *_placed(request.product, (request.width, request.height), (key.width, key.height)))


# A campaign's next images show the same product in the same place; files never change under their key.
@lru_cache(maxsize=PLACED_KEPT)
def _placed(
    product: ProductReference, size: Size, painted_size: Size
) -> tuple[bytes, bytes, product_lock.PlacedProduct, product_lock.PaintFrame]:
    """Photo, lock mask, the product on a canvas of this size and what the model sees of it, both (width, height)."""
    photo, lock_mask = storage.read(product.photo), storage.read(product.lock_mask)
    placed = product_lock.place(
        product_lock.reference(photo, lock_mask), placement=product.placement, width=size[0], height=size[1]
    )
    return photo, lock_mask, placed, product_lock.paint_frame(placed, size=painted_size)


def engine_input(prepared: Prepared, *, seed: int) -> EngineInput:
    """What the engine paints this request from."""
    return EngineInput(
        prompt=prepared.request.prompt,
        negative_prompt=prepared.request.negative_prompt,
        seed=seed,
        image=prepared.frame.image if prepared.frame else None,
        mask_image=prepared.frame.mask_image if prepared.frame else None,
    )


def finish(prepared: Prepared, picture: NDArray[np.uint8]) -> Master:
    """From the model's picture, uint8 (H, W, 3), to the lossless file, measured from its own bytes."""
    request, placed = prepared.request, prepared.placed
    if placed is None or prepared.frame is None:
        image = framing.fit(picture, width=request.width, height=request.height)
        data = product_lock.encode_master(image, icc_profile=None)
        flaw = "blank" if framing.is_blank(image) else None
        return Master(image, None, data, b"", certificate=None, flaw=flaw)
    image = product_lock.finish(placed, prepared.frame, picture)
    data = product_lock.encode_master(image, icc_profile=placed.icc_profile)
    certificate = product_lock.certify(
        data,
        photo=prepared.photo,
        lock_mask=prepared.lock_mask,
        box=placed.box,
        width=request.width,
        height=request.height,
    )
    return Master(
        image,
        placed.icc_profile,
        data,
        product_lock.encode_mask(placed.lock),
        certificate=certificate,
        flaw=product_lock.judge(image, placed, certificate),
    )
