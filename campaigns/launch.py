"""From a campaign's cells to renders: launch, pause, resume, cancel, run again, and how far all of it is.

What is launched already is not asked twice. Knows nothing about who may do this.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Case, F, Max, Q, QuerySet, Sum, Value, When

from billing import bulk, plan_choice
from campaigns.models import Campaign, Cell, CellRender, Launch, Photo
from campaigns.planning import source_of
from gallery.models import ReviewStatus
from inference import catalog, queue
from inference.catalog import CatalogEntry
from inference.engine.batching import batch_key
from inference.models import Generation, Render, RenderStatus
from inference.queue import FLAWED, QueuedRequest
from inference.references import LoraReference, Placement, ProductReference
from inference.requests import TRIES, ImageRequest, image_request, retry_seed

# Renders that stand for their image: an image with one of these is not asked for again.
STANDING = (RenderStatus.QUEUED, RenderStatus.RUNNING, RenderStatus.SUCCEEDED)


class MaskMissingError(Exception):
    """A campaign cannot be launched before every photo has its lock mask."""


class FrozenError(Exception):
    """An approved image stays as it is; the sentence says what to do first."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How many of a campaign's images stand where; an image counts once, by its newest render. Amounts: millicredits.

    ``charged`` is what was settled and not refunded; ``at_most`` adds what is still held. ``is_paused`` is true while
    something waits and none of it may begin.
    """

    total: int = 0
    succeeded: int = 0
    failed: int = 0
    waiting: int = 0
    charged: int = 0
    at_most: int = 0
    is_paused: bool = False

    @property
    def held(self) -> int:
        """What is still held for images that wait or are being made."""
        return self.at_most - self.charged


@dataclass(frozen=True, kw_only=True)
class Canceled:
    """What a cancel stopped: so many images, and the millicredits that came back."""

    images: int
    returned: int


@dataclass(frozen=True)
class _Asked:
    """What became of one image of a cell so far: its newest render's id and status, and how many seeds were used up."""

    render_id: int
    status: str
    used: int


class _Row(NamedTuple):
    """What a cell asks for. A launch reads thousands: objects of them would take a tenth of its time."""

    pk: int
    prompt: str
    negative_prompt: str
    seeds: list[int]
    width: int
    height: int
    placement: dict[str, Any] | None
    photo: Photo | None


@transaction.atomic
def launch(*, campaign_id: int, now: datetime, created_by_id: int | None = None) -> int:
    """Ask for every image of the campaign that has none and is not on its way; returns how many were asked for.

    Launching again is therefore how a campaign is finished, whatever stopped it.

    :raises MaskMissingError: a photo has no lock mask yet.
    :raises billing.ledger.InsufficientCreditsError: the workspace is short of credits; nothing is written.
    :raises billing.ledger.OverBudgetError: the campaign's budget does not allow it; nothing is written.
    """
    campaign = _locked(campaign_id)
    asked = _asked(CellRender.objects.filter(cell__campaign=campaign))
    wanted = [
        (cell, image)
        for cell in _rows(campaign.cells.order_by("position"))
        for image in range(1, campaign.images_per_cell + 1)
        if (cell.pk, image) not in asked or asked[cell.pk, image].status not in STANDING
    ]
    return _ask(campaign, wanted, asked, now=now, created_by_id=created_by_id)


@transaction.atomic
def run_again(
    *, cell_id: int, image: int, seen_render_id: int | None, now: datetime, created_by_id: int | None = None
) -> bool:
    """Ask for one image of a cell once more, with another seed if the last one came out; False if it is on its way.

    :param seen_render_id: the newest version that the person asking saw; had there been another since, nothing is
        asked, so that a second click costs nothing.
    :raises FrozenError: the image is approved.
    :raises MaskMissingError: its photo has no lock mask yet.
    :raises billing.ledger.InsufficientCreditsError: the workspace is short of credits; nothing is written.
    :raises billing.ledger.OverBudgetError: the campaign's budget does not allow it; nothing is written.
    """
    campaign = _locked(Cell.objects.values_list("campaign", flat=True).get(pk=cell_id))
    [cell] = _rows(campaign.cells.filter(pk=cell_id))
    if not 1 <= image <= campaign.images_per_cell:
        raise ValueError(f"Cell {cell_id} has {campaign.images_per_cell} images, no number {image}.")
    asked = _asked(CellRender.objects.filter(cell=cell.pk, image=image))
    last = asked.get((cell.pk, image))
    if last and (last.render_id != seen_render_id or last.status in (RenderStatus.QUEUED, RenderStatus.RUNNING)):
        return False
    if last and Render.objects.filter(pk=last.render_id, asset__review__status=ReviewStatus.APPROVED).exists():
        raise FrozenError("This image is approved, so it stays as it is. Undo the approval first.")
    return _ask(campaign, [(cell, image)], asked, now=now, created_by_id=created_by_id) == 1


def pause(*, campaign_id: int) -> None:
    """Begin no more of the campaign's images; those that are being made are finished."""
    for generation_id in _unfinished(campaign_id):
        queue.pause(generation_id=generation_id)


def resume(*, campaign_id: int) -> None:
    """Go on with a paused campaign."""
    for generation_id in _unfinished(campaign_id):
        queue.resume(generation_id=generation_id)


def cancel(*, campaign_id: int, now: datetime) -> Canceled:
    """Stop what waits or is being made, and give its credits back at once. What came out stays."""
    # Not in one transaction: the queue locks a generation's renders before the account, one generation after another.
    before = _released(campaign_id)
    images = sum(queue.cancel(generation_id=pk, now=now) for pk in _unfinished(campaign_id))
    return Canceled(images=images, returned=_released(campaign_id) - before)


def progress(*, campaign_id: int) -> Progress:
    """Where the campaign's images stand."""
    return progress_of([campaign_id])[campaign_id]


def progress_of(campaign_ids: Collection[int]) -> dict[int, Progress]:
    """Where the images of several campaigns stand, by campaign, in one query over their launches' counters."""
    ended = F("generation__failed") + F("generation__canceled") + F("generation__expired")
    is_done = Q(generation__total=F("generation__succeeded") + ended)
    may_begin = Case(When(~is_done & Q(generation__is_paused=False), then=Value(1)), default=Value(0))
    rows = (
        Launch.objects.filter(campaign_id__in=campaign_ids)
        .values("campaign_id")
        .order_by()
        .annotate(
            total=Sum(F("generation__total") - F("again_succeeded") - F("again_failed")),
            succeeded=Sum(F("generation__succeeded") - F("again_succeeded")),
            failed=Sum(ended - F("again_failed")),
            charged=Sum(F("generation__hold__captured") - F("generation__hold__refunded")),
            at_most=Sum(
                F("generation__hold__amount") - F("generation__hold__released") - F("generation__hold__refunded")
            ),
            may_begin=Max(may_begin),
        )
    )
    return dict.fromkeys(campaign_ids, Progress()) | {row["campaign_id"]: _progress(row) for row in rows}


def _progress(sums: Mapping[str, Any]) -> Progress:
    waiting = sums["total"] - sums["succeeded"] - sums["failed"]
    return Progress(
        total=sums["total"],
        succeeded=sums["succeeded"],
        failed=sums["failed"],
        waiting=waiting,
        charged=sums["charged"],
        at_most=sums["at_most"],
        is_paused=waiting > 0 and not sums["may_begin"],
    )


def charged(*, campaign_id: int) -> int:
    """Millicredits captured for all of the campaign's renders, versions included."""
    renders = Render.objects.filter(cell_version__cell__campaign_id=campaign_id)
    return renders.aggregate(total=Sum("hold_line__captured"))["total"] or 0


def newest_renders(campaign_id: int) -> dict[tuple[int, int], int]:
    """(cell id, image number) → id of the render that stands for it: the newest."""
    versions = CellRender.objects.filter(cell__campaign_id=campaign_id).order_by("pk")
    return {(cell, image): render for cell, image, render in versions.values_list("cell_id", "image", "render_id")}


def _rows(cells: QuerySet[Cell]) -> list[_Row]:
    # Not joined: thousands of cells show a few dozen photos.
    photos = Photo.objects.filter(pk__in=cells.order_by().values("photo")).select_related("upload").in_bulk()
    rows: Iterable[tuple[Any, ...]] = cells.values_list(*_Row._fields)
    return [_Row._make((*row[:-1], None if row[-1] is None else photos[row[-1]])) for row in rows]


def _locked(campaign_id: int) -> Campaign:
    return Campaign.objects.select_for_update(of=("self",)).get(pk=campaign_id)


def _unfinished(campaign_id: int) -> list[int]:
    """The campaign's generations of which something waits or is being made."""
    ended = F("succeeded") + F("failed") + F("canceled") + F("expired")
    generations = Generation.objects.filter(launch__campaign=campaign_id, total__gt=ended)
    return list(generations.order_by("pk").values_list("pk", flat=True))


def _released(campaign_id: int) -> int:
    launches = Launch.objects.filter(campaign=campaign_id)
    return launches.aggregate(total=Sum("generation__hold__released"))["total"] or 0


def _asked(versions: QuerySet[CellRender]) -> dict[tuple[int, int], _Asked]:
    """(cell id, image number) → what was asked for it so far."""
    asked: dict[tuple[int, int], _Asked] = {}
    rows = versions.order_by("pk").values_list(
        "cell_id", "image", "render_id", "render__status", "render__failure_code"
    )
    for cell_id, image, render_id, status, code in rows:
        before = asked.get((cell_id, image))
        # What came out would come out the same, and what was flawed at every try would be so again.
        is_used = status == RenderStatus.SUCCEEDED or code == FLAWED
        asked[cell_id, image] = _Asked(render_id, status, (before.used if before else 0) + is_used)
    return asked


def _ask(
    campaign: Campaign,
    wanted: Sequence[tuple[_Row, int]],
    asked: Mapping[tuple[int, int], _Asked],
    *,
    now: datetime,
    created_by_id: int | None,
) -> int:
    """Hold and queue these images, and link each to its cell. The caller holds the campaign's row."""
    if not wanted:
        return 0
    entry = catalog.entry(campaign.checkpoint)
    plan_choice.require(entry.tier, workspace_id=campaign.workspace_id, now=now)
    sizes = source_of(entry).sizes
    before = [asked.get((cell.pk, image)) for cell, image in wanted]
    # A weight of 0 does nothing, so that it asks for what was asked without.
    loras = tuple(LoraReference(file=each["file"], weight=each["weight"]) for each in campaign.loras if each["weight"])
    products = _products(cell for cell, _ in wanted)
    requests = [
        _request(cell, image, entry, used=last.used if last else 0, product=product, loras=loras)
        for (cell, image), last, product in zip(wanted, before, products, strict=True)
    ]
    number = campaign.launches.count() + 1
    generation, render_ids = queue.enqueue(
        workspace_id=campaign.workspace_id,
        key=f"campaign:{campaign.pk}:launch:{number}",
        requests=[QueuedRequest(request=each, batch_key=batch_key(each, sizes).digest()) for each in requests],
        entry=entry,
        created_by_id=created_by_id,
        budget_id=campaign.budget_id,
        now=now,
    )
    again = [last.status for last in before if last]
    Launch.objects.create(
        campaign=campaign,
        number=number,
        generation=generation,
        again_succeeded=again.count(RenderStatus.SUCCEEDED),
        again_failed=len(again) - again.count(RenderStatus.SUCCEEDED),
        created_at=now,
    )
    _link(wanted, requests, render_ids)
    return len(wanted)


def _link(wanted: Iterable[tuple[_Row, int]], requests: Iterable[ImageRequest], render_ids: Iterable[int]) -> None:
    bulk.insert(
        CellRender,
        ("cell_id", "image", "render_id", "recipe_hash"),
        [
            (cell.pk, image, render_id, request.digest())
            for (cell, image), request, render_id in zip(wanted, requests, render_ids, strict=True)
        ],
    )


def _request(
    cell: _Row,
    image: int,
    entry: CatalogEntry,
    *,
    used: int,
    product: ProductReference | None,
    loras: tuple[LoraReference, ...],
) -> ImageRequest:
    return image_request(
        entry,
        prompt=cell.prompt,
        negative_prompt=cell.negative_prompt,
        # The guard may have tried them all: the next version goes on with the seeds after those.
        seed=retry_seed(cell.seeds[image - 1], used * TRIES),
        width=cell.width,
        height=cell.height,
        product=product,
        loras=loras,
    )


def _products(cells: Iterable[_Row]) -> Iterator[ProductReference | None]:
    """What each cell shows: thousands of them show a few dozen photos, each in a handful of places."""
    known: dict[tuple[object, ...], ProductReference | None] = {}
    for cell in cells:
        shown = (cell.photo.pk if cell.photo else None, *(cell.placement or {}).items())
        if shown not in known:
            known[shown] = _product_reference(cell)
        yield known[shown]


def _product_reference(cell: _Row) -> ProductReference | None:
    photo = cell.photo
    if photo is None:
        return None
    if not photo.mask_key:
        raise MaskMissingError(photo.mask_failure or "A photo's lock mask is still being made. Try again in a moment.")
    placement = Placement(**cell.placement) if cell.placement else None
    return ProductReference(photo=photo.upload.storage_key, lock_mask=photo.mask_key, placement=placement)
