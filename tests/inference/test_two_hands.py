"""A worker with two hands: one settles its pictures while the other one's batch is painted. Nothing else differs."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from django.db import OperationalError, connection

from billing import clock, ledger
from inference import queue
from inference.engine.fixed_rate import FixedRateEngine
from inference.engine.interface import EngineInput, OutOfMemoryError_
from inference.models import Batch, Render
from inference.runner import Runner, _Turn
from tests.inference.test_runner import ask, check_invariants, request_for

pytestmark = pytest.mark.usefixtures("transactional_db")
PATIENCE_S = 30.0


class WaitsForTheOtherHand(FixedRateEngine):
    """Paints its second batch only once an image of the first one is settled, and minds being run twice at once."""

    def __init__(self) -> None:
        super().__init__(images_per_s=1000)
        self.batches: list[int] = []
        self.is_busy = threading.Lock()

    def run(self, key: Any, inputs: Sequence[EngineInput], **options: Any) -> Iterator[tuple[int, Any]]:
        assert self.is_busy.acquire(blocking=False), "two batches are painted at once"
        try:
            self.batches.append(len(inputs))
            ends_at = time.monotonic() + PATIENCE_S
            while len(self.batches) == 2 and not Render.objects.filter(status="succeeded").exists():
                assert time.monotonic() < ends_at, "the first batch waits for the second one"
                time.sleep(0.01)
            yield from super().run(key, inputs, **options)
        finally:
            self.is_busy.release()


class BreaksDown(FixedRateEngine):
    """Runs out of memory after the first picture of each batch."""

    def run(self, key: Any, inputs: Sequence[EngineInput], **options: Any) -> Iterator[tuple[int, Any]]:
        yield next(iter(super().run(key, inputs, **options)))
        raise OutOfMemoryError_("Out of memory.")


class WatchedLock:
    """A lock that tells how often it was asked for."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.asked = threading.Semaphore(0)

    def acquire(self, *, timeout: float) -> bool:
        self.asked.release()
        return self.lock.acquire(timeout=timeout)

    def release(self) -> None:
        self.lock.release()


class IsToldToStop(FixedRateEngine):
    """Its worker is asked to stop while one hand paints and the other one waits for its turn."""

    def __init__(self) -> None:
        super().__init__(images_per_s=1000)
        self.is_free: Any = WatchedLock()
        self.stop: Callable[[], None] = lambda: None

    def run(self, key: Any, inputs: Sequence[EngineInput], **options: Any) -> Iterator[tuple[int, Any]]:
        for _ in range(2):
            assert self.is_free.asked.acquire(timeout=PATIENCE_S), "the other hand never came"
        self.stop()
        yield from super().run(key, inputs, **options)


def two_hands(engine: FixedRateEngine) -> Runner:
    worker = queue.register(host="here", pid=1, queue="gpu", now=clock.now())
    return Runner(engine=engine, worker=worker, hands=2)


def work_off(engine: FixedRateEngine) -> None:
    drain(two_hands(engine))


def drain(runner: Runner) -> None:
    try:
        runner.drain(limit_s=60)
    finally:
        connection.close()


def test_images_are_settled_while_the_next_batch_is_painted(make_workspace: Callable[..., Any]):
    workspace = make_workspace(now=clock.now())
    ask(workspace, [request_for(None, number) for number in range(10)])
    engine = WaitsForTheOtherHand()
    work_off(engine)
    assert engine.batches == [4, 4, 2]
    assert set(Render.objects.values_list("status", "attempts")) == {("succeeded", 1)}
    assert ledger.balance(workspace_id=workspace.pk).spent == 10 * ledger.MILLI
    check_invariants()


def test_what_came_out_before_a_failure_is_kept(make_workspace: Callable[..., Any]):
    workspace = make_workspace(now=clock.now())
    ask(workspace, [request_for(None, number) for number in range(4)])
    work_off(BreaksDown(images_per_s=1000))
    statuses = sorted(Render.objects.values_list("status", flat=True))
    assert statuses.count("succeeded") == 1
    assert ledger.balance(workspace_id=workspace.pk).spent == ledger.MILLI
    check_invariants()


def test_a_hand_that_loses_the_database_after_its_claim_keeps_what_it_claimed_and_does_not_block_the_other(
    make_workspace: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
):
    ask(make_workspace(now=clock.now()), [request_for(None, number) for number in range(10)])

    def gone(**_: object) -> bool:
        raise OperationalError("the connection is closed")

    monkeypatch.setattr(queue, "waiting", gone)
    worker = threading.Thread(target=drain, args=[two_hands(FixedRateEngine(images_per_s=1000))], daemon=True)
    worker.start()
    worker.join(PATIENCE_S)
    assert not worker.is_alive(), "one hand waits for the other one for ever"
    assert set(Render.objects.values_list("status", "attempts")) == {("succeeded", 1)}
    check_invariants()


def test_a_hand_that_waits_for_its_turn_claims_nothing_more_once_the_worker_is_to_stop(
    make_workspace: Callable[..., Any],
):
    ask(make_workspace(now=clock.now()), [request_for(None, number) for number in range(10)])
    engine = IsToldToStop()
    runner = two_hands(engine)
    runner._turn, engine.stop = _Turn(engine.is_free), runner.stop
    drain(runner)
    assert Batch.objects.count() == 1
    assert set(Render.objects.values_list("status", "attempts")) == {("queued", 0)}
    check_invariants()
