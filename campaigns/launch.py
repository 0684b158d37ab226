"""From a campaign's cells to renders: launch, pause, resume, cancel, run again, and how far all of it is.

What is launched already is not asked twice. Knows nothing about who may do this.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Case, Count, F, Max, Q, QuerySet, Sum, Value, When

from billing import bulk, plan_choice
from campaigns import recipes
from campaigns.models import Campaign, Cell, CellRender, Launch, Photo
from campaigns.planning import source_of
from campaigns.sheet_states import Again, newest, of_states
from campaigns.staleness import counted
from gallery.models import ReviewStatus
from inference import catalog, queue
from inference.catalog import CatalogEntry
from inference.engine.batching import batch_key
from inference.models import Generation, Render, RenderStatus
from inference.queue import FLAWED, QueuedRequest
from inference.references import LoraReference, ProductReference
from inference.requests import TRIES, ImageRequest, image_request, retry_seed

# Renders that stand for their image: an image with one of these is not asked for again.
STANDING = (RenderStatus.QUEUED, RenderStatus.RUNNING, RenderStatus.SUCCEEDED)
FAILED = (RenderStatus.FAILED, RenderStatus.EXPIRED)


class MaskMissingError(Exception):
    """A campaign cannot be launched before every photo has its lock mask."""


class FrozenError(Exception):
    """An approved image stays as it is, and so does what is set aside; the sentence says what to do first."""


class MoreByNowError(Exception):
    """More images would be asked for than the person was shown; the sentence says how many. Nothing was written."""


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
    """What became of one image of a cell so far: its newest render's id and status, and how many seeds were used up.

    Seeds are used up by recipe: what is changed begins anew, so that siblings match again.
    """

    render_id: int
    status: str
    used: Mapping[str, int]


class _Row(NamedTuple):
    """What a cell asks for. A launch reads thousands: objects of them would take a tenth of its time."""

    pk: int
    prompt: str
    negative_prompt: str
    seeds: list[int]
    width: int
    height: int
    placement: dict[str, Any] | None
    edit: dict[str, Any] | None
    recipe_hashes: list[str]
    photo: Photo | None


@transaction.atomic
def launch(*, campaign_id: int, now: datetime, created_by_id: int | None = None, leaves_failed: bool = False) -> int:
    """Ask for every image of the campaign that has none and is not on its way; returns how many were asked for.

    Launching again is therefore how a campaign is finished, whatever stopped it.

    :param leaves_failed: not for those that failed; they have a button of their own.
    :raises MaskMissingError: a photo has no lock mask yet.
    :raises billing.ledger.InsufficientCreditsError: the workspace is short of credits; nothing is written.
    :raises billing.ledger.OverBudgetError: the campaign's budget does not allow it; nothing is written.
    """
    campaign = _locked(campaign_id)
    asked = _asked(CellRender.objects.filter(cell__campaign=campaign))
    standing = (*STANDING, *FAILED) if leaves_failed else STANDING
    wanted = [
        (cell, image)
        for cell in _rows(campaign.asked_cells.order_by("position"))
        for image in range(1, campaign.images_per_cell + 1)
        if (cell.pk, image) not in asked or asked[cell.pk, image].status not in standing
    ]
    return _ask(campaign, wanted, asked, now=now, created_by_id=created_by_id)


@transaction.atomic
def rerun(*, campaign_id: int, what: Again, at_most: int, now: datetime, created_by_id: int | None = None) -> int:
    """Ask once more for every image that is stale, was rejected, or failed; returns how many were asked for.

    :param at_most: how many the person was shown, with their price. Fewer by now are fewer.
    :raises MoreByNowError: there are more by now.
    :raises MaskMissingError: a photo has no lock mask yet.
    :raises inference.references.RequestError: the model cannot make one of them; nothing is written.
    :raises billing.ledger.InsufficientCreditsError: the workspace is short of credits; nothing is written.
    :raises billing.ledger.OverBudgetError: the campaign's budget does not allow it; nothing is written.
    """
    campaign = _locked(campaign_id)
    versions = CellRender.objects.filter(counted(campaign))
    found = newest(versions).filter(of_states(what)).values_list("cell_id", "image")
    images = set(found)
    if len(images) > at_most:
        raise MoreByNowError(f"There are {len(images):,} by now, and {at_most:,} were shown. Look at the new cost.")
    cells = _rows(campaign.asked_cells.filter(pk__in={cell for cell, _ in images}).order_by("position"))
    wanted = [
        (cell, image)
        for cell in cells
        for image in range(1, campaign.images_per_cell + 1)
        if (cell.pk, image) in images
    ]
    asked = _asked(CellRender.objects.filter(cell__in=[cell.pk for cell in cells]))
    return _ask(campaign, wanted, asked, now=now, created_by_id=created_by_id)


@transaction.atomic
def run_again(
    *, cell_id: int, image: int, seen_render_id: int | None, now: datetime, created_by_id: int | None = None
) -> bool:
    """Ask for one image of a cell once more, with another seed if the last one came out; False if it is on its way.

    :param seen_render_id: the newest version that the person asking saw; had there been another since, nothing is
        asked, so that a second click costs nothing.
    :raises FrozenError: the image is approved, or set aside.
    :raises MaskMissingError: its photo has no lock mask yet.
    :raises billing.ledger.InsufficientCreditsError: the workspace is short of credits; nothing is written.
    :raises billing.ledger.OverBudgetError: the campaign's budget does not allow it; nothing is written.
    """
    campaign = _locked(Cell.objects.values_list("campaign", flat=True).get(pk=cell_id))
    [cell] = _rows(campaign.cells.filter(pk=cell_id))
    if not 1 <= image <= campaign.images_per_cell:
        raise ValueError(f"Cell {cell_id} has {campaign.images_per_cell} images, no number {image}.")
    if not campaign.asked_cells.filter(pk=cell_id).exists():
        raise FrozenError("The brief no longer asks for this image, so it is set aside. Put it back there first.")
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
    """Where the images of several campaigns stand, by campaign, in one query over their launches' counters.

    One more where something is set aside: it costs what it cost, and is not counted as an image.
    """
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
            has_set_aside=Max(Case(When(campaign__has_set_aside=True, then=Value(1)), default=Value(0))),
        )
    )
    sums = {row["campaign_id"]: row for row in rows}
    aside = _set_aside([pk for pk, row in sums.items() if row["has_set_aside"]])
    return dict.fromkeys(campaign_ids, Progress()) | {
        pk: _progress(row, *aside.get(pk, (0, 0))) for pk, row in sums.items()
    }


def _set_aside(campaign_ids: Collection[int]) -> dict[int, tuple[int, int]]:
    """Campaign → how many of the images that are set aside came out, and how many did not."""
    if not campaign_ids:
        return {}
    is_aside = Q(cell__is_set_aside=True) | Q(image__gt=F("cell__campaign__images_per_cell"))
    versions = newest(CellRender.objects.filter(is_aside, cell__campaign__in=campaign_ids))
    done = Q(render__status=RenderStatus.SUCCEEDED)
    ended = versions.exclude(render__status__in=(RenderStatus.QUEUED, RenderStatus.RUNNING))
    rows = (
        ended.values("cell__campaign")
        .order_by()
        .annotate(succeeded=Count("pk", filter=done), failed=Count("pk", filter=~done))
    )
    return {row["cell__campaign"]: (row["succeeded"], row["failed"]) for row in rows}


def _progress(sums: Mapping[str, Any], aside_succeeded: int, aside_failed: int) -> Progress:
    waiting = sums["total"] - sums["succeeded"] - sums["failed"]
    return Progress(
        total=sums["total"] - aside_succeeded - aside_failed,
        succeeded=sums["succeeded"] - aside_succeeded,
        failed=sums["failed"] - aside_failed,
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
        "cell_id", "image", "render_id", "render__status", "render__failure_code", "made_from"
    )
    for cell_id, image, render_id, status, code, made_from in rows:
        before = asked.get((cell_id, image))
        used = before.used if before else {}
        # What came out would come out the same, and what was flawed at every try would be so again.
        if status == RenderStatus.SUCCEEDED or code == FLAWED:
            used = {**used, made_from: used.get(made_from, 0) + 1}
        asked[cell_id, image] = _Asked(render_id, status, used)
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
    loras = recipes.lora_references(campaign)
    products = _products(cell for cell, _ in wanted)
    requests = [
        _request(cell, image, entry, used=_used(last, cell, image), product=product, loras=loras)
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


def _used(last: _Asked | None, cell: _Row, image: int) -> int:
    """How many seeds this very recipe has used up."""
    return last.used.get(cell.recipe_hashes[image - 1], 0) if last else 0


def _link(wanted: Iterable[tuple[_Row, int]], requests: Iterable[ImageRequest], render_ids: Iterable[int]) -> None:
    bulk.insert(
        CellRender,
        ("cell_id", "image", "render_id", "recipe_hash", "made_from"),
        [
            (cell.pk, image, render_id, request.digest(), cell.recipe_hashes[image - 1])
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
    wanted = recipes.asked(cell)
    return image_request(
        entry,
        prompt=wanted.prompt,
        negative_prompt=wanted.negative_prompt,
        # The guard may have tried them all: the next version goes on with the seeds after those.
        seed=retry_seed(wanted.seeds[image - 1], used * TRIES),
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
    if photo is not None and not photo.mask_key:
        raise MaskMissingError(photo.mask_failure or "A photo's lock mask is still being made. Try again in a moment.")
    return recipes.product_reference(photo, cell.placement)
