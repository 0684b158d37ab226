"""Celery's way into the gallery: ids in, one domain call each."""

from celery import shared_task

from billing import clock
from gallery import renditions


@shared_task(name="gallery.make_renditions")
def make_renditions(workspace_id: int, source_key: str) -> None:
    """Make the thumb and view of a stored image."""
    renditions.make(workspace_id=workspace_id, source_key=source_key, now=clock.now())


@shared_task(name="gallery.make_missing_renditions")
def make_missing_renditions() -> None:
    """Make the renditions whose task was lost."""
    for workspace_id, source_key in renditions.missing():
        renditions.make(workspace_id=workspace_id, source_key=source_key, now=clock.now())
