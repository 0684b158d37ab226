"""The heartbeat keeps a batch's leases alive while the attempt advances, and lets go when it hangs or is not wanted."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import get_args

import pytest

from billing import clock
from inference import queue
from inference.engine.interface import Phase, Progress
from inference.heartbeat import CEILING_S, Heartbeat
from inference.models import Batch, Render, Worker
from inference.queue import ClaimedBatch
from tests.inference.desk import Desk, claim, worker

BEAT_S = 0.02


@pytest.fixture
def hand(transactional_db) -> Worker:
    return worker(now=clock.now())


@pytest.fixture
def batch(hand, make_workspace) -> ClaimedBatch:
    now = clock.now()
    desk = Desk(make_workspace(now=now).pk)
    desk.now = now
    desk.ask(2)
    batch = claim(hand, now=now)
    assert batch is not None
    return batch


def leases() -> set[datetime | None]:
    return set(Render.objects.values_list("lease_expires_at", flat=True))


def soon(is_so: Callable[[], bool]) -> bool:
    ends_at = time.monotonic() + 10
    while time.monotonic() < ends_at:
        if is_so():
            return True
        time.sleep(BEAT_S)
    return False


def test_leases_are_renewed_while_the_attempt_advances_and_its_progress_is_recorded(hand, batch):
    first = leases()
    with Heartbeat(batch=batch, worker=hand, interval_s=BEAT_S) as pulse:
        pulse.report(Progress(phase="step", step=3, steps=12))
        assert soon(lambda: Batch.objects.filter(phase="step", step=3, steps=12).exists())
        assert not first & leases()
        assert not pulse.is_lost
    last = leases()
    time.sleep(5 * BEAT_S)
    assert leases() == last


def test_a_hanging_attempt_loses_its_lease(hand, batch, monkeypatch):
    monkeypatch.setitem(CEILING_S, "decode", 0.1)
    with Heartbeat(batch=batch, worker=hand, interval_s=BEAT_S) as pulse:
        pulse.advance("decode")
        time.sleep(0.3)
        hung = leases()
        time.sleep(5 * BEAT_S)
        assert leases() == hung
        pulse.advance("store")
        assert soon(lambda: leases() != hung)


def test_a_process_that_hangs_beyond_its_lease_is_ended(hand, batch, monkeypatch):
    monkeypatch.setitem(CEILING_S, "decode", 0.1)
    monkeypatch.setattr(queue, "LEASE", timedelta(seconds=0.2))
    ended: list[float] = []
    started = time.monotonic()
    with Heartbeat(
        batch=batch, worker=hand, interval_s=BEAT_S, end_process=lambda: ended.append(time.monotonic())
    ) as p:
        p.advance("decode")
        assert soon(lambda: bool(ended))
    assert ended[0] - started >= 0.3


def test_an_attempt_that_nobody_waits_for_any_more_is_told_so(hand, batch):
    with Heartbeat(batch=batch, worker=hand, interval_s=BEAT_S) as pulse:
        pulse.advance("step", 1, 12)
        assert soon(lambda: Batch.objects.filter(phase="step").exists())
        assert not pulse.is_lost
        for generation_id in Render.objects.values_list("generation", flat=True):
            queue.cancel(generation_id=generation_id, now=clock.now())
        assert soon(lambda: pulse.is_lost)


def test_every_phase_of_the_engine_has_a_ceiling_and_loading_the_longest():
    assert {*get_args(Phase), "claimed", "store"} == set(CEILING_S)
    assert max(CEILING_S, key=lambda phase: CEILING_S[phase]) == "load"
