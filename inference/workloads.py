"""What workspaces have under way, and whether it is paused: for their owners and for who runs the installation.

Only reads; inference.queue pauses, resumes and cancels.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q

from inference.models import UNFINISHED, QueuePause, Render, RenderStatus


@dataclass(frozen=True, kw_only=True)
class Pause:
    """Since when nothing of a workspace is begun, and who paused it; empty where that was not a person."""

    at: datetime
    by: str


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One workspace's images that are not finished. ``waiting`` counts the paused ones as well."""

    workspace_id: int
    name: str
    slug: str
    waiting: int
    running: int
    pause: Pause | None

    @property
    def images(self) -> int:
        """All that a cancel would stop."""
        return self.waiting + self.running


def pause_of(workspace_id: int) -> Pause | None:
    """The pause of a workspace; None while it is not paused."""
    found = QueuePause.objects.filter(workspace_id=workspace_id).select_related("created_by").first()
    return _pause(found) if found else None


def images_of(workspace_id: int) -> int:
    """How many of a workspace's images wait or are being made."""
    return Render.objects.filter(workspace_id=workspace_id, status__in=UNFINISHED).count()


def all_of_them() -> list[Workload]:
    """Every workspace that has something under way or is paused, by name; two queries."""
    pauses = {each.workspace_id: each for each in QueuePause.objects.select_related("workspace", "created_by")}
    found = {
        pk: Workload(
            workspace_id=pk,
            name=each.workspace.name,
            slug=each.workspace.slug,
            waiting=0,
            running=0,
            pause=_pause(each),
        )
        for pk, each in pauses.items()
    }
    unfinished = Render.objects.filter(status__in=UNFINISHED).order_by()
    rows = unfinished.values_list("workspace_id", "workspace__name", "workspace__slug").annotate(
        waiting=Count("pk", filter=Q(status=RenderStatus.QUEUED)),
        running=Count("pk", filter=Q(status=RenderStatus.RUNNING)),
    )
    for pk, name, slug, waiting, running in rows:
        pause = _pause(pauses[pk]) if pk in pauses else None
        found[pk] = Workload(workspace_id=pk, name=name, slug=slug, waiting=waiting, running=running, pause=pause)
    return sorted(found.values(), key=lambda workload: (workload.name, workload.workspace_id))


def _pause(row: QueuePause) -> Pause:
    return Pause(at=row.created_at, by=row.created_by.display_name if row.created_by else "")
