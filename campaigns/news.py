"""What happened to launches and clicks that a workspace's members should hear of. Only reads; knows no member."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import F, Q, QuerySet

from inference.failures import Reason, reasons_of
from inference.models import Generation


@dataclass(frozen=True, kw_only=True)
class FinishedLaunch:
    """A launch whose last image reached its end, or a click in the Studio of which something failed."""

    at: datetime
    generation_id: int
    campaign_id: int | None
    campaign: str
    number: int | None
    images: int
    succeeded: int
    failed: int
    canceled: int
    expired: int
    reasons: tuple[Reason, ...]


def happened(*, workspace_id: int, before: datetime | None = None, limit: int) -> list[FinishedLaunch]:
    """What finished last, newest first.

    :param before: only what finished before this moment.
    """
    finished = _worth_telling(workspace_id)
    if before is not None:
        finished = finished.filter(hold__closed_at__lt=before)
    rows = list(
        finished.order_by("-hold__closed_at", "-pk").values(
            *("pk", "total", "succeeded", "failed", "canceled", "expired"),
            *("launch__campaign", "launch__campaign__name", "launch__number"),
            at=F("hold__closed_at"),
        )[:limit]
    )
    reasons = reasons_of([row["pk"] for row in rows if row["failed"]])
    return [
        FinishedLaunch(
            at=row["at"],
            generation_id=row["pk"],
            campaign_id=row["launch__campaign"],
            campaign=row["launch__campaign__name"] or "",
            number=row["launch__number"],
            images=row["total"],
            **{name: row[name] for name in ("succeeded", "failed", "canceled", "expired")},
            reasons=reasons.get(row["pk"], ()),
        )
        for row in rows
    ]


def since(*, workspace_id: int, moment: datetime) -> QuerySet[Generation]:
    """What finished after a moment and is worth telling, to be counted."""
    return _worth_telling(workspace_id).filter(hold__closed_at__gt=moment)


def _worth_telling(workspace_id: int) -> QuerySet[Generation]:
    # Who clicks in the Studio watches: only what went wrong there is news.
    return Generation.objects.filter(
        Q(launch__isnull=False) | Q(failed__gt=0),
        workspace_id=workspace_id,
        hold__account__workspace_id=workspace_id,
        hold__closed_at__isnull=False,
    )
