"""Drafts: saved without loss by whoever was first, launched once, and always the campaign whose figures were seen."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from billing import ledger
from billing.models import Hold
from campaigns import brief as briefs
from campaigns import cells, drafts, launch
from campaigns.brief_products import KnownProducts
from campaigns.drafts import Author, ChangedMeanwhileError, DraftError
from campaigns.entered import Entered, EnteredAxis
from campaigns.models import Campaign, Draft
from campaigns.products import catalogue
from inference.models import Render
from studio.models import User, Workspace
from tests.campaigns.shelf import entered, stock
from tests.conftest import NOW

Save = Callable[..., Draft]


@pytest.fixture
def author(db: None) -> Author:
    return Author(id=User.objects.create(email="ada@example.com", first_name="Ada").pk, now=NOW)


@pytest.fixture
def save(workspace: Workspace, author: Author) -> Save:
    def make(form: Entered, *, draft: Draft | None = None, key: uuid.UUID | None = None) -> Draft:
        return drafts.save(
            workspace_id=workspace.pk,
            key=draft.key if draft else key or uuid.uuid4(),
            form=form,
            revision=draft.revision if draft else 0,
            author=author,
        )

    return make


@pytest.fixture
def ready(workspace: Workspace, save: Save) -> Draft:
    stock(workspace.pk, "MUG", "CUP")
    return save(entered("MUG", "CUP"))


def start(draft: Draft, author: Author) -> Campaign:
    return drafts.launch(draft_id=draft.pk, revision=draft.revision, author=author)


# --- saving ---


def test_an_unfinished_form_is_kept_as_it_was_typed(save: Save) -> None:
    form = Entered(name=" Spring ", seed="ten", axes=(EnteredAxis(name="sur face", values="marble\n\n"),))
    assert Entered.from_json(save(form).entered) == form


def test_a_form_that_is_saved_twice_is_one_draft(save: Save) -> None:
    key = uuid.uuid4()
    first, second = save(entered(), key=key), save(entered(), key=key)
    assert first.pk == second.pk
    assert Draft.objects.count() == 1


def test_saving_what_is_saved_already_is_no_news_to_another_tab(save: Save) -> None:
    first = save(entered())
    assert save(entered(), draft=first).revision == first.revision
    changed = save(entered(name="Other"), draft=first)
    # The answer to that save was lost, so the page sends it again, knowing only the revision before.
    assert save(entered(name="Other"), draft=first).revision == changed.revision


def test_the_later_of_two_tabs_is_told_who_saved_meanwhile_and_nothing_is_lost(save: Save) -> None:
    opened = save(entered())
    save(entered(name="First"), draft=opened)
    with pytest.raises(ChangedMeanwhileError, match="saved meanwhile, by Ada"):
        save(entered(name="Second"), draft=opened)
    assert Draft.objects.get().name == "First"


def test_a_launched_draft_takes_no_more_changes(ready: Draft, save: Save, author: Author) -> None:
    start(ready, author)
    with pytest.raises(ChangedMeanwhileError, match="launched meanwhile"):
        save(entered("MUG", name="Other"), draft=ready)


def test_a_copy_says_that_it_is_one_and_only_once(workspace: Workspace, author: Author) -> None:
    first = drafts.copy(workspace_id=workspace.pk, form=entered(), author=author)
    second = drafts.copy(workspace_id=workspace.pk, form=Entered.from_json(first.entered), author=author)
    assert (first.name, second.name) == ("Copy of Shelf", "Copy of Shelf")
    assert first.pk != second.pk


def test_a_discarded_draft_is_gone_and_a_launched_one_stays(ready: Draft, save: Save, author: Author) -> None:
    assert drafts.discard(draft_id=save(entered()).pk)
    start(ready, author)
    assert not drafts.discard(draft_id=ready.pk)
    assert [draft.pk for draft in Draft.objects.all()] == [ready.pk]


# --- launching ---


def test_a_launch_plans_the_cells_of_the_exported_toml_and_asks_for_every_image(
    ready: Draft, workspace: Workspace, author: Author
) -> None:
    campaign = start(ready, author)
    text = Entered.from_json(ready.entered).text()
    known = KnownProducts(catalogue(workspace_id=workspace.pk))
    expected = cells.expand(briefs.checked(briefs.read(text, file="brief.toml", source=known)))
    planned = [(cell.key, cell.prompt, cell.negative_prompt, tuple(cell.seeds)) for cell in campaign.cells.all()]
    assert planned == [(cell.key, cell.prompt, cell.negative_prompt, cell.seeds) for cell in expected]
    assert len(planned) == Render.objects.count() == 4
    assert {(render.request["prompt"], render.seed) for render in Render.objects.all()} == {
        (cell.prompt, cell.seeds[0]) for cell in expected
    }
    assert ledger.balance(workspace_id=workspace.pk).held == 4000


def test_launching_twice_launches_once(ready: Draft, author: Author) -> None:
    assert start(ready, author) == start(ready, author)
    assert (Campaign.objects.count(), Hold.objects.count()) == (1, 1)


def test_two_equal_drafts_are_two_campaigns(ready: Draft, workspace: Workspace, author: Author) -> None:
    again = drafts.copy(workspace_id=workspace.pk, form=Entered.from_json(ready.entered), author=author)
    Draft.objects.filter(pk=again.pk).update(entered=ready.entered)
    assert start(ready, author) != start(again, author)


def test_a_launch_whose_figures_are_no_longer_these_is_refused(ready: Draft, save: Save, author: Author) -> None:
    save(entered("MUG", images_per_cell="8"), draft=ready)
    with pytest.raises(ChangedMeanwhileError, match="Look at the new ones first"):
        start(ready, author)
    assert not Campaign.objects.exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"name": ""}, "name: is empty"), ({"budget": "1"}, "its budget is 1"), ({"skus": ()}, "at least one product")],
)
def test_what_stands_against_a_launch_is_said_and_nothing_is_written(
    ready: Draft, save: Save, author: Author, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(DraftError) as refused:
        start(save(replace(entered("MUG"), **changes)), author)
    assert any(said in sentence for sentence in refused.value.sentences)
    assert not Campaign.objects.exists()
    assert not Hold.objects.exists()


def test_a_launch_over_the_workspaces_credits_is_refused_with_what_it_has(make_workspace, author: Author) -> None:
    free = make_workspace("free", plan="free")
    stock(free.pk, "MUG")
    form = entered("MUG", images_per_cell="8", axes=(EnteredAxis(name="surface", values="marble\nsand\noak"),))
    draft = drafts.save(workspace_id=free.pk, key=uuid.uuid4(), form=form, revision=0, author=author)
    with pytest.raises(DraftError, match="needs 24 credits at most, and the workspace has 20"):
        start(draft, author)
    assert not Campaign.objects.exists()


def test_a_photo_without_its_mask_holds_a_launch_back(workspace: Workspace, save: Save, author: Author) -> None:
    stock(workspace.pk, "MUG", has_mask=False)
    with pytest.raises(DraftError, match="lock mask of MUG is still being made"):
        start(save(entered("MUG")), author)


# --- from a file and from a campaign ---


def take_in(workspace: Workspace, author: Author, text: str, *, csv: str | None = None, key: uuid.UUID | None = None):
    return drafts.take_in(workspace_id=workspace.pk, key=key or uuid.uuid4(), text=text, csv=csv, author=author)


def test_a_brief_comes_in_with_the_products_that_it_names(ready: Draft, workspace: Workspace, author: Author) -> None:
    made = take_in(workspace, author, Entered.from_json(ready.entered).text())
    assert Entered.from_json(made.entered) == Entered.from_json(ready.entered)


def test_a_brief_sent_twice_is_one_draft(ready: Draft, workspace: Workspace, author: Author) -> None:
    key, text = uuid.uuid4(), Entered.from_json(ready.entered).text()
    first, second = (take_in(workspace, author, text, key=key) for _ in range(2))
    assert first.pk == second.pk


WHOLE = """version = 1
[campaign]
name = "Whole"
checkpoint = "starter"
[products]
csv = "their.csv"
[prompt]
template = "outside"
[[channels]]
name = "own"
placement = "keep"
"""


def test_a_brief_over_a_whole_csv_takes_its_products_in_the_order_of_the_csv(
    ready: Draft, workspace: Workspace, author: Author
) -> None:
    made = take_in(workspace, author, WHOLE, csv="sku,title,photo,mask\nMUG,x,a.png,\nCUP,y,b.png,\n")
    assert Entered.from_json(made.entered).skus == ("MUG", "CUP")
    assert Entered.from_json(take_in(workspace, author, WHOLE).entered).skus == ()


def test_a_product_that_is_not_here_is_named_with_what_to_do(
    ready: Draft, workspace: Workspace, author: Author
) -> None:
    with pytest.raises(DraftError, match=r'MUGG is not among the products of this workspace\. Did you mean "MUG"'):
        take_in(workspace, author, WHOLE, csv="sku,title,photo,mask\nMUGG,x,a.png,\n")
    with pytest.raises(DraftError, match="not TOML"):
        take_in(workspace, author, "name = Shelf")
    assert Draft.objects.count() == 1


def test_what_a_csv_lists_beyond_the_products_that_the_brief_takes_need_not_be_here(
    ready: Draft, workspace: Workspace, author: Author
) -> None:
    text = WHOLE.replace('"their.csv"', '"their.csv"\nonly = ["CUP"]')
    made = take_in(workspace, author, text, csv="sku,title,photo,mask\nJUG,x,a.png,\nCUP,y,b.png,\n")
    assert Entered.from_json(made.entered).skus == ("CUP",)
    with pytest.raises(DraftError, match="JUG is not among the products"):
        take_in(workspace, author, text.replace("CUP", "JUG"), csv="sku,title,photo,mask\nJUG,x,a.png,\n")


def test_a_campaigns_brief_can_be_written_on(ready: Draft, author: Author) -> None:
    campaign = start(ready, author)
    assert drafts.of_campaign(campaign) == Entered.from_json(ready.entered)
    assert launch.progress(campaign_id=campaign.pk).waiting == 4
