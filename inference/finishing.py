"""From a request to what the engine is given, and from the model's picture to the lossless file, measured.

Knows pixels and files; nothing about queues, engines or who is asking.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gallery import storage
from inference import framing, pictures, product_lock
from inference.annotators import ANNOTATORS
from inference.engine.batching import BatchKey
from inference.engine.interface import EngineInput
from inference.framing import Framed
from inference.product_lock import PaintFrame, PlacedProduct
from inference.product_lock.edit import Box
from inference.references import Frame, ProductReference
from inference.requests import ImageRequest, Size

# Of a canvas of 64 megapixels each takes 320 MB.
PLACED_KEPT = 2
# The encoders of looks see 224 to 336 px.
LOOK_PX = 1024
# A campaign pins its compositions with a few pictures; a map takes up to 5 MB.
MAPS_KEPT = 16


@dataclass(frozen=True, eq=False)
class Kept:
    """What is kept as it is, and the model-sized frame around it. `part` is the box of the canvas that is painted."""

    photo: bytes
    lock_mask: bytes
    whole: PlacedProduct
    part: Box | None
    shown: PlacedProduct
    frame: PaintFrame


@dataclass(frozen=True, eq=False)
class Prepared:
    """A request with its pictures at the model's size: what is kept, what is begun from."""

    request: ImageRequest
    kept: Kept | None = None
    begun: Framed | None = None
    control_map: NDArray[np.uint8] | None = None
    look: NDArray[np.uint8] | None = None


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
    """Read what a request shows and bring it to the model's size.

    :raises inference.product_lock.LockError: the product cannot be used as it is.
    :raises inference.pictures.PictureError: a picture to begin from or to follow is gone or cannot be read.
    :raises FileNotFoundError: a file of the product is gone.
    """
    delivered, painted_size = (request.width, request.height), (key.width, key.height)
    return Prepared(
        request,
        kept=None if request.product is None else _kept(request.product, delivered, painted_size),
        begun=None if request.initial is None else _begun(request.initial.image, delivered, painted_size),
        # The key knows what acts: at a scale of 0, nothing does.
        control_map=_map(request, painted_size) if key.control is not None else None,
        look=_look(request.look.image) if request.look is not None and key.look_scale is not None else None,
    )


# A campaign's next images show the same product in the same place; files never change under their key.
@lru_cache(maxsize=PLACED_KEPT)
def _kept(product: ProductReference, size: Size, painted_size: Size) -> Kept:
    """What is kept on a canvas of this size, and what the model sees of it, both (width, height)."""
    photo, lock_mask = storage.read(product.photo), storage.read(product.lock_mask)
    reference = product_lock.reference(photo, lock_mask)
    if product.offset is None:
        whole = product_lock.place(reference, placement=product.placement, width=size[0], height=size[1])
    else:
        whole = product_lock.extend(reference, x=product.offset.x, y=product.offset.y, width=size[0], height=size[1])
    part = None if product.frame is None else product.frame.box
    shown = whole if part is None else product_lock.cut(whole, part)
    return Kept(photo, lock_mask, whole, part, shown, product_lock.paint_frame(shown, size=painted_size))


# The images of one click begin from the same picture.
@lru_cache(maxsize=PLACED_KEPT)
def _begun(key: str, delivered: Size, painted_size: Size) -> Framed:
    picture = pictures.read(key, what="The base image")
    return framing.frame(picture, delivered=delivered, painted_size=painted_size)


def _map(request: ImageRequest, painted_size: Size) -> NDArray[np.uint8] | None:
    control = request.control
    if control is None:
        return None
    part = None if request.product is None else request.product.frame
    return _annotated(control.kind, control.image, (request.width, request.height), painted_size, part)


# By storage key, which names the picture's content.
@lru_cache(maxsize=MAPS_KEPT)
def _annotated(kind: str, key: str, delivered: Size, painted_size: Size, part: Frame | None) -> NDArray[np.uint8]:
    """The map of a picture as the model sees it, uint8 (h, w, 3): of the part of it that is painted."""
    picture = pictures.read(key, what="The control image")
    return ANNOTATORS[kind](framing.frame(picture, delivered=delivered, painted_size=painted_size, part=part).image)


@lru_cache(maxsize=PLACED_KEPT)
def _look(key: str) -> NDArray[np.uint8]:
    return framing.within(pictures.read(key, what="The reference image"), side_px=LOOK_PX)


def engine_input(prepared: Prepared, *, seed: int) -> EngineInput:
    """What the engine paints this request from."""
    kept, begun = prepared.kept, prepared.begun
    return EngineInput(
        prompt=prepared.request.prompt,
        negative_prompt=prepared.request.negative_prompt,
        seed=seed,
        image=kept.frame.image if kept else begun.image if begun else None,
        mask_image=kept.frame.mask_image if kept else None,
        control_image=prepared.control_map,
        look_image=prepared.look,
    )


def finish(prepared: Prepared, picture: NDArray[np.uint8]) -> Master:
    """From the model's picture, uint8 (H, W, 3), to the lossless file, measured from its own bytes."""
    if prepared.kept is None:
        return _free(prepared, picture)
    request, kept = prepared.request, prepared.kept
    image = product_lock.finish(kept.shown, kept.frame, picture)
    if kept.part is not None:
        image = product_lock.paste(kept.whole, image, kept.part)
    data = product_lock.encode_master(image, icc_profile=kept.whole.icc_profile)
    certificate = product_lock.certify(
        data,
        photo=kept.photo,
        lock_mask=kept.lock_mask,
        box=kept.whole.box,
        width=request.width,
        height=request.height,
    )
    return Master(
        image,
        kept.whole.icc_profile,
        data,
        product_lock.encode_mask(kept.whole.lock),
        certificate=certificate,
        flaw=_flaw(kept, image, picture, certificate),
    )


def _free(prepared: Prepared, picture: NDArray[np.uint8]) -> Master:
    """An image of which nothing is kept."""
    width, height = prepared.request.width, prepared.request.height
    if prepared.begun is None:
        image = framing.fit(picture, width=width, height=height)
    else:
        image = framing.unframe(picture, prepared.begun.crop, width=width, height=height)
    data = product_lock.encode_master(image, icc_profile=None)
    flaw = "blank" if framing.is_blank(image) else None
    return Master(image, None, data, b"", certificate=None, flaw=flaw)


def _flaw(
    kept: Kept, image: NDArray[np.uint8], picture: NDArray[np.uint8], certificate: product_lock.Certificate
) -> str | None:
    if kept.part is None:
        return product_lock.judge(image, kept.whole, certificate)
    # What surrounds an edit is no old background, and what takes the place of something on a plain wall is plain.
    around = kept.shown.rgb[kept.shown.lock][None]
    return "blank" if framing.is_blank(picture) and not framing.is_blank(around) else None
