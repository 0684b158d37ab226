"""Where assets stand in campaigns: which cell, product, scene and version each is; and assets narrowed by such places.
Knows cells and renders, nothing of pages. An asset that no campaign asked for has no place.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet, TextField
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from campaigns.models import Campaign, CellRender, Product
from gallery.models import Asset

CAMPAIGNS_OFFERED = 200
_FIELDS = (
    "render__asset_id", "render_id", "cell__campaign_id", "cell__campaign__name", "cell__campaign__axes",
    "cell__campaign__must_have", "cell_id", "cell__product__sku", "cell__product__title", "cell__photo_id",
    "cell__photo__mask_source", "cell__photo__mask_confidence", "cell__channel", "cell__axes", "image",
    "cell__campaign__images_per_cell", "render__tries", "axes", "photo_id", "photo__mask_source",
    "photo__mask_confidence",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Place:
    """One asset's place in its campaign. ``axes`` are (name, value) in the brief's order.

    Photo and axis values are those that it was made with, whatever its cell asks for by now.
    """

    asset_id: int
    render_id: int
    campaign_id: int
    campaign_name: str
    must_have: tuple[str, ...]
    cell_id: int
    sku: str
    title: str
    photo_id: int | None
    mask_source: str
    mask_confidence: float | None
    channel: str
    axes: tuple[tuple[str, str], ...]
    image: int
    images_per_cell: int
    tries: int

    @property
    def scene(self) -> str:
        """The axis values, as one line."""
        return scene(self.axes)

    @property
    def label(self) -> str:
        """What the asset shows, in a few words: for alternative texts and headings."""
        return ", ".join(part for part in (self.sku, self.scene, self.channel) if part)


@dataclass(frozen=True, kw_only=True)
class Version:
    """One finished version of the same image of the same cell; 1 is the oldest."""

    number: int
    asset_id: int
    status: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Narrowing:
    """What to narrow assets by. ``axis`` is a (name, value) of the campaign's; empty parts narrow nothing."""

    campaign_id: int | None = None
    sku: str = ""
    channel: str = ""
    axis: tuple[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What the workspace's campaigns offer to narrow by; channels and axes only once a campaign is chosen."""

    campaigns: tuple[tuple[int, str], ...]
    skus: tuple[str, ...]
    channels: tuple[str, ...]
    axes: tuple[tuple[str, tuple[str, ...]], ...]


def scene(axes: Sequence[tuple[str, str]]) -> str:
    """Axis values as one line."""
    return ", ".join(value for _, value in axes)


def ordered(values: dict[str, Any], names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """A cell's axes in the brief's order: PostgreSQL keeps JSON's keys in an order of its own."""
    return tuple((name, str(values[name])) for name in names if name in values)


def of_assets(asset_ids: Iterable[int]) -> dict[int, Place]:
    """The places of those assets that have one, by asset id; one query."""
    rows = CellRender.objects.filter(render__asset_id__in=list(asset_ids)).values_list(*_FIELDS)
    return {row[0]: _place(*row) for row in rows}


def versions(place: Place) -> list[Version]:
    """Every finished version of the place's image, oldest first."""
    rows = (
        CellRender.objects.filter(cell_id=place.cell_id, image=place.image, render__asset__isnull=False)
        .order_by("pk")
        .values_list("render__asset_id", "render__asset__review__status", "render__asset__created_at")
    )
    return [
        Version(number=number, asset_id=asset_id, status=status or "", created_at=created_at)
        for number, (asset_id, status, created_at) in enumerate(rows, start=1)
    ]


def narrow(assets: QuerySet[Asset], by: Narrowing) -> QuerySet[Asset]:
    """Those of the assets that stand at such a place; an axis that the campaign does not have narrows to nothing."""
    version = "render__cell_version__cell__"
    if by.campaign_id is not None:
        assets = assets.filter(**{f"{version}campaign_id": by.campaign_id})
    if by.sku:
        assets = assets.filter(**{f"{version}product__sku__icontains": by.sku})
    if by.channel:
        assets = assets.filter(**{f"{version}channel": by.channel})
    if by.axis is not None:
        name, value = by.axis
        # Not as a keyword: an axis may be named like a lookup. Cast: what is compared is text, and never read as JSON.
        found = Cast(KeyTextTransform(name, f"{version}axes"), TextField())
        assets = assets.annotate(narrowed_axis=found).filter(narrowed_axis=value)
    return assets


def choices(*, workspace_id: int, campaign_id: int | None) -> Choices:
    """What the filters of a page offer."""
    newest = Campaign.objects.filter(workspace_id=workspace_id).order_by("-pk").values_list("pk", "name")
    skus = Product.objects.filter(workspace_id=workspace_id).order_by("sku").values_list("sku", flat=True)
    channels: dict[str, None] = {}
    axes: dict[str, dict[str, None]] = {}
    chosen = Campaign.objects.filter(workspace_id=workspace_id, pk=campaign_id).first() if campaign_id else None
    if chosen is not None:
        for channel, values in chosen.cells.order_by("position").values_list("channel", "axes"):
            channels.setdefault(channel)
            for name, value in ordered(values, chosen.axes):
                axes.setdefault(name, {}).setdefault(value)
    return Choices(
        campaigns=tuple(newest[:CAMPAIGNS_OFFERED]),
        skus=tuple(skus[:CAMPAIGNS_OFFERED]),
        channels=tuple(channels),
        axes=tuple((name, tuple(values)) for name, values in axes.items()),
    )


def _place(asset_id: int, render_id: int, campaign_id: int, campaign_name: str, axes: list[str], *rest: Any) -> Place:
    must_have, cell_id, sku, title, photo_id, mask_source, confidence, channel, values, image, images, tries = rest[:12]
    shown, *made_with = rest[12:]
    if made_with[0] is not None:
        # The cell has another photo since.
        photo_id, mask_source, confidence = made_with
    return Place(
        asset_id=asset_id,
        render_id=render_id,
        campaign_id=campaign_id,
        campaign_name=campaign_name,
        must_have=tuple(must_have),
        cell_id=cell_id,
        sku=sku or "",
        title=title or "",
        photo_id=photo_id,
        mask_source=mask_source or "",
        mask_confidence=confidence,
        channel=channel,
        axes=ordered(values if shown is None else shown, axes),
        image=image,
        images_per_cell=images,
        tries=len(tries) + 1,
    )
