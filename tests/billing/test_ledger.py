"""The ledger told as worked stories: who had how many credits, and out of which bucket they went."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from billing import audit, ledger
from billing.ledger import (
    AlreadyResolvedError,
    InsufficientCreditsError,
    NotSettledError,
    OverBudgetError,
    RefundKeyReusedError,
)
from billing.models import Account, Budget, Entry, Grant, GrantKind, Hold, HoldAllocation, HoldLine, HoldStatus
from studio.models import Workspace
from tests.conftest import NOW

TABLES = (Account, Grant, Budget, Hold, HoldAllocation, HoldLine, Entry)


def snapshot() -> dict[str, list[tuple[object, ...]]]:
    return {model.__name__: sorted(model.objects.values_list()) for model in TABLES}


# --- grants ----------------------------------------------------------------------------------------------------------


def test_a_grant_is_available_at_once_and_leaves_one_entry(books):
    assert books.grant(50, key="order 1")
    assert books.balance() == {"granted": 50, "available": 50}
    entry = Entry.objects.get()
    assert (entry.kind, entry.key, entry.available, entry.available_after) == ("grant", "grant:order 1", 50_000, 50_000)


def test_the_same_key_is_granted_once(books):
    assert books.grant(50, key="order 1")
    before = snapshot()
    assert not books.grant(50, key="order 1")
    assert not books.grant(70, key="order 1")
    assert snapshot() == before


def test_two_workspaces_may_use_the_same_key(books, make_workspace, bare_plan):
    other = make_workspace("other", plan=bare_plan)
    books.grant(50, key="order 1")
    assert ledger.grant(
        workspace_id=other.pk, kind=GrantKind.PURCHASED, amount=7000, key="order 1", expires_at=None, now=NOW
    )
    assert books.balance() == {"granted": 50, "available": 50}
    assert ledger.balance(workspace_id=other.pk).available == 7000


@pytest.mark.parametrize("amount", [0, -5])
def test_a_grant_of_nothing_is_refused(books, amount):
    with pytest.raises(ValueError, match="positive amount"):
        books.grant(amount)
    assert not Grant.objects.exists()


def test_an_account_of_an_unknown_plan_is_not_opened(db):
    workspace = Workspace.objects.create(slug="acme", name="Acme")
    with pytest.raises(KeyError):
        ledger.open_account(workspace_id=workspace.pk, plan="platinum", now=NOW)
    assert not Account.objects.exists()


def test_opening_an_account_again_changes_nothing(workspace):
    before = snapshot()
    ledger.open_account(workspace_id=workspace.pk, plan="self-hosted", now=NOW)
    assert snapshot() == before


# --- the plan's daily and monthly credits ----------------------------------------------------------------------------


def at(text: str, zone: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def open_in(zone: str, now: datetime, plan: str = "self-hosted") -> Workspace:
    workspace = Workspace.objects.create(slug="acme", name="Acme", time_zone=zone)
    ledger.open_account(workspace_id=workspace.pk, plan=plan, now=now)
    return workspace


def test_a_plan_grants_today_and_this_month_once(workspace):
    for hours in (0, 1, 11):
        ledger.top_up(workspace_id=workspace.pk, now=NOW + timedelta(hours=hours))
    grants = Grant.objects.values_list("key", "amount", "expires_at")
    assert set(grants) == {
        (f"daily:{workspace.pk}:2026-11-21", 200_000, datetime(2026, 11, 22, tzinfo=UTC)),
        (f"monthly:{workspace.pk}:2026-11", 20_000_000, datetime(2026, 12, 1, tzinfo=UTC)),
    }


def test_a_plan_without_monthly_credits_grants_only_the_day(db):
    workspace = open_in("UTC", NOW, plan="free")
    assert list(Grant.objects.values_list("key", "amount")) == [(f"daily:{workspace.pk}:2026-11-21", 20_000)]


@pytest.mark.parametrize(
    ("zone", "still_today", "tomorrow"),
    [
        ("Pacific/Auckland", "2026-11-21T23:59:59", "2026-11-22T00:00"),
        ("America/Los_Angeles", "2026-11-21T23:59:59", "2026-11-22T00:00"),
        ("Asia/Kathmandu", "2026-11-21T23:59:59", "2026-11-22T00:00"),
    ],
)
def test_the_day_changes_at_the_workspaces_own_midnight(db, zone, still_today, tomorrow):
    workspace = open_in(zone, at("2026-11-21T08:00", zone))
    ledger.top_up(workspace_id=workspace.pk, now=at(still_today, zone))
    assert Grant.objects.filter(kind=GrantKind.DAILY).count() == 1
    ledger.top_up(workspace_id=workspace.pk, now=at(tomorrow, zone))
    assert set(Grant.objects.filter(kind=GrantKind.DAILY).values_list("key", flat=True)) == {
        f"daily:{workspace.pk}:2026-11-21",
        f"daily:{workspace.pk}:2026-11-22",
    }


@pytest.mark.parametrize(
    ("date", "hours"),
    [("2026-03-29", 23), ("2026-10-25", 25), ("2026-11-21", 24)],  # Berlin: clocks forward, clocks back, neither
)
def test_a_days_credits_last_until_midnight_however_long_the_day_is(db, date, hours):
    midnight = at(f"{date}T00:00", "Europe/Berlin")
    open_in("Europe/Berlin", midnight)
    until = Grant.objects.get(kind=GrantKind.DAILY).expires_at
    assert until is not None
    assert until - midnight.astimezone(UTC) == timedelta(hours=hours)


def test_a_day_whose_midnight_does_not_exist_still_follows_the_one_before_without_a_gap(db):
    # In Santiago, 2026-09-06 begins at 01:00: the clocks go forward at midnight.
    workspace = open_in("America/Santiago", at("2026-09-05T12:00", "America/Santiago"))
    until = Grant.objects.get(kind=GrantKind.DAILY).expires_at
    assert until == at("2026-09-06T01:00", "America/Santiago")
    ledger.top_up(workspace_id=workspace.pk, now=until)
    assert Grant.objects.filter(key=f"daily:{workspace.pk}:2026-09-06").exists()


@pytest.mark.parametrize(
    ("moment", "month", "until"),
    [
        ("2026-01-31T23:30", "2026-01", "2026-02-01T00:00"),
        ("2026-12-31T23:30", "2026-12", "2027-01-01T00:00"),
        ("2028-02-29T12:00", "2028-02", "2028-03-01T00:00"),
    ],
)
def test_a_months_credits_end_with_the_workspaces_month(db, moment, month, until):
    workspace = open_in("America/New_York", at(moment, "America/New_York"))
    bucket = Grant.objects.get(kind=GrantKind.MONTHLY)
    assert bucket.key == f"monthly:{workspace.pk}:{month}"
    assert bucket.expires_at == at(until, "America/New_York")


def test_a_hold_on_the_first_of_the_month_finds_fresh_credits_without_being_asked(workspace, clock):
    clock.now = datetime(2026, 12, 1, 0, 0, tzinfo=UTC)
    held = ledger.hold(workspace_id=workspace.pk, key="new month", amounts=[20_100_000], tier="standard", now=clock.now)
    kinds = {allocation.grant.key: allocation.amount for allocation in held.allocations.all()}
    assert kinds == {f"daily:{workspace.pk}:2026-12-01": 200_000, f"monthly:{workspace.pk}:2026-12": 19_900_000}


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


# --- capturing and releasing -----------------------------------------------------------------------------------------


def test_a_captured_line_is_spent_and_its_rest_comes_back(books):
    books.grant(10)
    hold = books.hold(4, 4)
    books.capture(hold, 3)
    assert books.balance() == {"granted": 10, "available": 3, "held": 4, "spent": 3}
    hold.refresh_from_db()
    assert hold.status == HoldStatus.OPEN
    books.release(hold, position=2)
    hold.refresh_from_db()
    assert (hold.status, hold.captured, hold.released) == (HoldStatus.CLOSED, 3_000, 5_000)
    assert books.balance() == {"granted": 10, "available": 7, "spent": 3}
    assert list(Entry.objects.order_by("pk").values_list("kind", "available_after")) == [
        ("grant", 10_000),
        ("hold", 2_000),
        ("capture", 2_000),
        ("release", 3_000),
        ("release", 7_000),
    ]


def test_a_capture_uses_up_the_bucket_that_expires_first(books):
    books.grant(5, key="lasting")
    books.grant(5, key="today", days=1)
    hold = books.hold(3, 3, 3)
    books.capture(hold, 3)
    assert books.bucket("today") == {"held": 2, "spent": 3}
    books.capture(hold, 3, position=2)
    assert books.bucket("today") == {"spent": 5}
    assert books.bucket("lasting") == {"available": 1, "held": 3, "spent": 1}
    books.release(hold, position=3)


def test_a_release_returns_the_bucket_that_lasts_longest(books):
    books.grant(5, key="lasting")
    books.grant(5, key="today", days=1)
    hold = books.hold(3, 3, 3)
    books.release(hold)
    assert books.bucket("lasting") == {"available": 4, "held": 1}
    assert books.bucket("today") == {"held": 5}
    books.release(hold, position=2)
    assert books.bucket("lasting") == {"available": 5}
    assert books.bucket("today") == {"available": 2, "held": 3}
    books.capture(hold, 3, position=3)


def test_credits_that_return_after_their_date_become_a_bonus_of_thirty_days(books):
    books.grant(5, key="today", days=1)
    hold = books.hold(4)
    books.later(days=2)
    books.expire()
    books.release(hold)
    bonus = Grant.objects.get(kind=GrantKind.BONUS)
    assert (bonus.amount, bonus.available, bonus.expires_at) == (4_000, 4_000, books.now + timedelta(days=30))
    assert books.bucket("today") == {"expired": 5}
    assert books.balance() == {"granted": 9, "available": 4, "expired": 5}


def test_only_the_part_from_the_expired_bucket_becomes_a_bonus(books):
    books.grant(5, key="lasting")
    books.grant(5, key="today", days=1)
    hold = books.hold(7)
    books.later(days=1)
    books.capture(hold, 1)
    # 1 was spent of today's, 2 return to the lasting bucket, 4 find their day over.
    assert books.bucket("today") == {"spent": 1, "expired": 4}
    assert books.bucket("lasting") == {"available": 5}
    assert list(Grant.objects.filter(kind=GrantKind.BONUS).values_list("available", flat=True)) == [4_000]
    assert books.balance() == {"granted": 14, "available": 9, "spent": 1, "expired": 4}


@pytest.mark.parametrize("first", ["capture", "release"])
@pytest.mark.parametrize("second", ["capture", "release"])
def test_a_line_is_resolved_once(books, first, second):
    books.grant(10)
    hold = books.hold(4, 2)
    resolve = {"capture": lambda: books.capture(hold, 4), "release": lambda: books.release(hold)}
    resolve[first]()
    before = snapshot()
    with pytest.raises(AlreadyResolvedError, match="was settled before"):
        resolve[second]()
    assert snapshot() == before


@pytest.mark.parametrize("amount", [-1, 5])
def test_no_more_than_the_line_and_no_less_than_nothing_can_be_captured(books, amount):
    books.grant(10)
    hold = books.hold(4)
    before = snapshot()
    with pytest.raises(ValueError, match=f"holds 4000 millicredits; {amount * 1000} cannot be captured"):
        books.capture(hold, amount)
    assert snapshot() == before


def test_a_line_may_be_captured_for_nothing(books):
    books.grant(10)
    hold = books.hold(4)
    books.capture(hold, 0)
    assert books.balance() == {"granted": 10, "available": 10}
    assert not Entry.objects.filter(kind="capture").exists()


# --- refunds ---------------------------------------------------------------------------------------------------------


def test_a_refund_gives_back_what_the_image_cost_and_says_so_in_an_entry_of_its_own(books):
    books.grant(10, key="order")
    hold = books.hold(4, 2)
    books.capture(hold, 3)
    assert books.refund(hold, "distorted:7") == 3
    assert books.balance() == {"granted": 10, "available": 8, "held": 2}
    assert books.bucket("order") == {"available": 8, "held": 2}
    entry = Entry.objects.get(kind="refund")
    assert (entry.key, entry.spent, entry.available, entry.available_after) == ("refund:distorted:7", -3000, 3000, 8000)
    assert entry.line_id == books.line(hold)


def test_the_same_refund_twice_moves_credits_once_and_answers_the_same(books):
    books.grant(10)
    hold = books.hold(4)
    books.capture(hold, 4)
    assert books.refund(hold, "distorted") == 4
    before = snapshot()
    assert books.refund(hold, "distorted") == 4
    assert books.refund(hold, "another reason") == 0
    assert snapshot() == before


def test_a_refunds_key_belongs_to_one_image(books):
    books.grant(10)
    hold = books.hold(4, 2)
    books.capture(hold, 4)
    books.capture(hold, 2, position=2)
    books.refund(hold, "distorted")
    before = snapshot()
    with pytest.raises(RefundKeyReusedError, match="refunded another image"):
        books.refund(hold, "distorted", position=2)
    assert snapshot() == before


def test_an_image_that_cost_nothing_has_nothing_to_refund(books):
    books.grant(10)
    hold = books.hold(4)
    books.release(hold)
    before = snapshot()
    assert books.refund(hold) == 0
    assert snapshot() == before


def test_an_open_line_is_released_not_refunded(books):
    books.grant(10)
    hold = books.hold(4)
    before = snapshot()
    with pytest.raises(NotSettledError, match="release it instead"):
        books.refund(hold)
    assert snapshot() == before


def test_what_is_refunded_to_an_expired_bucket_becomes_a_bonus_of_thirty_days(books):
    books.grant(3, key="today", days=1)
    books.grant(10, key="lasting")
    hold = books.hold(5)
    books.capture(hold, 5)
    books.later(days=2)
    assert books.refund(hold) == 5
    assert books.bucket("today") == {"expired": 3}
    assert books.bucket("lasting") == {"available": 10}
    bonus = Grant.objects.get(kind=GrantKind.BONUS)
    assert (bonus.available, bonus.expires_at) == (3_000, books.now + timedelta(days=30))
    assert books.balance() == {"granted": 16, "available": 13, "expired": 3}


def test_a_refund_makes_room_in_the_campaigns_budget(books):
    books.grant(100)
    autumn = budget(books, 10)
    hold = books.hold(8, key="1", budget_id=autumn)
    books.capture(hold, 8)
    with pytest.raises(OverBudgetError):
        books.hold(4, key="2", budget_id=autumn)
    books.refund(hold)
    books.hold(4, key="2", budget_id=autumn)
    left = Budget.objects.get(pk=autumn)
    assert (left.held, left.spent) == (4_000, 0)


# --- expiry ----------------------------------------------------------------------------------------------------------


def test_what_is_left_in_a_bucket_expires_at_its_date_and_only_once(books):
    books.grant(10, key="today", days=1)
    books.hold(4)
    books.later(days=1, seconds=-1)
    assert books.expire() == 0
    books.later(seconds=1)
    assert books.expire() == 1
    assert books.balance() == {"granted": 10, "held": 4, "expired": 6}
    assert books.expire() == 0


def test_expiry_leaves_lasting_and_later_buckets_alone(books):
    books.grant(1, key="lasting")
    books.grant(2, key="tomorrow", days=2)
    books.grant(4, key="today", days=1)
    books.later(days=1)
    assert books.expire() == 1
    assert books.balance() == {"granted": 7, "available": 3, "expired": 4}


# --- budgets ---------------------------------------------------------------------------------------------------------


def budget(books, amount: int) -> int:
    return ledger.open_budget(workspace_id=books.workspace_id, name="Autumn", amount=amount * ledger.MILLI)


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


# --- real units ------------------------------------------------------------------------------------------------------


def test_a_line_is_settled_on_what_was_really_used_and_never_above_what_it_holds(books, caplog):
    books.grant(10)
    hold = books.hold(4, 4)
    books.settle(hold, (1, 2500, 7))
    assert not caplog.records
    books.settle(hold, (2, 9000, 30))
    figures = list(hold.lines.order_by("position").values_list("captured", "released", "overrun", "micro_units"))
    assert figures == [(2500, 1500, 0, 7), (4000, 0, 5000, 30)]
    assert books.account.spent == 6500
    assert "cost 5 credits more than it held, at the operator's charge" in caplog.text


def test_a_line_is_settled_once_and_not_on_figures_below_nothing(books):
    books.grant(10)
    hold = books.hold(4)
    for figures in ((-1, 0), (0, -1)):
        with pytest.raises(ValueError, match="cannot cost"):
            books.settle(hold, (1, *figures))
    books.settle(hold, (1, 0, 0))
    assert books.balance() == {"granted": 10, "available": 10}
    with pytest.raises(AlreadyResolvedError):
        books.settle(hold, (1, 0, 0))


def test_a_line_that_is_named_twice_or_is_not_there_settles_nothing(books):
    books.grant(10)
    hold = books.hold(4, 4)
    line_id = books.line(hold)
    before = snapshot()
    for ids in ([line_id, line_id], [line_id, line_id + 1000]):
        with pytest.raises(ValueError, match="not there or named twice"):
            ledger.release(line_ids=ids, now=books.now)
        twice = [ledger.Settlement(line_id=pk, cost=1, micro_units=1) for pk in ids]
        with pytest.raises(ValueError, match="not there or named twice"):
            ledger.settle(settlements=twice, now=books.now)
    assert snapshot() == before


# --- many lines at once ----------------------------------------------------------------------------------------------


def told() -> dict[str, list[Any]]:
    """Everything but the ids of what was added."""
    entries = Entry.objects.order_by("key").values_list(
        "key", "available", "held", "expired", "available_after", "line"
    )
    grants = Grant.objects.order_by("key").values_list("key", "available", "held", "expired", "amount")
    return snapshot() | {"Entry": sorted(entries), "Grant": sorted(grants)}


@pytest.mark.parametrize("days_later", [0, 2])
def test_lines_released_together_leave_the_books_as_if_released_one_by_one(books, days_later):
    books.grant(5, key="first", days=1)
    books.grant(30, key="second", days=9)
    hold = books.hold(4, 6, 0, 3)
    books.capture(hold, 2, position=2)
    ids = list(HoldLine.objects.filter(resolved_at__isnull=True).order_by("pk").values_list("pk", flat=True))
    now = books.now + timedelta(days=days_later)
    with transaction.atomic():
        for pk in ids:
            ledger.release(line_ids=[pk], now=now)
        one_by_one = told()
        transaction.set_rollback(True)  # to do it in the other way
    ledger.release(line_ids=ids, now=now)
    assert told() == one_by_one
    assert Hold.objects.get().status == HoldStatus.CLOSED


@pytest.mark.parametrize("days_later", [0, 2])
def test_lines_settled_together_leave_the_books_as_if_settled_one_by_one(books, days_later):
    books.grant(5, key="first", days=1)
    books.grant(30, key="second", days=9)
    hold = books.hold(4, 6, 0, 3, 3)
    settled = [(1, 4000, 5), (2, 2500, 5), (3, 0, 5), (4, 9000, 7), (5, 0, 5)]
    now = books.now + timedelta(days=days_later)

    def books_but_for_the_balance_beside_each_entry() -> dict[str, list[Any]]:
        kept = told()
        return kept | {"Entry": [(*entry[:4], entry[5]) for entry in kept["Entry"]]}

    with transaction.atomic():
        for each in settled:
            books.settle(hold, each, now=now)
        one_by_one = books_but_for_the_balance_beside_each_entry()
        transaction.set_rollback(True)  # to do it in the other way
    books.settle(hold, *settled, now=now)
    assert books_but_for_the_balance_beside_each_entry() == one_by_one
    assert Hold.objects.get().status == HoldStatus.CLOSED
    assert not any(audit.broken_invariants().values())


def test_if_one_of_several_lines_was_settled_none_is_released(books):
    books.grant(10)
    hold = books.hold(4, 4)
    books.capture(hold, 4)
    before = snapshot()
    with pytest.raises(AlreadyResolvedError, match="was settled before"):
        ledger.release(line_ids=list(HoldLine.objects.values_list("pk", flat=True)), now=books.now)
    assert snapshot() == before


@pytest.mark.parametrize("end", ["release", "settle"])
def test_many_lines_are_resolved_in_as_many_statements_as_two(books, end):
    books.grant(200)
    hold = books.hold(*[1] * 60)
    ids = list(HoldLine.objects.order_by("pk").values_list("pk", flat=True))
    statements = []
    for part in (ids[:2], ids[2:40]):
        with CaptureQueriesContext(connection) as queries:
            if end == "release":
                ledger.release(line_ids=part, now=books.now)
            else:
                books.settle(hold, *[(ids.index(pk) + 1, 700, 3) for pk in part])
        statements.append(len(queries))
    assert statements[0] == statements[1]
