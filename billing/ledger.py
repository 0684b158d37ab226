"""Credits move here and nowhere else: grant, hold, capture, release, expire.

Amounts are whole millicredits. Every function is one transaction (or joins the caller's) and takes the time from
outside. Rows are locked in one order everywhere: line and hold, budget, account, buckets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import F

from billing.models import (
    Account,
    Budget,
    Entry,
    EntryKind,
    Grant,
    GrantKind,
    Hold,
    HoldAllocation,
    HoldLine,
    HoldStatus,
)
from billing.plans import PLANS

MILLI = 1000
RETURNED_BONUS_LIFE = timedelta(days=30)
STANDARD_ONLY = (GrantKind.DAILY, GrantKind.BONUS)


class InsufficientCreditsError(Exception):
    """The workspace does not have what a hold needs."""


class OverBudgetError(Exception):
    """A hold would pass the campaign's budget, counting what is held and spent already."""


class AlreadyResolvedError(Exception):
    """A hold line was captured or released before; it is resolved once."""


@dataclass(frozen=True, kw_only=True)
class Balance:
    """A workspace's credits, in millicredits."""

    granted: int
    available: int
    held: int
    spent: int
    expired: int


@dataclass(frozen=True, kw_only=True)
class _Move:
    """What an entry adds to the account, in millicredits."""

    granted: int = 0
    available: int = 0
    held: int = 0
    spent: int = 0
    expired: int = 0


def credits_text(amount_millicredits: int) -> str:
    """Millicredits as decimal credits: 1500 → "1.5", 24000 → "24"."""
    whole, rest = divmod(amount_millicredits, MILLI)
    return f"{whole}.{rest:03d}".rstrip("0").rstrip(".")


def open_account(*, workspace_id: int, plan: str, now: datetime) -> None:
    """Give a workspace its account, once; opening it again changes nothing.

    :raises KeyError: there is no such plan.
    """
    _ = PLANS[plan]
    Account.objects.get_or_create(workspace_id=workspace_id, defaults={"plan": plan})
    top_up(workspace_id=workspace_id, now=now)


def balance(*, workspace_id: int) -> Balance:
    """What the workspace has at this moment.

    :raises Account.DoesNotExist: its account was never opened.
    """
    account = Account.objects.get(workspace_id=workspace_id)
    return Balance(
        granted=account.granted,
        available=account.available,
        held=account.held,
        spent=account.spent,
        expired=account.expired,
    )


@transaction.atomic
def grant(
    *, workspace_id: int, kind: GrantKind, amount: int, key: str, expires_at: datetime | None, now: datetime
) -> bool:
    """Add a bucket of credits; False if that key was granted before.

    :raises ValueError: amount is not positive.
    """
    if amount <= 0:
        raise ValueError(f"A grant needs a positive amount; this one has {amount}.")
    account = Account.objects.get(workspace_id=workspace_id)
    bucket, is_new = Grant.objects.get_or_create(
        account=account,
        key=key,
        defaults={
            "kind": kind,
            "amount": amount,
            "available": amount,
            "expires_at": expires_at,
            "created_at": now,
        },
    )
    if is_new:
        _write(account.pk, EntryKind.GRANT, f"grant:{key}", _Move(granted=amount, available=amount), now, grant=bucket)
    return is_new


def top_up(*, workspace_id: int, now: datetime) -> None:
    """Grant today's and this month's credits of the plan if they were not yet, in the workspace's own time zone."""
    account = Account.objects.select_related("workspace").get(workspace_id=workspace_id)
    plan = PLANS[account.plan]
    zone = ZoneInfo(account.workspace.time_zone)
    today = now.astimezone(zone).date()
    next_month = (today.replace(day=1) + timedelta(days=32)).replace(day=1)
    due = (
        (GrantKind.DAILY, plan.daily_credits, f"daily:{workspace_id}:{today}", today + timedelta(days=1)),
        (GrantKind.MONTHLY, plan.monthly_credits, f"monthly:{workspace_id}:{today:%Y-%m}", next_month),
    )
    known = set(
        Grant.objects.filter(account=account, key__in=[key for _, _, key, _ in due]).values_list("key", flat=True)
    )
    for kind, amount_credits, key, until in due:
        if amount_credits and key not in known:
            grant(
                workspace_id=workspace_id,
                kind=kind,
                amount=amount_credits * MILLI,
                key=key,
                expires_at=_midnight(until, zone),
                now=now,
            )


def open_budget(*, workspace_id: int, name: str, amount: int) -> int:
    """Open a ceiling for a campaign and return its id. Amount in millicredits, above 0."""
    account = Account.objects.get(workspace_id=workspace_id)
    return Budget.objects.create(account=account, name=name, amount=amount).pk


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
    :raises OverBudgetError: held + spent + this would pass the budget.
    :raises Budget.DoesNotExist: this workspace has no such budget.
    :raises ValueError: there is nothing to hold for.
    """
    if not amounts:
        raise ValueError("A hold needs an amount for each image; it was given none.")
    total = sum(amounts)
    account = Account.objects.get(workspace_id=workspace_id)
    # Before the top-up, whose grants lock the account: captures lock the budget first as well.
    _take_from_budget(account, budget_id, total)
    top_up(workspace_id=workspace_id, now=now)
    if not Account.objects.filter(pk=account.pk, available__gte=total).update(
        available=F("available") - total, held=F("held") + total
    ):
        raise _short_of(account, total)
    held = Hold.objects.create(account=account, budget_id=budget_id, key=key, amount=total, created_at=now)
    _allocate(held, tier=tier, now=now)
    HoldLine.objects.bulk_create(
        [HoldLine(hold=held, position=position, amount=amount) for position, amount in enumerate(amounts, start=1)],
        batch_size=1000,
    )
    _record(account.pk, EntryKind.HOLD, f"hold:{held.pk}", _Move(available=-total, held=total), now, hold=held)
    return held


@transaction.atomic
def capture(*, line_id: int, amount: int, now: datetime) -> None:
    """Settle a line: spend ``amount`` of it and give the rest back.

    :raises AlreadyResolvedError: the line was captured or released before.
    :raises ValueError: amount is negative or above what the line holds.
    """
    line = HoldLine.objects.get(pk=line_id)
    if not 0 <= amount <= line.amount:
        raise ValueError(f"Line {line_id} holds {line.amount} millicredits; {amount} cannot be captured.")
    _resolve(line, captured=amount, now=now)


@transaction.atomic
def release(*, line_id: int, now: datetime) -> None:
    """Give a line's credits back in full.

    :raises AlreadyResolvedError: the line was captured or released before.
    """
    _resolve(HoldLine.objects.get(pk=line_id), captured=0, now=now)


def expire(*, now: datetime) -> int:
    """Let the unused part of every bucket past its date expire; returns how many buckets."""
    due = Grant.objects.filter(expires_at__lte=now, available__gt=0).values_list("pk", "account_id").order_by("pk")
    return sum(_expire_bucket(grant_id, account_id, now) for grant_id, account_id in list(due))


@transaction.atomic
def _expire_bucket(grant_id: int, account_id: int, now: datetime) -> bool:
    _lock(account_id)
    bucket = Grant.objects.select_for_update().get(pk=grant_id)
    if not bucket.available:
        return False
    rest = bucket.available
    Grant.objects.filter(pk=grant_id).update(available=0, expired=F("expired") + rest)
    key = f"expire:{grant_id}:{bucket.expired}"
    _write(account_id, EntryKind.EXPIRE, key, _Move(available=-rest, expired=rest), now, grant=bucket)
    return True


def _lock(account_id: int) -> None:
    """Whoever moves credits between buckets waits here for whoever does already; new rows may still refer to it."""
    Account.objects.select_for_update(no_key=True).get(pk=account_id)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone)


def _take_from_budget(account: Account, budget_id: int | None, total: int) -> None:
    if budget_id is None:
        return
    own = Budget.objects.filter(pk=budget_id, account=account)
    taken = own.filter(amount__gte=F("held") + F("spent") + total).update(held=F("held") + total)
    if not taken:
        budget = own.get()
        left = budget.amount - budget.held - budget.spent
        raise OverBudgetError(
            f"This needs {credits_text(total)} credits, and the budget of “{budget.name}” has {credits_text(left)} "
            f"left of {credits_text(budget.amount)}. Raise budget_credits or ask for fewer images."
        )


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


def _resolve(line: HoldLine, *, captured: int, now: datetime) -> None:
    released = line.amount - captured
    if not HoldLine.objects.filter(pk=line.pk, resolved_at__isnull=True).update(
        captured=captured, released=released, resolved_at=now
    ):
        raise AlreadyResolvedError(f"Hold line {line.pk} was settled before.")
    Hold.objects.filter(pk=line.hold_id).update(captured=F("captured") + captured, released=F("released") + released)
    # Asked of the lines, not of the amounts: lines that cost nothing have to be resolved too.
    if not HoldLine.objects.filter(hold=line.hold_id, resolved_at__isnull=True).exists():
        Hold.objects.filter(pk=line.hold_id).update(status=HoldStatus.CLOSED)
    held = Hold.objects.get(pk=line.hold_id)
    if held.budget_id:
        Budget.objects.filter(pk=held.budget_id).update(held=F("held") - line.amount, spent=F("spent") + captured)
    _lock(held.account_id)
    if captured:
        move = _Move(held=-captured, spent=captured)
        _write(held.account_id, EntryKind.CAPTURE, f"capture:{line.pk}", move, now, hold=held, line=line)
        _spend(held, captured)
    if released:
        _give_back(held, line, amount=released, now=now)


def _spend(held: Hold, amount: int) -> None:
    """Use up the allocation that expires first."""
    for allocation in _open_allocations(held):
        part = min(amount, allocation.amount - allocation.captured - allocation.released)
        HoldAllocation.objects.filter(pk=allocation.pk).update(captured=F("captured") + part)
        Grant.objects.filter(pk=allocation.grant_id).update(held=F("held") - part, spent=F("spent") + part)
        amount -= part
        if not amount:
            return


def _give_back(held: Hold, line: HoldLine, *, amount: int, now: datetime) -> None:
    """Return credits to the allocation that expires last; what finds its bucket expired becomes a bonus."""
    expired_part = 0
    wanted = amount
    for allocation in reversed(_open_allocations(held)):
        part = min(wanted, allocation.amount - allocation.captured - allocation.released)
        HoldAllocation.objects.filter(pk=allocation.pk).update(released=F("released") + part)
        bucket = allocation.grant
        is_expired = bucket.expires_at is not None and bucket.expires_at <= now
        target = "expired" if is_expired else "available"
        Grant.objects.filter(pk=bucket.pk).update(**{"held": F("held") - part, target: F(target) + part})
        expired_part += part if is_expired else 0
        wanted -= part
        if not wanted:
            break
    move = _Move(held=-amount, available=amount - expired_part, expired=expired_part)
    _write(held.account_id, EntryKind.RELEASE, f"release:{line.pk}", move, now, hold=held, line=line)
    if expired_part:
        grant(
            workspace_id=held.account.workspace_id,
            kind=GrantKind.BONUS,
            amount=expired_part,
            key=f"returned:{line.pk}",
            expires_at=now + RETURNED_BONUS_LIFE,
            now=now,
        )


def _open_allocations(held: Hold) -> list[HoldAllocation]:
    """Those with something left, soonest-expiring bucket first. The caller has the hold's row locked."""
    allocations = HoldAllocation.objects.filter(hold=held, amount__gt=F("captured") + F("released"))
    return list(allocations.select_related("grant").order_by(F("grant__expires_at").asc(nulls_last=True), "grant_id"))


def _write(
    account_id: int,
    kind: EntryKind,
    key: str,
    move: _Move,
    now: datetime,
    **links: Grant | Hold | HoldLine,
) -> None:
    """Move the account's balances and record why."""
    Account.objects.filter(pk=account_id).update(
        granted=F("granted") + move.granted,
        available=F("available") + move.available,
        held=F("held") + move.held,
        spent=F("spent") + move.spent,
        expired=F("expired") + move.expired,
    )
    _record(account_id, kind, key, move, now, **links)


def _record(
    account_id: int,
    kind: EntryKind,
    key: str,
    move: _Move,
    now: datetime,
    **links: Grant | Hold | HoldLine,
) -> None:
    Entry.objects.create(
        account_id=account_id,
        kind=kind,
        key=key,
        granted=move.granted,
        available=move.available,
        held=move.held,
        spent=move.spent,
        expired=move.expired,
        available_after=Account.objects.values_list("available", flat=True).get(pk=account_id),
        created_at=now,
        **links,
    )
