"""What a workspace reads of its credits: buckets, the statement, a hold's lines, what was spent by day.

Only reads. Which image a line paid for, and which campaign a hold was for, is known to the packages above.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from django.db.models import Count, F, Min, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import TruncDate

from billing.models import Account, Entry, EntryKind, Grant, Hold, HoldLine
from billing.plans import PLANS, Plan

PAGE = 40
LINES_PAGE = 100
EXPORT_CHUNK = 500
EVERY_KIND = tuple(EntryKind.values)
# A launch of 2,000 images is one row: what became of each image is told by its hold's lines.
SUMMARY = Q(kind__in=(EntryKind.HOLD, EntryKind.REFUND, EntryKind.EXPIRE)) | Q(kind=EntryKind.GRANT, line__isnull=True)
BUCKETS_SHOWN = 50


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """Credits of one kind that expire on one day, as far as they are left, in millicredits."""

    kind: str
    note: str
    available: int
    held: int
    expires_at: datetime | None

    @property
    def is_for_standard_only(self) -> bool:
        """Whether it pays for checkpoints of the tier "standard" only."""
        return self.kind in ("daily", "bonus")


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """What became of a hold until now, in millicredits.

    ``used_less`` is what came back of charged images because they took less than they could have; ``overrun`` what
    they cost above the hold, at the operator's charge. Both only of a hold that is looked at by itself.
    """

    images: int
    settled: int
    amount: int
    captured: int
    released: int
    refunded: int
    closed_at: datetime | None
    used_less: int = 0
    overrun: int = 0

    @property
    def held(self) -> int:
        """What is still set aside."""
        return self.amount - self.captured - self.released


@dataclass(frozen=True, kw_only=True)
class Row:
    """One entry of the statement. The figures are what it added to each balance, in millicredits."""

    id: int
    kind: str
    available: int
    held: int
    spent: int
    expired: int
    available_after: int
    created_at: datetime
    hold_id: int | None
    line_id: int | None
    grant_kind: str
    grant_note: str
    grant_expires_at: datetime | None
    settlement: Settlement | None = None

    @property
    def amount(self) -> int:
        """The figure that the entry is about: what was charged for a capture, else the change of what is available."""
        return -self.spent if self.kind == EntryKind.CAPTURE else self.available


@dataclass(frozen=True, kw_only=True)
class Page:
    """Rows newest first; ``next`` is what to pass as ``before`` for those after them, None at the end."""

    rows: tuple[Row, ...]
    next: int | None


@dataclass(frozen=True, kw_only=True)
class Line:
    """One image's part of a hold, in millicredits. Unsettled while ``resolved_at`` is None.

    ``micro_units`` is what the image really took, in millionths of its price's unit; None where nobody counted.
    """

    id: int
    position: int
    amount: int
    captured: int
    released: int
    refunded: int
    overrun: int
    micro_units: int | None
    resolved_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class LinePage:
    """Lines by position; ``next`` is what to pass as ``after`` for those after them, None at the end."""

    lines: tuple[Line, ...]
    next: int | None


@dataclass(frozen=True, kw_only=True)
class DaySpent:
    """What a day's images cost, refunds of the day taken off, in millicredits."""

    day: date
    spent: int


def plan(*, workspace_id: int) -> Plan:
    """The plan that the workspace is on."""
    return PLANS[Account.objects.values_list("plan", flat=True).get(workspace_id=workspace_id)]


def buckets(*, workspace_id: int, zone: ZoneInfo) -> list[Bucket]:
    """What is left, in the order in which it is spent; grants of one kind, note and day of expiry stand together.

    At most 50: a bucket for each image that came back late would be thousands.
    """
    left = Grant.objects.filter(Q(available__gt=0) | Q(held__gt=0), account__workspace_id=workspace_id)
    rows = (
        left.values("kind", "note", day=TruncDate("expires_at", tzinfo=zone))
        .annotate(sum_available=Sum("available"), sum_held=Sum("held"), first=Min("expires_at"), oldest=Min("pk"))
        .order_by(F("first").asc(nulls_last=True), "oldest")
    )
    return [
        Bucket(
            kind=row["kind"],
            note=row["note"],
            available=row["sum_available"],
            held=row["sum_held"],
            expires_at=row["first"],
        )
        for row in rows[:BUCKETS_SHOWN]
    ]


def page(
    *,
    workspace_id: int,
    kinds: Collection[str] | None = None,
    hold_ids: Collection[int] | None = None,
    before: int | None = None,
    limit: int = PAGE,
) -> Page:
    """A page of the statement, newest first.

    :param kinds: the kinds of entries to show; None for launches, grants, refunds and expiries, without an entry for
        each image.
    :param hold_ids: only what moved for these holds; None for everything.
    :param before: the ``next`` of the page before this one.
    """
    found = _rows(_entries(workspace_id, kinds, hold_ids), before=before, limit=limit + 1)
    rows = found[:limit]
    settlements = _settlements([row.hold_id for row in rows if row.kind == EntryKind.HOLD and row.hold_id])
    told = tuple(_with_settlement(row, settlements) for row in rows)
    return Page(rows=told, next=rows[-1].id if len(found) > limit else None)


def export(
    *, workspace_id: int, kinds: Collection[str], hold_ids: Collection[int] | None = None
) -> Iterator[Sequence[Row]]:
    """The whole statement, newest first, in chunks, so that a long one is never in memory at once."""
    entries = _entries(workspace_id, kinds, hold_ids)
    before: int | None = None
    while rows := _rows(entries, before=before, limit=EXPORT_CHUNK):
        yield rows
        before = rows[-1].id


def settlement(*, workspace_id: int, hold_id: int) -> Settlement | None:
    """What became of one hold; None if the workspace has no such hold."""
    if not Hold.objects.filter(pk=hold_id, account__workspace_id=workspace_id).exists():
        return None
    charged = HoldLine.objects.filter(hold=hold_id, captured__gt=0)
    sums = charged.aggregate(used_less=Sum("released", default=0), overrun=Sum("overrun", default=0))
    return replace(_settlements([hold_id])[hold_id], **sums)


def lines(*, workspace_id: int, hold_id: int, after: int = 0, limit: int = LINES_PAGE) -> LinePage:
    """A hold's lines, by position.

    :param after: the ``next`` of the page before this one.
    """
    own = HoldLine.objects.filter(hold_id=hold_id, hold__account__workspace_id=workspace_id, position__gt=after)
    fields = ("id", "position", "amount", "captured", "released", "refunded", "overrun", "micro_units", "resolved_at")
    found = [Line(**row) for row in own.order_by("position").values(*fields)[: limit + 1]]
    return LinePage(lines=tuple(found[:limit]), next=found[limit - 1].position if len(found) > limit else None)


def spent_by_day(*, workspace_id: int, since: datetime, until: datetime, zone: ZoneInfo) -> list[DaySpent]:
    """What was spent on each day on which something was, oldest first; days are the zone's."""
    spent = Entry.objects.filter(
        account__workspace_id=workspace_id,
        kind__in=(EntryKind.CAPTURE, EntryKind.REFUND),
        created_at__gte=since,
        created_at__lt=until,
    )
    days = spent.values(day=TruncDate("created_at", tzinfo=zone)).annotate(sum_spent=Sum("spent")).order_by("day")
    return [DaySpent(day=row["day"], spent=row["sum_spent"]) for row in days]


def _entries(workspace_id: int, kinds: Collection[str] | None, hold_ids: Collection[int] | None) -> QuerySet[Entry]:
    entries = Entry.objects.filter(account__workspace_id=workspace_id)
    if kinds is None:
        entries = entries.filter(SUMMARY)
    elif set(kinds) != set(EVERY_KIND):
        entries = entries.filter(kind__in=kinds)
    return entries if hold_ids is None else entries.filter(hold_id__in=hold_ids)


def _rows(entries: QuerySet[Entry], *, before: int | None, limit: int) -> list[Row]:
    if before is not None:
        entries = entries.filter(pk__lt=before)
    rows = entries.order_by("-pk").values(
        *("id", "kind", "available", "held", "spent", "expired", "available_after", "created_at", "hold_id", "line_id"),
        *("grant__kind", "grant__note", "grant__expires_at"),
    )
    return [
        Row(
            **{name: value for name, value in row.items() if not name.startswith("grant__")},
            grant_kind=row["grant__kind"] or "",
            grant_note=row["grant__note"] or "",
            grant_expires_at=row["grant__expires_at"],
        )
        for row in rows[:limit]
    ]


def _settlements(hold_ids: Sequence[int]) -> dict[int, Settlement]:
    # Positions run from 1 to n, so the last one is the number of lines, without counting them.
    last = HoldLine.objects.filter(hold=OuterRef("pk")).order_by("-position").values("position")[:1]
    holds = Hold.objects.filter(pk__in=hold_ids).annotate(images=Subquery(last))
    fields = ("pk", "images", "amount", "captured", "released", "refunded", "closed_at")
    rows = list(holds.values(*fields))
    still_open = [row["pk"] for row in rows if row["closed_at"] is None]
    settled = _settled(still_open)
    return {
        row["pk"]: Settlement(
            **{name: value for name, value in row.items() if name != "pk"},
            settled=settled.get(row["pk"], 0) if row["closed_at"] is None else row["images"],
        )
        for row in rows
    }


def _settled(hold_ids: Sequence[int]) -> dict[int, int]:
    if not hold_ids:
        return {}
    resolved = HoldLine.objects.filter(hold__in=hold_ids, resolved_at__isnull=False)
    return dict(resolved.values_list("hold").annotate(Count("pk")))


def _with_settlement(row: Row, settlements: dict[int, Settlement]) -> Row:
    if row.kind != EntryKind.HOLD or row.hold_id is None:
        return row
    return replace(row, settlement=settlements[row.hold_id])
