"""What credits were for: the image behind a hold's line, the launch or click behind a hold. Only reads."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from campaigns.models import Campaign, Launch
from inference import catalog
from inference.models import Generation, Render, RenderStatus

PROMPT_CHARACTERS = 80
CAMPAIGNS_OFFERED = 200


@dataclass(frozen=True, kw_only=True)
class ChargedImage:
    """The image that a line was held for. Where ``asset_id`` is None for good, ``reason`` says why."""

    title: str
    scene: str
    status: str
    reason: str
    asset_id: int | None
    cell_id: int | None


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The launch or click that a hold was for, with what became of its images.

    ``is_repeated`` is true where the campaign was launched again since.
    """

    generation_id: int
    campaign_id: int | None
    title: str
    images: int
    failed: int
    canceled: int
    expired: int
    is_repeated: bool


@dataclass(frozen=True, kw_only=True)
class PricedAt:
    """The price at which a hold's images were asked for."""

    model: str
    version: int
    unit: str
    millicredits: int


def priced_at(hold_id: int) -> PricedAt | None:
    """At what price a hold is settled; None where the catalogue no longer has its checkpoint."""
    asked = Render.objects.filter(generation__hold=hold_id).values_list("checkpoint", "generation__price_version")
    checkpoint, version = asked.order_by("pk").first() or ("", 0)
    entry = catalog.load().get(checkpoint)
    if entry is None:
        return None
    price = entry.price_of(version)
    return PricedAt(model=entry.name, version=price.version, unit=price.unit, millicredits=price.millicredits)


def images_of(line_ids: Collection[int]) -> dict[int, ChargedImage]:
    """Hold line id → its image. A line whose render is unknown is left out."""
    renders = Render.objects.filter(hold_line__in=line_ids).values(
        *("hold_line", "status", "failure_reason", "asset", "request__prompt"),
        *("cell_version__cell", "cell_version__image", "cell_version__cell__product__sku"),
        *("cell_version__cell__channel", "cell_version__cell__axes", "cell_version__cell__campaign__images_per_cell"),
    )
    return {row["hold_line"]: _image(row) for row in renders}


def origins_of(hold_ids: Collection[int]) -> dict[int, Origin]:
    """Hold id → what it was for."""
    return {row["hold"]: _origin(row) for row in _origins(Generation.objects.filter(hold__in=hold_ids))}


def origins_of_generations(generation_ids: Collection[int]) -> dict[int, Origin]:
    """Generation id → the launch or click that it is."""
    return {row["pk"]: _origin(row) for row in _origins(Generation.objects.filter(pk__in=generation_ids))}


def _origins(generations: QuerySet[Generation]) -> list[dict[str, Any]]:
    later = Launch.objects.filter(campaign=OuterRef("launch__campaign"), number__gt=OuterRef("launch__number"))
    rows = generations.annotate(is_repeated=Exists(later)).values(
        *("pk", "hold", "total", "failed", "canceled", "expired", "is_repeated"),
        *("launch__number", "launch__campaign", "launch__campaign__name"),
    )
    return [dict(row) for row in rows]


def hold_ids_of(*, workspace_id: int, campaign_id: int) -> list[int]:
    """The holds of a campaign's launches; none if the workspace has no such campaign."""
    launches = Launch.objects.filter(campaign_id=campaign_id, campaign__workspace_id=workspace_id)
    return list(launches.order_by("number").values_list("generation__hold", flat=True))


def launched_campaigns(*, workspace_id: int) -> list[tuple[int, str]]:
    """Id and name of the campaigns that were ever launched, newest first, at most 200."""
    launched = Campaign.objects.filter(workspace_id=workspace_id, launches__number=1)
    return list(launched.order_by("-pk").values_list("pk", "name")[:CAMPAIGNS_OFFERED])


def campaigns_of_budgets(budget_ids: Collection[int]) -> dict[int, int]:
    """Budget id → the campaign whose ceiling it is."""
    return dict(Campaign.objects.filter(budget__in=budget_ids).values_list("budget", "pk"))


def _image(row: dict[str, Any]) -> ChargedImage:
    cell_id = row["cell_version__cell"]
    if cell_id is None:
        prompt = row["request__prompt"] or ""
        title = prompt if len(prompt) <= PROMPT_CHARACTERS else f"{prompt[: PROMPT_CHARACTERS - 1].rstrip()}…"
        scene = ""
    else:
        title = row["cell_version__cell__product__sku"] or "Without product"
        scene = ", ".join([*row["cell_version__cell__axes"].values(), row["cell_version__cell__channel"]])
        if row["cell_version__cell__campaign__images_per_cell"] > 1:
            scene = f"{scene}, image {row['cell_version__image']}"
    has_ended_badly = row["status"] not in (RenderStatus.QUEUED, RenderStatus.RUNNING, RenderStatus.SUCCEEDED)
    return ChargedImage(
        title=title,
        scene=scene,
        status=row["status"],
        reason=row["failure_reason"] if has_ended_badly else "",
        asset_id=row["asset"],
        cell_id=cell_id,
    )


def _origin(row: dict[str, Any]) -> Origin:
    campaign_id, campaign, number = row["launch__campaign"], row["launch__campaign__name"], row["launch__number"]
    return Origin(
        generation_id=row["pk"],
        campaign_id=campaign_id,
        title=f"{campaign}, launch {number}" if campaign_id else "Image Studio",
        images=row["total"],
        failed=row["failed"],
        canceled=row["canceled"],
        expired=row["expired"],
        is_repeated=row["is_repeated"],
    )
