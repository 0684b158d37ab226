"""What every move of credits comes down to: the account's balances, an entry that says why, who waits for whom.

Rows are locked in one order everywhere: line and hold, budget, account, buckets.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from itertools import accumulate

from django.db.models import F

from billing.models import Account, Entry, EntryKind, Grant, Hold, HoldLine


@dataclass(frozen=True, kw_only=True)
class Move:
    """What an entry adds to the account, in millicredits."""

    granted: int = 0
    available: int = 0
    held: int = 0
    spent: int = 0
    expired: int = 0


MOVED = tuple(field.name for field in fields(Move))


def lock(account_id: int) -> None:
    """Whoever moves credits between buckets waits here for whoever does already; new rows may still refer to it."""
    Account.objects.select_for_update(no_key=True).get(pk=account_id)


def write(
    account_id: int,
    kind: EntryKind,
    key: str,
    move: Move,
    now: datetime,
    **links: Grant | Hold | HoldLine,
) -> None:
    """Move the account's balances and record why."""
    Account.objects.filter(pk=account_id).update(**{name: F(name) + getattr(move, name) for name in MOVED})
    record(account_id, kind, key, move, now, **links)


def record(
    account_id: int,
    kind: EntryKind,
    key: str,
    move: Move,
    now: datetime,
    **links: Grant | Hold | HoldLine,
) -> None:
    Entry.objects.create(
        account_id=account_id,
        kind=kind,
        key=key,
        **asdict(move),
        available_after=Account.objects.values_list("available", flat=True).get(pk=account_id),
        created_at=now,
        **links,
    )


def write_lines(held: Hold, kind: EntryKind, moves: Mapping[HoldLine, Move], now: datetime) -> None:
    """Move the balances by what lines of a hold come to, with an entry ``kind:line`` for each, in their order."""
    total = {name: sum(getattr(move, name) for move in moves.values()) for name in MOVED}
    Account.objects.filter(pk=held.account_id).update(**{name: F(name) + amount for name, amount in total.items()})
    after = Account.objects.values_list("available", flat=True).get(pk=held.account_id)
    before = accumulate((move.available for move in moves.values()), initial=after - total["available"])
    Entry.objects.bulk_create(
        Entry(
            account_id=held.account_id,
            kind=kind,
            key=f"{kind}:{line.pk}",
            **asdict(move),
            available_after=available + move.available,
            created_at=now,
            hold=held,
            line=line,
        )
        for (line, move), available in zip(moves.items(), before, strict=False)
    )


def is_expired(bucket: Grant, now: datetime) -> bool:
    return bucket.expires_at is not None and bucket.expires_at <= now
