"""How a render ends or waits again: the transitions that working, stopping and sweeping have in common.

Each is to be called inside a transaction, with the render's row locked where it is given.
"""

import time
from datetime import datetime

from django.db import transaction
from django.db.models import F, QuerySet

from billing import ledger
from billing.kill_points import kill_point
from inference.models import Generation, Render, RenderStatus

# Renders ended in one transaction: workers who settle their own wait for no more than that.
SLICE = 200
# Between two slices. SQLite lets whoever asks at the right moment write next, and who waits asks every 100 ms: without
# a pause the slices would follow so closely that workers waited for all of them.
PAUSE_S = 0.12


def requeue(row: Render, *, not_before: datetime | None, code: str, reason: str, alone: bool) -> None:
    """Let a running render wait for another attempt."""
    Render.objects.filter(pk=row.pk).update(
        status=RenderStatus.QUEUED,
        lease_expires_at=None,
        not_before=not_before,
        must_run_alone=row.must_run_alone or alone,
        failure_code=code,
        failure_reason=reason,
    )


def end(row: Render, status: RenderStatus, *, code: str, reason: str, now: datetime) -> None:
    """End a render without an image, and give its credits back."""
    Render.objects.filter(pk=row.pk).update(
        status=status, lease_expires_at=None, finished_at=now, failure_code=code, failure_reason=reason
    )
    count(row.generation_id, status, 1)
    ledger.release(line_ids=[row.hold_line_id], now=now)


def end_all(renders: QuerySet[Render], status: RenderStatus, *, code: str, reason: str, now: datetime) -> int:
    """End renders of one generation slice by slice, each a transaction of its own; returns how many.

    :param renders: those that are to end; a render that ended must not be among them any more.
    """
    ended = 0
    # Asked anew each time: what others ended while the slice waited for their locks leaves it shorter, even empty.
    while renders.exists():
        if ended:
            time.sleep(PAUSE_S)
        ended += _end_slice(renders, status, code=code, reason=reason, now=now)
    return ended


@transaction.atomic
def _end_slice(renders: QuerySet[Render], status: RenderStatus, *, code: str, reason: str, now: datetime) -> int:
    rows = list(renders.select_for_update(of=("self",)).order_by("pk")[:SLICE])
    if not rows:
        return 0
    # The fence moves on, so that a worker in the middle of one of them can no longer settle it.
    Render.objects.filter(pk__in=[row.pk for row in rows]).update(
        status=status,
        fence=F("fence") + 1,
        lease_expires_at=None,
        finished_at=now,
        failure_code=code,
        failure_reason=reason,
    )
    count(rows[0].generation_id, status, len(rows))
    if status == RenderStatus.CANCELED:
        kill_point("in_cancel")
    ledger.release(line_ids=[row.hold_line_id for row in rows], now=now)
    return len(rows)


def count(generation_id: int, status: RenderStatus, number: int) -> None:
    """Add to a generation's counter of an end."""
    Generation.objects.filter(pk=generation_id).update(**{status.value: F(status.value) + number})
