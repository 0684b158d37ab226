"""How long images will take: from the batches this installation finished lately. Knows no device, only the record."""

from datetime import timedelta

from django.db.models import Count, Q

from inference.catalog import CatalogEntry
from inference.models import Batch, RenderStatus

RECENT_BATCHES = 20


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
    spans = [((finished - created).total_seconds(), done) for created, finished, done in batches if finished and done]
    images = sum(size for _, size in spans)
    return sum(seconds for seconds, _ in spans) / images if images else None
