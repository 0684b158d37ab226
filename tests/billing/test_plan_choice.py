"""Choosing a plan: what was given stays, nothing is given twice, and who chose is on the record."""

from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction

from billing import audit, ledger, plan_choice
from billing.models import GrantKind, PlanChange
from billing.plan_choice import NotInPlanError, PlanRefusedError
from billing.plans import PLANS
from studio.models import User
from tests.conftest import NOW


@pytest.fixture
def owner(db) -> User:
    return User.objects.create(email="owner@example.com", first_name="Olga")


@pytest.fixture
def free(db, make_workspace):
    yield make_workspace("small", plan="free")
    assert not any(audit.broken_invariants().values())


def choose(workspace, plan, owner, *, instead_of="free", now=NOW) -> bool:
    return plan_choice.choose(workspace_id=workspace.pk, plan=plan, instead_of=instead_of, by_id=owner.pk, now=now)


def available(workspace, now=NOW) -> int:
    ledger.expire(now=now)
    return ledger.top_up(workspace_id=workspace.pk, now=now).available // ledger.MILLI


def offer(workspace, plan, now=NOW):
    return next(each for each in plan_choice.offers(workspace_id=workspace.pk, now=now) if each.plan.slug == plan)


def test_the_plans_of_the_product_are_offered_with_their_figures():
    figures = {plan.name: (plan.daily_credits, plan.monthly_credits) for plan in PLANS.values()}
    assert (figures["Free"], figures["Plus"]) == ((20, 0), (200, 0))
    assert list(figures) == ["Free", "Go", "Plus", "Pro", "Max", "Self-hosted"]
    assert all(figures[name][0] and figures[name][1] for name in ("Go", "Pro", "Max"))


def test_daily_credits_change_tomorrow_and_monthly_ones_come_at_once_where_there_were_none(free, owner):
    assert available(free) == 20
    told = offer(free, "pro")
    assert (told.daily_from - NOW.date()).days == 1
    assert told.monthly_from == NOW.date()
    assert choose(free, "pro", owner)
    assert available(free) == 20 + 5000
    tomorrow = NOW.replace(day=NOW.day + 1)
    assert available(free, now=tomorrow) == 200 + 5000


def test_going_back_and_forth_gives_nothing_twice(free, owner):
    choose(free, "max", owner)
    assert available(free) == 20 + 50_000
    choose(free, "free", owner, instead_of="max")
    choose(free, "max", owner, instead_of="free")
    assert available(free) == 20 + 50_000
    choose(free, "pro", owner, instead_of="max")
    assert available(free) == 20 + 50_000
    assert offer(free, "max").monthly_from.day == 1


def test_a_choice_made_on_an_old_page_is_refused_and_a_second_click_does_nothing(free, owner):
    assert choose(free, "plus", owner)
    assert not choose(free, "plus", owner)
    with pytest.raises(PlanRefusedError, match="Somebody chose Plus meanwhile"):
        choose(free, "pro", owner)
    with pytest.raises(PlanRefusedError, match="no such plan"):
        choose(free, "gold", owner, instead_of="plus")
    [told] = plan_choice.decisions(workspace_id=free.pk)
    assert (told.by, told.before, told.after, told.at) == ("Olga", "Free", "Plus", NOW)


def test_a_choice_is_never_changed(free, owner):
    choose(free, "plus", owner)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        PlanChange.objects.update(after="max")
    assert PlanChange.objects.get().after == "plus"


# --- premium models --------------------------------------------------------------------------------------------------


def barrier(workspace, tier="premium", now=NOW) -> str:
    return plan_choice.barrier(tier, workspace_id=workspace.pk, now=now)


def buy(workspace, amount: int, **options) -> None:
    ledger.grant(workspace_id=workspace.pk, amount=amount, key=f"order {amount}", now=NOW, **options)


def test_plans_with_monthly_credits_include_premium_models_and_the_others_say_which_do(make_workspace, db):
    included = {}
    for plan in PLANS.values():
        workspace = make_workspace(f"on-{plan.slug}", plan=plan.slug)
        assert barrier(workspace, "standard") == ""
        included[plan.name] = not barrier(workspace)
    assert included == {"Free": False, "Go": True, "Plus": False, "Pro": True, "Max": True, "Self-hosted": True}


def test_what_is_refused_says_which_plans_include_it_and_whom_to_ask(free):
    with pytest.raises(NotInPlanError) as refused:
        plan_choice.require("premium", workspace_id=free.pk, now=NOW)
    assert str(refused.value) == (
        "Premium models are part of Go, Pro, Max and Self-hosted; Free pays for standard ones. "
        "Choose another model, or ask an owner to choose another plan, under Credits, Plan."
    )
    plan_choice.require("standard", workspace_id=free.pk, now=NOW)


def test_bought_credits_open_premium_models_on_any_plan_and_a_bonus_does_not(free):
    buy(free, 5000, kind=GrantKind.BONUS, expires_at=None)
    assert barrier(free)
    buy(free, 3000, kind=GrantKind.PURCHASED, expires_at=NOW + timedelta(days=2))
    assert barrier(free) == ""
    assert barrier(free, now=NOW + timedelta(days=3))


def test_only_what_pays_for_a_tier_counts_as_spendable(free):
    def spendable(tier: str, now=NOW) -> int:
        return plan_choice.spendable(workspace_id=free.pk, tier=tier, now=now)

    buy(free, 3000, kind=GrantKind.PURCHASED, expires_at=NOW + timedelta(days=2))
    assert (spendable("standard"), spendable("premium")) == (23_000, 3000)
    assert spendable("premium", NOW + timedelta(days=3)) == 0
    # The ledger agrees with what was promised.
    ledger.hold(workspace_id=free.pk, key="all of it", amounts=[3000], tier="premium", now=NOW)
    assert spendable("premium") == 0
