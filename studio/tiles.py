"""Assets as tiles of a grid: what stands under each, and what is said to who does not see it. Two queries for all."""

from collections.abc import Sequence
from dataclasses import dataclass

from campaigns import places
from campaigns.places import Place
from gallery.models import Asset
from studio.templatetags.look import state_word

PROMPT_WORDS = 80


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One asset in a grid. ``state`` is its review's, "archived", or "" for an image that needs no review."""

    asset: Asset
    place: Place | None
    state: str

    @property
    def title(self) -> str:
        """The SKU, or the beginning of the prompt."""
        return (self.place.sku or self.place.scene) if self.place else self.asset.prompt[:PROMPT_WORDS]

    @property
    def subtitle(self) -> str:
        """Scene and channel."""
        if self.place is None:
            return ""
        scene = self.place.scene if self.place.sku else ""
        return " · ".join(part for part in (scene, self.place.channel) if part)

    @property
    def alt(self) -> str:
        """SKU, scene and state."""
        shown = self.place.label if self.place else self.asset.prompt[:PROMPT_WORDS] or "Image"
        return f"{shown}, {state_word(self.state).lower()}" if self.state else shown


def tiles(assets: Sequence[Asset]) -> list[Tile]:
    """A tile for each asset, in their order.

    :param assets: with their reviews selected.
    """
    found = places.of_assets(asset.pk for asset in assets)
    return [Tile(asset=asset, place=found.get(asset.pk), state=_state(asset)) for asset in assets]


def _state(asset: Asset) -> str:
    if asset.archived_at is not None:
        return "archived"
    return asset.review.status if hasattr(asset, "review") else ""
