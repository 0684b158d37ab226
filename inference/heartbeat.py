"""Keeps a batch's leases alive while its attempt advances, and lets go when it hangs.

Runs beside the engine in a thread of its own; knows phases and times, not pictures.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from django.db import Error, connection

from billing import clock
from inference import previews, queue
from inference.engine.interface import Progress
from inference.models import Batch, Worker
from inference.queue import ClaimedBatch

if TYPE_CHECKING:
    from inference.engine.interface import Pixels

logger = logging.getLogger(__name__)

INTERVAL_S = 15.0
# How often people who watch see a batch get further, and a canceled batch is noticed.
TICK_S = 1.0
# How long a phase may go without advancing before the lease is let go. A first load or compile takes minutes; a step
# on a slow CPU at full size takes tens of seconds, never minutes.
CEILING_S = {"claimed": 120.0, "load": 900.0, "encode": 120.0, "step": 180.0, "decode": 120.0, "store": 120.0}


# A call that never returns cannot be interrupted from inside: the process ends, and whoever keeps it starts a new one.
HANG_EXIT_CODE = 70


def _end_process() -> None:
    os._exit(HANG_EXIT_CODE)


class Heartbeat:
    """``with Heartbeat(...) as pulse``: renews the leases every 15 s as long as the attempt advances.

    Every second it also tells how far the batch is, and shows its previews.
    """

    def __init__(
        self,
        *,
        batch: ClaimedBatch,
        worker: Worker,
        interval_s: float = INTERVAL_S,
        tick_s: float = TICK_S,
        end_process: Callable[[], None] = _end_process,
    ) -> None:
        self.batch = batch
        self.worker = worker
        self.interval_s = interval_s
        self.tick_s = min(tick_s, interval_s)
        self.end_process = end_process
        self.is_lost = False
        self._progress = ("claimed", 0, 0)
        self._told = self._progress
        self._previews: tuple[int, Mapping[int, Pixels]] = (0, {})
        self._shown: tuple[int, Mapping[int, Pixels]] = self._previews
        self._advanced_at = self._renewed_at = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"heartbeat-{batch.id}", daemon=True)

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        if self._shown[0]:
            previews.remove(render.id for render in self.batch.renders)

    def report(self, progress: Progress, *, render_ids: Sequence[int] = ()) -> None:
        """The engine's progress callback; `render_ids` are the renders of its inputs, in order."""
        if progress.previews:
            pictures: Mapping[int, Pixels] = dict(zip(render_ids, progress.previews, strict=True))
            self._previews = (progress.step, pictures)
        self.advance(progress.phase, progress.step, progress.steps)

    def advance(self, phase: str, step: int = 0, steps: int = 0) -> None:
        """Say that the attempt got further."""
        # The time first: a beat in between must not hold the last phase's age against the ceiling of this one.
        self._advanced_at = time.monotonic()
        self._progress = (phase, step, steps)

    def _beat(self) -> None:
        try:
            while not self._ended.wait(self.tick_s):
                self._tick()
        finally:
            connection.close()

    def _tick(self) -> None:
        if time.monotonic() - self._renewed_at >= self.interval_s:
            self._renewed_at = time.monotonic()
            self._renew()
        try:
            self._tell()
        except Error:
            logger.exception("batch %s: progress", self.batch.id)
            connection.close()

    def _tell(self) -> None:
        if self._progress == self._told:
            return
        self._told = phase, step, steps = self._progress
        newest = self._previews
        if newest is not self._shown and previews.store(newest[1]):
            self._shown = newest
        shown_step, _ = self._shown
        Batch.objects.filter(pk=self.batch.id).update(phase=phase, step=step, steps=steps, preview_step=shown_step)
        self.is_lost = not queue.held(self.batch)

    def _renew(self) -> None:
        phase, step, steps = self._progress
        overdue_s = time.monotonic() - self._advanced_at - CEILING_S[phase]
        if overdue_s > 0:
            logger.error("batch %s hangs in phase %s: its lease is let go", self.batch.id, phase)
            if overdue_s > queue.LEASE.total_seconds():
                self.end_process()
            return
        try:
            alive = queue.heartbeat(
                batch=self.batch, worker=self.worker, phase=phase, step=step, steps=steps, now=clock.now()
            )
        except Error:
            logger.exception("batch %s: heartbeat", self.batch.id)
            # A broken connection would stay broken; the next beat opens another.
            connection.close()
            return
        # Nobody waits for these images any more: the engine may stop between two steps.
        self.is_lost = not alive
