"""What members hear of credits: grants, the balance gone low, a budget past its marks; each once, at its moment."""

import pytest

from billing import ledger, news
from billing.models import GrantKind
from billing.plans import PLANS, Plan


@pytest.fixture(autouse=True)
def _low_at_ten(monkeypatch, bare_plan):
    """A plan whose warning stands at 10 credits, and that grants nothing by itself in these stories."""

    class Warning(Plan):
        low_credits = 10

    monkeypatch.setitem(PLANS, "bare", Warning(slug="bare", name="Bare", daily_credits=0, monthly_credits=0))


def told(books, **options) -> list[tuple[str, int]]:
    found = news.happened(workspace_id=books.workspace_id, limit=50, **options)
    return [(each.kind.value, each.percent or each.amount // 1000) for each in found]


def test_a_grant_is_news_unless_it_comes_every_day(books):
    books.grant(50)
    books.grant(20, key="today", kind=GrantKind.DAILY, days=1)
    assert told(books) == [("granted", 50)]


def test_what_an_image_gave_back_to_an_expired_bucket_is_no_news(books):
    books.grant(4, key="today", kind=GrantKind.DAILY, days=1)
    hold = books.hold(1)
    books.later(days=2)
    books.release(hold)
    assert told(books) == []


def test_a_low_balance_is_told_when_it_is_passed_and_not_again_below(books):
    books.grant(12)
    books.hold(1, key="1")
    assert told(books) == [("granted", 12)]
    books.later(minutes=1)
    books.hold(2, key="2")
    assert told(books) == [("low", 9), ("granted", 12)]
    books.later(minutes=1)
    books.hold(2, key="3")
    assert told(books) == [("low", 9), ("granted", 12)]


def test_a_budget_is_told_at_each_mark_that_it_reaches_and_the_highest_of_several(books):
    books.grant(100)
    autumn = ledger.open_budget(workspace_id=books.workspace_id, name="Autumn", amount=20_000)
    marks = []
    for number, amount in enumerate((9, 1, 5, 1, 4)):
        books.later(minutes=1)
        books.hold(amount, key=f"{number}", budget_id=autumn)
        marks.append([percent for kind, percent in told(books) if kind == "budget"])
    assert marks == [[], [50], [50], [80, 50], [100, 80, 50]]
    other = ledger.open_budget(workspace_id=books.workspace_id, name="Winter", amount=10_000)
    books.later(minutes=1)
    books.hold(9, key="all at once", budget_id=other)
    newest = news.happened(workspace_id=books.workspace_id, limit=1)[0]
    assert (newest.percent, newest.budget, newest.amount) == (80, "Winter", 10_000)


def test_what_was_given_back_does_not_count_towards_a_mark(books):
    books.grant(100)
    autumn = ledger.open_budget(workspace_id=books.workspace_id, name="Autumn", amount=20_000)
    books.release(books.hold(9, key="1", budget_id=autumn))
    books.hold(9, key="2", budget_id=autumn)
    assert told(books) == [("granted", 100)]


def test_news_are_counted_from_a_moment_on_and_read_up_to_one(books):
    books.grant(50, key="1")
    moment = books.now
    books.later(minutes=1)
    books.grant(60, key="2")
    assert news.since(workspace_id=books.workspace_id, moment=moment).count() == 1
    assert news.since(workspace_id=books.workspace_id, moment=books.now).count() == 0
    assert told(books, before=books.now) == [("granted", 50)]


def test_another_workspaces_credits_are_no_news_here(books, make_workspace, bare_plan):
    books.grant(50)
    assert news.happened(workspace_id=make_workspace("other", plan=bare_plan).pk, limit=5) == []
