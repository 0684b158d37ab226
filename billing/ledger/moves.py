"""What every move of credits comes down to: the account's balances, an entry that says why, who waits for whom.

Rows are locked in one order everywhere: line and hold, budget, account, buckets.
"""

from dataclasses import dataclass
from datetime import datetime

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
    Account.objects.filter(pk=account_id).update(
        granted=F("granted") + move.granted,
        available=F("available") + move.available,
        held=F("held") + move.held,
        spent=F("spent") + move.spent,
        expired=F("expired") + move.expired,
    )
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
        granted=move.granted,
        available=move.available,
        held=move.held,
        spent=move.spent,
        expired=move.expired,
        available_after=Account.objects.values_list("available", flat=True).get(pk=account_id),
        created_at=now,
        **links,
    )


def is_expired(bucket: Grant, now: datetime) -> bool:
    return bucket.expires_at is not None and bucket.expires_at <= now
