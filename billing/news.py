"""What happened to a workspace's credits that its members should hear of. Only reads; knows no member."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from django.db.models import BigIntegerField, Case, Exists, F, OuterRef, Q, QuerySet, Value, When

from billing.amounts import MILLI
from billing.models import BudgetScope, BudgetUse, Entry, EntryKind, GrantKind
from billing.plans import PLANS

BUDGET_MARKS: Final = (50, 80, 100)


class CreditNewsKind(StrEnum):
    GRANTED = "granted"
    LOW = "low"
    BUDGET = "budget"


@dataclass(frozen=True, kw_only=True)
class CreditNews:
    """Something that happened. Amounts in millicredits; ``hold_id`` is the hold that did it, None for a grant.

    ``amount`` is what was granted, what is available now that it is low, or the budget's ceiling at that moment;
    ``percent`` is the budget's mark that was reached, and ``is_workspace_budget`` tells a month's from a campaign's.
    """

    kind: CreditNewsKind
    at: datetime
    amount: int
    grant_kind: str = ""
    note: str = ""
    budget: str = ""
    percent: int = 0
    is_workspace_budget: bool = False
    hold_id: int | None = None


def happened(*, workspace_id: int, before: datetime | None = None, limit: int) -> list[CreditNews]:
    """What happened last, newest first: credits granted, the balance gone low, a budget past 50, 80 or 100 %.

    :param before: only what happened before this moment.
    :param limit: so many entries of the ledger; one of them can tell two things.
    """
    entries = _worth_telling(workspace_id)
    if before is not None:
        entries = entries.filter(created_at__lt=before)
    newest = entries.select_related("grant", "hold").prefetch_related("hold__budget_uses__budget")
    newest = newest.order_by("-created_at", "-pk")[:limit]
    return [news for entry in newest for news in _told(entry)]


def since(*, workspace_id: int, moment: datetime) -> QuerySet[Entry]:
    """The entries worth telling after a moment, to be counted."""
    return _worth_telling(workspace_id).filter(created_at__gt=moment)


def _worth_telling(workspace_id: int) -> QuerySet[Entry]:
    # Daily grants come by themselves, and what one image gave back to an expired bucket is no gift.
    granted = Q(kind=EntryKind.GRANT, line__isnull=True) & ~Q(grant__kind=GrantKind.DAILY)
    held = Q(kind=EntryKind.HOLD) & (_goes_low() | Exists(_marks_reached()))
    entries = Entry.objects.filter(account__workspace_id=workspace_id, kind__in=(EntryKind.GRANT, EntryKind.HOLD))
    return entries.annotate(low=_low()).filter(granted | held)


def _marks_reached() -> QuerySet[BudgetUse]:
    """What a budget had reached with an entry's hold and not without it."""
    reached, after, ceiling = Q(), F("used") * 100, F("ceiling")
    for percent in BUDGET_MARKS:
        reached |= Q(after__gte=ceiling * percent, after__lt=ceiling * percent + F("hold__amount") * 100)
    return BudgetUse.objects.filter(hold=OuterRef("hold")).annotate(after=after).filter(reached)


def _low() -> Case:
    plans = [When(account__plan=plan.slug, then=Value(plan.low_credits * MILLI)) for plan in PLANS.values()]
    return Case(*plans, default=Value(0), output_field=BigIntegerField())


def _goes_low() -> Q:
    """An entry tells what it changed and what was there afterwards, so also what was there before."""
    return Q(available_after__lt=F("low"), available_after__gte=F("low") + F("available"))


def _told(entry: Entry) -> Iterator[CreditNews]:
    if entry.grant:
        yield CreditNews(
            kind=CreditNewsKind.GRANTED,
            at=entry.created_at,
            amount=entry.granted,
            grant_kind=entry.grant.kind,
            note=entry.grant.note,
        )
        return
    low: int = entry.low  # type: ignore[attr-defined]  # annotated
    if entry.available_after < low <= entry.available_after - entry.available:
        yield CreditNews(
            kind=CreditNewsKind.LOW, at=entry.created_at, amount=entry.available_after, hold_id=entry.hold_id
        )
    if entry.hold:
        for use in sorted(entry.hold.budget_uses.all(), key=lambda use: use.budget_id):
            yield from _marks(use, amount=entry.hold.amount, at=entry.created_at)


def _marks(use: BudgetUse, *, amount: int, at: datetime) -> Iterator[CreditNews]:
    """The highest mark that a hold of ``amount`` took a budget to."""
    if use.ceiling is None:
        return
    after, before = use.used * 100, (use.used - amount) * 100
    if reached := [mark for mark in BUDGET_MARKS if before < use.ceiling * mark <= after]:
        yield CreditNews(
            kind=CreditNewsKind.BUDGET,
            at=at,
            amount=use.ceiling,
            budget=use.budget.name,
            percent=max(reached),
            is_workspace_budget=use.budget.scope == BudgetScope.WORKSPACE,
            hold_id=use.hold_id,
        )
