"""What a request costs: likely, at most, and finally. Pure; the prices stand in the catalogue entries."""

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from inference.catalog import CatalogEntry, Price
from inference.engine.batching import BatchKey, batch_key
from inference.requests import ImageRequest, Size, model_size


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a set of requests will cost, in millicredits."""

    likely: int
    maximum: int


@dataclass(frozen=True, kw_only=True)
class Used:
    """What one image took: pixels of the model's own size times the steps run, and what a provider billed."""

    pixel_steps: int
    provider_units: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class Charge:
    """What an image cost, in millicredits, for so many millionths of its price's unit."""

    cost: int
    micro_units: int


def used(key: BatchKey) -> Used:
    """What an image of a batch took: each is painted in as many steps as the batch runs, at the model's own size."""
    return Used(pixel_steps=key.width * key.height * key.denoising_steps)


def charge(price: Price, taken: Used) -> Charge:
    """The final cost of what one image took. Tries that the guard threw away are not in it."""
    units = price.micro_units(pixel_steps=taken.pixel_steps, provider_units=taken.provider_units)
    return Charge(cost=price.cost(units), micro_units=units)


def likely(request: ImageRequest, entry: CatalogEntry) -> int:
    """What one image will probably cost, in millicredits: painted at the entry's own size for its shape."""
    return charge(entry.price, used(batch_key(request, entry.sizes))).cost


def maximum(request: ImageRequest, entry: CatalogEntry) -> int:
    """The most one image can cost, in millicredits: what is held for it. Tries that the guard throws away are free."""
    if request.checkpoint != entry.slug:
        raise ValueError(f"The request is for {request.checkpoint!r}, the price list for {entry.slug!r}.")
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
