"""What became of what was set aside: captures, releases, refunds, one by one and together; told as worked stories."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from billing import audit, ledger
from billing.ledger import (
    AlreadyResolvedError,
    NotSettledError,
    OverBudgetError,
    RefundKeyReusedError,
)
from billing.models import Budget, Entry, Grant, GrantKind, Hold, HoldLine, HoldStatus
from tests.billing.ledger_tables import budget, snapshot

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
