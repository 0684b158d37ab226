"""A launched campaign's brief, changed: what that would make of its cells, and doing it.

A cell that is still asked for stays the same cell, with its versions and costs; what the brief no longer asks for is
set aside. Nothing is launched here, and nothing that was made is touched.
"""

import copy
import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from django.db import transaction
from django.db.models import F, Max

from campaigns import cells, matching, planning
from campaigns.brief import Brief
from campaigns.drafts import Author, ChangedMeanwhileError, DraftError, of_campaign
from campaigns.entered import Entered
from campaigns.matching import Known
from campaigns.models import Campaign, Cell, CellRender, Draft, Photo
from campaigns.outlook import Outlook, chosen, look
from campaigns.sheet_states import newest
from gallery.models import ReviewStatus
from inference.models import RenderStatus

BUDGET = "A launched campaign's budget is changed under Credits, Budgets, by an owner. Put back what stood here."
_WRITTEN = (
    "position", "product", "photo", "channel", "placement", "width", "height", "axes", "prompt", "negative_prompt",
    "seeds", "recipe_hashes", "is_set_aside", "changed",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Consequences:
    """What saving a brief would do, in images.

    ``stale`` become stale and ``fresh`` are no longer; ``new`` were never asked for; ``back`` come back from those set
    aside, ``set_aside`` go there, ``approved_set_aside`` of them approved; ``approved`` stay as they are although the
    brief now reads otherwise; ``on_the_way`` are being made as the brief was.
    """

    stale: int = 0
    fresh: int = 0
    new: int = 0
    back: int = 0
    set_aside: int = 0
    approved_set_aside: int = 0
    approved: int = 0
    on_the_way: int = 0

    @property
    def is_nothing(self) -> bool:
        return self == Consequences()


@dataclass(frozen=True, kw_only=True)
class Prospect:
    """A changed brief as it stands: what it would do, None while it cannot be read, and what stands against it."""

    consequences: Consequences | None
    blockers: tuple[str, ...]

    @property
    def can_save(self) -> bool:
        return self.consequences is not None and not self.blockers


@dataclass(frozen=True)
class _Made:
    """An image's newest version: what it is made from, its render's status, its picture's review."""

    made_from: str
    status: str
    review: str | None


@dataclass(frozen=True)
class _Plan:
    """A brief over a campaign: the rows that it asks for, and which cell each is, where there is one."""

    campaign: Campaign
    rows: list[Cell]
    old: Mapping[int, Cell]
    ids: Mapping[str, int]


def prospect(campaign: Campaign, form: Entered, seen: Outlook) -> Prospect:
    """What saving a form to a campaign would do; a handful of queries.

    :param seen: what the form comes to by itself. Its price is no obstacle: saving asks for no image.
    """
    around = () if seen.is_unpaid else seen.blockers
    own = (BUDGET,) if form.budget.strip() != of_campaign(campaign).budget.strip() else ()
    if seen.brief is None or seen.problems or around:
        return Prospect(consequences=None, blockers=(*around, *own))
    plan = _plan(campaign, seen.brief, _photos(campaign, form))
    return Prospect(consequences=_consequences(plan, before=campaign.images_per_cell), blockers=own)


@transaction.atomic
def save(*, draft_id: int, revision: int, author: Author) -> Consequences:
    """Plan a draft's campaign anew from it, or do nothing; saving twice saves once.

    :param revision: the draft's, whose consequences the person saw.
    :raises ChangedMeanwhileError: the draft is another one by now.
    :raises DraftError: something stands against it; every problem is named.
    """
    draft = Draft.objects.select_for_update(of=("self",)).get(pk=draft_id)
    if draft.campaign_id:
        return Consequences()
    if draft.revision != revision:
        raise ChangedMeanwhileError("These changes were changed after you looked. Look at what they do now.")
    if draft.revises_id is None:
        raise ValueError(f"Draft {draft_id} changes no campaign.")
    campaign = Campaign.objects.select_for_update(of=("self",)).get(pk=draft.revises_id)
    form = Entered.from_json(draft.entered)
    seen = look(workspace_id=draft.workspace_id, form=form, now=author.now)
    found = prospect(campaign, form, seen)
    if not found.can_save or found.consequences is None or seen.brief is None:
        raise DraftError(*(str(problem) for problem in seen.problems), *found.blockers)
    _write(campaign, seen.brief, _photos(campaign, form))
    Draft.objects.filter(pk=draft.pk).update(campaign=campaign, saved_at=author.now, saved_by_id=author.id)
    return found.consequences


# --- which cell is which ---------------------------------------------------------------------------------------------


def _photos(campaign: Campaign, form: Entered) -> dict[str, Photo]:
    return {each.sku: each.photo for each in chosen(workspace_id=campaign.workspace_id, form=form) if each.photo}


def _plan(campaign: Campaign, brief: Brief, photos: Mapping[str, Photo]) -> _Plan:
    """The rows of a brief, each with what the cell that it is has of its own; none is saved.

    :param campaign: its own row may have the brief's values already.
    """
    planned = cells.expand(brief)
    old = {cell.pk: cell for cell in campaign.cells.select_related("product").order_by("position")}
    known = [
        Known(
            id=cell.pk,
            key=cell.key,
            sku=cell.product.sku if cell.product else "",
            channel=cell.channel,
            axes=dict(cell.axes),
            is_asked=not cell.is_set_aside,
        )
        for cell in old.values()
    ]
    ids = matching.match(planned, known)
    edits = {key: old[pk].edit for key, pk in ids.items()}
    rows = planning.rows(_as_planned(campaign, brief), planned, photos=photos, edits=edits)
    return _Plan(campaign, rows, old, ids)


def _as_planned(campaign: Campaign, brief: Brief) -> Campaign:
    """The campaign with what a brief says of it, not saved."""
    planned = copy.copy(campaign)
    planned.checkpoint = brief.checkpoint
    planned.images_per_cell = brief.images_per_cell
    planned.loras = [asdict(lora) for lora in brief.loras]
    return planned


# --- what it would do ------------------------------------------------------------------------------------------------


def _consequences(plan: _Plan, *, before: int) -> Consequences:
    """:param before: how many images a cell had."""
    made = _made(plan.campaign)
    found: Counter[str] = Counter()
    for row in plan.rows:
        cell = plan.old.get(plan.ids.get(row.key, 0))
        for image, now in enumerate(row.recipe_hashes, start=1):
            was_asked = cell is not None and not cell.is_set_aside and image <= before
            there = made.get((cell.pk, image)) if cell else None
            found[_kind(there, cell, image, now) if was_asked else "back" if there else "new"] += 1
    kept = set(plan.ids.values())
    images = len(plan.rows[0].recipe_hashes) if plan.rows else 0
    for cell in plan.old.values():
        if cell.is_set_aside:
            continue
        gone = range(images + 1 if cell.pk in kept else 1, before + 1)
        there_reviews = [each.review for image in gone if (each := made.get((cell.pk, image)))]
        found["set_aside"] += len(gone)
        found["approved_set_aside"] += there_reviews.count(ReviewStatus.APPROVED)
    return Consequences(**{name: number for name, number in found.items() if name})


def _kind(there: _Made | None, cell: Cell | None, image: int, now: str) -> str:
    """What becomes of an image that was asked for and still is: the name of a consequence, or "" for none."""
    if there is None or cell is None:
        return ""
    if there.status in (RenderStatus.QUEUED, RenderStatus.RUNNING):
        return "on_the_way" if there.made_from != now else ""
    if there.status != RenderStatus.SUCCEEDED:
        return ""
    was = cell.recipe_hashes[image - 1] if image <= len(cell.recipe_hashes) else ""
    if there.review == ReviewStatus.APPROVED:
        return "approved" if was != now and there.made_from != now else ""
    if there.made_from == now:
        return "fresh" if was != now else ""
    return "stale" if there.made_from == was else ""


def _made(campaign: Campaign) -> dict[tuple[int, int], _Made]:
    versions = newest(CellRender.objects.filter(cell__campaign=campaign)).values_list(
        "cell_id", "image", "made_from", "render__status", "render__asset__review__status"
    )
    return {(cell, image): _Made(made_from, status, review) for cell, image, made_from, status, review in versions}


# --- doing it --------------------------------------------------------------------------------------------------------


def _write(campaign: Campaign, brief: Brief, photos: Mapping[str, Photo]) -> None:
    """The caller holds the campaign's row."""
    plan = _plan(campaign, brief, photos)
    campaign.changes += 1
    campaign.revision += 1
    _stamp(plan)
    for row in plan.rows:
        cell = plan.old.get(plan.ids.get(row.key, 0))
        is_same = cell is not None and not cell.is_set_aside and cell.recipe_hashes == row.recipe_hashes
        row.changed = cell.changed if cell is not None and is_same else campaign.changes
    _place(plan)
    _describe(campaign, brief, images=len(plan.rows) * brief.images_per_cell)


def _stamp(plan: _Plan) -> None:
    """Let versions keep what they show, where their cell takes another photo or other axis values."""
    by_axes: dict[str, tuple[Any, list[int]]] = {}
    by_photo: dict[int, list[int]] = {}
    for row in plan.rows:
        cell = plan.old.get(plan.ids.get(row.key, 0))
        if cell is None:
            continue
        if cell.axes != row.axes:
            by_axes.setdefault(repr(sorted(cell.axes.items())), (cell.axes, []))[1].append(cell.pk)
        if cell.photo_id is not None and cell.photo_id != row.photo_id:
            by_photo.setdefault(cell.photo_id, []).append(cell.pk)
    for axes, ids in by_axes.values():
        CellRender.objects.filter(cell__in=ids, axes__isnull=True).update(axes=axes)
    for photo_id, ids in by_photo.items():
        CellRender.objects.filter(cell__in=ids, photo=None).update(photo=photo_id)


def _place(plan: _Plan) -> None:
    """Write the rows over the cells that they are, and set aside what the brief no longer asks for."""
    own = Cell.objects.filter(campaign=plan.campaign)
    # Two cells never stand at one place, not even for a moment: all of them step back first.
    last = own.aggregate(last=Max("position"))["last"] or 0
    own.update(position=F("position") + max(last, len(plan.rows) + len(plan.old)))
    renamed = []
    for key, pk in plan.ids.items():
        if plan.old[pk].key != key:
            plan.old[pk].key = key
            renamed.append(plan.old[pk])
    Cell.objects.bulk_update(renamed, ("key",), batch_size=500)
    Cell.objects.bulk_create(
        plan.rows, batch_size=500, update_conflicts=True, unique_fields=("campaign", "key"), update_fields=_WRITTEN
    )
    kept = set(plan.ids.values())
    aside = [cell for pk, cell in plan.old.items() if pk not in kept]
    for position, cell in enumerate(aside, start=len(plan.rows) + 1):
        cell.position = position
        cell.changed = cell.changed if cell.is_set_aside else plan.campaign.changes
        cell.is_set_aside = True
    Cell.objects.bulk_update(aside, ("position", "changed", "is_set_aside"), batch_size=500)


def _describe(campaign: Campaign, brief: Brief, *, images: int) -> None:
    """What the campaign itself says of its brief."""
    is_less = brief.images_per_cell < campaign.images_per_cell
    campaign.name = brief.name
    campaign.brief = brief.text
    # It is no longer what somebody asked for who hands in the first brief again.
    campaign.digest = hashlib.sha256(f"revised:{campaign.pk}:{campaign.revision}".encode()).hexdigest()
    campaign.checkpoint = brief.checkpoint
    campaign.images_per_cell = brief.images_per_cell
    campaign.planned = images
    campaign.axes = [axis.name for axis in brief.axes]
    campaign.titles = {row.sku: row.title for row in brief.products}
    campaign.must_have = list(brief.must_have)
    campaign.loras = [asdict(lora) for lora in brief.loras]
    has_aside = campaign.cells.filter(is_set_aside=True).exists()
    campaign.has_set_aside = campaign.has_set_aside or has_aside or is_less
    campaign.save()
