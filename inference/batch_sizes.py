"""How many images of a checkpoint a device class paints at once: the catalogue's number, or what was found to fit.

Knows no engine: whoever runs out of memory says so here, and the limit holds until an operator lifts it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import F, Q

from inference import catalog
from inference.models import BatchLimit


@dataclass(frozen=True, kw_only=True)
class Limit:
    """What fits on a device class and what did not; `wanted` is the catalogue's number, None where it has none."""

    id: int
    checkpoint: str
    device_class: str
    size: int
    failed_size: int
    wanted: int | None
    found_at: datetime


def limits(device_class: str) -> Mapping[str, int]:
    """Checkpoint → how many of its images fit at once, where that is known to be less than the catalogue says."""
    return dict(BatchLimit.objects.filter(device_class=device_class).values_list("checkpoint", "size"))


def batch_size(checkpoint: str, device_class: str, limited: Mapping[str, int]) -> int:
    """The one padded batch size.

    :raises inference.catalog.UnknownCheckpointError: there is no such checkpoint.
    :raises inference.catalog.CatalogError: the checkpoint's entry does not know the device class.
    """
    size = catalog.entry(checkpoint).batch_size(device_class)
    return min(size, limited.get(checkpoint, size))


@transaction.atomic
def lower(*, checkpoint: str, device_class: str, failed_size: int, to: int, now: datetime) -> None:
    """Note that so many images were too many for the memory, and so many are not. Never raises a limit."""
    found = {"size": to, "failed_size": failed_size, "found_at": now}
    limit, is_new = BatchLimit.objects.get_or_create(checkpoint=checkpoint, device_class=device_class, defaults=found)
    if not is_new:
        # Two workers may find out at once; the smaller number holds.
        BatchLimit.objects.filter(Q(size__gt=to), pk=limit.pk).update(**found)


def all_limits() -> list[Limit]:
    """Every limit that holds, the newest first."""
    return [
        Limit(
            id=row.pk,
            checkpoint=row.checkpoint,
            device_class=row.device_class,
            size=row.size,
            failed_size=row.failed_size,
            wanted=_wanted(row),
            found_at=row.found_at,
        )
        for row in BatchLimit.objects.order_by(F("found_at").desc(), "-pk")
    ]


def lift(*, limit_id: int) -> bool:
    """Let the catalogue's number hold again, from every worker's next batches on; False if it was lifted before."""
    return BatchLimit.objects.filter(pk=limit_id).delete()[0] > 0


def _wanted(row: BatchLimit) -> int | None:
    try:
        return catalog.entry(row.checkpoint).batch_size(row.device_class)
    except (catalog.UnknownCheckpointError, catalog.CatalogError):
        return None
