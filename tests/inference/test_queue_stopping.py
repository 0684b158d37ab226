"""Pausing, going on and canceling, of a workspace above all: at once, in slices, beside launches and workers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from django.db import transaction

import billing.audit
import inference.audit
from billing import ledger
from inference import queue
from inference.models import QueuePause, Render
from inference.queue import StaleAttemptError, ends, stopping
from studio.models import User
from tests.inference.desk import Desk, claim, claimed_ids, complete, take, worker
from tests.together import raised, together


def broken() -> dict[str, int]:
    findings = billing.audit.broken_invariants() | inference.audit.broken_invariants()
    return {name: number for name, number in findings.items() if number}


@pytest.fixture
def desk(workspace):
    yield Desk(workspace.pk)
    assert broken() == {}


@pytest.fixture
def second_desk(desk, make_workspace) -> Desk:
    return Desk(make_workspace("other").pk)


@pytest.fixture
def nudged(monkeypatch) -> list[str]:
    """The queues that were nudged, in order."""
    names: list[str] = []
    monkeypatch.setattr(stopping, "nudge_on_commit", names.append)
    return names


def states(desk: Desk) -> list[str]:
    rows = Render.objects.filter(workspace_id=desk.workspace_id).order_by("pk")
    return list(rows.values_list("status", flat=True))


def held(desk: Desk) -> int:
    return ledger.balance(workspace_id=desk.workspace_id).held


# --- pausing ---------------------------------------------------------------------------------------------------------


def test_nothing_of_a_paused_workspace_is_claimed_and_what_runs_is_finished(desk, second_desk):
    _, ids = desk.ask(3)
    _, theirs = second_desk.ask(1)
    running = take(worker(), at_most=1)
    queue.pause_workspace(workspace_id=desk.workspace_id, now=desk.now)
    assert queue.is_workspace_paused(desk.workspace_id)
    assert not queue.is_workspace_paused(second_desk.workspace_id)
    assert claimed_ids(claim(worker())) == theirs
    desk.ask(1)
    assert not queue.waiting(queue="gpu", now=desk.now)
    complete(running.renders[0])
    assert states(desk) == ["succeeded", "queued", "queued", "queued"]
    queue.resume_workspace(workspace_id=desk.workspace_id)
    assert claimed_ids(claim(worker(), at_most=2)) == ids[1:]


def test_pausing_twice_keeps_who_paused_first_and_one_resume_is_enough(desk):
    owner, member = (User.objects.create_user(f"{name}@example.com") for name in ("owner", "member"))
    queue.pause_workspace(workspace_id=desk.workspace_id, now=desk.now, by_id=owner.pk)
    queue.pause_workspace(workspace_id=desk.workspace_id, now=desk.later(minutes=1), by_id=member.pk)
    assert QueuePause.objects.get().created_by_id == owner.pk
    queue.resume_workspace(workspace_id=desk.workspace_id)
    queue.resume_workspace(workspace_id=desk.workspace_id)
    assert not queue.is_workspace_paused(desk.workspace_id)


def test_a_generation_that_is_paused_itself_stays_so_when_its_workspace_goes_on(desk):
    generation, _ = desk.ask(1)
    queue.pause(generation_id=generation.pk)
    queue.pause_workspace(workspace_id=desk.workspace_id, now=desk.now)
    queue.resume_workspace(workspace_id=desk.workspace_id)
    assert claim(worker()) is None


def test_deadlines_pass_in_a_paused_workspace_too(desk):
    desk.ask(2, deadline_at=desk.now)
    queue.pause_workspace(workspace_id=desk.workspace_id, now=desk.now)
    assert queue.expire(now=desk.now) == 2
    assert states(desk) == ["expired", "expired"]


def test_going_on_wakes_every_queue_in_which_something_waits(desk, second_desk, nudged):
    gpu, _ = desk.ask(2)
    hosted, _ = desk.ask(1, queue="hosted")
    second_desk.ask(1, queue="elsewhere")
    queue.pause_workspace(workspace_id=desk.workspace_id, now=desk.now)
    queue.resume_workspace(workspace_id=desk.workspace_id)
    assert sorted(nudged) == ["gpu", "hosted"]
    nudged.clear()
    queue.pause(generation_id=hosted.pk)
    queue.resume(generation_id=hosted.pk)
    queue.resume(generation_id=gpu.pk)  # was not paused
    assert nudged == ["hosted"]


# --- canceling -------------------------------------------------------------------------------------------------------


def test_canceling_a_workspace_ends_all_that_waits_or_runs_and_gives_it_back(desk, second_desk):
    desk.ask(2)
    desk.ask(1, queue="hosted")
    done, running = take(worker(), at_most=1), take(worker(), at_most=1)
    second_desk.ask(2)
    complete(done.renders[0])
    assert queue.cancel_workspace(workspace_id=desk.workspace_id, now=desk.now) == 2
    assert states(desk) == ["succeeded", "canceled", "canceled"]
    assert held(desk) == 0
    with pytest.raises(StaleAttemptError):
        complete(running.renders[0])
    assert states(second_desk) == ["queued", "queued"]
    assert held(second_desk) == 2 * ledger.MILLI
    assert queue.cancel_workspace(workspace_id=desk.workspace_id, now=desk.now) == 0


def test_a_paused_workspace_can_be_canceled_and_stays_paused(desk):
    desk.ask(2)
    queue.pause_workspace(workspace_id=desk.workspace_id, now=desk.now)
    assert queue.cancel_workspace(workspace_id=desk.workspace_id, now=desk.now) == 2
    assert queue.is_workspace_paused(desk.workspace_id)


def test_many_renders_are_canceled_slice_by_slice_so_that_nobody_waits_long(desk, monkeypatch):
    monkeypatch.setattr(ends, "SLICE", 4)
    slices: list[int] = []
    end_slice = ends._end_slice

    def counted(*args: Any, **options: Any) -> int:
        slices.append(end_slice(*args, **options))
        return slices[-1]

    monkeypatch.setattr(ends, "_end_slice", counted)
    generation, _ = desk.ask(10)
    desk.ask(3)
    assert queue.cancel_workspace(workspace_id=desk.workspace_id, now=desk.now) == 13
    assert slices == [4, 4, 2, 3]
    generation.refresh_from_db()
    assert generation.canceled == 10


def test_a_cancel_that_was_interrupted_between_two_slices_is_finished_by_the_next_one(desk, monkeypatch):
    monkeypatch.setattr(ends, "SLICE", 4)
    generation, ids = desk.ask(10)
    release = ledger.release
    slices: list[int] = []

    def until_killed(*, line_ids: Sequence[int], now: datetime) -> None:
        if slices:
            raise KeyboardInterrupt
        slices.append(len(line_ids))
        release(line_ids=line_ids, now=now)

    with monkeypatch.context() as patched:
        patched.setattr(ledger, "release", until_killed)
        with pytest.raises(KeyboardInterrupt), transaction.atomic():
            queue.cancel(generation_id=generation.pk, now=desk.now)
    assert queue.cancel(generation_id=generation.pk, now=desk.now) == len(ids)
    assert held(desk) == 0


def test_a_workspace_is_canceled_beside_launches_and_workers_and_the_books_stay_sound(
    transactional_db, make_workspace, monkeypatch
):
    monkeypatch.setattr(ends, "SLICE", 5)
    desk = Desk(make_workspace().pk)
    desk.ask(30, key="before")

    def launch() -> None:
        for number in range(5):
            desk.ask(4, key=f"launch {number}")

    def work() -> None:
        hand = worker()
        for _ in range(10):
            batch = claim(hand, at_most=3)
            for render in batch.renders if batch else ():
                try:
                    complete(render)
                except StaleAttemptError:
                    continue

    def stop() -> int:
        return queue.cancel_workspace(workspace_id=desk.workspace_id, now=desk.now)

    results = together([launch, work, work, stop, stop])
    assert raised(results) == []
    first = Render.objects.filter(generation__key="before").values_list("status", flat=True)
    assert set(first) <= {"succeeded", "canceled", "running"}
    stop()
    assert set(states(desk)) <= {"succeeded", "canceled"}
    assert held(desk) == 0
    assert broken() == {}
