"""What must hold between the ledger's tables at every moment, each as a count of the rows that break it."""

from collections.abc import Iterable, Mapping, Sequence

from django.db.models import Exists, F, Max, OuterRef, Q, Subquery, Sum

from billing.models import (
    Account,
    Budget,
    BudgetChange,
    BudgetChangeKind,
    BudgetScope,
    BudgetUse,
    Entry,
    EntryKind,
    Grant,
    Hold,
    HoldAllocation,
    HoldLine,
    HoldStatus,
    PlanChange,
)

_BALANCES = ("granted", "available", "held", "spent", "expired")


def broken_invariants() -> dict[str, int]:
    """How many rows break each of the ledger's invariants; every figure must be 0."""
    return {
        "account_differs_from_its_entries": _differing_accounts(),
        "account_differs_from_its_buckets": _differing_buckets(),
        "held_differs_from_open_holds": _differing_holds(),
        "hold_differs_from_its_lines": _differing_lines(),
        "hold_differs_from_its_allocations": _differing_allocations(),
        "bucket_differs_from_its_allocations": _differing_allocated_buckets(),
        "budget_differs_from_its_holds": _differing_budgets(),
        "budget_differs_from_its_decisions": _undecided_budgets(),
        "plan_differs_from_its_decisions": _undecided_plans(),
        "row_of_another_account": _crossing_rows(),
        "closed_hold_with_open_line": _closed_too_early(),
        "resolved_line_without_its_entries": _lines_without_entries(),
        "refunded_differs_from_its_entries": _differing_refunds(),
        "newest_entry_tells_another_balance": _differing_newest_entries(),
    }


def _count_differing(pairs: Iterable[tuple[object, object]]) -> int:
    return sum(1 for left, right in pairs if left != right)


def _sums(rows: Iterable[Mapping[str, object]], by: str, fields: Sequence[str]) -> dict[object, tuple[object, ...]]:
    return {row[by]: tuple(row[f"sum_{field}"] or 0 for field in fields) for row in rows}


def _differing_accounts() -> int:
    totals = {f"sum_{field}": Sum(field) for field in _BALANCES}
    sums = _sums(Entry.objects.values("account").annotate(**totals), "account", _BALANCES)
    accounts = Account.objects.values_list("pk", *_BALANCES)
    return _count_differing((tuple(figures), sums.get(pk, (0,) * 5)) for pk, *figures in accounts)


def _differing_buckets() -> int:
    fields = ("amount", "available", "held", "spent", "expired")
    totals = {f"sum_{field}": Sum(field) for field in fields}
    sums = _sums(Grant.objects.values("account").annotate(**totals), "account", fields)
    accounts = Account.objects.values_list("pk", *_BALANCES)
    return _count_differing((tuple(figures), sums.get(pk, (0,) * 5)) for pk, *figures in accounts)


def _differing_holds() -> int:
    open_holds = Hold.objects.filter(status=HoldStatus.OPEN).values("account")
    rows = open_holds.annotate(open_sum=Sum(F("amount") - F("captured") - F("released")))
    sums = {row["account"]: row["open_sum"] for row in rows}
    return _count_differing((held, sums.get(pk, 0)) for pk, held in Account.objects.values_list("pk", "held"))


def _differing_lines() -> int:
    fields = ("amount", "captured", "released", "refunded")
    totals = {f"sum_{field}": Sum(field) for field in fields}
    sums = _sums(HoldLine.objects.values("hold").annotate(**totals), "hold", fields)
    return _count_differing(
        (tuple(figures), sums.get(pk, (0, 0, 0, 0))) for pk, *figures in Hold.objects.values_list("pk", *fields)
    )


def _differing_allocations() -> int:
    fields = ("amount", "captured", "released", "refunded")
    totals = {f"sum_{field}": Sum(field) for field in fields}
    sums = _sums(HoldAllocation.objects.values("hold").annotate(**totals), "hold", fields)
    return _count_differing(
        (tuple(figures), sums.get(pk, (0, 0, 0, 0))) for pk, *figures in Hold.objects.values_list("pk", *fields)
    )


def _differing_allocated_buckets() -> int:
    allocated = HoldAllocation.objects.values("grant")
    rows = allocated.annotate(
        sum_held=Sum(F("amount") - F("captured") - F("released")), sum_spent=Sum(F("captured") - F("refunded"))
    )
    sums = _sums(rows, "grant", ("held", "spent"))
    return _count_differing(
        (tuple(figures), sums.get(pk, (0, 0))) for pk, *figures in Grant.objects.values_list("pk", "held", "spent")
    )


def _differing_budgets() -> int:
    rows = BudgetUse.objects.values("budget").annotate(
        sum_held=Sum(F("hold__amount") - F("hold__captured") - F("hold__released")),
        sum_spent=Sum(F("hold__captured") - F("hold__refunded")),
    )
    sums = _sums(rows, "budget", ("held", "spent"))
    return _count_differing(
        (tuple(figures), sums.get(pk, (0, 0))) for pk, *figures in Budget.objects.values_list("pk", "held", "spent")
    )


def _undecided_budgets() -> int:
    """Budgets whose ceiling or excess is not what an owner decided last; a month begins with the ceiling before it."""
    newest = BudgetChange.objects.filter(budget=OuterRef("pk")).order_by("-pk")
    ceilings = newest.filter(kind=BudgetChangeKind.CEILING)
    decided = Budget.objects.annotate(last_kind=Subquery(newest.values("kind")[:1]))
    by_ceiling = decided.filter(last_kind=BudgetChangeKind.CEILING).exclude(excess=0).count()
    by_excess = decided.filter(last_kind=BudgetChangeKind.EXCESS).exclude(excess=Subquery(newest.values("after")[:1]))
    never = decided.filter(last_kind__isnull=True).exclude(excess=0).count()
    told = decided.annotate(has_ceiling=Exists(ceilings), decided=Subquery(ceilings.values("after")[:1]))
    differing = told.filter(has_ceiling=True).exclude(_same("decided")).count()
    return by_ceiling + by_excess.count() + never + differing + _undecided_months()


def _undecided_months() -> int:
    """Months that nobody decided on, and that do not go on with the ceiling of the last month that was decided on."""
    of_months = BudgetChange.objects.filter(
        kind=BudgetChangeKind.CEILING, budget__scope=BudgetScope.WORKSPACE, account=OuterRef("account")
    )
    own = of_months.filter(budget=OuterRef("pk"))
    earlier = of_months.filter(budget__month_date__lt=OuterRef("month_date")).order_by("-budget__month_date", "-pk")
    months = Budget.objects.filter(scope=BudgetScope.WORKSPACE).exclude(Exists(own))
    return months.annotate(begun=Subquery(earlier.values("after")[:1])).exclude(_same("begun")).count()


def _same(field: str) -> Q:
    return Q(amount=F(field)) | Q(**{"amount__isnull": True, f"{field}__isnull": True})


def _undecided_plans() -> int:
    newest = PlanChange.objects.filter(account=OuterRef("pk")).order_by("-pk").values("after")[:1]
    return (
        Account.objects.annotate(chosen=Subquery(newest)).filter(chosen__isnull=False).exclude(plan=F("chosen")).count()
    )


def _crossing_rows() -> int:
    """Rows that tie two workspaces' credits together."""
    crossing = (
        HoldAllocation.objects.exclude(hold__account=F("grant__account")),
        BudgetUse.objects.exclude(hold__account=F("budget__account")),
        BudgetChange.objects.exclude(account=F("budget__account")),
        Entry.objects.filter(grant__isnull=False).exclude(account=F("grant__account")),
        Entry.objects.filter(hold__isnull=False).exclude(account=F("hold__account")),
        Entry.objects.filter(line__isnull=False).exclude(account=F("line__hold__account")),
    )
    return sum(rows.count() for rows in crossing)


def _closed_too_early() -> int:
    open_lines = HoldLine.objects.filter(hold=OuterRef("pk"), resolved_at__isnull=True)
    return Hold.objects.filter(Exists(open_lines), status=HoldStatus.CLOSED).count()


def _differing_newest_entries() -> int:
    newest = Entry.objects.values("account").annotate(newest=Max("pk")).values("newest")
    return Entry.objects.filter(pk__in=newest).exclude(available_after=F("account__available")).count()


def _lines_without_entries() -> int:
    resolved = HoldLine.objects.filter(resolved_at__isnull=False)
    captured = resolved.filter(captured__gt=0).exclude(entries__kind=EntryKind.CAPTURE).count()
    released = resolved.filter(released__gt=0).exclude(entries__kind=EntryKind.RELEASE).count()
    return captured + released


def _differing_refunds() -> int:
    rows = Entry.objects.filter(kind=EntryKind.REFUND).values("line").annotate(sum_spent=Sum("spent"))
    told = {row["line"]: -row["sum_spent"] for row in rows}
    refunded = dict(HoldLine.objects.filter(refunded__gt=0).values_list("pk", "refunded"))
    return _count_differing((told.get(pk), refunded.get(pk)) for pk in told.keys() | refunded.keys())
