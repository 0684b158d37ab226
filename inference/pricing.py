"""What a request costs: likely, at most, and finally. Pure; the prices stand in the catalogue entries."""

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from inference import tiling
from inference.catalog import CatalogEntry, Price
from inference.engine.batching import BatchKey, batch_key
from inference.requests import ImageRequest, Size, model_size, tiles_of


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a set of requests will cost, in millicredits."""

    likely: int
    maximum: int


@dataclass(frozen=True, kw_only=True)
class Used:
    """What one image took: pixels of the model's own size times the steps run, how many were painted for it (tiles
    count each), and what a provider billed."""

    pixel_steps: int
    images: int = 1
    provider_units: Decimal | None = None


# No model had a part in it.
NOTHING = Used(pixel_steps=0, images=0, provider_units=Decimal(0))


@dataclass(frozen=True, kw_only=True)
class Charge:
    """What an image cost, in millicredits, for so many millionths of its price's unit."""

    cost: int
    micro_units: int


def used(key: BatchKey, *, tiles: int = 1) -> Used:
    """What an image of a batch took: each is painted in as many steps as the batch runs, at the model's own size."""
    return Used(pixel_steps=tiles * key.width * key.height * key.denoising_steps, images=tiles)


def taken(request: ImageRequest, key: BatchKey, entry: CatalogEntry) -> Used:
    """What one image of a batch took.

    One that is painted in tiles never counts for more than the entry's own sizes foretold, whatever size the installed
    checkpoint paints at; one that is enlarged without a model counts for nothing.
    """
    if request.task == "enlarge":
        return NOTHING
    if request.task != "upscale":
        return used(key)
    painted = used(key, tiles=tiling.grid((request.width, request.height), (key.width, key.height)).count)
    told = _foretold(request, entry)
    return Used(pixel_steps=min(painted.pixel_steps, told.pixel_steps), images=min(painted.images, told.images))


def _foretold(request: ImageRequest, entry: CatalogEntry) -> Used:
    """What a request takes of a checkpoint that paints at the entry's own sizes."""
    if request.task == "enlarge":
        return NOTHING
    key = batch_key(request, entry.sizes)
    return used(key, tiles=tiles_of(request, entry.sizes).count if request.task == "upscale" else 1)


def charge(price: Price, taken: Used) -> Charge:
    """The final cost of what one image took. Tries that the guard threw away are not in it."""
    units = price.micro_units(pixel_steps=taken.pixel_steps, images=taken.images, provider_units=taken.provider_units)
    return Charge(cost=price.cost(units), micro_units=units)


def likely(request: ImageRequest, entry: CatalogEntry) -> int:
    """What one image will probably cost, in millicredits: painted at the entry's own size for its shape."""
    return charge(entry.price, _foretold(request, entry)).cost


def maximum(request: ImageRequest, entry: CatalogEntry) -> int:
    """The most one image can cost, in millicredits: what is held for it. Tries that the guard throws away are free."""
    if request.checkpoint != entry.slug:
        raise ValueError(f"The request is for {request.checkpoint!r}, the price list for {entry.slug!r}.")
    if request.task in ("upscale", "enlarge"):
        return likely(request, entry)
    return _at_most(entry, request.num_inference_steps)


def estimate(
    *, images: int, entry: CatalogEntry, size: Size | None = None, num_inference_steps: int | None = None
) -> Estimate:
    """What so many images cost together; what is not given is the entry's own.

    :param size: delivered (width, height) in pixels.
    """
    steps = entry.defaults.num_inference_steps if num_inference_steps is None else num_inference_steps
    width, height = entry.sizes[0] if size is None else model_size(entry, width=size[0], height=size[1])
    likely_cost = charge(entry.price, Used(pixel_steps=width * height * steps)).cost
    return Estimate(likely=images * likely_cost, maximum=images * _at_most(entry, steps))


# A launch asks for thousands of images in so many steps.
@functools.lru_cache(maxsize=256)
def _at_most(entry: CatalogEntry, steps: int) -> int:
    largest = max(width * height for width, height in entry.sizes)
    return charge(entry.price, Used(pixel_steps=largest * steps, provider_units=entry.price.maximum_units)).cost


def requests_digest(requests: Sequence[ImageRequest]) -> str:
    """SHA-256 of what is asked, in order: tells a repeated question from another one."""
    return hashlib.sha256("\n".join(request.digest() for request in requests).encode()).hexdigest()
