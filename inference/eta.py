"""How long images will take: from the batches this installation finished lately. Knows no device, only the record."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.db.models import Count, Min, Q

from inference import catalog
from inference.catalog import CatalogEntry
from inference.models import Batch, RenderStatus

RECENT_BATCHES = 20
# Far enough back to find every checkpoint that is in use, few enough to read at every look at the queue.
LOOK_BACK = 200

Span = tuple[datetime, datetime | None, int]


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
        .values_list("created_at", "finished_at", "done")[:RECENT_BATCHES]
    )
    return _average(batches)


def speeds() -> Mapping[str, float]:
    """Measured seconds per image of every checkpoint that was used lately, in one query."""
    batches = (
        Batch.objects.filter(finished_at__isnull=False)
        .order_by("-pk")
        .annotate(
            done=Count("renders", filter=Q(renders__status=RenderStatus.SUCCEEDED)),
            checkpoint=Min("renders__checkpoint"),
        )
        .values_list("checkpoint", "created_at", "finished_at", "done")[:LOOK_BACK]
    )
    spans: dict[str, list[Span]] = defaultdict(list)
    for checkpoint, created, finished, done in batches:
        # A batch whose renders went on to other batches tells nothing.
        if checkpoint is not None and len(spans[checkpoint]) < RECENT_BATCHES:
            spans[checkpoint].append((created, finished, done))
    averages = {checkpoint: _average(each) for checkpoint, each in spans.items()}
    return {checkpoint: average for checkpoint, average in averages.items() if average is not None}


def seconds(checkpoint: str, measured: Mapping[str, float]) -> float:
    """Seconds an image of a checkpoint takes: as measured, else as the catalogue guesses."""
    return measured.get(checkpoint) or catalog.entry(checkpoint).seconds_per_image


def _average(spans: Iterable[Span]) -> float | None:
    timed = [((finished - created).total_seconds(), done) for created, finished, done in spans if finished and done]
    images = sum(done for _, done in timed)
    return sum(duration for duration, _ in timed) / images if images else None
