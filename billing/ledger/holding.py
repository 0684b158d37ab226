"""Holding: the most that images can cost is set aside, out of the buckets that expire first."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import F

from billing import budgets, bulk
from billing.amounts import credits_text
from billing.kill_points import kill_point
from billing.ledger.granting import top_up
from billing.ledger.moves import Move, record
from billing.models import Account, BudgetUse, EntryKind, Grant, GrantKind, Hold, HoldAllocation, HoldLine

STANDARD_ONLY = (GrantKind.DAILY, GrantKind.BONUS)


class InsufficientCreditsError(Exception):
    """The workspace does not have what a hold needs."""


@transaction.atomic
def hold(
    *,
    workspace_id: int,
    key: str,
    amounts: Sequence[int],
    tier: str,
    now: datetime,
    budget_id: int | None = None,
) -> Hold:
    """Set credits aside, a line for each amount, out of the buckets that expire first.

    :param tier: "standard" or "premium"; daily and bonus credits pay for standard checkpoints only.
    :raises InsufficientCreditsError: not enough credits for this tier.
    :param budget_id: a campaign's budget, in which it counts besides the workspace's month.
    :raises OverBudgetError: held + spent + this would pass one of the budgets.
    :raises Budget.DoesNotExist: this workspace has no such budget.
    :raises ValueError: there is nothing to hold for.
    """
    if not amounts:
        raise ValueError("A hold needs an amount for each image; it was given none.")
    total = sum(amounts)
    account = Account.objects.select_related("workspace").get(workspace_id=workspace_id)
    # Before the top-up, whose grants lock the account: captures lock the budgets first as well.
    uses = budgets.take(budgets.of_holds(account, budget_id=budget_id, now=now), total=total)
    top_up(workspace_id=workspace_id, now=now)
    if not Account.objects.filter(pk=account.pk, available__gte=total).update(
        available=F("available") - total, held=F("held") + total
    ):
        raise _short_of(account, total)
    held = Hold.objects.create(account=account, key=key, amount=total, created_at=now)
    for use in uses:
        use.hold = held
    BudgetUse.objects.bulk_create(uses)
    _allocate(held, tier=tier, now=now)
    kill_point("in_open")
    bulk.insert(HoldLine, ("position", "amount"), enumerate(amounts, start=1), hold=held)
    record(account.pk, EntryKind.HOLD, f"hold:{held.pk}", Move(available=-total, held=total), now, hold=held)
    return held


def _short_of(account: Account, total: int) -> InsufficientCreditsError:
    available = Account.objects.values_list("available", flat=True).get(pk=account.pk)
    return InsufficientCreditsError(
        f"This needs {credits_text(total)} credits, and the workspace has {credits_text(available)}. "
        "Ask for fewer images, or wait for the next grant."
    )


def _allocate(held: Hold, *, tier: str, now: datetime) -> None:
    """Take the hold out of live buckets, soonest to expire first (never-expiring last)."""
    buckets = Grant.objects.select_for_update().filter(account_id=held.account_id, available__gt=0)
    if tier != "standard":
        buckets = buckets.exclude(kind__in=STANDARD_ONLY)
    wanted = held.amount
    for bucket in buckets.order_by(F("expires_at").asc(nulls_last=True), "pk"):
        if not wanted:
            break
        if bucket.expires_at and bucket.expires_at <= now:
            continue
        part = min(wanted, bucket.available)
        Grant.objects.filter(pk=bucket.pk).update(available=F("available") - part, held=F("held") + part)
        HoldAllocation.objects.create(hold=held, grant=bucket, amount=part)
        wanted -= part
    if wanted:
        # Raising undoes the debit: what is left is expired, or kept for another tier.
        raise InsufficientCreditsError(
            f"This needs {credits_text(wanted)} credits more than the workspace may use for a {tier} checkpoint. "
            "Ask for fewer images, or wait for the next grant."
        )
