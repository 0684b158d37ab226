"""From a brief to cells, from cells to renders: plan, estimate, launch. What is launched already is not asked twice."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, OuterRef, Q, Subquery, Sum

from billing import ledger
from campaigns.brief import Brief, Channel
from campaigns.cells import PlannedCell
from campaigns.models import Campaign, Cell, CellRender, Launch, Photo, Product
from inference import catalog, pricing, queue
from inference.catalog import CatalogEntry
from inference.catalog.sources import CheckpointSource, fingerprint, resolve
from inference.engine.batching import batch_key
from inference.models import UNFINISHED, Render, RenderStatus
from inference.pricing import Estimate
from inference.queue import FLAWED, QueuedRequest
from inference.requests import TRIES, ImageRequest, Placement, ProductReference, image_request, retry_seed

# Renders that stand for their image: an image with one of these is not asked for again.
STANDING = (RenderStatus.QUEUED, RenderStatus.RUNNING, RenderStatus.SUCCEEDED)


class MaskMissingError(Exception):
    """A campaign cannot be launched before every photo has its lock mask."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How many of a campaign's images stand where; an image counts once, by its newest render."""

    total: int
    succeeded: int
    failed: int
    waiting: int


def source_of(entry: CatalogEntry) -> CheckpointSource:
    """Where this installation has an entry's weights.

    :raises inference.catalog.sources.CheckpointMissingError: nowhere; the message says how to install them.
    """
    return resolve(entry, overrides=settings.STUDIO_CHECKPOINTS, data_dir=settings.STUDIO_DATA)


def estimate(*, images: int, entry: CatalogEntry) -> Estimate:
    """What so many images of a checkpoint cost, in millicredits."""
    return pricing.estimate(images=images, entry=entry)


def check_affordable(*, workspace_id: int, brief: Brief, cost: Estimate) -> None:
    """Refuse early, before anything is written, what the hold would refuse later.

    :raises billing.ledger.OverBudgetError: the brief's own budget is below the estimate.
    :raises billing.ledger.InsufficientCreditsError: the workspace has less than the estimate.
    """
    if brief.budget_credits is not None and brief.budget_credits * ledger.MILLI < cost.maximum:
        raise ledger.OverBudgetError(
            f"The campaign needs {ledger.credits_text(cost.maximum)} credits and its budget is {brief.budget_credits}. "
            "Raise budget_credits or ask for fewer images."
        )
    available = ledger.balance(workspace_id=workspace_id).available
    if available < cost.maximum:
        raise ledger.InsufficientCreditsError(
            f"The campaign needs {ledger.credits_text(cost.maximum)} credits and the workspace has "
            f"{ledger.credits_text(available)}. Ask for fewer images, or wait for the next grant."
        )


def digest(brief: Brief, *, file_hashes: Mapping[str, Sequence[str]], source: CheckpointSource) -> str:
    """What makes a campaign the same one when it is asked for again: brief, products, files, checkpoint."""
    parts = [
        brief.text,
        [[row.sku, row.title, *file_hashes.get(row.sku, ())] for row in brief.products],
        # The stand-in has no bytes before the first render, and the same ones ever after.
        "stand-in" if source.is_built_on_first_load else fingerprint(source),
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
                axes=[axis.name for axis in brief.axes],
                must_have=list(brief.must_have),
                created_at=now,
            )
    except IntegrityError:
        # Planned before, or by somebody else at this very moment: the database tells, whoever was first.
        return Campaign.objects.get(workspace_id=workspace_id, digest=campaign_digest)
    if brief.budget_credits is not None:
        amount = int(brief.budget_credits * ledger.MILLI)
        campaign.budget_id = ledger.open_budget(workspace_id=workspace_id, name=brief.name, amount=amount)
        campaign.save(update_fields=("budget",))
    known = Product.objects.filter(workspace_id=workspace_id, sku__in={cell.sku for cell in cells})
    products = {product.sku: product for product in known}
    Cell.objects.bulk_create(
        [
            _cell(campaign, position, cell, products.get(cell.sku), photos.get(cell.sku))
            for position, cell in enumerate(cells, start=1)
        ],
        batch_size=500,
    )
    return campaign


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


@transaction.atomic
def launch(*, campaign_id: int, now: datetime, created_by_id: int | None = None) -> int:
    """Ask for every image of the campaign that has none and is not on its way; returns how many were asked for.

    Launching again is therefore how a campaign is finished, whatever stopped it.

    :raises MaskMissingError: a photo has no lock mask yet.
    :raises billing.ledger.InsufficientCreditsError: the workspace is short of credits; nothing is written.
    :raises billing.ledger.OverBudgetError: the campaign's budget does not allow it; nothing is written.
    """
    campaign = Campaign.objects.select_for_update(of=("self",)).get(pk=campaign_id)
    entry = catalog.entry(campaign.checkpoint)
    sizes = source_of(entry).sizes
    flawed = _flawed_launches(campaign)
    wanted = [
        (cell, image, _request(cell, image, entry, flawed=flawed[cell.pk, image]))
        for cell, image in _missing_images(campaign)
    ]
    if not wanted:
        return 0
    number = campaign.launches.count() + 1
    generation, render_ids = queue.enqueue(
        workspace_id=campaign.workspace_id,
        key=f"campaign:{campaign.pk}:launch:{number}",
        requests=[
            QueuedRequest(request=request, batch_key=batch_key(request, sizes).digest()) for _, _, request in wanted
        ],
        entry=entry,
        created_by_id=created_by_id,
        budget_id=campaign.budget_id,
        now=now,
    )
    Launch.objects.create(campaign=campaign, number=number, generation=generation, created_at=now)
    CellRender.objects.bulk_create(
        [
            CellRender(cell=cell, image=image, render_id=render_id, recipe_hash=request.digest())
            for (cell, image, request), render_id in zip(wanted, render_ids, strict=True)
        ],
        batch_size=500,
    )
    return len(wanted)


def progress(*, campaign_id: int) -> Progress:
    """Where the campaign's images stand."""
    newest = CellRender.objects.filter(cell=OuterRef("cell"), image=OuterRef("image")).order_by("-pk").values("pk")[:1]
    standing = CellRender.objects.filter(cell__campaign_id=campaign_id, pk=Subquery(newest))
    counts = standing.aggregate(
        total=Count("pk"),
        succeeded=Count("pk", filter=Q(render__status=RenderStatus.SUCCEEDED)),
        waiting=Count("pk", filter=Q(render__status__in=UNFINISHED)),
    )
    return Progress(**counts, failed=counts["total"] - counts["succeeded"] - counts["waiting"])


def charged(*, campaign_id: int) -> int:
    """Millicredits captured for all of the campaign's renders, versions included."""
    renders = Render.objects.filter(cell_version__cell__campaign_id=campaign_id)
    return renders.aggregate(total=Sum("hold_line__captured"))["total"] or 0


def newest_renders(campaign_id: int) -> dict[tuple[int, int], int]:
    """(cell id, image number) → id of the render that stands for it: the newest."""
    versions = CellRender.objects.filter(cell__campaign_id=campaign_id).order_by("pk")
    return {(cell, image): render for cell, image, render in versions.values_list("cell_id", "image", "render_id")}


def _missing_images(campaign: Campaign) -> list[tuple[Cell, int]]:
    standing = CellRender.objects.filter(cell__campaign=campaign, render__status__in=STANDING)
    has_one = set(standing.values_list("cell_id", "image"))
    cells = campaign.cells.select_related("photo__upload").order_by("position")
    return [
        (cell, image)
        for cell in cells
        for image in range(1, campaign.images_per_cell + 1)
        if (cell.pk, image) not in has_one
    ]


def _flawed_launches(campaign: Campaign) -> Counter[tuple[int, int]]:
    """(cell id, image number) → how many times all of its tries came out flawed."""
    flawed = CellRender.objects.filter(cell__campaign=campaign, render__failure_code=FLAWED)
    return Counter(flawed.values_list("cell_id", "image"))


def _request(cell: Cell, image: int, entry: CatalogEntry, *, flawed: int) -> ImageRequest:
    return image_request(
        entry,
        prompt=cell.prompt,
        negative_prompt=cell.negative_prompt,
        # What came out flawed at every try would do so again: the next launch goes on with the seeds after those.
        seed=retry_seed(cell.seeds[image - 1], flawed * TRIES),
        width=cell.width,
        height=cell.height,
        product=_product_reference(cell),
    )


def _product_reference(cell: Cell) -> ProductReference | None:
    photo = cell.photo
    if photo is None:
        return None
    if not photo.mask_key:
        raise MaskMissingError(photo.mask_failure or "A photo's lock mask is still being made. Try again in a moment.")
    placement = Placement(**cell.placement) if cell.placement else None
    return ProductReference(photo=photo.upload.storage_key, lock_mask=photo.mask_key, placement=placement)
