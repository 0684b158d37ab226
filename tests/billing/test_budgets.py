"""Ceilings: what is held counts as what is spent, a month begins anew, and only an owner lets anybody past."""

from datetime import UTC, datetime

import pytest
from django.db import DatabaseError, transaction

from billing import budgets, ledger, news
from billing.budgets import BudgetRefusedError, OverBudgetError
from billing.models import Budget, BudgetChange, BudgetScope, BudgetUse
from studio.models import User

MILLI = ledger.MILLI


@pytest.fixture
def owner(db) -> User:
    return User.objects.create(email="owner@example.com", first_name="Olga")


@pytest.fixture
def house(books, owner):
    """The books with 1,000 credits, and verbs for what an owner does, in whole credits."""
    books.grant(1000)
    keys = iter(range(1000))

    def decide(verb, amount, **options):
        return verb(
            workspace_id=books.workspace_id,
            amount=None if amount is None else int(amount * MILLI),
            by_id=owner.pk,
            now=books.now,
            **{"key": f"form {next(keys)}", **options},
        )

    books.ceiling = lambda amount, **options: decide(budgets.set_month_ceiling, amount, **options)
    books.more = lambda amount, **options: decide(budgets.allow_more, amount, **options)
    books.raise_to = lambda pk, amount, **options: decide(budgets.set_campaign_ceiling, amount, budget_id=pk, **options)
    books.month = lambda: budgets.month(workspace_id=books.workspace_id, now=books.now)
    return books


def figures(state) -> tuple[int, ...]:
    return tuple(figure // MILLI for figure in (state.ceiling, state.held, state.spent, state.left))


def test_a_month_without_a_ceiling_counts_and_refuses_nothing(house):
    house.capture(house.hold(5, 5, key="1"), 4)
    month = house.month()
    assert (month.ceiling, month.left, month.percent) == (None, None, 0)
    assert (month.held // MILLI, month.spent // MILLI) == (5, 4)


def test_a_ceiling_set_in_the_middle_of_a_month_counts_what_was_spent_before(house):
    house.capture(house.hold(30), 30)
    house.ceiling(50)
    assert figures(house.month()) == (50, 0, 30, 20)
    with pytest.raises(OverBudgetError) as refused:
        house.hold(21, key="too much")
    assert str(refused.value).startswith("This needs 21 credits, and the workspace's budget for")
    assert "has 20 left of 50" in str(refused.value)
    assert "ask an owner to raise it or to allow more this month" in str(refused.value)
    house.hold(20, key="just enough")


def test_a_refused_hold_leaves_nothing_behind(house):
    house.ceiling(10)
    before = (house.balance(), house.month())
    with pytest.raises(OverBudgetError):
        house.hold(11)
    assert (house.balance(), house.month()) == before
    assert not BudgetUse.objects.exists()


def test_what_is_held_counts_and_what_comes_back_makes_room_again(house):
    house.ceiling(10)
    held = house.hold(6, 4, key="1")
    with pytest.raises(OverBudgetError):
        house.hold(1, key="2")
    house.release(held)
    house.hold(6, key="3")
    house.capture(held, 4, position=2)
    house.refund(held, position=2)
    assert figures(house.month()) == (10, 6, 0, 4)


def test_a_hold_counts_in_its_campaign_and_in_the_month_and_the_tighter_one_refuses(house):
    autumn = ledger.open_budget(workspace_id=house.workspace_id, name="Autumn", amount=8 * MILLI)
    house.ceiling(20)
    house.capture(house.hold(5, key="1", budget_id=autumn), 5)
    with pytest.raises(OverBudgetError, match="“Autumn” has 3 left of 8"):
        house.hold(4, key="2", budget_id=autumn)
    house.hold(14, key="3")
    with pytest.raises(OverBudgetError, match=r"workspace's budget for .* has 1 left of 20"):
        house.hold(2, key="4", budget_id=autumn)
    [campaign] = budgets.campaigns(workspace_id=house.workspace_id)
    assert figures(campaign) == (8, 0, 5, 3)  # what the month refused does not count in the campaign either
    assert figures(house.month()) == (20, 14, 5, 1)


def test_an_owner_allows_more_once_and_it_is_on_the_record(house, owner):
    house.ceiling(10)
    house.hold(10, key="1")
    with pytest.raises(OverBudgetError):
        house.hold(5, key="2")
    assert house.more(5)
    house.hold(5, key="2")
    assert figures(house.month()) == (15, 15, 0, 0)
    newest, first = budgets.decisions(workspace_id=house.workspace_id)
    assert (newest.kind, newest.before, newest.after, newest.by) == ("excess", 0, 5 * MILLI, "Olga")
    assert (first.kind, first.before, first.after, first.at) == ("ceiling", None, 10 * MILLI, house.now)


def test_the_next_month_begins_with_the_ceiling_and_without_what_was_allowed_once(house):
    house.ceiling(10)
    house.more(5)
    late = house.hold(15, key="1")
    house.later(days=31)
    assert figures(house.month()) == (10, 0, 0, 10)
    house.hold(10, key="2")
    with pytest.raises(OverBudgetError):
        house.hold(1, key="3")
    house.capture(late, 15)
    assert figures(house.month()) == (10, 10, 0, 0)  # a hold counts in the month in which it was opened
    assert Budget.objects.filter(scope=BudgetScope.WORKSPACE).count() == 2


def test_a_month_begins_at_the_workspaces_own_midnight(house):
    workspace = house.account.workspace
    workspace.time_zone = "Pacific/Auckland"
    workspace.save()
    house.now = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
    house.hold(1)
    assert house.month().name == "December 2026"


def test_a_ceiling_below_what_is_used_is_refused_with_the_least_that_can_be_set(house):
    house.hold(30)
    with pytest.raises(BudgetRefusedError, match=r"30 credits of .* are held or spent already\. Set at least"):
        house.ceiling(29)
    assert house.month().amount is None
    house.ceiling(30)


def test_a_new_ceiling_ends_what_was_allowed_above_the_old_one(house):
    house.ceiling(10)
    house.more(5)
    house.ceiling(12)
    assert (house.month().amount, house.month().excess) == (12 * MILLI, 0)
    house.ceiling(None)
    assert house.month().ceiling is None
    with pytest.raises(BudgetRefusedError, match="no ceiling"):
        house.more(1)


def test_the_same_form_sent_twice_changes_once(house):
    assert house.ceiling(10, key="a")
    assert not house.ceiling(99, key="a")
    assert house.more(5, key="b")
    assert not house.more(5, key="b")
    assert house.month().ceiling == 15 * MILLI
    assert BudgetChange.objects.count() == 2


@pytest.mark.parametrize("amount", [0, -1])
def test_a_budget_of_nothing_is_refused(house, amount):
    for verb in (house.ceiling, house.more):
        with pytest.raises(BudgetRefusedError, match="above 0"):
            verb(amount)


def test_an_owner_raises_a_campaigns_ceiling_but_not_another_workspaces(house, make_workspace, bare_plan):
    autumn = ledger.open_budget(workspace_id=house.workspace_id, name="Autumn", amount=5 * MILLI)
    house.raise_to(autumn, 9)
    house.hold(9, budget_id=autumn)
    other = make_workspace("other", plan=bare_plan)
    theirs = ledger.open_budget(workspace_id=other.pk, name="Theirs", amount=5 * MILLI)
    with pytest.raises(Budget.DoesNotExist):
        house.raise_to(theirs, 9)
    with pytest.raises(Budget.DoesNotExist):
        house.hold(1, key="2", budget_id=theirs)


def test_a_months_budget_is_nobodys_campaign(house):
    house.hold(1)
    month = Budget.objects.get(scope=BudgetScope.WORKSPACE)
    with pytest.raises(Budget.DoesNotExist):
        house.hold(1, key="2", budget_id=month.pk)
    with pytest.raises(Budget.DoesNotExist):
        house.raise_to(month.pk, 9)


def test_the_months_marks_are_news_at_the_ceiling_that_stood_then(house):
    house.ceiling(10)
    house.hold(5, key="1")
    house.later(minutes=1)
    house.hold(5, key="2")
    house.ceiling(1000)
    told = [
        (each.percent, each.amount // MILLI, each.is_workspace_budget)
        for each in news.happened(workspace_id=house.workspace_id, limit=50)
        if each.kind is news.CreditNewsKind.BUDGET
    ]
    assert told == [(100, 10, True), (50, 10, True)]


def test_one_launch_can_reach_marks_of_two_budgets(house):
    autumn = ledger.open_budget(workspace_id=house.workspace_id, name="Autumn", amount=10 * MILLI)
    house.ceiling(10)
    house.hold(8, budget_id=autumn)
    told = [each for each in news.happened(workspace_id=house.workspace_id, limit=50) if each.percent]
    assert {(each.budget, each.percent) for each in told} == {("Autumn", 80), (house.month().name, 80)}


@pytest.mark.parametrize("write", [lambda rows: rows.update(after=1), lambda rows: rows.delete()])
def test_a_decision_is_never_changed_or_deleted(house, write):
    house.ceiling(10)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        write(BudgetChange.objects.all())
    assert BudgetChange.objects.get().after == 10 * MILLI
