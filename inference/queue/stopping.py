"""Pausing, going on and canceling: one image, a generation, a whole workspace. Knows nothing about who may do this."""

from datetime import datetime

from django.db.models import Max, QuerySet

from inference.models import UNFINISHED, Generation, QueuePause, Render, RenderStatus
from inference.queue import ends
from inference.queue.nudges import nudge_on_commit

CANCELED = "Canceled. Nothing was charged."


def cancel(*, generation_id: int, now: datetime) -> int:
    """Cancel what is queued or running and give its credits back; returns how many renders.

    Slice by slice, so that workers of others never wait long; whoever was killed in the middle of it cancels again.
    """
    return _cancel(Render.objects.filter(generation_id=generation_id, status__in=UNFINISHED), now)


def cancel_render(*, render_id: int, now: datetime) -> bool:
    """Cancel one image, queued or running, and give its credits back at once; False if it had ended already."""
    return bool(_cancel(Render.objects.filter(pk=render_id, status__in=UNFINISHED), now))


def cancel_workspace(*, workspace_id: int, now: datetime) -> int:
    """Cancel all that a workspace has queued or running at this moment, as `cancel` does; returns how many renders.

    What is launched meanwhile was asked for later, and stays.
    """
    unfinished = Render.objects.filter(workspace_id=workspace_id, status__in=UNFINISHED)
    newest = unfinished.aggregate(pk=Max("pk"))["pk"] or 0
    asked = unfinished.filter(pk__lte=newest)
    generations = list(asked.order_by("generation").values_list("generation", flat=True).distinct())
    # One generation after another: with the account locked, the next one's budget would be locked out of order.
    return sum(_cancel(asked.filter(generation=pk), now) for pk in generations)


def pause(*, generation_id: int) -> None:
    """Claim nothing more of this generation; what is running finishes."""
    Generation.objects.filter(pk=generation_id).update(is_paused=True)


def resume(*, generation_id: int) -> None:
    """Claim from this generation again."""
    if Generation.objects.filter(pk=generation_id, is_paused=True).update(is_paused=False):
        _wake(Render.objects.filter(generation_id=generation_id))


def pause_workspace(*, workspace_id: int, now: datetime, by_id: int | None = None) -> None:
    """Claim nothing more of this workspace; what is running finishes. Pausing again changes nothing."""
    QueuePause.objects.get_or_create(workspace_id=workspace_id, defaults={"created_by_id": by_id, "created_at": now})


def resume_workspace(*, workspace_id: int) -> None:
    """Claim from this workspace again; generations that are paused themselves stay so."""
    deleted, _ = QueuePause.objects.filter(workspace_id=workspace_id).delete()
    if deleted:
        _wake(Render.objects.filter(workspace_id=workspace_id))


def is_workspace_paused(workspace_id: int) -> bool:
    """Whether nothing of this workspace is claimed."""
    return QueuePause.objects.filter(workspace_id=workspace_id).exists()


def _cancel(renders: QuerySet[Render], now: datetime) -> int:
    return ends.end_all(renders, RenderStatus.CANCELED, code="canceled", reason=CANCELED, now=now)


def _wake(renders: QuerySet[Render]) -> None:
    """Nudge every queue in which some of these renders wait."""
    queued = renders.filter(status=RenderStatus.QUEUED).order_by("queue")
    for name in queued.values_list("queue", flat=True).distinct():
        nudge_on_commit(name)
