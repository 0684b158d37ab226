"""From a request to what the engine is given, and from the model's picture to the lossless file, measured.

Knows pixels and files; nothing about queues, engines or who is asking.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gallery import storage
from inference import enlarging, framing, pictures, product_lock, tiling
from inference.annotators import ANNOTATORS
from inference.engine.batching import BatchKey
from inference.engine.interface import EngineInput
from inference.framing import Framed
from inference.product_lock import PaintFrame, PlacedProduct
from inference.product_lock.edit import Box
from inference.references import Frame, ProductReference
from inference.requests import ImageRequest, Size
from inference.tiling import Grid

# Of a canvas of 64 megapixels each takes 320 MB.
PLACED_KEPT = 2
# The encoders of looks see 224 to 336 px.
LOOK_PX = 1024
# A campaign pins its compositions with a few pictures; a map takes up to 5 MB.
MAPS_KEPT = 16


@dataclass(frozen=True, eq=False)
class Locked:
    """What is kept as it is, on its canvas, and the files that it is measured against."""

    photo: bytes
    lock_mask: bytes
    whole: PlacedProduct


@dataclass(frozen=True, eq=False)
class Kept(Locked):
    """The same with the model-sized frame around it. `part` is the box of the canvas that is painted."""

    part: Box | None
    shown: PlacedProduct
    frame: PaintFrame


@dataclass(frozen=True, eq=False)
class Larger:
    """A picture at its delivered size, uint8 (h, w, 3) sRGB, the untouched product in it where there is one.

    `grid` are the tiles that the model paints over; it paints nothing where there is none. `factor`: how much larger.
    """

    image: NDArray[np.uint8]
    factor: float
    grid: Grid | None
    locked: Locked | None


@dataclass(frozen=True, eq=False)
class Prepared:
    """A request with its pictures as they are painted: what is kept, what is begun from, what is made larger."""

    request: ImageRequest
    kept: Kept | None = None
    begun: Framed | None = None
    larger: Larger | None = None
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
    if request.task in ("upscale", "enlarge"):
        return Prepared(request, larger=_larger(request, painted_size))
    return Prepared(
        request,
        kept=None if request.product is None else _kept(request.product, delivered, painted_size),
        begun=None if request.initial is None else _begun(request.initial.image, delivered, painted_size),
        # The key knows what acts: at a scale of 0, nothing does.
        control_map=_map(request, painted_size) if key.control is not None else None,
        look=_look(request.look.image) if request.look is not None and key.look_scale is not None else None,
    )


def _larger(request: ImageRequest, tile: Size) -> Larger:
    """The picture that a request makes larger, and the tiles of (width, height) pixels that it is painted in."""
    initial = request.initial
    if initial is None:
        raise ValueError("A request to make a picture larger has none.")
    size = (request.width, request.height)
    picture = pictures.read(initial.image, what="The picture to enlarge")
    image = enlarging.enlarged(picture, width=size[0], height=size[1])
    locked = None if request.product is None else _locked(request.product, size)
    if locked is not None:
        image = product_lock.lock_in(locked.whole, image)
    grid = tiling.grid(size, tile) if request.task == "upscale" else None
    return Larger(image=image, factor=size[0] / picture.shape[1], grid=grid, locked=locked)


def _locked(product: ProductReference, size: Size) -> Locked:
    """A product on a canvas of (width, height) that is larger than the one that it stood on."""
    photo, lock_mask = storage.read(product.photo), storage.read(product.lock_mask)
    reference = product_lock.reference(photo, lock_mask)
    if product.placement is None:
        whole = product_lock.enlarge(reference, width=size[0], height=size[1])
    else:
        whole = product_lock.place(reference, placement=product.placement, width=size[0], height=size[1])
    return Locked(photo, lock_mask, whole)


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


def engine_inputs(prepared: Prepared, *, seed: int) -> tuple[EngineInput, ...]:
    """All that the engine paints for this request: one picture, a picture's tiles, or nothing."""
    larger = prepared.larger
    if larger is None:
        return (engine_input(prepared, seed=seed),)
    if larger.grid is None:
        return ()
    return tuple(
        EngineInput(
            prompt=prepared.request.prompt,
            negative_prompt=prepared.request.negative_prompt,
            seed=tiling.tile_seed(seed, number),
            image=tile,
        )
        for number, tile in enumerate(enlarging.cut(larger.image, larger.grid))
    )


def joined(prepared: Prepared, painted: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """The one picture, uint8 (H, W, 3), out of what the engine painted of `engine_inputs`."""
    larger = prepared.larger
    if larger is None:
        [picture] = painted
        return picture
    if larger.grid is None:
        return enlarging.sharpened(larger.image, factor=larger.factor)
    return enlarging.joined(larger.image, painted, larger.grid)


def engine_input(prepared: Prepared, *, seed: int) -> EngineInput:
    """What the engine paints this request from, where it is one picture."""
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
    if prepared.larger is not None:
        return _finish_larger(prepared.request, prepared.larger, picture)
    if prepared.kept is None:
        return _free(prepared, picture)
    request, kept = prepared.request, prepared.kept
    image = product_lock.finish(kept.shown, kept.frame, picture)
    if kept.part is not None:
        image = product_lock.paste(kept.whole, image, kept.part)
    master = _measured(request, kept, image)
    certificate = master.certificate
    return master if certificate is None else replace(master, flaw=_flaw(kept, image, picture, certificate))


def _measured(request: ImageRequest, locked: Locked, image: NDArray[np.uint8]) -> Master:
    """The file of an image with a product in it, and what was measured in that; not yet judged."""
    profile = locked.whole.icc_profile
    data = product_lock.encode_master(image, icc_profile=profile)
    certificate = product_lock.certify(
        data,
        photo=locked.photo,
        lock_mask=locked.lock_mask,
        box=locked.whole.box,
        width=request.width,
        height=request.height,
    )
    mask = product_lock.encode_mask(locked.whole.lock)
    return Master(image, profile, data, mask, certificate=certificate, flaw=None)


def _finish_larger(request: ImageRequest, larger: Larger, picture: NDArray[np.uint8]) -> Master:
    """A picture that was made larger. It has no flaw: the picture that it was made of was judged, or chosen."""
    if larger.locked is not None:
        return _measured(request, larger.locked, product_lock.lock_in(larger.locked.whole, picture))
    data = product_lock.encode_master(picture, icc_profile=None)
    return Master(picture, None, data, b"", certificate=None, flaw=None)


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
