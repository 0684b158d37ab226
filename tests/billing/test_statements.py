"""What a workspace reads of its credits: buckets in the order they are spent, the statement page by page, days."""

from datetime import UTC, date, timedelta
from zoneinfo import ZoneInfo

import pytest

from billing import ledger, statements
from billing.models import Entry, GrantKind
from billing.statements import EVERY_KIND
from tests.conftest import NOW


def page(books, **options):
    return statements.page(workspace_id=books.workspace_id, **options)


def buckets(books):
    return statements.buckets(workspace_id=books.workspace_id, zone=ZoneInfo("UTC"))


def told(page) -> list[tuple[str, int, int]]:
    """Kind, amount and what was available afterwards, in whole credits."""
    return [(row.kind, row.amount // 1000, row.available_after // 1000) for row in page.rows]


def test_buckets_come_in_the_order_in_which_they_are_spent_and_empty_ones_are_left_out(books):
    books.grant(10, key="lasting")
    books.grant(5, key="month", kind=GrantKind.MONTHLY, days=20)
    books.grant(3, key="today", kind=GrantKind.DAILY, days=1)
    hold = books.hold(4)
    found = buckets(books)
    assert [(bucket.kind, bucket.available // 1000, bucket.held // 1000) for bucket in found] == [
        ("daily", 0, 3),
        ("monthly", 4, 1),
        ("purchased", 10, 0),
    ]
    assert [bucket.is_for_standard_only for bucket in found] == [True, False, False]
    books.capture(hold, 4)
    assert [bucket.kind for bucket in buckets(books)] == ["monthly", "purchased"]


def test_a_launch_is_one_row_that_tells_what_became_of_it(books):
    books.grant(50)
    hold = books.hold(4, 4, 4)
    books.capture(hold, 3)
    books.release(hold, position=2)
    found = page(books)
    assert told(found) == [("hold", -12, 38), ("grant", 50, 50)]
    settled = found.rows[0].settlement
    assert settled is not None
    assert (settled.images, settled.settled, settled.captured, settled.released) == (3, 2, 3_000, 5_000)
    assert (settled.held, settled.closed_at) == (4_000, None)
    books.later(minutes=5)
    books.capture(hold, 4, position=3)
    settled = page(books).rows[0].settlement
    assert settled is not None
    assert (settled.settled, settled.held, settled.closed_at) == (3, 0, books.now)


def test_what_single_images_gave_back_late_buries_neither_statement_nor_buckets(books):
    books.grant(4, key="today", kind=GrantKind.DAILY, days=1)
    hold = books.hold(1, 1, 1, 1)
    books.later(days=2)
    for position in (1, 2, 3):
        books.release(hold, position=position)
    assert told(page(books)) == [("hold", -4, 0), ("grant", 4, 4)]
    assert len(page(books, kinds=("grant",)).rows) == 4
    assert [(bucket.kind, bucket.available // 1000, bucket.held // 1000) for bucket in buckets(books)] == [
        ("daily", 0, 1),
        ("bonus", 3, 0),
    ]


def test_every_entry_can_be_read_newest_first_with_the_balance_after_it(books):
    books.grant(50)
    hold = books.hold(4)
    books.capture(hold, 3)
    books.refund(hold)
    assert told(page(books, kinds=EVERY_KIND)) == [
        ("refund", 3, 50),
        ("release", 1, 47),
        ("capture", -3, 46),
        ("hold", -4, 46),
        ("grant", 50, 50),
    ]
    assert told(page(books, kinds=("capture",))) == [("capture", -3, 46)]


def test_a_statement_filtered_by_holds_shows_nothing_else(books):
    books.grant(50)
    first, _ = books.hold(4, key="1"), books.hold(5, key="2")
    assert told(page(books, hold_ids=[first.pk])) == [("hold", -4, 46)]
    assert told(page(books, hold_ids=[])) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_pages_follow_each_other_without_gap_or_repetition(books, limit):
    for number in range(7):
        books.grant(1, key=f"gift {number}")
    ids, before = [], None
    for _ in range(8):
        found = page(books, before=before, limit=limit)
        ids += [row.id for row in found.rows]
        before = found.next
        if before is None:
            break
    assert ids == sorted(Entry.objects.values_list("pk", flat=True), reverse=True)


def test_another_workspaces_entries_and_lines_are_not_there(books, make_workspace, bare_plan):
    books.grant(10)
    hold = books.hold(4)
    other = make_workspace("other", plan=bare_plan).pk
    assert statements.page(workspace_id=other).rows == ()
    assert statements.settlement(workspace_id=other, hold_id=hold.pk) is None
    assert statements.lines(workspace_id=other, hold_id=hold.pk).lines == ()


def test_a_holds_lines_come_by_position_and_page_by_page(books):
    books.grant(50)
    hold = books.hold(1, 2, 3, 4, 5)
    books.capture(hold, 2, position=2)
    first = statements.lines(workspace_id=books.workspace_id, hold_id=hold.pk, limit=2)
    assert [(line.position, line.amount, line.captured) for line in first.lines] == [(1, 1000, 0), (2, 2000, 2000)]
    rest = statements.lines(workspace_id=books.workspace_id, hold_id=hold.pk, after=first.next or 0, limit=3)
    assert [line.position for line in rest.lines] == [3, 4, 5]
    assert rest.next is None


def test_the_number_of_queries_does_not_grow_with_the_statement(books, django_assert_num_queries):
    books.grant(500)
    for number in range(3):
        books.hold(*[1] * 20, key=f"{number}")
    with django_assert_num_queries(3):
        page(books)
    for number in range(3, 30):
        books.hold(*[1] * 3, key=f"{number}")
    with django_assert_num_queries(3):
        page(books)


def test_an_export_holds_every_entry_once(books, monkeypatch):
    monkeypatch.setattr(statements, "EXPORT_CHUNK", 2)
    for number in range(5):
        books.grant(1, key=f"gift {number}")
    chunks = list(statements.export(workspace_id=books.workspace_id, kinds=EVERY_KIND))
    assert [len(chunk) for chunk in chunks] == [2, 2, 1]
    assert len({row.id for chunk in chunks for row in chunk}) == 5


def test_days_are_those_of_the_zone_and_refunds_count_on_their_own_day(books):
    books.grant(50)
    books.now = NOW.replace(hour=23, minute=30)
    hold = books.hold(4, 5)
    books.capture(hold, 4)
    books.capture(hold, 5, position=2)
    books.later(days=1)
    books.refund(hold, position=2)

    def days(zone):
        span = {"since": NOW - timedelta(days=2), "until": NOW + timedelta(days=5)}
        found = statements.spent_by_day(workspace_id=books.workspace_id, zone=zone, **span)
        return [(day.day, day.spent // 1000) for day in found]

    assert days(ZoneInfo("UTC")) == [(date(2026, 11, 21), 9), (date(2026, 11, 22), -5)]
    assert days(ZoneInfo("Europe/Berlin")) == [(date(2026, 11, 22), 9), (date(2026, 11, 23), -5)]


def test_who_looks_in_the_morning_sees_the_days_credits(make_workspace, db):
    workspace = make_workspace("fresh", plan="free")
    tomorrow = (NOW + timedelta(days=1)).astimezone(UTC)
    assert ledger.top_up(workspace_id=workspace.pk, now=NOW).available == 20_000
    assert ledger.expire(now=tomorrow) == 1
    assert ledger.top_up(workspace_id=workspace.pk, now=tomorrow).available == 20_000
    assert ledger.balance(workspace_id=workspace.pk).granted == 40_000
