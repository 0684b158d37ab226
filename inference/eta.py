"""How long images will take: before they are asked for, and until the last of them is there. Only reads."""

import math
from collections import Counter
from collections.abc import Collection
from datetime import datetime, timedelta

from django.db.models import Count, Q

from inference import pace
from inference.catalog import CatalogEntry
from inference.line import Group, Line, images_of
from inference.models import IS_PAUSED, UNFINISHED, Batch, Render, RenderStatus
from inference.pace import Forecast as Forecast
from inference.pace import Record


def of(*, images: int, entry: CatalogEntry) -> timedelta:
    """How long so many images take with one worker: as measured lately, before that as the catalogue guesses."""
    each = measured_seconds_per_image(checkpoint=entry.slug) or entry.seconds_per_image
    return timedelta(seconds=images * each)


def measured_seconds_per_image(*, checkpoint: str) -> float | None:
    """Seconds an image took on average over the latest finished batches of a checkpoint; None before the first."""
    batches = (
        Batch.objects.filter(finished_at__isnull=False, renders__checkpoint=checkpoint)
        .distinct()
        .order_by("-pk")
        .annotate(done=Count("renders", filter=Q(renders__status=RenderStatus.SUCCEEDED)))
        .values_list("created_at", "finished_at", "done")[: pace.RECENT_BATCHES]
    )
    timed = [((finished - created).total_seconds(), done) for created, finished, done in batches if finished and done]
    images = sum(done for _, done in timed)
    return sum(duration for duration, _ in timed) / images if images else None


def forecast(
    *,
    images: int,
    entry: CatalogEntry,
    queue: str = "gpu",
    priority: int,
    now: datetime,
    workspace_id: int | None = None,
) -> Forecast:
    """When the last of so many images would be there if they were asked for now, in three queries, or four.

    :param workspace_id: who asks; without it, all that waits at this priority goes first.
    """
    record = pace.record(now=now)
    line = Line.of(queue, record=record, now=now)
    own = Group(
        generation_id=None,
        workspace_id=workspace_id,
        checkpoint=entry.slug,
        priority=priority,
        first=math.inf,
        images=images,
    )
    return pace.predict(line.until(own, images), last=entry.slug, hands=line.hands, paces=record.paces)


def remaining(generation_ids: Collection[int], *, now: datetime) -> Forecast | None:
    """When the last unfinished image of these generations will be there; None if nothing is left, or all is paused.

    Two queries, and two or three for each queue that they wait in.
    """
    unfinished = Render.objects.filter(generation__in=generation_ids, status__in=UNFINISHED)
    counts = (
        unfinished.exclude(IS_PAUSED, status=RenderStatus.QUEUED)
        .values("queue", "checkpoint", "status")
        .annotate(n=Count("pk"))
    )
    rows = list(counts.order_by())
    if not rows:
        return None
    record = pace.record(now=now)
    queued: dict[str, Counter[str]] = {}
    last_checkpoint = {row["queue"]: row["checkpoint"] for row in rows}
    for row in rows:
        left = queued.setdefault(row["queue"], Counter())
        if row["status"] == RenderStatus.QUEUED:
            left[row["checkpoint"]] += row["n"]
    found = [
        _of_line(Line.of(name, record=record, now=now), set(generation_ids), left, last_checkpoint[name], record)
        for name, left in queued.items()
    ]
    return Forecast(p50=max(each.p50 for each in found), p95=max(each.p95 for each in found))


def _of_line(line: Line, generation_ids: set[int], left: Counter[str], checkpoint: str, record: Record) -> Forecast:
    own = [each for each in line.groups if each.generation_id in generation_ids]
    last = own[-1] if own else None
    images = line.until(last, last.images) if last else Counter()
    # What waits for its next try has no place in line yet, and is made all the same.
    images += left - images_of(own)
    return pace.predict(images, last=last.checkpoint if last else checkpoint, hands=line.hands, paces=record.paces)
