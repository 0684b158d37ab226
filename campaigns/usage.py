"""Who spent credits on what: a period's charges by campaign, member, checkpoint and day. Only reads."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Count, Q, Sum
from django.db.models.functions import TruncDate

from inference.models import Render

CHARGE, REFUND = "capture", "refund"


@dataclass(frozen=True, kw_only=True)
class Share:
    """One campaign's, member's, checkpoint's or day's part. ``spent`` in millicredits, refunds taken off.

    ``images`` were charged in the period; ``approved`` of these are approved today. ``id`` is None where there is
    nothing to link to.
    """

    id: int | None
    name: str
    spent: int
    images: int
    approved: int

    @property
    def per_approved(self) -> int | None:
        """Millicredits for each approved image, rejected ones paid for by the approved; None while none is."""
        return round(self.spent / self.approved) if self.approved else None


@dataclass(frozen=True, kw_only=True)
class Usage:
    """A period's charges, each list holding all of them; days oldest first, the others costliest first."""

    total: Share
    by_campaign: list[Share]
    by_member: list[Share]
    by_checkpoint: list[Share]
    by_day: list[tuple[date, Share]]


def usage(*, workspace_id: int, since: datetime, until: datetime, zone: ZoneInfo) -> Usage:
    """What was charged from ``since`` up to ``until``; days are the zone's. One query, whatever the period."""
    rows = _rows(workspace_id, since, until, zone)
    return Usage(
        total=_sum(rows, id=None, name="All"),
        by_campaign=_costliest(rows, _campaign),
        by_member=_costliest(rows, _member),
        by_checkpoint=_costliest(rows, lambda row: (None, row["checkpoint"])),
        by_day=[
            (day, _sum(each, id=None, name=f"{day:%a} {day.day} {day:%b %Y}"))
            for day, each in sorted(_groups(rows, _day).items())
        ],
    )


def _rows(workspace_id: int, since: datetime, until: datetime, zone: ZoneInfo) -> list[dict[str, Any]]:
    charges = Render.objects.filter(
        hold_line__entries__account__workspace_id=workspace_id,
        hold_line__entries__kind__in=(CHARGE, REFUND),
        hold_line__entries__created_at__gte=since,
        hold_line__entries__created_at__lt=until,
    )
    is_charge = Q(hold_line__entries__kind=CHARGE)
    grouped = (
        charges.values(
            *("checkpoint", "generation__launch__campaign", "generation__launch__campaign__name"),
            *("generation__created_by", "generation__created_by__first_name", "generation__created_by__last_name"),
            "generation__created_by__email",
            day=TruncDate("hold_line__entries__created_at", tzinfo=zone),
        )
        .annotate(
            spent=Sum("hold_line__entries__spent"),
            images=Count("pk", filter=is_charge),
            approved=Count("pk", filter=is_charge & Q(asset__review__status="approved")),
        )
        .order_by()
    )
    return [dict(row) for row in grouped]


def _campaign(row: Mapping[str, Any]) -> tuple[int | None, str]:
    return row["generation__launch__campaign"], row["generation__launch__campaign__name"] or "Image Studio"


def _member(row: Mapping[str, Any]) -> tuple[int | None, str]:
    names = (row["generation__created_by__first_name"], row["generation__created_by__last_name"])
    name = " ".join(part for part in names if part) or row["generation__created_by__email"]
    return row["generation__created_by"], name or "Command line"


def _day(row: Mapping[str, Any]) -> date:
    day: date = row["day"]
    return day


def _groups(rows: list[dict[str, Any]], key: Callable[[Mapping[str, Any]], Any]) -> dict[Any, list[dict[str, Any]]]:
    groups: dict[Any, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def _costliest(rows: list[dict[str, Any]], key: Callable[[Mapping[str, Any]], tuple[int | None, str]]) -> list[Share]:
    shares = [_sum(each, id=pk, name=name) for (pk, name), each in _groups(rows, key).items()]
    return sorted(shares, key=lambda share: (-share.spent, share.name))


def _sum(rows: list[dict[str, Any]], *, id: int | None, name: str) -> Share:
    spent, images, approved = (sum(row[field] for row in rows) for field in ("spent", "images", "approved"))
    return Share(id=id, name=name, spent=spent, images=images, approved=approved)
