"""What the sweeper does besides reaping: deadlines of what runs, counters put right, workers that are gone."""

import logging
from datetime import timedelta

import pytest

import inference.audit
from billing import clock, ledger
from inference import queue, tasks
from inference.models import Generation, Render, Worker
from inference.queue import StaleAttemptError
from tests.inference.desk import Desk, claim, complete, take, worker


@pytest.fixture
def desk(workspace) -> Desk:
    return Desk(workspace.pk)


def counters(generation: Generation) -> tuple[int, int, int, int]:
    generation.refresh_from_db()
    return (generation.succeeded, generation.failed, generation.canceled, generation.expired)


# --- deadlines -------------------------------------------------------------------------------------------------------


def test_what_runs_past_its_deadline_expires_with_the_next_sweep_and_its_late_worker_changes_nothing(desk):
    generation, ids = desk.ask(2, deadline_at=desk.now + timedelta(seconds=30))
    batch = take(worker())
    queue.heartbeat(batch=batch, worker=Worker.objects.get(), phase="step", step=1, steps=9, now=desk.later(seconds=29))
    assert queue.expire(now=desk.now) == 0
    assert queue.expire(now=desk.later(seconds=1)) == 2
    assert {desk.row(pk).status for pk in ids} == {"expired"}
    assert queue.held(batch) == frozenset()
    with pytest.raises(StaleAttemptError):
        complete(batch.renders[0], now=desk.now)
    assert counters(generation) == (0, 0, 0, 2)
    assert ledger.balance(workspace_id=desk.workspace_id).held == 0


def test_a_sweep_expires_what_is_late_before_it_counts_it_as_its_workers_death(desk, monkeypatch):
    _, [render_id] = desk.ask(1, deadline_at=desk.now + timedelta(seconds=30))
    take(worker())
    Render.objects.update(attempts=queue.MAX_ATTEMPTS)
    late = desk.later(minutes=2)
    monkeypatch.setattr(clock, "now", lambda: late)
    monkeypatch.setattr(tasks, "_swept_at", [])
    tasks.sweep()
    assert (desk.row(render_id).status, desk.row(render_id).failure_code) == ("expired", "deadline")


def test_what_was_done_in_time_and_what_has_no_deadline_never_expires(desk):
    desk.ask(1, deadline_at=desk.now + timedelta(seconds=30))
    desk.ask(1)
    done = take(worker(), at_most=1)
    complete(done.renders[0])
    assert queue.expire(now=desk.later(hours=1)) == 0
    assert sorted(Render.objects.values_list("status", flat=True)) == ["queued", "succeeded"]


# --- counters --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [{"succeeded": 0}, {"failed": 1}, {"succeeded": 0, "canceled": 1}])
def test_a_generation_whose_counters_differ_from_its_renders_is_put_right_and_logged(desk, wrong, caplog):
    generation, _ = desk.ask(3)
    complete(take(worker(), at_most=1).renders[0])
    Generation.objects.update(**wrong)
    assert inference.audit.broken_invariants()["generation_counts_differ"] == 1
    with caplog.at_level(logging.ERROR):
        assert queue.reconcile() == 1
    assert counters(generation) == (1, 0, 0, 0)
    assert f"generation {generation.pk} counted" in caplog.text
    assert queue.reconcile() == 0


def test_a_generation_that_looks_done_while_something_of_it_waits_is_put_right(desk):
    generation, _ = desk.ask(1)
    Generation.objects.update(succeeded=1)
    assert queue.reconcile() == 1
    assert counters(generation) == (0, 0, 0, 0)


def test_sound_counters_are_left_alone_in_one_query(desk, django_assert_num_queries, caplog):
    desk.ask(3)
    complete(take(worker(), at_most=1).renders[0])
    with django_assert_num_queries(1):
        assert queue.reconcile() == 0
    assert caplog.text == ""


# --- workers ---------------------------------------------------------------------------------------------------------


def test_a_worker_that_nobody_heard_of_for_an_hour_counts_as_ended_and_a_living_one_does_not(desk):
    gone, living = worker(), worker()
    desk.later(minutes=59)
    desk.ask(1)
    take(living, now=desk.now)
    assert queue.end_silent_workers(now=desk.now) == 0
    assert queue.end_silent_workers(now=desk.later(minutes=1)) == 1
    assert list(Worker.objects.filter(ended_at__isnull=False)) == [gone]
    assert queue.end_silent_workers(now=desk.now) == 0


def test_a_worker_at_a_long_batch_has_not_ended(desk):
    desk.ask(1)
    take(worker())
    assert queue.end_silent_workers(now=desk.later(hours=2)) == 0


def test_a_worker_that_was_only_idle_is_there_again_with_its_next_claim(desk):
    hand = worker()
    queue.end_silent_workers(now=desk.later(hours=2))
    desk.ask(1)
    assert claim(hand, now=desk.now) is not None
    row = Worker.objects.get()
    assert (row.ended_at, row.seen_at) == (None, desk.now)
