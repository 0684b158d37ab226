"""From a brief to a campaign's cells: what it would cost, whether it can be had, and the rows. Launches nothing."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from billing import budgets, ledger, plan_choice
from campaigns import recipes
from campaigns.brief import Brief, Channel
from campaigns.cells import PlannedCell
from campaigns.models import Campaign, Cell, Photo, Product
from inference import catalog, pricing
from inference.catalog import CatalogEntry
from inference.catalog.sources import CheckpointSource, fingerprint, resolve
from inference.pricing import Estimate
from inference.references import Placement


@dataclass(frozen=True)
class PhotoSize:
    """A photo's file name, and its width and height in pixels."""

    name: str
    width: int
    height: int


def source_of(entry: CatalogEntry) -> CheckpointSource:
    """Where this installation has an entry's weights.

    :raises inference.catalog.sources.CheckpointMissingError: nowhere; the message says how to install them.
    """
    return resolve(entry, overrides=settings.STUDIO_CHECKPOINTS, data_dir=settings.STUDIO_DATA)


def estimate(*, images: int, entry: CatalogEntry) -> Estimate:
    """What so many images of a checkpoint cost, in millicredits."""
    return pricing.estimate(images=images, entry=entry)


def check_affordable(*, workspace_id: int, brief: Brief, cost: Estimate, now: datetime) -> None:
    """Refuse early, before anything is written, what the hold would refuse later.

    :raises billing.ledger.OverBudgetError: the brief's own budget, or the workspace's month, is below the estimate.
    :raises billing.ledger.InsufficientCreditsError: the workspace has less than the estimate, or its plan does not
        include the model.
    """
    tier = catalog.entry(brief.checkpoint).tier
    plan_choice.require(tier, workspace_id=workspace_id, now=now)
    if brief.budget_credits is not None and brief.budget_credits * ledger.MILLI < cost.maximum:
        raise ledger.OverBudgetError(
            f"The campaign needs {ledger.credits_text(cost.maximum)} credits and its budget is {brief.budget_credits}. "
            "Raise the budget or ask for fewer images."
        )
    if over := budgets.month(workspace_id=workspace_id, now=now).refusal(cost.maximum):
        raise ledger.OverBudgetError(over)
    available = plan_choice.spendable(workspace_id=workspace_id, tier=tier, now=now)
    if available < cost.maximum:
        raise ledger.InsufficientCreditsError(
            f"The campaign needs {ledger.credits_text(cost.maximum)} credits and the workspace has "
            f"{ledger.credits_text(available)}. Ask for fewer images, or wait for the next grant."
        )


def kept_size_faults(brief: Brief, *, sizes: Mapping[str, PhotoSize]) -> list[str]:
    """A sentence for each photo, by SKU, that keeps its size and has one that the checkpoint cannot deliver."""
    if not any(channel.placement == "keep" for channel in brief.channels):
        return []
    entry = catalog.entry(brief.checkpoint)
    sides = entry.limits.side_px
    return [
        f"{sku}: {size.name} is {size.width} × {size.height} pixels, and {entry.name} delivers sides of {sides}. "
        "Make it smaller, or place it on a channel of its own size."
        for sku, size in sizes.items()
        if size.width not in sides or size.height not in sides
    ]


def digest(brief: Brief, *, file_hashes: Mapping[str, Sequence[str]], source: CheckpointSource) -> str:
    """What makes a campaign the same one when it is asked for again: brief, products, files, checkpoint."""
    parts = [
        brief.text,
        [[row.sku, row.title, *file_hashes.get(row.sku, ())] for row in brief.products],
        # The stand-in has no bytes before the first render, and the same ones ever after.
        "stand-in" if source.is_built_on_first_load else fingerprint(source),
        # The brief has their names; what lies behind those may be another file by now.
        *([[lora.file, lora.trigger_words] for lora in brief.loras]),
    ]
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()


@transaction.atomic
def plan(
    *,
    workspace_id: int,
    brief: Brief,
    cells: Sequence[PlannedCell],
    photos: Mapping[str, Photo],
    campaign_digest: str,
    now: datetime,
    created_by_id: int | None = None,
) -> Campaign:
    """Create the campaign and its cells, or return the one that this digest planned before."""
    try:
        with transaction.atomic():
            campaign = Campaign.objects.create(
                workspace_id=workspace_id,
                name=brief.name,
                brief=brief.text,
                digest=campaign_digest,
                checkpoint=brief.checkpoint,
                images_per_cell=brief.images_per_cell,
                planned=len(cells) * brief.images_per_cell,
                created_by_id=created_by_id,
                axes=[axis.name for axis in brief.axes],
                titles={row.sku: row.title for row in brief.products},
                must_have=list(brief.must_have),
                loras=[asdict(lora) for lora in brief.loras],
                created_at=now,
            )
    except IntegrityError:
        # Planned before, or by somebody else at this very moment: the database tells, whoever was first.
        return Campaign.objects.get(workspace_id=workspace_id, digest=campaign_digest)
    if brief.budget_credits is not None:
        amount = int(brief.budget_credits * ledger.MILLI)
        campaign.budget_id = ledger.open_budget(workspace_id=workspace_id, name=brief.name, amount=amount)
        campaign.save(update_fields=("budget",))
    Cell.objects.bulk_create(rows(campaign, cells, photos=photos), batch_size=500)
    return campaign


def rows(
    campaign: Campaign,
    cells: Sequence[PlannedCell],
    *,
    photos: Mapping[str, Photo],
    edits: Mapping[str, dict[str, Any] | None] = MappingProxyType({}),
) -> list[Cell]:
    """The rows of a campaign's cells in the brief's order, not saved.

    :param photos: by SKU, their uploads at hand.
    :param edits: what people wrote over the brief, by a cell's key.
    """
    known = Product.objects.filter(workspace_id=campaign.workspace_id, sku__in={cell.sku for cell in cells})
    products = {product.sku: product for product in known}
    made = [
        _cell(campaign, position, cell, products.get(cell.sku), photos.get(cell.sku))
        for position, cell in enumerate(cells, start=1)
    ]
    for each in made:
        each.edit = edits.get(each.key)
    recipes.write(campaign, made, photos={photo.pk: photo for photo in photos.values()})
    return made


def _cell(campaign: Campaign, position: int, cell: PlannedCell, product: Product | None, photo: Photo | None) -> Cell:
    width, height = delivered_size(cell.channel, photo)
    placement = cell.channel.placement
    return Cell(
        campaign=campaign,
        position=position,
        key=cell.key,
        product=product,
        photo=photo if placement else None,
        channel=cell.channel.name,
        placement=asdict(placement) if isinstance(placement, Placement) else None,
        width=width,
        height=height,
        axes=dict(cell.axes),
        prompt=cell.prompt,
        negative_prompt=cell.negative_prompt,
        seeds=list(cell.seeds),
    )


def delivered_size(channel: Channel, photo: Photo | None) -> tuple[int, int]:
    """Width and height of a cell's image in pixels: the channel's own, or the photo's where the channel keeps it."""
    if channel.width and channel.height:
        return channel.width, channel.height
    if photo is None:
        raise ValueError(f"Channel {channel.name!r} keeps the photo's size, and there is no photo.")
    return photo.upload.width, photo.upload.height
