"""Credits that come and go by the calendar: accounts, grants, a plan's daily and monthly credits, expiry."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import F

from billing.amounts import MILLI, credits_text
from billing.ledger.moves import Move, lock, write
from billing.models import Account, EntryKind, Grant, GrantKind, Hold, HoldLine
from billing.plans import PLANS


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
        write(account.pk, EntryKind.GRANT, f"grant:{key}", Move(granted=amount, available=amount), now, **links)
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


def expire(*, now: datetime) -> int:
    """Let the unused part of every bucket past its date expire; returns how many buckets."""
    due = Grant.objects.filter(expires_at__lte=now, available__gt=0).values_list("pk", "account_id").order_by("pk")
    return sum(_expire_bucket(grant_id, account_id, now) for grant_id, account_id in list(due))


@transaction.atomic
def _expire_bucket(grant_id: int, account_id: int, now: datetime) -> bool:
    lock(account_id)
    bucket = Grant.objects.select_for_update().get(pk=grant_id)
    if not bucket.available:
        return False
    rest = bucket.available
    Grant.objects.filter(pk=grant_id).update(available=0, expired=F("expired") + rest)
    key = f"expire:{grant_id}:{bucket.expired}"
    write(account_id, EntryKind.EXPIRE, key, Move(available=-rest, expired=rest), now, grant=bucket)
    return True


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone)
