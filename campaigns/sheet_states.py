"""The states of a sheet's images, as words and as questions to the database: both say the same of every version.
Knows renders, reviews and staleness, no sheet.
"""

from collections.abc import Mapping
from typing import Final, Literal

from django.db.models import Exists, OuterRef, Q, QuerySet

from campaigns.models import CellRender
from campaigns.staleness import is_stale
from inference.models import RenderStatus

# States in the order in which a sheet fills; the names are those of gallery's reviews and of the pages' marks.
STATES: Final = (
    "approved", "rejected", "changes_requested", "stale", "pending", "running", "waiting", "failed", "canceled",
    "planned",
)  # fmt: skip
# What can be asked for once more, all at a time.
Again = Literal["stale", "rejected", "failed"]
AGAIN: Final[Mapping[Again, tuple[str, ...]]] = {
    "stale": ("stale",),
    "rejected": ("rejected", "changes_requested"),
    "failed": ("failed",),
}
_REVIEWS: Final = ("pending", "approved", "rejected", "changes_requested")
_OF_RENDER: Final = {
    RenderStatus.QUEUED: "waiting",
    RenderStatus.RUNNING: "running",
    RenderStatus.SUCCEEDED: "pending",
    RenderStatus.FAILED: "failed",
    RenderStatus.EXPIRED: "failed",
    RenderStatus.CANCELED: "canceled",
}


def newest(versions: QuerySet[CellRender]) -> QuerySet[CellRender]:
    """Of these versions the newest of each image."""
    newer = CellRender.objects.filter(cell=OuterRef("cell"), image=OuterRef("image"), pk__gt=OuterRef("pk"))
    return versions.filter(~Exists(newer))


def state_of(status: str | None, review: str | None, *, is_stale: bool = False) -> str:
    """A tile's state by its newest render's status and that asset's review; ``is_stale`` as `staleness` has it."""
    if status is None:
        return "planned"
    return "stale" if is_stale else review or _OF_RENDER[RenderStatus(status)]


def in_state(state: str) -> Q:
    """Versions in a state, by its name; "planned" is none of a version."""
    if state == "stale":
        return is_stale()
    if state == "approved":
        return Q(render__asset__review__status=state)
    if state in _REVIEWS:
        return Q(render__asset__review__status=state) & ~is_stale()
    return Q(render__status__in=[status for status, name in _OF_RENDER.items() if name == state])


def of_states(what: Again) -> Q:
    """Versions that one of the buttons asks for once more."""
    found = Q()
    for state in AGAIN[what]:
        found |= in_state(state)
    return found
