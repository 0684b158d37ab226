"""Whose turn it is: which queued renders a worker takes next. Chooses and locks rows, and changes none."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime

from django.conf import settings
from django.db import connection
from django.db.models import Case, Count, IntegerField, Q, QuerySet, Value, When

from inference.models import Render, RenderStatus

TURN = ("-priority", "running", "pk")
"""Priority, then the workspace with the fewest running renders, then age."""

BatchSize = Callable[[str], int]
"""From a checkpoint's slug to the one batch size installed for it on the caller's device class."""


def eligible(*, queue: str, now: datetime) -> QuerySet[Render]:
    """Queued renders that may be claimed: not paused, not too early, not past their deadline."""
    return Render.objects.filter(
        Q(not_before__isnull=True) | Q(not_before__lte=now),
        Q(generation__deadline_at__isnull=True) | Q(generation__deadline_at__gt=now),
        queue=queue,
        status=RenderStatus.QUEUED,
        generation__is_paused=False,
    )


def choose(*, queue: str, loaded_checkpoint: str, batch_size_of: BatchSize, now: datetime) -> list[Render]:
    """The renders of the next batch, locked: the one whose turn it is, then others of its BatchKey; or none.

    Work for the loaded checkpoint goes before everything else. To be called inside a transaction.
    """
    running = _running_by_workspace()
    candidates = _candidates(queue, running, now)
    ordered = candidates.annotate(is_loaded=Q(checkpoint=loaded_checkpoint)).order_by("-is_loaded", *TURN)
    head = _skip_locked(ordered).first()
    if head is None:
        return []
    limit = 1 if head.must_run_alone else batch_size_of(head.checkpoint)
    if limit == 1:
        return [head]
    neighbors = candidates.filter(batch_key=head.batch_key, must_run_alone=False).exclude(pk=head.pk)
    return _within_cap([head, *_skip_locked(neighbors.order_by(*TURN))[: limit - 1]], running)


def _running_by_workspace() -> dict[int, int]:
    running = Render.objects.filter(status=RenderStatus.RUNNING).values("workspace_id").annotate(n=Count("pk"))
    return {row["workspace_id"]: row["n"] for row in running.order_by()}


def _candidates(queue: str, running: dict[int, int], now: datetime) -> QuerySet[Render]:
    full = [workspace for workspace, number in running.items() if number >= settings.STUDIO_MAX_RUNNING]
    # Counted before, since a subquery would count anew for every queued row.
    counts = [When(workspace=workspace, then=Value(number)) for workspace, number in running.items()]
    candidates = eligible(queue=queue, now=now).exclude(workspace__in=full)
    return candidates.annotate(running=Case(*counts, default=Value(0), output_field=IntegerField()))


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
