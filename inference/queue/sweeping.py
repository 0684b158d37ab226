"""What nobody else would notice: dead workers, passed deadlines, clocks that jumped, counters that went wrong.

Called by the sweeper, and by a supervisor that knows of a worker's death. Knows no processes and no messages.
"""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count, F, Q, QuerySet

from inference.models import UNFINISHED, Generation, Render, RenderStatus, Worker
from inference.queue import ends
from inference.queue.nudges import nudge_on_commit
from inference.queue.working import LEASE, MAX_ATTEMPTS, MAX_BACKOFF

logger = logging.getLogger(__name__)

# What a clock may be off without anybody minding.
CLOCK_SLACK = timedelta(seconds=10)
# A worker with nothing to do is not heard of; one that died somewhere else never is again.
SILENT_AFTER = timedelta(hours=1)
ENDS = (RenderStatus.SUCCEEDED, RenderStatus.FAILED, RenderStatus.CANCELED, RenderStatus.EXPIRED)


def reap(*, now: datetime) -> int:
    """Take back renders whose worker stopped renewing its lease; returns how many.

    Not what is past its deadline: that expires, and must not wait or fail as if its worker had died.
    """
    in_time = Q(generation__deadline_at__isnull=True) | Q(generation__deadline_at__gt=now)
    return _take_back(in_time & Q(lease_expires_at__lte=now), now)


def rein_in(*, now: datetime) -> None:
    """Shorten the pauses and leases that are longer than any: the clock was ahead when they were made, and went back.

    Until then the renders would wait, and a dead worker's be missed, for as long as the clock was wrong.
    """
    too_late = Render.objects.filter(status=RenderStatus.QUEUED, not_before__gt=now + MAX_BACKOFF + CLOCK_SLACK)
    _set(too_late, not_before=now)
    too_long = Render.objects.filter(status=RenderStatus.RUNNING, lease_expires_at__gt=now + LEASE + CLOCK_SLACK)
    _set(too_long, lease_expires_at=now + LEASE)


def lend_anew(*, now: datetime) -> None:
    """Begin every lease again: the clock jumped ahead, so that leases ran out in which no time has passed."""
    _set(Render.objects.filter(status=RenderStatus.RUNNING), lease_expires_at=now + LEASE)


@transaction.atomic
def _set(renders: QuerySet[Render], **moment: datetime) -> None:
    # Locked by id first: one UPDATE of many locks them in whichever order it finds them, and heartbeats lock several.
    locked = renders.select_for_update(of=("self",)).order_by("pk")
    Render.objects.filter(pk__in=list(locked.values_list("pk", flat=True))).update(**moment)


def bury(*, host: str, is_alive: Callable[[int], bool], now: datetime) -> int:
    """Take back at once what the dead workers of this host had claimed; returns how many renders.

    A supervisor knows that its worker died long before the lease runs out. Should it be wrong, the fence forgives.
    """
    dead = [w.pk for w in Worker.objects.filter(host=host, ended_at__isnull=True) if not is_alive(w.pid)]
    Worker.objects.filter(pk__in=dead).update(ended_at=now)
    return _take_back(Q(batch__worker_id__in=dead), now) if dead else 0


def end_silent_workers(*, now: datetime) -> int:
    """Note that workers ended which nobody has heard of for an hour; returns how many.

    One that was only idle is there again with its next claim.
    """
    at_work = Render.objects.filter(status=RenderStatus.RUNNING, batch__isnull=False).values("batch__worker")
    silent = Worker.objects.filter(ended_at__isnull=True, seen_at__lte=now - SILENT_AFTER)
    return silent.exclude(pk__in=at_work).update(ended_at=now)


def expire(*, now: datetime) -> int:
    """End renders past their generation's deadline, queued or running, uncharged; returns how many."""
    late = Render.objects.filter(status__in=UNFINISHED, generation__deadline_at__lte=now)
    generations = late.order_by("generation").values_list("generation", flat=True).distinct()
    reason = "The deadline passed before the image was there. Nothing was charged."
    # One generation after another: with the account locked, the next one's budget would be locked out of order.
    return sum(
        ends.end_all(
            Render.objects.filter(generation_id=pk, status__in=UNFINISHED),
            RenderStatus.EXPIRED,
            code="deadline",
            reason=reason,
            now=now,
        )
        for pk in list(generations)
    )


def reconcile() -> int:
    """Put right, and log as an error, the counters of unfinished generations that differ from their renders.

    Nothing is known to make them differ; should something, progress would be wrong for ever. Returns how many.
    """
    unfinished = Render.objects.filter(status__in=UNFINISHED).values("generation")
    ended = F("succeeded") + F("failed") + F("canceled") + F("expired")
    suspects = Generation.objects.filter(Q(total__gt=ended) | Q(pk__in=unfinished))
    return sum(_put_right(pk) for pk in _miscounted(suspects))


def _miscounted(generations: QuerySet[Generation]) -> list[int]:
    # One statement, so that what settles meanwhile is seen as a whole or not at all.
    counted = generations.annotate(**_counts()).order_by("pk")
    return list(counted.exclude(**{status.value: F(f"n_{status}") for status in ENDS}).values_list("pk", flat=True))


def _counts() -> dict[str, Count]:
    return {f"n_{status}": Count("renders", filter=Q(renders__status=status)) for status in ENDS}


@transaction.atomic
def _put_right(pk: int) -> bool:
    # Whoever ends a render holds the generation's row from the count on: what is read below is whole.
    Generation.objects.select_for_update(of=("self",)).get(pk=pk)
    row: dict[str, Any] = dict(Generation.objects.annotate(**_counts()).values().get(pk=pk))
    told = {status.value: row[status.value] for status in ENDS}
    found = {status.value: row[f"n_{status}"] for status in ENDS}
    if told == found:
        return False
    Generation.objects.filter(pk=pk).update(**found)
    logger.error("generation %s counted %s, its renders are %s: put right", pk, told, found)
    return True


def _take_back(which: Q, now: datetime) -> int:
    ids: Iterable[int] = (
        Render.objects.filter(which, status=RenderStatus.RUNNING).order_by("pk").values_list("pk", flat=True)
    )
    return sum(_take_back_one(pk, which, now) for pk in list(ids))


@transaction.atomic
def _take_back_one(pk: int, which: Q, now: datetime) -> bool:
    row = Render.objects.select_for_update(of=("self",)).filter(which, pk=pk, status=RenderStatus.RUNNING).first()
    if row is None:
        return False
    Render.objects.filter(pk=pk).update(fence=F("fence") + 1)
    reason = "The worker stopped in the middle of it. Nothing was charged."
    if row.attempts >= MAX_ATTEMPTS:
        ends.end(row, RenderStatus.FAILED, code="worker_died", reason=reason, now=now)
    else:
        ends.requeue(row, not_before=None, code="worker_died", reason=reason, alone=True)
        nudge_on_commit(row.queue)
    return True
