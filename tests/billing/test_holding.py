"""Credits are set aside: out of which buckets, within which budget; told as worked stories."""

import pytest
from django.db import IntegrityError, transaction

from billing import ledger
from billing.ledger import (
    InsufficientCreditsError,
    OverBudgetError,
)
from billing.models import Budget, GrantKind, Hold, HoldStatus
from tests.billing.ledger_tables import budget, snapshot

# --- holding ---------------------------------------------------------------------------------------------------------


def test_a_hold_takes_the_bucket_that_expires_first_and_the_lasting_one_last(books):
    books.grant(10, key="lasting")
    books.grant(10, key="next month", days=30)
    books.grant(10, key="today", days=1, kind=GrantKind.DAILY)
    hold = books.hold(15, 7)
    taken = {allocation.grant.key: allocation.amount for allocation in hold.allocations.all()}
    assert taken == {"today": 10_000, "next month": 10_000, "lasting": 2_000}
    assert books.balance() == {"granted": 30, "available": 8, "held": 22}
    assert list(hold.lines.order_by("position").values_list("position", "amount")) == [(1, 15_000), (2, 7_000)]


def test_a_hold_of_everything_is_possible_and_one_millicredit_more_is_not(books):
    books.grant(10)
    before = snapshot()
    with pytest.raises(InsufficientCreditsError, match=r"This needs 10\.001 credits, and the workspace has 10\."):
        ledger.hold(workspace_id=books.workspace_id, key="too much", amounts=[10_001], tier="standard", now=books.now)
    assert snapshot() == before
    books.hold(10)
    assert books.balance() == {"granted": 10, "held": 10}


def test_a_refused_hold_does_not_even_leave_the_days_grant_behind(workspace, clock):
    before = snapshot()
    clock.advance(days=1)
    with pytest.raises(InsufficientCreditsError):
        ledger.hold(workspace_id=workspace.pk, key="too much", amounts=[99_000_000], tier="standard", now=clock.now)
    assert snapshot() == before


@pytest.mark.parametrize("kind", [GrantKind.DAILY, GrantKind.BONUS])
def test_daily_and_bonus_credits_do_not_pay_for_a_premium_checkpoint(books, kind):
    books.grant(10, key="given", kind=kind, days=1)
    books.grant(4, key="bought")
    before = snapshot()
    with pytest.raises(InsufficientCreditsError, match="1 credits more than the workspace may use for a premium"):
        books.hold(5, tier="premium")
    assert snapshot() == before
    hold = books.hold(4, tier="premium")
    assert [allocation.grant.key for allocation in hold.allocations.all()] == ["bought"]


def test_credits_past_their_date_are_not_held_even_before_the_sweeper_came(books):
    books.grant(10, days=1)
    books.later(days=1)
    before = snapshot()
    with pytest.raises(InsufficientCreditsError):
        books.hold(1)
    assert snapshot() == before


def test_a_second_hold_under_the_same_key_is_refused_by_the_database(books):
    books.grant(10)
    books.hold(3, key="one click")
    before = snapshot()
    with pytest.raises(IntegrityError), transaction.atomic():
        books.hold(3, key="one click")
    assert snapshot() == before


def test_a_hold_of_lines_that_cost_nothing_stays_open_until_the_last_is_resolved(books):
    books.grant(1)
    hold = books.hold(0, 0)
    books.capture(hold, 0, position=1)
    hold.refresh_from_db()
    assert hold.status == HoldStatus.OPEN
    books.release(hold, position=2)
    hold.refresh_from_db()
    assert hold.status == HoldStatus.CLOSED
    assert books.balance() == {"granted": 1, "available": 1}


# --- budgets ---------------------------------------------------------------------------------------------------------


def test_a_budget_counts_what_is_held_and_what_is_spent(books):
    books.grant(100)
    autumn = budget(books, 10)
    first = books.hold(4, 3, key="1", budget_id=autumn)
    books.capture(first, 4)
    before = snapshot()
    with pytest.raises(OverBudgetError, match="needs 4 credits, and the budget of “Autumn” has 3 left of 10"):
        books.hold(4, key="2", budget_id=autumn)
    assert snapshot() == before
    books.release(first, position=2)
    books.hold(6, key="3", budget_id=autumn)
    left = Budget.objects.get(pk=autumn)
    assert (left.held, left.spent) == (6_000, 4_000)


def test_a_hold_without_a_budget_is_bounded_by_the_credits_alone(books):
    books.grant(100)
    autumn = budget(books, 10)
    books.hold(90)
    assert Budget.objects.get(pk=autumn).held == 0


def test_credits_are_missing_even_where_the_budget_would_allow_it(books):
    books.grant(5)
    autumn = budget(books, 10)
    before = snapshot()
    with pytest.raises(InsufficientCreditsError):
        books.hold(6, budget_id=autumn)
    assert snapshot() == before


def test_a_budget_of_another_workspace_cannot_be_used(books, make_workspace, bare_plan):
    other = make_workspace("other", plan=bare_plan)
    theirs = ledger.open_budget(workspace_id=other.pk, name="Theirs", amount=9000)
    with pytest.raises(Budget.DoesNotExist):
        ledger.hold(
            workspace_id=books.workspace_id, key="x", amounts=[1], tier="standard", now=books.now, budget_id=theirs
        )
    assert not Hold.objects.filter(key="x").exists()


# --- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("millicredits", "text"),
    [(0, "0"), (1, "0.001"), (1500, "1.5"), (24_000, "24"), (100_000, "100"), (20_000_050, "20000.05")],
)
def test_millicredits_are_written_as_decimal_credits(millicredits, text):
    assert ledger.credits_text(millicredits) == text
