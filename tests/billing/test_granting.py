"""Credits come and go: grants, the plan's days and months, expiry; told as worked stories."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from billing import ledger
from billing.models import Account, Entry, Grant, GrantKind
from studio.models import Workspace
from tests.billing.ledger_tables import snapshot
from tests.conftest import NOW

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
