"""What the database itself refuses, whatever the code above it does: each constraint is broken once."""

import pytest
from django.db import DatabaseError, IntegrityError, connection, models, transaction

from billing import ledger
from billing.models import (
    Account,
    Budget,
    BudgetChange,
    BudgetUse,
    Entry,
    Grant,
    Hold,
    HoldAllocation,
    HoldLine,
)
from studio.models import User
from tests.conftest import NOW

LEDGER = (Account, Grant, Budget, BudgetUse, BudgetChange, Hold, HoldAllocation, HoldLine, Entry)


@pytest.fixture
def rows(books) -> dict[type[models.Model], int]:
    """One row of each table, of a hold of 4 + 2 credits whose first line was captured for 3."""
    books.grant(10, days=1)
    autumn = ledger.open_budget(workspace_id=books.workspace_id, name="Autumn", amount=9000)
    hold = books.hold(4, 2, budget_id=autumn)
    books.capture(hold, 3)
    return {
        Account: books.account.pk,
        Grant: Grant.objects.get().pk,
        Budget: autumn,
        BudgetUse: hold.budget_uses.get(budget=autumn).pk,
        Hold: hold.pk,
        HoldAllocation: hold.allocations.get().pk,
        HoldLine: books.line(hold, 2),
        Entry: Entry.objects.earliest("pk").pk,
    }


def refused(constraint: str, write) -> None:
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        write()


UPDATES = [
    *[(Account, {name: -1}, rf"account_({name}|balances)") for name in ("granted", "available", "held", "expired")],
    (Account, {"spent": -1, "available": 8001}, "account_spent"),
    (Account, {"available": 99_000}, "account_balances"),
    (Grant, {"kind": "gift"}, "grant_kind_known"),
    (Grant, {"amount": 0, "available": 0, "held": 0, "spent": 0, "expired": 0}, "grant_amount"),
    (Grant, {"available": -1, "held": 7001}, "grant_available"),
    (Grant, {"held": -1, "available": 7001}, "grant_held"),
    (Grant, {"spent": -1, "available": 8001}, "grant_spent"),
    (Grant, {"expired": -1, "available": 5001}, "grant_expired"),
    (Grant, {"available": 99_000}, "grant_balances"),
    (Budget, {"amount": 0, "held": 0, "spent": 0}, "budget_amount"),
    (Budget, {"held": -1}, "budget_held"),
    (Budget, {"spent": -1}, "budget_spent"),
    (Budget, {"held": 6001}, "budget_kept"),
    (Budget, {"held": 6002, "excess": 1}, "budget_kept"),
    (Budget, {"excess": -1}, "budget_excess"),
    (Budget, {"scope": "planet"}, "budget_scope_known"),
    (Budget, {"scope": "workspace"}, "budget_of_a_month_or_with_a_ceiling"),
    (Budget, {"month_date": NOW.date()}, "budget_of_a_month_or_with_a_ceiling"),
    (Budget, {"amount": None}, "budget_of_a_month_or_with_a_ceiling"),
    (
        Budget,
        {"scope": "workspace", "month_date": "2020-01-01", "amount": None, "excess": 1},
        "budget_excess_of_a_ceiling",
    ),
    (BudgetUse, {"used": 9001}, "budget_use_within_ceiling"),
    (Hold, {"amount": -1, "captured": -1, "released": 0}, "hold_(amount|captured)"),
    (Hold, {"captured": -1}, "hold_captured"),
    (Hold, {"released": -1}, "hold_released"),
    (Hold, {"released": 9000}, "hold_settles_in_full"),
    (Hold, {"status": "closed", "closed_at": NOW}, "hold_settles_in_full"),
    (Hold, {"status": "lost"}, "hold_(settles_in_full|tells_when_it_closed)"),
    (Hold, {"closed_at": NOW}, "hold_tells_when_it_closed"),
    (Hold, {"refunded": -1}, "hold_refunded"),
    (Hold, {"refunded": 3001}, "hold_refund_within_captured"),
    (HoldAllocation, {"captured": -1}, "allocation_captured"),
    (HoldAllocation, {"refunded": -1}, "allocation_refunded"),
    (HoldAllocation, {"refunded": 3001}, "allocation_refund_within_captured"),
    (HoldAllocation, {"released": -1}, "allocation_released"),
    (HoldAllocation, {"released": 9000}, "allocation_within_amount"),
    (HoldLine, {"amount": -1}, "line_amount"),
    (HoldLine, {"captured": -1, "released": 2001, "resolved_at": NOW}, "line_captured"),
    (HoldLine, {"captured": 2001, "released": -1, "resolved_at": NOW}, "line_released"),
    (HoldLine, {"overrun": -1}, "line_overrun"),
    (HoldLine, {"overrun": 1}, "line_overrun_above_the_whole_hold"),
    (HoldLine, {"refunded": -1}, "line_refunded"),
    (HoldLine, {"refunded": 1}, "line_refund_within_captured"),
    (HoldLine, {"captured": 1}, "line_resolves_once_in_full"),
    (HoldLine, {"resolved_at": NOW}, "line_resolves_once_in_full"),
    (HoldLine, {"resolved_at": NOW, "captured": 2000, "released": 1}, "line_resolves_once_in_full"),
]


@pytest.mark.parametrize(
    ("model", "values", "constraint"), UPDATES, ids=[f"{model.__name__}-{values}" for model, values, _ in UPDATES]
)
def test_an_update_that_breaks_the_books_is_refused(rows, model, values, constraint):
    refused(constraint, lambda: model.objects.filter(pk=rows[model]).update(**values))


@pytest.mark.parametrize("model", [Account, Grant, BudgetUse, Hold, HoldAllocation, HoldLine])
def test_a_second_row_of_what_there_is_once_is_refused(rows, model):
    copy = model.objects.get(pk=rows[model])
    copy.pk = None
    # SQLite names the columns, PostgreSQL the constraint.
    refused("(?i)unique", copy.save)


def test_a_second_budget_of_one_month_is_refused(rows):
    month = Budget.objects.get(scope="workspace")
    month.pk = None
    refused("(?i)unique", month.save)


def test_a_decision_of_an_unknown_kind_or_under_a_used_key_is_refused(rows):
    owner = User.objects.create(email="owner@example.com")
    decision = {
        "account_id": rows[Account],
        "budget_id": rows[Budget],
        "kind": "excess",
        "key": "form",
        "created_by": owner,
        "created_at": NOW,
    }
    refused("budget_change_kind_known", lambda: BudgetChange.objects.create(**(decision | {"kind": "whim"})))
    BudgetChange.objects.create(**decision)
    refused("(?i)unique", lambda: BudgetChange.objects.create(**decision))


def test_a_second_entry_under_the_same_key_is_refused(rows):
    copy = Entry.objects.get(pk=rows[Entry])
    copy.pk = None
    refused("(?i)unique", copy.save)


@pytest.mark.parametrize(
    ("values", "constraint"),
    [({"kind": "rumour"}, "entry_kind_known"), ({"granted": 5}, "entry_balances")],
)
def test_an_entry_of_an_unknown_kind_or_that_does_not_balance_is_refused(rows, values, constraint):
    entry = {"account_id": rows[Account], "kind": "grant", "key": "forged", "available_after": 0, "created_at": NOW}
    refused(constraint, lambda: Entry.objects.create(**(entry | values)))


def test_every_constraint_of_the_ledger_is_among_those_broken_here():
    broken = " ".join(constraint for _, _, constraint in UPDATES) + " entry_kind_known entry_balances account_granted"
    broken += " budget_change_kind_known"
    checks = [
        constraint.name
        for model in LEDGER
        for constraint in model._meta.constraints
        if isinstance(constraint, models.CheckConstraint)
    ]
    assert len(checks) > 30
    alternatives = broken.replace("account_(", "account_").replace("hold_(amount|captured)", "hold_amount")
    assert [name for name in checks if name not in alternatives] == []


# --- entries are append-only -----------------------------------------------------------------------------------------


def raw(sql: str):
    def execute() -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql)

    return execute


def edit_and_save() -> None:
    entry = Entry.objects.earliest("pk")
    entry.key = "other"
    entry.save()


@pytest.mark.parametrize(
    "write",
    [
        lambda: Entry.objects.update(key="other"),
        lambda: Entry.objects.all().delete(),
        lambda: Entry.objects.earliest("pk").delete(),
        edit_and_save,
        raw("UPDATE billing_entry SET available_after = available_after + 1"),
        raw("UPDATE billing_entry SET created_at = created_at"),
        raw("DELETE FROM billing_entry"),
    ],
    ids=["update", "delete all", "delete one", "save", "raw update", "raw update of nothing", "raw delete"],
)
def test_an_entry_is_never_changed_or_deleted(rows, write):
    before = list(Entry.objects.order_by("pk").values_list())
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        write()
    assert list(Entry.objects.order_by("pk").values_list()) == before


@pytest.mark.parametrize("model", [Account, Grant, Hold])
def test_what_an_entry_tells_of_cannot_be_deleted(rows, model):
    with pytest.raises(IntegrityError), transaction.atomic():
        model.objects.filter(pk=rows[model]).delete()


def test_a_settled_line_cannot_be_deleted(rows):
    with pytest.raises(IntegrityError), transaction.atomic():
        HoldLine.objects.filter(resolved_at__isnull=False).delete()
