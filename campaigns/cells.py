"""From a brief to its cells: one for each product, channel and combination of axis values, with prompts and seeds.
Pure: the same brief always gives the same cells. Knows nothing about what was planned or launched before.
"""

import hashlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass

from campaigns.brief import Brief, Channel
from campaigns.products_csv import ProductRow
from campaigns.slugs import digest, slug
from inference import catalog, trigger_words

MAX_KEY_LENGTH = 300


@dataclass(frozen=True)
class PlannedCell:
    """One cell. ``key`` names it for good, whatever is added to the brief later; ``sku`` is "" without products."""

    key: str
    sku: str
    channel: Channel
    axes: tuple[tuple[str, str], ...]
    prompt: str
    negative_prompt: str
    seeds: tuple[int, ...]


def expand(brief: Brief) -> tuple[PlannedCell, ...]:
    """Every cell of a brief: product by product, then channel by channel, then the axes, the last one fastest."""
    products: tuple[ProductRow | None, ...] = brief.products or (None,)
    return tuple(
        _cell(brief, product, channel, axes)
        for product in products
        for channel in brief.channels
        for axes in _combinations(brief)
    )


def _combinations(brief: Brief) -> Iterator[tuple[tuple[str, str], ...]]:
    return itertools.product(*([(axis.name, value) for value in axis.values] for axis in brief.axes))


def _cell(brief: Brief, product: ProductRow | None, channel: Channel, axes: tuple[tuple[str, str], ...]) -> PlannedCell:
    names = {"sku": product.sku, "title": product.title} if product else {}
    sku = product.sku if product else ""
    return PlannedCell(
        key=_key(sku, channel, axes),
        sku=sku,
        channel=channel,
        axes=axes,
        prompt=trigger_words.join(brief.template.filled({**names, **dict(axes)}), brief.trigger_words),
        negative_prompt=_negative_prompt(brief, product, channel),
        seeds=tuple(_seed(brief, sku, channel, axes, image=image) for image in range(brief.images_per_cell)),
    )


def _key(sku: str, channel: Channel, axes: tuple[tuple[str, str], ...]) -> str:
    # By axis name: moving a line of the brief must not make other cells of the old ones.
    texts = [*filter(None, (sku, channel.name)), *(value for _, value in sorted(axes))]
    key = "/".join(slug(text) for text in texts)
    return key if len(key) <= MAX_KEY_LENGTH else f"{key[: MAX_KEY_LENGTH - 9]}~{digest(key)}"


def _negative_prompt(brief: Brief, product: ProductRow | None, channel: Channel) -> str:
    """The brief's own, and around a pasted product its title: a product that is named is painted a second time."""
    is_pasted = product is not None and channel.placement is not None
    takes_negative = "negative_prompt" in catalog.entry(brief.checkpoint).capabilities
    title = product.title if product is not None and is_pasted and takes_negative else ""
    return ", ".join(filter(None, (brief.negative, title)))


def _seed(brief: Brief, sku: str, channel: Channel, axes: tuple[tuple[str, str], ...], *, image: int) -> int:
    """The first 32 bits of a SHA-256 over what the seed policy tells apart; 0 <= seed < 2**32."""
    apart = (sku, channel.name) if brief.seed_policy == "swept" else ()
    text = json.dumps([brief.seed, apart, sorted(axes), image])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
