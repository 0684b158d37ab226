"""How far renders are: place in the queue, time to wait, step, preview, end in words.

Reads rows that others write, in a number of queries that does not grow with the renders; changes nothing.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, Q, Window
from django.db.models.functions import RowNumber

from billing import clock
from inference import eta, previews, turn
from inference.models import UNFINISHED, Batch, Render, RenderStatus

FIELDS = (
    *("pk", "status", "queue", "checkpoint", "priority", "generation_id", "asset_id", "failure_reason"),
    *("generation__is_paused", "batch__phase", "batch__step", "batch__steps", "batch__size", "batch__preview_step"),
)

# How long a page may show the same place in the queue.
PLACE_HOLDS_S = 4
# A worker that is there takes what waits within a second or two; one that starts has its libraries to load.
UNATTENDED_AFTER = timedelta(seconds=20)


@dataclass(frozen=True, kw_only=True)
class RenderProgress:
    """Where one render stands; what does not apply to its status is None, 0 or empty.

    `position` is 1 for the next one of its queue: by priority, then by age. `eta` is the time until the picture is
    there; nobody knows it while the queue `is_unattended`: what waits has waited long, and nothing is at work.
    `preview_step` tells one preview from the next under the same `preview_key` of the storage.
    """

    status: RenderStatus
    is_paused: bool = False
    position: int | None = None
    eta: timedelta | None = None
    is_unattended: bool = False
    phase: str = ""
    step: int = 0
    steps: int = 0
    preview_key: str = ""
    preview_step: int = 0
    reason: str = ""
    asset_id: int | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return self.status not in UNFINISHED


def of_renders(render_ids: Collection[int], *, now: datetime | None = None) -> dict[int, RenderProgress]:
    """The progress of each of these renders that exists, by id.

    Two queries, and three for each queue that they wait in, four where nothing runs.
    """
    rows = list(Render.objects.filter(pk__in=render_ids).values(*FIELDS).order_by())
    speeds = eta.speeds() if any(row["status"] in UNFINISHED for row in rows) else {}
    queued = [row for row in rows if row["status"] == RenderStatus.QUEUED and not row["generation__is_paused"]]
    lines = {name: _Line.of(name, queued, now=now or clock.now()) for name in {row["queue"] for row in queued}}
    return {row["pk"]: _of_row(row, lines.get(row["queue"]), speeds) for row in rows}


def marks(render_ids: Collection[int], *, workspace_id: int, now: datetime) -> dict[int, str]:
    """A short mark of each of a workspace's renders that changes when there is something new to show, in one query."""
    rows = Render.objects.filter(pk__in=render_ids, workspace_id=workspace_id).values(*FIELDS).order_by()
    return {row["pk"]: mark(_of_row(row, None, {}), now=now) for row in rows}


def mark(progress: RenderProgress, *, now: datetime) -> str:
    """The mark of one render's progress: letters, digits and dashes.

    What waits gets a new mark every few seconds: its place depends on the others, which asking about it is to spare.
    """
    if progress.status == RenderStatus.QUEUED:
        return "paused" if progress.is_paused else f"queued-{int(now.timestamp()) // PLACE_HOLDS_S}"
    if progress.status == RenderStatus.RUNNING:
        return f"{progress.phase}-{progress.step}-{progress.preview_step}"
    return str(progress.status)


@dataclass(frozen=True)
class _Group:
    """The waiting renders of one generation."""

    generation_id: int
    checkpoint: str
    turn: tuple[int, int]
    images: int


@dataclass(frozen=True)
class _Line:
    """One queue as it stands: its waiting groups in order, each render's rank in its group, what runs."""

    groups: tuple[_Group, ...]
    ranks: Mapping[int, int]
    running: int
    workers: int
    is_unattended: bool

    @classmethod
    def of(cls, queue: str, rows: Collection[Mapping[str, Any]], *, now: datetime) -> "_Line":
        waiting = turn.eligible(queue=queue, now=now).order_by()
        groups = waiting.values("generation_id", "checkpoint", "priority").annotate(
            n=Count("pk"), first=Min("pk"), since=Min("created_at")
        )
        place = Window(RowNumber(), partition_by="generation_id", order_by=("-priority", "pk"))
        generations = {row["generation_id"] for row in rows}
        ranked = waiting.filter(generation__in=generations).annotate(rank=place).values_list("pk", "rank")
        running = Render.objects.filter(queue=queue, status=RenderStatus.RUNNING)
        busy = running.aggregate(
            images=Count("pk"),
            held=Count("pk", filter=Q(lease_expires_at__gt=now)),
            workers=Count("batch__worker", distinct=True),
        )
        return cls(
            groups=tuple(
                _Group(each["generation_id"], each["checkpoint"], (-each["priority"], each["first"]), each["n"])
                for each in groups
            ),
            ranks=dict(ranked),
            running=busy["images"],
            workers=max(1, busy["workers"]),
            is_unattended=_is_unattended([each["since"] for each in groups], busy["held"], queue=queue, now=now),
        )

    def place(self, row: Mapping[str, Any], speeds: Mapping[str, float]) -> tuple[int, timedelta] | None:
        """Position and time to wait of a waiting render; None while its next try is put off."""
        rank = self.ranks.get(row["pk"])
        own = next((each for each in self.groups if each.generation_id == row["generation_id"]), None)
        if rank is None or own is None:
            return None
        before = [each for each in self.groups if each.turn < own.turn]
        own_s = eta.seconds(row["checkpoint"], speeds)
        # What runs is half done on average.
        seconds = sum(each.images * eta.seconds(each.checkpoint, speeds) for each in before)
        seconds += (rank + self.running / 2) * own_s
        return sum(each.images for each in before) + rank, timedelta(seconds=seconds / self.workers)


def _is_unattended(since: Collection[datetime], held: int, *, queue: str, now: datetime) -> bool:
    """Whether something waits that a worker would have taken: between two batches of one, nothing runs either."""
    late = now - UNATTENDED_AFTER
    if held or not since or min(since) > late:
        return False
    return not Batch.objects.filter(worker__queue=queue, finished_at__gt=late).exists()


def _of_row(row: Mapping[str, Any], line: _Line | None, speeds: Mapping[str, float]) -> RenderProgress:
    if row["status"] == RenderStatus.QUEUED:
        place = line.place(row, speeds) if line and not row["generation__is_paused"] else None
        return RenderProgress(
            status=RenderStatus.QUEUED,
            is_paused=row["generation__is_paused"],
            position=place[0] if place else None,
            eta=place[1] if place else None,
            is_unattended=bool(place and line and line.is_unattended),
        )
    return _running(row, speeds) if row["status"] == RenderStatus.RUNNING else _ended(row)


def _running(row: Mapping[str, Any], speeds: Mapping[str, float]) -> RenderProgress:
    is_stepping = row["batch__phase"] == "step" and row["batch__steps"]
    share = row["batch__step"] / row["batch__steps"] if is_stepping else 0.0
    share = 1.0 if row["batch__phase"] in ("decode", "store") else share
    whole_s = eta.seconds(row["checkpoint"], speeds) * row["batch__size"]
    return RenderProgress(
        status=RenderStatus.RUNNING,
        phase=row["batch__phase"],
        step=row["batch__step"] if is_stepping else 0,
        steps=row["batch__steps"] if is_stepping else 0,
        eta=timedelta(seconds=max(1.0, whole_s * (1 - share))),
        preview_key=previews.key_of(row["pk"]) if row["batch__preview_step"] else "",
        preview_step=row["batch__preview_step"],
    )


def _ended(row: Mapping[str, Any]) -> RenderProgress:
    return RenderProgress(status=RenderStatus(row["status"]), reason=row["failure_reason"], asset_id=row["asset_id"])
