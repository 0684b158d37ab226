"""A worker's work: claim a batch, paint it, lock the product, store the pictures, settle each.

Torch is reached only through the engine it is given; who asked, and why, it does not know.
"""

import logging
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from numpy.typing import NDArray

from billing import clock
from billing.kill_points import kill_point
from inference import addons, batch_sizes, catalog, product_lock, queue
from inference.catalog.sources import CheckpointSource, resolve
from inference.engine import passes
from inference.engine.batching import BatchKey, batch_key
from inference.engine.interface import EngineError, OutOfMemoryError_, Progress, RenderEngine, Stopped
from inference.finishing import Master, Prepared, engine_inputs, finish, joined, prepare
from inference.heartbeat import Heartbeat
from inference.models import Worker
from inference.pictures import PictureError
from inference.queue import Claimed, ClaimedBatch, StaleAttemptError
from inference.recording import Recorder
from inference.requests import TRIES, retry_seed

logger = logging.getLogger(__name__)

NO_DATABASE = (OperationalError, InterfaceError)
DATABASE_PATIENCE_S = 30.0  # less than the lease, which goes on being renewed meanwhile
DATABASE_PAUSE_S = 0.5
TURN_TICK_S = 1.0  # how often a hand that waits for the engine says that it lives


@dataclass(frozen=True, eq=False)
class _Work:
    """One render on its way, and the try it is at."""

    render: Claimed
    prepared: Prepared
    attempt: int = 0

    @property
    def seed(self) -> int:
        return retry_seed(self.render.request.seed, self.attempt)


# A render's work, and the pictures that were painted for it, in order: one, or its tiles.
_Painted = tuple[_Work, tuple[NDArray[np.uint8], ...]]


class _Turn(threading.local):
    """A hand's turn at the engine, from its claim until its pictures are painted. One hand has it at a time."""

    def __init__(self, engine_is_free: threading.Lock) -> None:
        self._engine_is_free = engine_is_free
        self._has_it = False

    def take(self, *, while_waiting: Callable[[], None] = lambda: None) -> None:
        """Wait for it, unless this hand has it already."""
        while not self._has_it and not self._engine_is_free.acquire(timeout=TURN_TICK_S):
            while_waiting()
        self._has_it = True

    def leave(self) -> None:
        """Let the other hand have it, if this one has it."""
        if self._has_it:
            self._has_it = False
            self._engine_is_free.release()


class Runner:
    """One process's worker: keeps its engine, with the checkpoint loaded in it, between drains.

    With two hands, one finishes, stores and settles its pictures while the other one's batch is being painted.
    """

    def __init__(self, *, engine: RenderEngine, worker: Worker, hands: int = 1) -> None:
        self.engine = engine
        self.worker = worker
        self.hands = hands
        self.is_stopping = False
        self._turn = _Turn(threading.Lock())
        self._limits: Mapping[str, int] = {}

    def drain(self, *, limit_s: float) -> bool:
        """Work off batches until nothing waits or the time is up; True if work may be left."""
        ends_at = time.monotonic() + limit_s
        self._limits = batch_sizes.limits(self.engine.device_class)
        if self.hands == 1:
            return self._work(ends_at)
        with ThreadPoolExecutor(self.hands - 1, thread_name_prefix="hand") as pool:
            others = [pool.submit(self._work_and_hang_up, ends_at) for _ in range(self.hands - 1)]
            is_left = self._work(ends_at)
        return any([is_left, *(other.result() for other in others)])

    def _work_and_hang_up(self, ends_at: float) -> bool:
        try:
            return self._work(ends_at)
        finally:
            connection.close()

    def _work(self, ends_at: float) -> bool:
        """What one hand does. It claims only when it may paint, so that nothing claimed waits for the engine."""
        has_woken = False
        while self._may_go_on(ends_at):
            self._turn.take()
            # Whatever happens, it is left again: the other hand would wait for ever.
            try:
                # Asked anew: it may have waited for minutes.
                if not self._may_go_on(ends_at):
                    break
                batch = queue.claim(worker=self.worker, batch_size_of=self._batch_size, now=clock.now())
                if batch is None:
                    return False
                kill_point("after_claim")
                if not has_woken:
                    self._wake_another()
                    has_woken = True
                self._run(batch)
            finally:
                self._turn.leave()
        return not self.is_stopping

    def _may_go_on(self, ends_at: float) -> bool:
        return time.monotonic() < ends_at and not self.is_stopping

    def stop(self) -> None:
        """Ask to end soon: between two steps, the batch in hand is given back."""
        self.is_stopping = True

    def _wake_another(self) -> None:
        """Pass on that there is work: the message that woke this worker woke no other."""
        try:
            if queue.waiting(queue=self.worker.queue, now=clock.now()):
                queue.nudge_on_commit(self.worker.queue)
        except NO_DATABASE:
            # The sweeper nudges as well, and what was just claimed must not wait for its lease to run out.
            logger.exception("no other worker was woken: database")
            connection.close()

    def _batch_size(self, checkpoint: str) -> int:
        return batch_sizes.batch_size(checkpoint, self.engine.device_class, self._limits)

    def _run(self, batch: ClaimedBatch) -> None:
        with Heartbeat(batch=batch, worker=self.worker) as pulse:
            unsettled = {render.id: render for render in batch.renders}
            try:
                self._paint_or_end(batch, unsettled, pulse)
            except NO_DATABASE:
                logger.exception("batch %s: database", batch.id)
                self._turn.leave()
                self._hand_back_patiently(unsettled)
            finally:
                self._turn.leave()
        queue.finish_batch(batch=batch, now=clock.now())

    def _paint_or_end(self, batch: ClaimedBatch, unsettled: dict[int, Claimed], pulse: Heartbeat) -> None:
        try:
            self._paint_all(batch, unsettled, pulse)
        except Stopped:
            self._hand_back(unsettled, code=queue.SHUTDOWN, reason="The worker was asked to stop.")
        except OutOfMemoryError_ as error:
            logger.warning("batch %s: %s", batch.id, error)
            self._make_smaller(batch.renders[0].request.checkpoint, unsettled, error)
        except EngineError as error:
            logger.warning("batch %s: %s", batch.id, error)
            for render in unsettled.values():
                self._end(render, code=type(error).__name__, reason=f"{error} Nothing was charged.", error=error)
        except OSError as error:
            logger.exception("batch %s: storage", batch.id)
            self._hand_back(unsettled, code="storage", reason=f"The picture could not be stored: {error}")
        except NO_DATABASE:
            raise
        except Exception:
            # Whatever it was, it must not be claimed for ever: it counts as an attempt of each.
            logger.exception("batch %s", batch.id)
            reason = "Something unexpected went wrong in the worker. Nothing was charged."
            for render in unsettled.values():
                self._end(render, code="unexpected", reason=reason, error=None)

    def _paint_all(self, batch: ClaimedBatch, unsettled: dict[int, Claimed], pulse: Heartbeat) -> None:
        entry = catalog.entry(batch.renders[0].request.checkpoint)
        source = resolve(entry, overrides=settings.STUDIO_CHECKPOINTS, data_dir=settings.STUDIO_DATA)
        key = batch_key(batch.renders[0].request, source.sizes)
        works = [work for render in batch.renders if (work := self._prepare(render, key, unsettled, pulse))]
        # Asked once: it stands in the recipes, and the other hand may find out meanwhile that less fits.
        size = self._batch_size(source.slug)
        recorder = Recorder(source=source, key=key, engine=self.engine, batch_size=size)
        while works:
            painted, failure = self._paint(key, works, source, pulse, batch_size=size)
            try:
                works = self._finish_all(painted, recorder, unsettled, pulse)
            finally:
                # What is stored is settled, whatever became of the others.
                _settle(recorder, unsettled)
            if failure is not None:
                raise failure

    def _finish_all(
        self,
        painted: list[_Painted],
        recorder: Recorder,
        unsettled: dict[int, Claimed],
        pulse: Heartbeat,
    ) -> list[_Work]:
        """Finish, measure and store what was painted; those to be tried again came out with a flaw."""
        flawed = []
        for work, pictures in painted:
            pulse.advance("store")
            master = finish(work.prepared, joined(work.prepared, pictures))
            if master.flaw and work.attempt + 1 < TRIES:
                flawed.append(_next_try(work, master.flaw))
            elif reason := _refusal(master):
                code = "lock" if master.flaw is None else queue.FLAWED
                self._end(work.render, code=code, reason=reason, error=None, may_retry=False)
                unsettled.pop(work.render.id)
            else:
                recorder.store(work.render, master, seed=work.seed)
            if recorder.is_due:
                _settle(recorder, unsettled)
        return flawed

    def _prepare(self, render: Claimed, key: BatchKey, unsettled: dict[int, Claimed], pulse: Heartbeat) -> _Work | None:
        """Read what it shows; a render whose product or picture cannot be used fails alone."""
        # Each large picture takes seconds.
        pulse.advance("claimed")
        try:
            return _Work(render=render, prepared=prepare(render.request, key))
        except product_lock.LockError as error:
            self._end(render, code="product", reason=f"{error} Nothing was charged.", error=None, may_retry=False)
            unsettled.pop(render.id)
            return None
        except PictureError as error:
            self._end(render, code="picture", reason=f"{error} Nothing was charged.", error=None, may_retry=False)
            unsettled.pop(render.id)
            return None

    def _paint(
        self, key: BatchKey, works: list[_Work], source: CheckpointSource, pulse: Heartbeat, *, batch_size: int
    ) -> tuple[list[_Painted], Exception | None]:
        """What was painted of every render of which all was, and what went wrong after those."""
        if key.task == "enlarge":
            self._turn.leave()
            return [(work, ()) for work in works], None
        self._turn.take(while_waiting=lambda: pulse.advance("store"))
        painted: list[_Painted] = []
        try:
            painted.extend(self._pictures(key, works, source, pulse, batch_size=batch_size))
        except Exception as error:
            return painted, error
        finally:
            self._turn.leave()
        return painted, None

    def _pictures(
        self, key: BatchKey, works: list[_Work], source: CheckpointSource, pulse: Heartbeat, *, batch_size: int
    ) -> Iterator[_Painted]:
        ids = [work.render.id for work in works]
        wanted = [(work, each) for work in works for each in engine_inputs(work.prepared, seed=work.seed)]
        started = time.monotonic()

        def report(progress: Progress) -> None:
            kill_point("mid_render")
            # A tile is no picture to show.
            pulse.report(progress if len(wanted) == len(ids) else replace(progress, previews=()), render_ids=ids)
            if progress.phase != "load" and self.worker.checkpoint != source.slug:
                self._note_checkpoint(source, pulse.batch, load_s=time.monotonic() - started)

        pictures = passes.run(
            self.engine,
            key,
            [each for _, each in wanted],
            source=source,
            addons=addons.of(key),
            batch_size=batch_size,
            on_progress=report,
            should_stop=lambda: self.is_stopping or pulse.is_lost,
        )
        missing = Counter(work.render.id for work, _ in wanted)
        parts: dict[int, dict[int, NDArray[np.uint8]]] = defaultdict(dict)
        for index, picture in pictures:
            work = wanted[index][0]
            parts[work.render.id][index] = picture
            missing[work.render.id] -= 1
            if not missing[work.render.id]:
                of_work = parts.pop(work.render.id)
                yield work, tuple(of_work[number] for number in sorted(of_work))

    def _note_checkpoint(self, source: CheckpointSource, batch: ClaimedBatch, *, load_s: float) -> None:
        queue.loaded(
            worker=self.worker,
            batch=batch,
            checkpoint=source.slug,
            device_class=self.engine.device_class,
            load_s=load_s,
            now=clock.now(),
        )

    def _make_smaller(self, checkpoint: str, unsettled: dict[int, Claimed], error: OutOfMemoryError_) -> None:
        """Go on with as many at once as fit, where the device could tell; else it counts as an attempt of each."""
        if error.fits:
            batch_sizes.lower(
                checkpoint=checkpoint,
                device_class=self.engine.device_class,
                failed_size=self._batch_size(checkpoint),
                to=error.fits,
                now=clock.now(),
            )
            self._limits = batch_sizes.limits(self.engine.device_class)
            reason = f"The device has memory for {error.fits} at once; it goes on so."
            self._hand_back(unsettled, code=queue.MEMORY, reason=reason)
            return
        for render in unsettled.values():
            self._end(render, code="out_of_memory", reason=f"{error} Nothing was charged.", error=error)

    def _hand_back(self, unsettled: dict[int, Claimed], *, code: str, reason: str) -> None:
        for render in unsettled.values():
            with _stale_is_fine():
                queue.give_back(render=render, code=code, reason=reason, now=clock.now())

    def _hand_back_patiently(self, unsettled: dict[int, Claimed]) -> None:
        """Hand back over a new connection, as soon as the database answers; what has its image by then is stale.

        :raises django.db.Error: it did not answer for half a minute; the leases are left to run out.
        """
        ends_at = time.monotonic() + DATABASE_PATIENCE_S
        while True:
            connection.close()  # a broken one would stay broken
            try:
                self._hand_back(unsettled, code="database", reason="The database did not answer for a moment.")
            except NO_DATABASE:
                if time.monotonic() >= ends_at:
                    raise
                time.sleep(DATABASE_PAUSE_S)
            else:
                return

    def _end(
        self, render: Claimed, *, code: str, reason: str, error: EngineError | None, may_retry: bool = True
    ) -> None:
        may_retry = may_retry and (error is None or error.retryable)
        with _stale_is_fine():
            queue.fail(render=render, code=code[:30], reason=reason, may_retry=may_retry, now=clock.now())


def _settle(recorder: Recorder, unsettled: dict[int, Claimed]) -> None:
    for render_id in recorder.settle():
        unsettled.pop(render_id)


@contextmanager
def _stale_is_fine() -> Iterator[None]:
    """The render went on without this attempt: what it made is dropped, and that is all."""
    try:
        yield
    except StaleAttemptError as stale:
        logger.info("%s", stale)


def _next_try(work: _Work, flaw: str) -> _Work:
    thrown_away = {"seed": work.seed, "reason": flaw}
    render = replace(work.render, tries=[*work.render.tries, thrown_away])
    return replace(work, render=render, attempt=work.attempt + 1)


def _refusal(master: Master) -> str:
    """Why a finished image must not be shown to anybody; empty when it may."""
    if master.certificate and master.certificate.lock_max_diff:
        logger.error("lock broken: differs by up to %s levels", master.certificate.lock_max_diff)
        return "The product's pixels did not come out unchanged, which is a fault of ours. Nothing was charged."
    if master.flaw:
        return f"The picture came out with a flaw ({master.flaw}) {TRIES} times. Nothing was charged; try it anew."
    return ""
