"""The queue in figures, all workspaces together: what waits, runs and ended, how long it took. Only reads.

Every answer is as long as there are queues, checkpoints and failure codes, and takes a fixed number of queries.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import Count, Min, Sum

from inference.models import IS_PAUSED, Batch, Generation, Render, RenderStatus

# The latest batches tell how it goes now, and are read quickly however many there were.
RECENT_BATCHES = 200
QUANTILES = (0.5, 0.95)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How many renders of a checkpoint stand where in one queue; ``oldest`` is when the first that waits was asked."""

    queue: str
    checkpoint: str
    waiting: int
    paused: int
    running: int
    oldest: datetime | None


@dataclass(frozen=True, kw_only=True)
class Quantiles:
    """Seconds that half of them took at most (p50), and that 95 of a hundred did (p95)."""

    p50: float
    p95: float


def standing() -> list[Standing]:
    """What waits, is paused and runs, by queue and checkpoint; two queries."""
    # One query for each status: each is answered from that status's own small index.
    queued = Render.objects.filter(status=RenderStatus.QUEUED).values_list("queue", "checkpoint").order_by()
    counted = queued.annotate(
        waiting=Count("pk", filter=~IS_PAUSED),
        paused=Count("pk", filter=IS_PAUSED),
        oldest=Min("created_at", filter=~IS_PAUSED),
    )
    found = {
        (queue, checkpoint): Standing(
            queue=queue, checkpoint=checkpoint, waiting=waiting, paused=paused, running=0, oldest=oldest
        )
        for queue, checkpoint, waiting, paused, oldest in counted
    }
    at_work = Render.objects.filter(status=RenderStatus.RUNNING).values_list("queue", "checkpoint").order_by()
    for queue, checkpoint, number in at_work.annotate(number=Count("pk")):
        nothing = Standing(queue=queue, checkpoint=checkpoint, waiting=0, paused=0, running=0, oldest=None)
        found[queue, checkpoint] = replace(found.get((queue, checkpoint), nothing), running=number)
    return [found[key] for key in sorted(found)]


def ended() -> dict[str, int]:
    """How many renders ever ended, by status; from the generations' own counters, in one query."""
    statuses = [status.value for status in RenderStatus if status not in (RenderStatus.QUEUED, RenderStatus.RUNNING)]
    return Generation.objects.aggregate(**{status: Sum(status, default=0) for status in statuses})


def failed() -> dict[str, int]:
    """How many renders ever failed, by failure code, in one query."""
    # By way of the few generations that have one: there is no index over all that failed, and no need of one.
    failing = Generation.objects.filter(failed__gt=0).values("pk")
    renders = Render.objects.filter(generation__in=failing, status=RenderStatus.FAILED).order_by()
    return dict(renders.values_list("failure_code").annotate(number=Count("pk")))


def running_batches() -> int:
    """How many batches are in workers' hands."""
    running = Render.objects.filter(status=RenderStatus.RUNNING)
    # Not SELECT DISTINCT, for which SQLite reads every render that there ever was.
    number: int = running.aggregate(number=Count("batch", distinct=True))["number"]
    return number


def batch_seconds() -> dict[str, Quantiles]:
    """How long the latest finished batches took, by checkpoint, in one query."""
    # Chosen before their renders are looked at: SQLite would look at those of every batch that there ever was.
    latest = Batch.objects.filter(finished_at__isnull=False).order_by("-pk").values("pk")[:RECENT_BATCHES]
    rows = Batch.objects.filter(pk__in=latest).annotate(checkpoint=Min("renders__checkpoint"))
    took: dict[str, list[float]] = defaultdict(list)
    for checkpoint, created, done in rows.values_list("checkpoint", "created_at", "finished_at"):
        # One whose renders all went on to other batches tells nothing.
        if checkpoint is not None and done is not None:
            took[checkpoint].append((done - created).total_seconds())
    return {checkpoint: _quantiles(seconds) for checkpoint, seconds in sorted(took.items())}


def waited() -> Quantiles | None:
    """How long the images of the latest batches had waited for their turn, in one query; None before the first."""
    newest = Batch.objects.order_by("-pk").values("pk")[:RECENT_BATCHES]
    rows = Render.objects.filter(batch__in=newest).order_by()
    waits = [(begun - asked).total_seconds() for asked, begun in rows.values_list("created_at", "batch__created_at")]
    return _quantiles([max(0.0, wait) for wait in waits]) if waits else None


def _quantiles(seconds: Sequence[float]) -> Quantiles:
    """By nearest rank: each is one of the durations that were measured."""
    ordered = sorted(seconds)
    p50, p95 = (ordered[math.ceil(share * len(ordered)) - 1] for share in QUANTILES)
    return Quantiles(p50=p50, p95=p95)
