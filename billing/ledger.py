"""Credits move here and nowhere else: grant, hold, capture, release, refund, expire.

Amounts are whole millicredits. Every function is one transaction (or joins the caller's) and takes the time from
outside. Rows are locked in one order everywhere: line and hold, budget, account, buckets.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import F

from billing import budgets
from billing.amounts import MILLI as MILLI
from billing.amounts import credits_text as credits_text
from billing.budgets import OverBudgetError as OverBudgetError
from billing.budgets import open_budget as open_budget
from billing.kill_points import kill_point
from billing.models import (
    Account,
    BudgetUse,
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

logger = logging.getLogger(__name__)

RETURNED_BONUS_LIFE = timedelta(days=30)
STANDARD_ONLY = (GrantKind.DAILY, GrantKind.BONUS)


class InsufficientCreditsError(Exception):
    """The workspace does not have what a hold needs."""


class AlreadyResolvedError(Exception):
    """A hold line was captured or released before; it is resolved once."""


class NotSettledError(Exception):
    """A hold line is still open: there is nothing to refund yet."""


class RefundKeyReusedError(Exception):
    """A refund's key was used before, for another hold line."""


class GrantKeyReusedError(Exception):
    """An order's key was used before, for another grant."""


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


@dataclass(frozen=True, kw_only=True)
class _WayBack:
    """How credits return to their buckets: as which entry, out of which figure, counted in which column."""

    kind: EntryKind
    source: str
    counter: str
    bonus: str


_RELEASED = _WayBack(kind=EntryKind.RELEASE, source="held", counter="released", bonus="returned")
_REFUNDED = _WayBack(kind=EntryKind.REFUND, source="spent", counter="refunded", bonus="refunded")


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
    return _balance(Account.objects.get(workspace_id=workspace_id))


def _balance(account: Account) -> Balance:
    return Balance(
        granted=account.granted,
        available=account.available,
        held=account.held,
        spent=account.spent,
        expired=account.expired,
    )


@transaction.atomic
def grant(
    *,
    workspace_id: int,
    kind: GrantKind,
    amount: int,
    key: str,
    expires_at: datetime | None,
    now: datetime,
    note: str = "",
    created_by_id: int | None = None,
    line: HoldLine | None = None,
) -> bool:
    """Add a bucket of credits; False if that key was granted before.

    :param note: the reason in words, where a person grants it.
    :param line: whose credits come back in it, their own bucket having expired.
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
            "note": note,
            "created_by_id": created_by_id,
            "created_at": now,
        },
    )
    if is_new:
        links: dict[str, Grant | Hold | HoldLine] = {"grant": bucket}
        if line:
            links |= {"line": line, "hold": line.hold}
        _write(account.pk, EntryKind.GRANT, f"grant:{key}", _Move(granted=amount, available=amount), now, **links)
    return is_new


def give_bonus(
    *,
    workspace_id: int,
    amount: int,
    key: str,
    note: str,
    expires_at: datetime | None,
    created_by_id: int,
    now: datetime,
) -> bool:
    """Grant bonus credits in a person's name; False if that key was granted before.

    :raises ValueError: amount is not positive.
    """
    return grant(
        workspace_id=workspace_id,
        kind=GrantKind.BONUS,
        amount=amount,
        key=f"operator:{key}",
        expires_at=expires_at,
        note=note,
        created_by_id=created_by_id,
        now=now,
    )


def give_order(
    *,
    workspace_id: int,
    kind: str,
    amount: int,
    key: str,
    note: str,
    expires_at: datetime | None,
    created_by_id: int,
    now: datetime,
) -> bool:
    """Grant what an order says, in a person's name; False if that order was granted before.

    :param kind: "purchased" or "bonus".
    :param key: the order's own number, at most 100 characters.
    :raises GrantKeyReusedError: the order was granted before, of another kind or amount.
    :raises ValueError: amount is not positive.
    """
    order = f"order:{key}"
    is_new = grant(
        workspace_id=workspace_id,
        kind=GrantKind(kind),
        amount=amount,
        key=order,
        expires_at=expires_at,
        note=note,
        created_by_id=created_by_id,
        now=now,
    )
    if not is_new:
        first = Grant.objects.get(account__workspace_id=workspace_id, key=order)
        if (first.kind, first.amount) != (kind, amount):
            raise GrantKeyReusedError(
                f"Under the key {key!r} {credits_text(first.amount)} {first.kind} credits were granted. Give this "
                "grant a key of its own."
            )
    return is_new


def top_up(*, workspace_id: int, now: datetime) -> Balance:
    """Grant today's and this month's credits of the plan if they were not yet, and tell what there is now.

    Days and months are those of the workspace's own time zone.
    """
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
    missing = [one for one in due if one[1] and one[2] not in known]
    for kind, amount_credits, key, until in missing:
        grant(
            workspace_id=workspace_id,
            kind=kind,
            amount=amount_credits * MILLI,
            key=key,
            expires_at=_midnight(until, zone),
            now=now,
        )
    return balance(workspace_id=workspace_id) if missing else _balance(account)


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
def settle(*, line_id: int, cost: int, micro_units: int, now: datetime) -> None:
    """Settle a line on what was really used: never above what it holds, an overrun being the operator's.

    :param cost: of the units, in millicredits.
    :param micro_units: what was used, in millionths of the price's unit.
    :raises AlreadyResolvedError: the line was captured or released before.
    :raises ValueError: a figure is negative.
    """
    if cost < 0 or micro_units < 0:
        raise ValueError(f"Line {line_id} cannot cost {cost} millicredits for {micro_units} millionths of a unit.")
    line = HoldLine.objects.get(pk=line_id)
    overrun = max(cost - line.amount, 0)
    _resolve(line, captured=cost - overrun, overrun=overrun, micro_units=micro_units, now=now)
    if overrun:
        logger.error(
            "hold line %s cost %s credits more than it held, at the operator's charge: its price's maximum is too low",
            line_id,
            credits_text(overrun),
        )


@transaction.atomic
def release(*, line_id: int, now: datetime) -> None:
    """Give a line's credits back in full.

    :raises AlreadyResolvedError: the line was captured or released before.
    """
    _resolve(HoldLine.objects.get(pk=line_id), captured=0, now=now)


@transaction.atomic
def refund(*, line_id: int, key: str, now: datetime) -> int:
    """Give back what a captured line cost, as an entry ``refund:<key>``; returns millicredits.

    The same key again returns what it gave back and moves nothing. A line is refunded once, under whichever key:
    another key for it returns 0, as does a line that cost nothing.

    :param key: what it is refunded for, at most 150 characters.
    :raises NotSettledError: the line was neither captured nor released yet.
    :raises RefundKeyReusedError: the key stands for another line.
    """
    is_first = HoldLine.objects.filter(pk=line_id, captured__gt=F("refunded")).update(refunded=F("captured"))
    line = HoldLine.objects.select_related("hold").get(pk=line_id)
    if line.resolved_at is None:
        raise NotSettledError(f"Hold line {line_id} is not settled yet; release it instead of refunding it.")
    entry_key = f"refund:{key}"
    if first := Entry.objects.filter(account=line.hold.account_id, key=entry_key).first():
        if first.line_id != line_id:
            raise RefundKeyReusedError(f"The key {key!r} refunded another image. Take a key of this one's own.")
        return -first.spent
    if not is_first:
        return 0
    amount = line.captured
    Hold.objects.filter(pk=line.hold_id).update(refunded=F("refunded") + amount)
    budgets.move(line.hold, held=0, spent=-amount)
    _lock(line.hold.account_id)
    kill_point("in_refund")
    _give_back(line, _REFUNDED, key=entry_key, amount=amount, now=now)
    return amount


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


def _resolve(line: HoldLine, *, captured: int, now: datetime, overrun: int = 0, micro_units: int | None = None) -> None:
    released = line.amount - captured
    if not HoldLine.objects.filter(pk=line.pk, resolved_at__isnull=True).update(
        captured=captured, released=released, overrun=overrun, micro_units=micro_units, resolved_at=now
    ):
        raise AlreadyResolvedError(f"Hold line {line.pk} was settled before.")
    Hold.objects.filter(pk=line.hold_id).update(captured=F("captured") + captured, released=F("released") + released)
    # Asked of the lines, not of the amounts: lines that cost nothing have to be resolved too.
    if not HoldLine.objects.filter(hold=line.hold_id, resolved_at__isnull=True).exists():
        Hold.objects.filter(pk=line.hold_id).update(status=HoldStatus.CLOSED, closed_at=now)
    held = line.hold
    budgets.move(held, held=-line.amount, spent=captured)
    _lock(held.account_id)
    if captured:
        move = _Move(held=-captured, spent=captured)
        _write(held.account_id, EntryKind.CAPTURE, f"capture:{line.pk}", move, now, hold=held, line=line)
        _spend(held, captured)
    if released:
        _give_back(line, _RELEASED, key=f"release:{line.pk}", amount=released, now=now)


def _spend(held: Hold, amount: int) -> None:
    """Use up the allocation that expires first."""
    for allocation in _allocations(held):
        part = min(amount, allocation.amount - allocation.captured - allocation.released)
        if not part:
            continue
        HoldAllocation.objects.filter(pk=allocation.pk).update(captured=F("captured") + part)
        Grant.objects.filter(pk=allocation.grant_id).update(held=F("held") - part, spent=F("spent") + part)
        amount -= part
        if not amount:
            return


def _give_back(line: HoldLine, way: _WayBack, *, key: str, amount: int, now: datetime) -> None:
    """Return credits to the buckets that expire last; what finds its bucket expired becomes a bonus.

    The caller has locked line, hold, budget and account.
    """
    expired_part = 0
    wanted = amount
    for allocation in reversed(_allocations(line.hold)):
        left = {
            "held": allocation.amount - allocation.captured - allocation.released,
            "spent": allocation.captured - allocation.refunded,
        }
        part = min(wanted, left[way.source])
        if not part:
            continue
        HoldAllocation.objects.filter(pk=allocation.pk).update(**{way.counter: F(way.counter) + part})
        bucket = allocation.grant
        is_expired = bucket.expires_at is not None and bucket.expires_at <= now
        target = "expired" if is_expired else "available"
        Grant.objects.filter(pk=bucket.pk).update(**{way.source: F(way.source) - part, target: F(target) + part})
        expired_part += part if is_expired else 0
        wanted -= part
        if not wanted:
            break
    out_of = _Move(held=-amount) if way.source == "held" else _Move(spent=-amount)
    move = replace(out_of, available=amount - expired_part, expired=expired_part)
    account_id = line.hold.account_id
    _write(account_id, way.kind, key, move, now, hold=line.hold, line=line)
    if expired_part:
        grant(
            workspace_id=line.hold.account.workspace_id,
            kind=GrantKind.BONUS,
            amount=expired_part,
            key=f"{way.bonus}:{line.pk}",
            note="Came back after their own bucket had expired",
            line=line,
            expires_at=now + RETURNED_BONUS_LIFE,
            now=now,
        )


def _allocations(held: Hold) -> list[HoldAllocation]:
    """Soonest-expiring bucket first. The caller has the hold's row locked."""
    allocations = HoldAllocation.objects.filter(hold=held)
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
