"""Which generations have failed images, and why, for all workspaces or for given ones. Only reads."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max

from inference.models import Generation, Render, RenderStatus

PAGE = 10
REASONS_TOLD = 3


@dataclass(frozen=True, kw_only=True)
class Reason:
    """A sentence, how many images failed for it, and when the last of them did."""

    text: str
    images: int
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A generation with failed images and the commonest reasons. ``unfinished`` images are still on their way."""

    generation_id: int
    workspace: str
    workspace_slug: str
    images: int
    failed: int
    unfinished: int
    asked_at: datetime
    reasons: tuple[Reason, ...]

    @property
    def at(self) -> datetime:
        """When the last of these images failed."""
        return max((reason.at for reason in self.reasons), default=self.asked_at)


def newest(*, before: int | None = None, limit: int = PAGE) -> tuple[list[Failure], int | None]:
    """Generations with failed images, the newest first, and what to pass as ``before`` for those after them."""
    failing = Generation.objects.filter(failed__gt=0)
    if before is not None:
        failing = failing.filter(pk__lt=before)
    rows = list(failing.select_related("workspace").order_by("-pk")[: limit + 1])
    reasons = reasons_of([row.pk for row in rows[:limit]])
    found = [
        Failure(
            generation_id=row.pk,
            workspace=row.workspace.name,
            workspace_slug=row.workspace.slug,
            images=row.total,
            failed=row.failed,
            unfinished=row.total - row.done,
            asked_at=row.created_at,
            reasons=reasons.get(row.pk, ()),
        )
        for row in rows[:limit]
    ]
    return found, rows[limit - 1].pk if len(rows) > limit else None


def reasons_of(generation_ids: Collection[int]) -> dict[int, tuple[Reason, ...]]:
    """Generation id → why images of it failed, at most three sentences, the commonest first."""
    if not generation_ids:
        return {}
    failed = Render.objects.filter(generation__in=generation_ids, status=RenderStatus.FAILED)
    counts = (
        failed.values_list("generation", "failure_reason")
        .annotate(images=Count("pk"), at=Max("finished_at"))
        .order_by("-images", "failure_reason")
    )
    reasons: dict[int, tuple[Reason, ...]] = {}
    for generation_id, text, images, at in counts:
        told = reasons.get(generation_id, ())
        if len(told) < REASONS_TOLD:
            reasons[generation_id] = (*told, Reason(text=text, images=images, at=at))
    return reasons
