"""What a request costs: likely, at most, and finally. Pure; the unit prices stand in the catalogue entries."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from inference.catalog import CatalogEntry
from inference.requests import ImageRequest


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a set of requests will cost, in millicredits."""

    likely: int
    maximum: int


def maximum(request: ImageRequest, entry: CatalogEntry) -> int:
    """The most one image can cost, in millicredits: what is held for it. Tries that the guard throws away are free."""
    if request.checkpoint != entry.slug:
        raise ValueError(f"The request is for {request.checkpoint!r}, the price list for {entry.slug!r}.")
    return entry.price.millicredits


def estimate(*, images: int, entry: CatalogEntry) -> Estimate:
    """What so many images cost together. Priced by the image, the likely cost is the most it can be."""
    total = images * entry.price.millicredits
    return Estimate(likely=total, maximum=total)


def requests_digest(requests: Sequence[ImageRequest]) -> str:
    """SHA-256 of what is asked, in order: tells a repeated question from another one."""
    return hashlib.sha256("\n".join(request.digest() for request in requests).encode()).hexdigest()
