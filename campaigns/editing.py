"""One cell changed by hand: its prompt, its negative prompt, its seed, over whatever the brief says.

A hand edit stays when the brief changes, until somebody resets it. Approved images are frozen.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from campaigns import launch, recipes
from campaigns.brief import MAX_PROMPT_LENGTH
from campaigns.launch import FrozenError
from campaigns.models import Campaign, Cell, CellRender, Photo
from campaigns.recipes import Edit
from campaigns.sheet_states import newest
from gallery.models import ReviewStatus
from inference import catalog
from inference.requests import SEED_LIMIT


class EditError(ValueError):
    """What was written cannot be asked for; the sentence says what to change. Nothing was written."""


class EditedMeanwhileError(Exception):
    """The cell asks for something else since the form was made; the sentence says so. Nothing was written."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a person wrote in the form; ``seed`` is None where it is left to the brief."""

    prompt: str
    negative_prompt: str
    seed: int | None


@transaction.atomic
def edit(*, cell_id: int, written: Written, seen: int) -> bool:
    """Write over a cell's brief, or go back to it where the words are the brief's; whether anything changed.

    What is as in the brief follows it further; what differs stays as it was written.

    :param seen: the cell's ``changed`` when the form was made.
    :raises EditError: the words or the seed cannot be used.
    :raises EditedMeanwhileError: somebody changed the cell, or its brief, since.
    :raises FrozenError: all of its images are approved, or it is set aside.
    """
    campaign, cell = _locked(cell_id)
    _check_open(campaign, cell)
    prompt, negative = _plain(written.prompt), _plain(written.negative_prompt)
    _check(campaign, prompt, negative, written.seed)
    asked = Edit(
        prompt=None if prompt == _plain(cell.prompt) else prompt,
        negative_prompt=None if negative == _plain(cell.negative_prompt) else negative,
        seed=None if written.seed == cell.seeds[0] else written.seed,
    )
    if asked == Edit.from_json(cell.edit):
        return False
    if cell.changed != seen:
        raise EditedMeanwhileError(
            "This cell was changed meanwhile, here or in the brief. Look at what it asks for now."
        )
    _save(campaign, cell, asked)
    return True


@transaction.atomic
def reset(*, cell_id: int) -> bool:
    """Go back to what the brief says; False if nothing was written over it.

    :raises FrozenError: all of its images are approved, or it is set aside.
    """
    campaign, cell = _locked(cell_id)
    if not cell.edit:
        return False
    _check_open(campaign, cell)
    _save(campaign, cell, Edit())
    return True


@transaction.atomic
def edit_and_render(
    *, cell_id: int, image: int, written: Written, seen: int, now: datetime, created_by_id: int | None = None
) -> bool:
    """Write over a cell's brief and ask for one of its images alone, or do neither; False if it is on its way already.

    :raises EditError, EditedMeanwhileError, FrozenError: as `edit`.
    :raises inference.references.RequestError: the model cannot make it.
    :raises campaigns.launch.MaskMissingError, billing.ledger.InsufficientCreditsError, billing.ledger.OverBudgetError:
        as `campaigns.launch.run_again`.
    """
    edit(cell_id=cell_id, written=written, seen=seen)
    newest_id = CellRender.objects.filter(cell=cell_id, image=image).order_by("-pk").values_list("render", flat=True)
    return launch.run_again(
        cell_id=cell_id, image=image, seen_render_id=newest_id.first(), now=now, created_by_id=created_by_id
    )


def _plain(text: str) -> str:
    return " ".join(text.split())


def _locked(cell_id: int) -> tuple[Campaign, Cell]:
    campaign_id = Cell.objects.values_list("campaign", flat=True).get(pk=cell_id)
    campaign = Campaign.objects.select_for_update(of=("self",)).get(pk=campaign_id)
    return campaign, Cell.objects.get(pk=cell_id)


def _check_open(campaign: Campaign, cell: Cell) -> None:
    if cell.is_set_aside:
        raise FrozenError("The brief no longer asks for this cell, so it is set aside. Put it back there first.")
    approved = newest(CellRender.objects.filter(cell=cell, image__lte=campaign.images_per_cell)).filter(
        render__asset__review__status=ReviewStatus.APPROVED
    )
    if approved.count() == campaign.images_per_cell:
        raise FrozenError("This image is approved, so it stays as it is. Undo the approval first.")


def _check(campaign: Campaign, prompt: str, negative: str, seed: int | None) -> None:
    if not prompt:
        raise EditError("The prompt is empty. Describe the scene, or reset it to the brief's.")
    for name, text in (("prompt", prompt), ("negative prompt", negative)):
        if len(text) > MAX_PROMPT_LENGTH:
            raise EditError(f"The {name} has {len(text):,} characters. Shorten it to {MAX_PROMPT_LENGTH:,}.")
        if not text.isprintable():
            raise EditError(f"The {name} holds a control character. Write it in plain text.")
    entry = catalog.load().get(campaign.checkpoint)
    if negative and entry and "negative_prompt" not in entry.capabilities:
        raise EditError(f"{entry.name} takes no negative prompt. Leave it empty.")
    if seed is not None and not 0 <= seed < SEED_LIMIT:
        raise EditError(f"The seed is {seed}. Give a whole number from 0 to {SEED_LIMIT - 1}.")


def _save(campaign: Campaign, cell: Cell, written: Edit) -> None:
    cell.edit = written.to_json()
    photos = Photo.objects.select_related("upload").in_bulk([cell.photo_id] if cell.photo_id else [])
    recipes.write(campaign, [cell], photos=photos)
    campaign.changes += 1
    cell.changed = campaign.changes
    cell.save(update_fields=("edit", "recipe_hashes", "changed"))
    campaign.save(update_fields=("changes",))
