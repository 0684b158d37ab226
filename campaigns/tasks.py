"""Celery's way into campaigns: ids in, one domain call each."""

from celery import shared_task

from campaigns import masks


@shared_task(name="campaigns.make_mask")
def make_mask(photo_id: int) -> None:
    """Find the lock mask of a photo that came without one."""
    masks.make(photo_id=photo_id)


@shared_task(name="campaigns.make_missing_masks")
def make_missing_masks() -> None:
    """Make the masks whose task was lost."""
    for photo_id in masks.missing().order_by("pk").values_list("pk", flat=True)[:20]:
        masks.make(photo_id=photo_id)
