"""One cell changed by hand: rendered alone, kept through changes of the brief, and put back."""

import pytest

from billing import clock
from campaigns import cell_history, editing, launch, recipes
from campaigns.drafts import Author
from campaigns.editing import EditedMeanwhileError, EditError, Written
from campaigns.launch import FrozenError
from campaigns.models import Campaign, Cell, CellRender
from studio.models import Workspace
from tests.campaigns.sheets import finish, launched
from tests.campaigns.test_living_cells import approve, author, cell_of, change, stale, states  # noqa: F401

MARBLE = "MUG, marble, square"


@pytest.fixture
def campaign(workspace: Workspace) -> Campaign:
    made = launched(workspace.pk)
    finish(4)
    return made


def edit(cell: Cell, *, prompt: str = "", negative: str | None = None, seed: int | None = None) -> bool:
    cell.refresh_from_db()
    wanted = recipes.asked(cell)
    written = Written(
        prompt=prompt or wanted.prompt,
        negative_prompt=wanted.negative_prompt if negative is None else negative,
        seed=seed,
    )
    return editing.edit(cell_id=cell.pk, written=written, seen=cell.changed)


def test_an_edited_cell_is_stale_and_alone(campaign: Campaign) -> None:
    assert edit(cell_of(campaign, MARBLE), prompt="on black marble")
    assert stale(campaign) == {MARBLE}


def test_it_is_rendered_alone_with_its_own_words_and_seed(campaign: Campaign) -> None:
    cell = cell_of(campaign, MARBLE)
    written = Written(prompt="on black marble", negative_prompt="dust", seed=5)
    assert editing.edit_and_render(cell_id=cell.pk, image=1, written=written, seen=0, now=clock.now())
    version = CellRender.objects.filter(cell=cell).latest("pk")
    assert (version.render.request["prompt"], version.render.request["negative_prompt"]) == ("on black marble", "dust")
    assert version.render.seed == 5
    assert CellRender.objects.count() == 5
    finish(1)
    assert stale(campaign) == set()


def test_a_refused_render_leaves_the_cell_unedited(campaign: Campaign) -> None:
    approve(campaign, MARBLE)
    cell = cell_of(campaign, MARBLE)
    with pytest.raises(FrozenError, match="approved"):
        editing.edit_and_render(
            cell_id=cell.pk,
            image=1,
            written=Written(prompt="on oak", negative_prompt="", seed=None),
            seen=0,
            now=clock.now(),
        )
    cell.refresh_from_db()
    assert cell.edit is None
    assert states(campaign)[MARBLE] == "approved"


def test_a_hand_edit_outlives_the_brief_and_what_was_not_edited_follows_it(
    campaign: Campaign,
    author: Author,  # noqa: F811
) -> None:
    cell = cell_of(campaign, MARBLE)
    edit(cell, prompt="on black marble")
    finish(launch.rerun(campaign_id=campaign.pk, what="stale", at_most=1, now=clock.now()))
    change(campaign, author, template="beside {surface}")
    # Its own words stay, so that it is what it was made from.
    assert stale(campaign) == {"MUG, sand, square", "CUP, marble, square", "CUP, sand, square"}
    change(campaign, author, seed="9")
    assert MARBLE in stale(campaign)
    cell.refresh_from_db()
    wanted = recipes.asked(cell)
    assert (wanted.prompt, list(wanted.seeds)) == ("on black marble", cell.seeds)


def test_a_reset_cell_asks_for_what_the_brief_says_today(campaign: Campaign, author: Author) -> None:  # noqa: F811
    cell = cell_of(campaign, MARBLE)
    edit(cell, prompt="on black marble", seed=5)
    change(campaign, author, template="beside {surface}")
    assert editing.reset(cell_id=cell.pk)
    assert not editing.reset(cell_id=cell.pk)
    cell.refresh_from_db()
    assert recipes.asked(cell).prompt == "beside marble"
    assert cell.edit is None


def test_writing_what_the_brief_says_is_no_edit(campaign: Campaign) -> None:
    cell = cell_of(campaign, MARBLE)
    assert not edit(cell, prompt="  on   marble ", seed=cell.seeds[0])
    assert cell.edit is None


def test_the_later_of_two_edits_is_told(campaign: Campaign) -> None:
    cell = cell_of(campaign, MARBLE)
    seen = cell.changed
    edit(cell, prompt="on black marble")
    with pytest.raises(EditedMeanwhileError):
        editing.edit(cell_id=cell.pk, written=Written(prompt="on oak", negative_prompt="", seed=None), seen=seen)
    cell.refresh_from_db()
    assert recipes.asked(cell).prompt == "on black marble"


@pytest.mark.parametrize(
    ("prompt", "seed", "said"),
    [("  ", None, "empty"), ("x" * 2001, None, "Shorten"), ("on oak", 2**32, "whole number")],
)
def test_what_cannot_be_asked_for_is_refused(campaign: Campaign, prompt: str, seed: int | None, said: str) -> None:
    cell = cell_of(campaign, MARBLE)
    with pytest.raises(EditError, match=said):
        editing.edit(cell_id=cell.pk, written=Written(prompt=prompt, negative_prompt="", seed=seed), seen=cell.changed)
    assert stale(campaign) == set()


def test_the_history_says_what_changed_and_an_approved_one_only_that_it_is_older(
    campaign: Campaign,
    author: Author,  # noqa: F811
) -> None:
    approve(campaign, MARBLE)
    change(campaign, author, template="beside {surface}", images_per_cell="1")
    frozen, other = (
        cell_history.history(cell_of(campaign, label), image=1).shown for label in (MARBLE, "MUG, sand, square")
    )
    assert frozen is not None
    assert other is not None
    assert (frozen.state, frozen.changed) == ("approved", ("prompt",))
    assert (other.state, other.changed) == ("stale", ("prompt",))
    assert not cell_history.history(cell_of(campaign, MARBLE), image=1).can_be_edited
