"""What an operator sees of all workspaces: what waits and runs, workers and batches. Only reads."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Aggregate, Count, Max, Min, Q, QuerySet

from inference.models import IS_PAUSED, Batch, QueuePause, Render, RenderStatus, Worker
from inference.queue import LEASE

RECENT_BATCHES = 15
WORKERS_SHOWN = 40
WORKERS_COUNTED = 1000
# How long a worker that ended is still listed.
REMEMBERED = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True)
class Line:
    """What one workspace waits for from one checkpoint; ``waiting`` counts the paused ones as well.

    ``oldest`` is None when nothing waits but what is paused.
    """

    queue: str
    checkpoint: str
    workspace: str
    waiting: int
    paused: int
    running: int
    oldest: datetime | None


@dataclass(frozen=True, kw_only=True)
class WorkerState:
    """A worker process. ``batch_id`` is what it works on; ``is_silent`` that it should have been heard of since."""

    id: int
    host: str
    pid: int
    queue: str
    device_class: str
    checkpoint: str
    started_at: datetime
    seen_at: datetime
    ended_at: datetime | None
    batch_id: int | None
    is_silent: bool


@dataclass(frozen=True, kw_only=True)
class BatchState:
    """A claim: how far it is, or what came of it. ``finished_at`` is None while it runs."""

    id: int
    worker_id: int
    host: str
    pid: int
    checkpoint: str
    size: int
    phase: str
    step: int
    steps: int
    succeeded: int
    failed: int
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Pulse:
    """A short text that changes when anything worth showing has changed."""

    text: str
    is_at_work: bool


def pulse() -> Pulse:
    """Five small queries that tell whether anything has changed."""
    queued = Render.objects.filter(status=RenderStatus.QUEUED).aggregate(n=Count("pk"), last=Max("pk"))
    running = sorted(_running_batches().values_list("pk", "phase", "step", Count("renders")))
    claims = Batch.objects.aggregate(last=Max("pk"))
    workers = Worker.objects.aggregate(last=Max("pk"), ended=Max("ended_at"))
    pauses = QueuePause.objects.aggregate(n=Count("pk"), last=Max("pk"))
    parts = (*queued.values(), *claims.values(), *workers.values(), *pauses.values(), *running)
    # Hashed, because it travels in the address of every poll.
    digest = hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
    return Pulse(text=digest, is_at_work=bool(running))


def lines() -> list[Line]:
    """What waits and what runs by queue, checkpoint and workspace, the longest waiting first."""
    # One query for each status: each is answered from that status's own small index.
    waiting = _by_line(
        Render.objects.filter(status=RenderStatus.QUEUED),
        number=Count("pk"),
        paused=Count("pk", filter=IS_PAUSED),
        oldest=Min("created_at", filter=~IS_PAUSED),
    )
    running = _by_line(Render.objects.filter(status=RenderStatus.RUNNING), number=Count("pk"))
    found = [
        Line(
            queue=key[0],
            checkpoint=key[1],
            workspace=key[2],
            waiting=waiting.get(key, {}).get("number", 0),
            paused=waiting.get(key, {}).get("paused", 0),
            running=running.get(key, {}).get("number", 0),
            oldest=waiting.get(key, {}).get("oldest"),
        )
        for key in waiting.keys() | running.keys()
    ]
    return sorted(found, key=lambda line: (line.oldest is None, line.oldest, line.workspace, line.checkpoint))


def workers(*, now: datetime) -> list[WorkerState]:
    """The workers that run or ended in the last day, those at work first."""
    remembered = Worker.objects.filter(Q(ended_at__isnull=True) | Q(ended_at__gt=now - REMEMBERED))
    rows = list(remembered.order_by("-pk")[:WORKERS_SHOWN])
    at_work = dict(_running_batches().values_list("worker", "pk").distinct())
    states = [_worker(row, at_work.get(row.pk), now) for row in rows]
    return sorted(states, key=lambda state: (state.ended_at is not None, state.batch_id is None, -state.id))


def standing_workers(*, now: datetime) -> list[WorkerState]:
    """Every worker that did not say that it ended, whether it still runs or not."""
    rows = list(Worker.objects.filter(ended_at__isnull=True).order_by("-pk")[:WORKERS_COUNTED])
    at_work = dict(_running_batches().values_list("worker", "pk").distinct())
    return [_worker(row, at_work.get(row.pk), now) for row in rows]


def running_batches() -> list[BatchState]:
    """The batches in workers' hands, oldest first."""
    return _batches(Batch.objects.filter(pk__in=_running_batches().values("pk")).order_by("pk"))


def recent_batches() -> list[BatchState]:
    """The batches that finished last, newest first."""
    newest = _batches(Batch.objects.order_by("-pk")[: RECENT_BATCHES * 2])
    return [batch for batch in newest if batch.finished_at][:RECENT_BATCHES]


def _running_batches() -> QuerySet[Batch]:
    """Batches with a render in work: one whose worker died has none, though nobody finished it."""
    return Batch.objects.filter(renders__status=RenderStatus.RUNNING)


def _by_line(renders: QuerySet[Render], **figures: Aggregate) -> dict[tuple[str, str, str], dict[str, Any]]:
    rows = renders.values("queue", "checkpoint", "workspace__name").annotate(**figures).order_by()
    return {(row["queue"], row["checkpoint"], row["workspace__name"]): dict(row) for row in rows}


def _worker(row: Worker, batch_id: int | None, now: datetime) -> WorkerState:
    return WorkerState(
        **{name: getattr(row, name) for name in ("id", "host", "pid", "queue", "device_class", "checkpoint")},
        started_at=row.started_at,
        seen_at=row.seen_at,
        ended_at=row.ended_at,
        batch_id=batch_id,
        # Only a worker with a batch in hand has to be heard of; an idle one sleeps until there is work.
        is_silent=batch_id is not None and row.seen_at < now - LEASE,
    )


def _batches(batches: QuerySet[Batch]) -> list[BatchState]:
    found = batches.select_related("worker").annotate(
        checkpoint=Min("renders__checkpoint"),
        succeeded=Count("renders", filter=Q(renders__status=RenderStatus.SUCCEEDED)),
        failed=Count("renders", filter=Q(renders__status=RenderStatus.FAILED)),
    )
    return [
        BatchState(
            **{name: getattr(row, name) for name in ("id", "worker_id", "size", "phase", "step", "steps")},
            **{name: getattr(row, name) for name in ("created_at", "finished_at", "succeeded", "failed")},
            checkpoint=row.checkpoint or row.worker.checkpoint,
            host=row.worker.host,
            pid=row.worker.pid,
        )
        for row in found
    ]
