"""Settling: what was held is captured or given back, line by line, each once; what was captured may be refunded."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import accumulate

from django.db import transaction
from django.db.models import F

from billing import budgets
from billing.amounts import credits_text
from billing.kill_points import kill_point
from billing.ledger.granting import grant
from billing.ledger.moves import Move, is_expired, lock, write
from billing.models import Account, Entry, EntryKind, Grant, GrantKind, Hold, HoldAllocation, HoldLine, HoldStatus

logger = logging.getLogger(__name__)

RETURNED_BONUS_LIFE = timedelta(days=30)


class AlreadyResolvedError(Exception):
    """A hold line was captured or released before; it is resolved once."""


class NotSettledError(Exception):
    """A hold line is still open: there is nothing to refund yet."""


class RefundKeyReusedError(Exception):
    """A refund's key was used before, for another hold line."""


@dataclass(frozen=True, kw_only=True)
class _WayBack:
    """How credits return to their buckets: as which entry, out of which figure, counted in which column."""

    kind: EntryKind
    source: str
    counter: str
    bonus: str


_RELEASED = _WayBack(kind=EntryKind.RELEASE, source="held", counter="released", bonus="returned")


_REFUNDED = _WayBack(kind=EntryKind.REFUND, source="spent", counter="refunded", bonus="refunded")


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
def release_all(*, line_ids: Sequence[int], now: datetime) -> None:
    """Give several lines of one hold back in full, in a few statements however many they are.

    :raises AlreadyResolvedError: one of them was captured or released before; nothing is written.
    """
    lines = list(HoldLine.objects.filter(pk__in=line_ids).order_by("pk"))
    holds = {line.hold_id for line in lines}
    if len(holds) > 1:
        raise ValueError(f"The lines belong to {len(holds)} holds. Release each hold's by themselves.")
    unresolved = HoldLine.objects.filter(pk__in=line_ids, resolved_at__isnull=True)
    if unresolved.update(released=F("amount"), resolved_at=now) != len(line_ids):
        raise AlreadyResolvedError("Some of these hold lines were settled before.")
    if not lines:
        return
    held = lines[0].hold
    _count_resolved(held, captured=0, released=sum(line.amount for line in lines), now=now)
    costly = [line for line in lines if line.amount]
    if any(is_expired(allocation.grant, now) for allocation in _allocations(held)):
        # What comes back too late becomes a bonus of its own for each.
        for line in costly:
            _give_back(line, _RELEASED, key=f"release:{line.pk}", amount=line.amount, now=now)
    elif costly:
        _return_together(held, costly, now)


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
    lock(line.hold.account_id)
    kill_point("in_refund")
    _give_back(line, _REFUNDED, key=entry_key, amount=amount, now=now)
    return amount


def _resolve(line: HoldLine, *, captured: int, now: datetime, overrun: int = 0, micro_units: int | None = None) -> None:
    released = line.amount - captured
    if not HoldLine.objects.filter(pk=line.pk, resolved_at__isnull=True).update(
        captured=captured, released=released, overrun=overrun, micro_units=micro_units, resolved_at=now
    ):
        raise AlreadyResolvedError(f"Hold line {line.pk} was settled before.")
    held = line.hold
    _count_resolved(held, captured=captured, released=released, now=now)
    if captured:
        move = Move(held=-captured, spent=captured)
        write(held.account_id, EntryKind.CAPTURE, f"capture:{line.pk}", move, now, hold=held, line=line)
        _spend(held, captured)
    if released:
        _give_back(line, _RELEASED, key=f"release:{line.pk}", amount=released, now=now)


def _count_resolved(held: Hold, *, captured: int, released: int, now: datetime) -> None:
    """Count what lines of a hold came to, and lock its account."""
    Hold.objects.filter(pk=held.pk).update(captured=F("captured") + captured, released=F("released") + released)
    # Asked of the lines, not of the amounts: lines that cost nothing have to be resolved too.
    if not HoldLine.objects.filter(hold=held, resolved_at__isnull=True).exists():
        Hold.objects.filter(pk=held.pk).update(status=HoldStatus.CLOSED, closed_at=now)
    budgets.move(held, held=-captured - released, spent=captured)
    lock(held.account_id)


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
    expired_part = _return_to_buckets(line.hold, way, amount, now)
    out_of = Move(held=-amount) if way.source == "held" else Move(spent=-amount)
    move = replace(out_of, available=amount - expired_part, expired=expired_part)
    account_id = line.hold.account_id
    write(account_id, way.kind, key, move, now, hold=line.hold, line=line)
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


def _return_together(held: Hold, lines: Sequence[HoldLine], now: datetime) -> None:
    """Return what lines hold to buckets of which none has expired, with an entry for each line."""
    total = sum(line.amount for line in lines)
    _return_to_buckets(held, _RELEASED, total, now)
    Account.objects.filter(pk=held.account_id).update(available=F("available") + total, held=F("held") - total)
    after = Account.objects.values_list("available", flat=True).get(pk=held.account_id)
    before = accumulate((line.amount for line in lines), initial=after - total)
    Entry.objects.bulk_create(
        Entry(
            account_id=held.account_id,
            kind=EntryKind.RELEASE,
            key=f"release:{line.pk}",
            available=line.amount,
            held=-line.amount,
            available_after=available + line.amount,
            created_at=now,
            hold=held,
            line=line,
        )
        for line, available in zip(lines, before, strict=False)
    )


def _return_to_buckets(held: Hold, way: _WayBack, amount: int, now: datetime) -> int:
    """Return credits to the buckets that expire last; how much of it found its bucket expired."""
    expired_part = 0
    wanted = amount
    for allocation in reversed(_allocations(held)):
        left = {
            "held": allocation.amount - allocation.captured - allocation.released,
            "spent": allocation.captured - allocation.refunded,
        }
        part = min(wanted, left[way.source])
        if not part:
            continue
        HoldAllocation.objects.filter(pk=allocation.pk).update(**{way.counter: F(way.counter) + part})
        is_late = is_expired(allocation.grant, now)
        target = "expired" if is_late else "available"
        bucket = Grant.objects.filter(pk=allocation.grant_id)
        bucket.update(**{way.source: F(way.source) - part, target: F(target) + part})
        expired_part += part if is_late else 0
        wanted -= part
        if not wanted:
            break
    return expired_part


def _allocations(held: Hold) -> list[HoldAllocation]:
    """Soonest-expiring bucket first. The caller has the hold's row locked."""
    allocations = HoldAllocation.objects.filter(hold=held)
    return list(allocations.select_related("grant").order_by(F("grant__expires_at").asc(nulls_last=True), "grant_id"))
