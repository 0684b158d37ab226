"""What a form would come to: counts, cost and time while it is half written, and what stands against a launch."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.test.utils import CaptureQueriesContext

from billing import budgets, ledger, plan_choice
from campaigns import drafts, launch, outlook
from campaigns.drafts import Author
from campaigns.entered import Entered, EnteredAxis, EnteredChannel
from campaigns.formats import FORMATS
from campaigns.models import Photo, Product
from campaigns.outlook import Outlook
from inference import catalog
from studio.models import User, Workspace
from tests.campaigns.shelf import entered, stock
from tests.conftest import NOW

SURFACES = EnteredAxis(name="surface", values="marble\nsand\noak")


@pytest.fixture
def shelf(workspace: Workspace) -> dict[str, Product]:
    return stock(workspace.pk, "MUG", "CUP")


def look(workspace: Workspace, form: Entered) -> Outlook:
    return outlook.look(workspace_id=workspace.pk, form=form, now=NOW)


def test_images_are_products_times_scenes_times_channels_times_candidates(
    workspace: Workspace, shelf: dict[str, Product]
) -> None:
    form = entered("MUG", "CUP", axes=(SURFACES,), images_per_cell="2")
    seen = look(workspace, replace(form, channels=(*form.channels, FORMATS["story"].entered(is_placed=True))))
    assert (seen.products, seen.scenes, seen.channels, seen.cells, seen.images) == (2, 3, 2, 12, 24)
    assert seen.cost is not None
    assert (seen.cost.maximum, seen.available) == (24_000, 20_200_000)
    assert seen.forecast is not None
    assert timedelta() < seen.forecast.p50 < seen.forecast.p95
    assert seen.can_launch


def test_what_is_seen_is_what_a_launch_asks_for_and_holds(workspace: Workspace, shelf: dict[str, Product]) -> None:
    form = entered("MUG", "CUP", axes=(SURFACES,), images_per_cell="2")
    seen = look(workspace, form)
    author = Author(id=User.objects.create(email="ada@example.com").pk, now=NOW)
    draft = drafts.copy(workspace_id=workspace.pk, form=form, author=author)
    campaign = drafts.launch(draft_id=draft.pk, revision=draft.revision, author=author)
    after = look(workspace, form)
    assert campaign.planned == seen.images == 12
    assert seen.cost is not None
    assert seen.available - after.available == seen.cost.maximum


def test_a_half_written_form_is_counted_as_far_as_it_goes(workspace: Workspace, shelf: dict[str, Product]) -> None:
    seen = look(workspace, entered("MUG", name="", template=""))
    assert (seen.products, seen.scenes, seen.images) == (1, 2, 2)
    assert {problem.path for problem in seen.problems if problem.is_gap} == {
        ("campaign", "name"), ("prompt", "template"),
    }  # fmt: skip
    assert not seen.can_launch
    assert look(workspace, Entered()).images == 0


def test_without_products_chosen_there_is_nothing_to_place_but_words_need_none(workspace: Workspace) -> None:
    assert look(workspace, entered()).images == 0
    words = entered(channels=(EnteredChannel(name="square", way="text", width="128", height="128"),))
    assert look(workspace, words).images == 2
    assert look(workspace, words).can_launch


def test_the_prompts_shown_are_the_first_the_middle_and_the_last(
    workspace: Workspace, shelf: dict[str, Product]
) -> None:
    form = entered("MUG", template="on {surface}, {light}", axes=(SURFACES, EnteredAxis(name="light", values="a\nb")))
    assert look(workspace, form).samples == ("on marble, a", "on sand, b", "on oak, b")
    assert look(workspace, replace(form, template="on {surfce}")).samples == ()


def test_another_workspaces_products_are_not_there(workspace: Workspace, make_workspace) -> None:
    stock(make_workspace("other").pk, "MUG")
    seen = look(workspace, entered("MUG"))
    assert seen.products == 0
    assert 'there is no product "MUG" among the products of this workspace' in seen.problems[0].what


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        ("", "The lock masks of MUG, CUP are still being made. Try again in a moment."),
        ("No product.", "No lock mask could be made for MUG, CUP. Give a mask"),
    ],
)
def test_masks_that_are_missing_are_named(
    workspace: Workspace, shelf: dict[str, Product], failure: str, said: str
) -> None:
    Photo.objects.update(mask_key="", mask_source="", mask_failure=failure)
    seen = look(workspace, entered("MUG", "CUP"))
    assert seen.blockers[0].startswith(said)
    assert not seen.can_launch


def test_masks_that_are_unsure_are_named_and_hold_nothing_back(workspace: Workspace, shelf: dict[str, Product]) -> None:
    Photo.objects.filter(product__sku="CUP").update(mask_confidence=0.1)
    seen = look(workspace, entered("MUG", "CUP"))
    assert seen.unsure == ("CUP",)
    assert seen.can_launch


def test_a_product_without_a_photo_cannot_be_placed(workspace: Workspace) -> None:
    Product.objects.create(workspace=workspace, sku="MUG", title="A mug", created_at=NOW)
    assert "has no photo" in look(workspace, entered("MUG")).problems[0].what


def test_credits_and_budget_are_told_before_they_refuse(db: None, make_workspace) -> None:
    free = make_workspace("free", plan="free")
    stock(free.pk, "MUG")
    form = entered("MUG", axes=(SURFACES,), images_per_cell="8", budget="23.5")
    assert look(free, form).blockers == (
        "This needs 24 credits at most, and its budget is 23.5. Raise the budget or ask for fewer images.",
        "This needs 24 credits at most, and the workspace has 20. Ask for fewer images, or wait for the next grant.",
    )


def cap_month(workspace: Workspace, credits: int) -> None:
    by = User.objects.create(email="olga@example.com")
    budgets.set_month_ceiling(workspace_id=workspace.pk, amount=credits * 1000, key="cap", by_id=by.pk, now=NOW)


def test_what_is_left_of_the_months_budget_is_told_and_a_launch_over_it_is_held_back(
    workspace: Workspace, shelf: dict[str, Product]
) -> None:
    form = entered("MUG", axes=(SURFACES,), images_per_cell="2")
    assert look(workspace, form).month is None
    cap_month(workspace, 10)
    within = look(workspace, form)
    assert within.month is not None
    assert (within.month.left, within.is_over_month, within.can_launch) == (10_000, False, True)
    over = look(workspace, replace(form, images_per_cell="4"))
    assert over.blockers == (
        "This needs 12 credits, and the workspace's budget for November 2026 has 10 left of 10. Ask for fewer images, "
        "or ask an owner to raise it or to allow more this month, under Credits, Budgets.",
    )
    assert (over.is_over_month, over.is_unpaid, over.can_launch) == (True, True, False)


def test_only_money_stands_against_a_launch_or_something_else_does_as_well(workspace: Workspace) -> None:
    stock(workspace.pk, "MUG", has_mask=False)
    cap_month(workspace, 1)
    form = entered("MUG", axes=(SURFACES,))
    assert not look(workspace, form).is_unpaid
    stock(workspace.pk, "CUP")
    assert look(workspace, entered("CUP", axes=(SURFACES,))).is_unpaid


def test_a_premium_model_is_offered_to_plans_that_include_it_and_refused_to_others(
    db: None, make_workspace, premium: str
) -> None:
    free, pro = make_workspace("free", plan="free"), make_workspace("pro", plan="pro")
    for workspace in (free, pro):
        stock(workspace.pk, "MUG")
    form = replace(entered("MUG"), checkpoint=premium)
    assert look(pro, form).can_launch
    refused = look(free, form)
    assert [blocker.partition(";")[0] for blocker in refused.blockers] == [
        "Premium models are part of Go, Pro, Max and Self-hosted"
    ]
    reasons = {
        each.entry.slug: each.reason
        for each in outlook.checkpoints(is_placed=True, workspace_id=free.pk, now=NOW)
        if each.entry.slug in ("starter", premium)
    }
    assert reasons == {"starter": "", premium: "part of Go, Pro, Max and Self-hosted"}


def test_what_a_plan_lost_since_the_launch_is_not_asked_again(db: None, make_workspace, premium: str) -> None:
    pro = make_workspace("pro", plan="pro")
    stock(pro.pk, "MUG")
    author = Author(id=User.objects.create(email="ada@example.com").pk, now=NOW)
    draft = drafts.copy(workspace_id=pro.pk, form=replace(entered("MUG"), checkpoint=premium), author=author)
    campaign = drafts.launch(draft_id=draft.pk, revision=draft.revision, author=author)
    launch.cancel(campaign_id=campaign.pk, now=NOW)
    plan_choice.choose(workspace_id=pro.pk, plan="free", instead_of="pro", by_id=author.id, now=NOW)
    # What the month gave stays until its end, and pays.
    assert launch.launch(campaign_id=campaign.pk, now=NOW)
    launch.cancel(campaign_id=campaign.pk, now=NOW)
    later = NOW + timedelta(days=20)
    ledger.expire(now=later)
    with pytest.raises(plan_choice.NotInPlanError, match="Free pays for standard ones"):
        launch.launch(campaign_id=campaign.pk, now=later)


def test_a_photo_too_large_to_keep_its_size_is_named(workspace: Workspace, shelf: dict[str, Product]) -> None:
    upload = shelf["MUG"].photo.upload  # type: ignore[union-attr]
    upload.width = 9_000
    upload.save()
    kept = entered("MUG", "CUP", channels=(EnteredChannel(name="own", way="keep"),))
    (blocker,) = look(workspace, kept).blockers
    assert blocker.startswith("MUG: MUG.png is 9000 × 80 pixels")


def test_more_than_one_launch_takes_is_told_without_working_it_out(
    workspace: Workspace, shelf: dict[str, Product]
) -> None:
    values = "\n".join(f"value {number}" for number in range(600))
    axes = tuple(EnteredAxis(name=name, values=values) for name in ("surface", "light", "season"))
    seen = look(workspace, entered("MUG", template="{surface} {light} {season}", axes=axes))
    assert seen.images == 600**3
    assert any("one launch takes 2,000" in problem.what for problem in seen.problems)
    assert not seen.can_launch


def test_a_look_costs_as_many_queries_for_many_products_as_for_one(
    workspace: Workspace, django_assert_max_num_queries
) -> None:
    skus = tuple(stock(workspace.pk, *(f"SKU-{number}" for number in range(60))))
    with django_assert_max_num_queries(9) as one:
        look(workspace, entered(skus[0]))
    with django_assert_max_num_queries(9) as many:
        look(workspace, entered(*skus))
    assert isinstance(one, CaptureQueriesContext)
    assert len(one) == len(many)


def test_models_that_cannot_do_it_are_offered_last_with_the_reason(workspace: Workspace) -> None:
    choices = outlook.checkpoints(is_placed=True, workspace_id=workspace.pk, now=NOW)
    assert {choice.entry.slug for choice in choices} == set(catalog.load())
    assert not choices[0].reason
    reasons = [bool(choice.reason) for choice in choices]
    assert reasons == sorted(reasons)


@pytest.mark.parametrize("each", FORMATS.values(), ids=FORMATS)
def test_every_format_that_is_offered_can_be_launched(workspace: Workspace, shelf: dict[str, Product], each) -> None:
    form = entered("MUG", channels=(each.entered(is_placed=True),))
    assert look(workspace, form).can_launch
    if each.width:
        assert look(workspace, entered(channels=(each.entered(is_placed=False),))).can_launch
