"""A clock that is set ahead or back costs no attempt, and makes nobody wait for as long as it was wrong."""

import time
from datetime import datetime, timedelta

import pytest

from billing import clock
from inference import queue, tasks
from tests.conftest import NOW
from tests.inference.desk import Desk, claim, claimed_ids, take, worker

JUMP = timedelta(minutes=10)


@pytest.fixture
def desk(workspace) -> Desk:
    return Desk(workspace.pk)


@pytest.fixture
def sweep(monkeypatch):
    """Sweeps at a time by the clock and at one by the process's own count; nobody is woken."""
    monkeypatch.setattr(tasks, "_swept_at", [])
    monkeypatch.setattr(queue, "nudge", lambda name: None)

    def at(now: datetime, *, counted_s: float) -> None:
        monkeypatch.setattr(clock, "now", lambda: now)
        monkeypatch.setattr(time, "monotonic", lambda: counted_s)
        tasks.sweep()

    return at


def test_a_clock_set_ahead_takes_no_work_from_workers_that_live(desk, sweep):
    _, ids = desk.ask(2)
    take(worker())
    sweep(NOW, counted_s=100)
    sweep(NOW + JUMP, counted_s=105)
    assert {desk.row(pk).status for pk in ids} == {"running"}
    assert {desk.row(pk).lease_expires_at for pk in ids} == {NOW + JUMP + queue.LEASE}


def test_after_a_clock_was_set_ahead_a_dead_workers_renders_still_come_back(desk, sweep):
    _, [render_id] = desk.ask(1)
    take(worker())
    sweep(NOW, counted_s=100)
    sweep(NOW + JUMP, counted_s=105)
    sweep(NOW + JUMP + queue.LEASE, counted_s=165)
    assert desk.row(render_id).status == "queued"


def test_time_that_really_passed_without_a_sweep_is_no_jump(desk, sweep):
    _, [render_id] = desk.ask(1)
    take(worker())
    sweep(NOW, counted_s=100)
    sweep(NOW + JUMP, counted_s=100 + JUMP.total_seconds())
    assert desk.row(render_id).status == "queued"


def test_a_clock_set_back_does_not_stretch_a_dead_workers_lease(desk, sweep):
    desk.now = NOW + JUMP
    _, [render_id] = desk.ask(1)
    take(worker(), now=NOW + JUMP)
    sweep(NOW, counted_s=100)
    assert desk.row(render_id).lease_expires_at == NOW + queue.LEASE
    sweep(NOW + queue.LEASE, counted_s=160)
    assert desk.row(render_id).status == "queued"


def test_a_clock_set_back_does_not_stretch_the_pause_between_two_tries(desk, sweep):
    _, [render_id] = desk.ask(1)
    [render] = take(worker()).renders
    queue.give_back(render=render, code="storage", reason="x", now=NOW + JUMP)
    assert claim(worker(), now=NOW) is None
    sweep(NOW, counted_s=100)
    assert claimed_ids(claim(worker(), now=NOW)) == [render_id]


def test_leases_and_pauses_of_ordinary_length_are_left_alone(desk, sweep):
    _, ids = desk.ask(2)
    first, second = take(worker()).renders
    queue.give_back(render=second, code="storage", reason="x", now=NOW)
    before = [desk.row(pk).lease_expires_at for pk in ids], [desk.row(pk).not_before for pk in ids]
    sweep(NOW, counted_s=100)
    assert ([desk.row(pk).lease_expires_at for pk in ids], [desk.row(pk).not_before for pk in ids]) == before
    assert desk.row(first.id).status == "running"
