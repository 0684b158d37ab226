"""Settling: what was held is captured or given back, line by line, each once; what was captured may be refunded."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F

from billing import budgets
from billing.amounts import credits_text
from billing.kill_points import kill_point
from billing.ledger.granting import grant
from billing.ledger.moves import Move, is_expired, lock, write, write_lines
from billing.models import Entry, EntryKind, Grant, GrantKind, Hold, HoldAllocation, HoldLine, HoldStatus

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


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """What a line's image took: its cost in millicredits, and what was used in millionths of the price's unit."""

    line_id: int
    cost: int
    micro_units: int

    def __post_init__(self) -> None:
        if self.cost < 0 or self.micro_units < 0:
            raise ValueError(
                f"Line {self.line_id} cannot cost {self.cost} millicredits for {self.micro_units} millionths of a unit."
            )


@dataclass(frozen=True, kw_only=True)
class _Resolution:
    """What becomes of a line; what is not captured is given back."""

    line: HoldLine
    captured: int = 0
    overrun: int = 0
    micro_units: int | None = None

    @property
    def released(self) -> int:
        return self.line.amount - self.captured


@transaction.atomic
def capture(*, line_id: int, amount: int, now: datetime) -> None:
    """Settle a line: spend ``amount`` of it and give the rest back.

    :raises AlreadyResolvedError: the line was captured or released before.
    :raises ValueError: amount is negative or above what the line holds.
    """
    [line] = _lines([line_id])
    if not 0 <= amount <= line.amount:
        raise ValueError(f"Line {line_id} holds {line.amount} millicredits; {amount} cannot be captured.")
    _resolve([_Resolution(line=line, captured=amount)], now)


@transaction.atomic
def settle(*, settlements: Sequence[Settlement], now: datetime) -> None:
    """Settle lines of one hold on what was really used: never above what each holds, an overrun being the operator's.

    :raises AlreadyResolvedError: one of them was captured or released before; nothing is written.
    """
    taken = {each.line_id: each for each in settlements}
    resolutions = [_settled(line, taken[line.pk]) for line in _lines([each.line_id for each in settlements])]
    _resolve(resolutions, now)
    for each in resolutions:
        if each.overrun:
            logger.error(
                "hold line %s cost %s credits more than it held, at the operator's charge: its price's maximum is too "
                "low",
                each.line.pk,
                credits_text(each.overrun),
            )


@transaction.atomic
def release(*, line_ids: Sequence[int], now: datetime) -> None:
    """Give lines of one hold back in full.

    :raises AlreadyResolvedError: one of them was captured or released before; nothing is written.
    """
    _resolve([_Resolution(line=line) for line in _lines(line_ids)], now)


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


def _lines(line_ids: Sequence[int]) -> list[HoldLine]:
    lines = list(HoldLine.objects.filter(pk__in=line_ids).select_related("hold").order_by("pk"))
    if len(lines) != len(line_ids):
        raise ValueError(f"Of the hold lines {list(line_ids)}, some are not there or named twice. Name each once.")
    return lines


def _settled(line: HoldLine, taken: Settlement) -> _Resolution:
    captured = min(taken.cost, line.amount)
    return _Resolution(line=line, captured=captured, overrun=taken.cost - captured, micro_units=taken.micro_units)


def _resolve(resolutions: Sequence[_Resolution], now: datetime) -> None:
    """Resolve lines of one hold, in a few statements however many they are."""
    holds = {each.line.hold_id for each in resolutions}
    if len(holds) > 1:
        raise ValueError(f"The lines belong to {len(holds)} holds. Settle each hold's by themselves.")
    if not resolutions:
        return
    _mark(resolutions, now)
    held = resolutions[0].line.hold
    captured, released = (sum(getattr(each, name) for each in resolutions) for name in ("captured", "released"))
    _count_resolved(held, captured=captured, released=released, now=now)
    if captured:
        spent = {each.line: Move(held=-each.captured, spent=each.captured) for each in resolutions if each.captured}
        write_lines(held, EntryKind.CAPTURE, spent, now)
        _spend(held, captured)
    if released:
        _release(held, [each for each in resolutions if each.released], now)


def _mark(resolutions: Sequence[_Resolution], now: datetime) -> None:
    """Write down what became of each line: once, whoever else is at it."""
    # Images of one batch took the same, as a rule: one statement for all that did.
    alike: dict[tuple[int, ...], list[int]] = {}
    figures = {}
    for each in resolutions:
        figure = {"captured": each.captured, "released": each.released, "overrun": each.overrun}
        key = (*figure.values(), -1 if each.micro_units is None else each.micro_units)
        figures[key] = {**figure, "micro_units": each.micro_units}
        alike.setdefault(key, []).append(each.line.pk)
    for key, ids in alike.items():
        unresolved = HoldLine.objects.filter(pk__in=ids, resolved_at__isnull=True)
        if unresolved.update(**figures[key], resolved_at=now) != len(ids):
            raise AlreadyResolvedError(f"Of the hold lines {ids}, one was settled before.")


def _release(held: Hold, resolutions: Sequence[_Resolution], now: datetime) -> None:
    """Give back what lines did not capture."""
    if any(is_expired(allocation.grant, now) for allocation in _allocations(held)):
        # What comes back too late becomes a bonus of its own for each.
        for each in resolutions:
            _give_back(each.line, _RELEASED, key=f"release:{each.line.pk}", amount=each.released, now=now)
        return
    _return_to_buckets(held, _RELEASED, sum(each.released for each in resolutions), now)
    returned = {each.line: Move(held=-each.released, available=each.released) for each in resolutions}
    write_lines(held, EntryKind.RELEASE, returned, now)


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
