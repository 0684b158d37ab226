"""A worker with two hands: one settles its pictures while the other one's batch is painted. Nothing else differs."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from django.db import connection

from billing import clock, ledger
from inference import queue
from inference.engine.fixed_rate import FixedRateEngine
from inference.engine.interface import EngineInput, OutOfMemoryError_
from inference.models import Render
from inference.runner import Runner
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


def work_off(engine: FixedRateEngine) -> None:
    hand = queue.register(host="here", pid=1, queue="gpu", now=clock.now())
    try:
        Runner(engine=engine, worker=hand, hands=2).drain(limit_s=60)
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
