"""Whose turn it is: which queued renders a worker takes next. Chooses and locks rows, and changes none.

A worker stays with its loaded checkpoint for a quantum; then the fair order decides, whatever has to be loaded for it.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection
from django.db.models import Case, Count, IntegerField, Max, Q, QuerySet, Value, When

from inference.models import IS_PAUSED, Batch, Render, RenderStatus, Worker

TURN = ("-priority", "running", "served", "pk")
"""Priority, then the workspace with the fewest running renders, then the one served longest ago, then age."""

QUANTUM = timedelta(seconds=30)
"""How long a worker stays with a checkpoint once it is loaded while others wait for another one. A load takes seconds
to tens of seconds: with less, a worker would do little else; with more, a person's click would wait for longer."""

# Batches back to which it counts when a workspace was served; one that is not among them was not for long.
REMEMBERED_BATCHES = 64

BatchSize = Callable[[str], int]
"""From a checkpoint's slug to the one batch size installed for it on the caller's device class."""


def eligible(*, queue: str, now: datetime) -> QuerySet[Render]:
    """Queued renders that may be claimed: not paused, not too early, not past their deadline."""
    return Render.objects.filter(
        Q(not_before__isnull=True) | Q(not_before__lte=now),
        Q(generation__deadline_at__isnull=True) | Q(generation__deadline_at__gt=now),
        ~IS_PAUSED,
        queue=queue,
        status=RenderStatus.QUEUED,
    )


def stays_with(worker: Worker, *, now: datetime) -> str:
    """The checkpoint whose work a worker takes before all other while its quantum lasts; empty when it is over."""
    if worker.loaded_at is None:
        return ""
    # Below 0 the clock was set back: a quantum that lasts until it has caught up would be no quantum.
    return worker.checkpoint if timedelta() <= now - worker.loaded_at < QUANTUM else ""


def choose(
    *, queue: str, stays_with: str, batch_size_of: BatchSize, now: datetime, without: Collection[str] = ()
) -> list[Render]:
    """The renders of the next batch, locked: the one whose turn it is, then others of its BatchKey; or none.

    Work for the checkpoint `stays_with` goes before everything else, and none for those in `without` is taken. To be
    called inside a transaction.
    """
    running = _running_by_workspace()
    candidates = _candidates(queue, running, now).exclude(checkpoint__in=list(without))
    ordered = candidates.annotate(is_loaded=Q(checkpoint=stays_with)).order_by("-is_loaded", *TURN)
    head = _skip_locked(ordered).first()
    if head is None:
        return []
    limit = batch_size_of(head.checkpoint)
    if limit == 1 or head.must_run_alone:
        return [head]
    neighbors = candidates.filter(batch_key=head.batch_key, must_run_alone=False).exclude(pk=head.pk)
    return _within_cap([head, *_skip_locked(neighbors.order_by(*TURN))[: limit - 1]], running)


def _running_by_workspace() -> dict[int, int]:
    running = Render.objects.filter(status=RenderStatus.RUNNING).values("workspace_id").annotate(n=Count("pk"))
    return {row["workspace_id"]: row["n"] for row in running.order_by()}


def _served_by_workspace(queue: str) -> dict[int, int]:
    """Workspace → its latest batch. Without it, a single worker would serve them by age alone: nothing else runs."""
    latest = Batch.objects.filter(worker__queue=queue).order_by("-pk").values("pk")[:REMEMBERED_BATCHES]
    served = Render.objects.filter(batch__in=latest).values("workspace_id").annotate(last=Max("batch_id"))
    return {row["workspace_id"]: row["last"] for row in served.order_by()}


def _candidates(queue: str, running: dict[int, int], now: datetime) -> QuerySet[Render]:
    full = [workspace for workspace, number in running.items() if number >= settings.STUDIO_MAX_RUNNING]
    candidates = eligible(queue=queue, now=now).exclude(workspace__in=full)
    return candidates.annotate(
        running=_of_workspace(running),
        served=_of_workspace(_served_by_workspace(queue)),
    )


def _of_workspace(figures: Mapping[int, int]) -> Case:
    # Counted before, since a subquery would count anew for every queued row.
    whens = [When(workspace=workspace, then=Value(figure)) for workspace, figure in figures.items()]
    return Case(*whens, default=Value(0), output_field=IntegerField())


def _within_cap(renders: list[Render], running: dict[int, int]) -> list[Render]:
    """Those, in order, with which no workspace passes its cap."""
    counts = Counter(running)
    chosen = []
    for render in renders:
        if counts[render.workspace_id] < settings.STUDIO_MAX_RUNNING:
            counts[render.workspace_id] += 1
            chosen.append(render)
    return chosen


def _skip_locked(renders: QuerySet[Render]) -> QuerySet[Render]:
    """Lock the rows that get chosen. SQLite has one writer at a time, so there is nothing to skip."""
    if connection.features.has_select_for_update_skip_locked:
        return renders.select_for_update(skip_locked=True, of=("self",))
    return renders
