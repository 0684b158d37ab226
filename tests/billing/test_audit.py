"""The audit finds nothing in sound books and each kind of damage in damaged ones, so it can fail."""

from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import F

from billing import audit, budgets, ledger, plan_choice
from billing.models import Account, Entry
from studio.models import User
from tests.billing.conftest import Books


@pytest.fixture
def used_books(db, make_workspace, bare_plan) -> Books:
    """Two buckets, a budget, a hold half settled, one settled, one refunded, something returned as a bonus."""
    books = Books(make_workspace("used", plan=bare_plan))
    books.grant(20, key="lasting")
    books.grant(10, key="today", days=1)
    autumn = ledger.open_budget(workspace_id=books.workspace_id, name="Autumn", amount=50_000)
    open_hold = books.hold(4, 4, 4, key="open", budget_id=autumn)
    books.capture(open_hold, 3)
    books.later(days=2)
    books.expire()
    done = books.hold(2, key="done")
    books.capture(done, 2)
    books.release(open_hold, position=3)
    distorted = books.hold(1, key="distorted", budget_id=autumn)
    books.capture(distorted, 1)
    books.refund(distorted, "a distorted logo")
    owner = User.objects.create(email="owner@example.com")
    decided: dict[str, Any] = {"workspace_id": books.workspace_id, "by_id": owner.pk, "now": books.now}
    budgets.set_month_ceiling(amount=40_000, key="1", **decided)
    budgets.allow_more(amount=5_000, key="2", **decided)
    budgets.set_campaign_ceiling(budget_id=autumn, amount=60_000, key="3", **decided)
    plan_choice.choose(plan="plus", instead_of=bare_plan, **decided)
    return books


def findings() -> set[str]:
    return {name for name, count in audit.broken_invariants().items() if count}


def damage(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def test_sound_books_have_no_findings(used_books):
    assert Entry.objects.count() > 8
    assert findings() == set()


def test_books_of_no_workspace_have_no_findings(db):
    assert findings() == set()


DAMAGES = {
    "account_differs_from_its_entries": "UPDATE billing_account SET granted = granted + 1, available = available + 1",
    "account_differs_from_its_buckets": "UPDATE billing_grant SET amount = amount + 1, available = available + 1",
    "held_differs_from_open_holds": "UPDATE billing_account SET held = held - 1, available = available + 1 "
    "WHERE held > 0",
    "hold_differs_from_its_lines": "UPDATE billing_holdline SET amount = amount + 1 WHERE resolved_at IS NULL",
    "hold_differs_from_its_allocations": "UPDATE billing_holdallocation SET captured = captured + 1 "
    "WHERE amount > captured + released",
    "bucket_differs_from_its_allocations": "UPDATE billing_grant SET spent = spent - 1, available = available + 1 "
    "WHERE spent > 0",
    "budget_differs_from_its_holds": "UPDATE billing_budget SET spent = spent - 1, held = held + 1",
    "budget_differs_from_its_decisions": "UPDATE billing_budget SET amount = amount + 1",
    "plan_differs_from_its_decisions": "UPDATE billing_account SET plan = 'max'",
    "row_of_another_account": "UPDATE billing_holdallocation SET grant_id = (SELECT min(id) FROM billing_grant "
    "WHERE account_id = (SELECT max(id) FROM billing_account)) WHERE id = (SELECT min(id) FROM billing_holdallocation)",
    "closed_hold_with_open_line": "UPDATE billing_hold SET status = 'closed', closed_at = created_at, "
    "released = amount - captured WHERE status = 'open'",
    "resolved_line_without_its_entries": "UPDATE billing_holdline SET released = amount, "
    "resolved_at = (SELECT min(created_at) FROM billing_hold) WHERE resolved_at IS NULL",
    "refunded_differs_from_its_entries": "UPDATE billing_holdline SET refunded = 1 WHERE captured > refunded",
    "newest_entry_tells_another_balance": "UPDATE billing_account SET granted = granted + 1, available = available + 1",
}


@pytest.mark.parametrize("finding", DAMAGES)
def test_damage_done_behind_the_ledgers_back_is_found(used_books, make_workspace, finding):
    make_workspace("other", plan="free")
    damage(DAMAGES[finding])
    assert finding in findings()


DECISIONS = [
    ("excess = excess + 1", "month_date IS NOT NULL"),
    ("excess = 1", "scope = 'campaign'"),
    ("amount = NULL, excess = 0", "month_date IS NOT NULL"),
]


@pytest.mark.parametrize(("values", "which"), DECISIONS)
def test_a_budget_that_no_owner_decided_on_is_found(used_books, values, which):
    damage(f"UPDATE billing_budget SET {values} WHERE {which}")  # noqa: S608
    assert findings() == {"budget_differs_from_its_decisions"}


def test_a_month_that_does_not_go_on_with_the_ceiling_before_it_is_found(used_books):
    used_books.later(days=31)
    used_books.hold(1, key="next month")
    assert findings() == set()
    last = "(SELECT max(month_date) FROM billing_budget)"
    for amount in ("amount + 1", "NULL"):
        damage(f"UPDATE billing_budget SET amount = {amount} WHERE month_date = {last}")  # noqa: S608
        assert findings() == {"budget_differs_from_its_decisions"}


def test_every_invariant_can_fail(db):
    assert set(audit.broken_invariants()) == set(DAMAGES)


def test_credits_moved_between_two_workspaces_are_found(used_books, make_workspace, bare_plan):
    other = Books(make_workspace("other", plan=bare_plan))
    other.grant(5, key="order")
    Account.objects.filter(pk=other.account.pk).update(granted=F("granted") - 1, available=F("available") - 1)
    Account.objects.filter(pk=used_books.account.pk).update(granted=F("granted") + 1, available=F("available") + 1)
    assert audit.broken_invariants()["account_differs_from_its_entries"] == 2


def test_the_command_says_so_and_fails_when_the_books_are_damaged(used_books, capsys):
    call_command("audit_ledger")
    assert "     0 account_differs_from_its_entries" in capsys.readouterr().out
    damage(DAMAGES["account_differs_from_its_entries"])
    with pytest.raises(CommandError, match="inconsistent"):
        call_command("audit_ledger")
    assert "     1 account_differs_from_its_entries" in capsys.readouterr().out
