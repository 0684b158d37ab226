"""How far renders are: place in the queue, time to wait, step, preview, end in words.

Reads rows that others write, in a number of queries that does not grow with the renders; changes nothing.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from billing import clock
from inference import pace, previews
from inference.line import Line
from inference.models import UNFINISHED, Render, RenderStatus
from inference.pace import Pace

FIELDS = (
    *("pk", "status", "queue", "checkpoint", "priority", "generation_id", "asset_id", "failure_reason"),
    *("workspace_id", "generation__is_paused", "workspace__queue_pause"),
    *("batch__phase", "batch__step", "batch__steps", "batch__size", "batch__preview_step"),
)

# How long a page may show the same place in the queue.
PLACE_HOLDS_S = 4


@dataclass(frozen=True, kw_only=True)
class RenderProgress:
    """Where one render stands; what does not apply to its status is None, 0 or empty.

    `position` is 1 for the next one of its queue: by priority, then by age, workspaces in turn. `eta` is the time until
    the picture is there, as likely less as more, and `eta_late` that of 19 in 20 that wait; nobody knows it while the
    queue `is_unattended`: what waits has waited long, and nothing is at work.
    `preview_step` tells one preview from the next under the same `preview_key` of the storage.
    """

    status: RenderStatus
    is_paused: bool = False
    position: int | None = None
    eta: timedelta | None = None
    eta_late: timedelta | None = None
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
    if not any(row["status"] in UNFINISHED for row in rows):
        return {row["pk"]: _ended(row) for row in rows}
    moment = now or clock.now()
    record = pace.record(now=moment)
    queued = [row for row in rows if row["status"] == RenderStatus.QUEUED and not _is_paused(row)]
    ranked = {row["generation_id"] for row in queued}
    lines = {name: Line.of(name, record=record, now=moment, ranked=ranked) for name in {row["queue"] for row in queued}}
    return {row["pk"]: _of_row(row, lines.get(row["queue"]), record.paces) for row in rows}


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


def _is_paused(row: Mapping[str, Any]) -> bool:
    return row["generation__is_paused"] or row["workspace__queue_pause"] is not None


def _of_row(row: Mapping[str, Any], line: Line | None, paces: Mapping[str, Pace]) -> RenderProgress:
    if row["status"] == RenderStatus.QUEUED:
        return _queued(row, line, paces)
    return _running(row, paces) if row["status"] == RenderStatus.RUNNING else _ended(row)


def _queued(row: Mapping[str, Any], line: Line | None, paces: Mapping[str, Pace]) -> RenderProgress:
    group = line.group(row["generation_id"]) if line else None
    rank = line.ranks.get(row["pk"]) if line else None
    # While its next try is put off, it has no place.
    if line is None or group is None or rank is None or _is_paused(row):
        return RenderProgress(status=RenderStatus.QUEUED, is_paused=_is_paused(row))
    images = line.until(group, rank)
    forecast = pace.predict(images, last=row["checkpoint"], hands=line.hands, paces=paces)
    return RenderProgress(
        status=RenderStatus.QUEUED,
        position=images.total(),
        eta=forecast.p50,
        eta_late=forecast.p95,
        is_unattended=line.is_unattended,
    )


def _running(row: Mapping[str, Any], paces: Mapping[str, Pace]) -> RenderProgress:
    is_stepping = row["batch__phase"] == "step" and row["batch__steps"]
    share = row["batch__step"] / row["batch__steps"] if is_stepping else 0.0
    share = 1.0 if row["batch__phase"] in ("decode", "store") else share
    each = pace.pace(row["checkpoint"], paces)
    whole_s = each.batch_s * math.ceil(row["batch__size"] / each.size)
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
