"""Failed images asked for again: in a new generation with a hold of its own; what was is left as it was."""

import pytest

from billing import ledger
from billing.ledger import InsufficientCreditsError
from inference import failures, operations, queue, retry
from inference.models import Generation, Render
from inference.queue import FLAWED
from inference.requests import TRIES, retry_seed
from inference.retry import NothingToRetryError, StillRunningError
from tests.inference.desk import Desk, claim, complete, take, worker


@pytest.fixture
def desk(workspace) -> Desk:
    return Desk(workspace.pk)


def half_failed(desk: Desk, *, code: str = "EngineError") -> Generation:
    """Four images, of which the second and the fourth failed."""
    generation, _ = desk.ask(4)
    batch = take(worker())
    assert batch is not None
    for number, render in enumerate(batch.renders):
        if number % 2:
            queue.fail(render=render, code=code, reason="Out of memory.", may_retry=False, now=desk.now)
        else:
            complete(render)
    return generation


def test_what_failed_is_asked_for_again_with_the_same_request_and_a_new_hold(desk, workspace):
    first = half_failed(desk)
    before = list(Render.objects.order_by("pk").values_list("pk", "status"))
    again, render_ids = retry.retry(generation_id=first.pk, now=desk.later(minutes=1))
    failed = Render.objects.filter(generation=first, status="failed").order_by("pk")
    assert [render.request for render in Render.objects.filter(pk__in=render_ids).order_by("pk")] == [
        render.request for render in failed
    ]
    assert again.hold_id != first.hold_id
    assert list(Render.objects.filter(generation=first).order_by("pk").values_list("pk", "status")) == before
    assert ledger.balance(workspace_id=workspace.pk).held == 2_000


def test_retrying_twice_asks_once(desk):
    first = half_failed(desk)
    again, render_ids = retry.retry(generation_id=first.pk, now=desk.now)
    assert retry.retry(generation_id=first.pk, now=desk.later(minutes=1)) == (again, render_ids)
    assert Generation.objects.count() == 2
    assert retry.retried([first.pk, again.pk]) == {first.pk}


def test_what_was_flawed_at_every_try_goes_on_with_other_seeds(desk):
    first = half_failed(desk, code=FLAWED)
    _, render_ids = retry.retry(generation_id=first.pk, now=desk.now)
    seeds = [render.request["seed"] for render in Render.objects.filter(pk__in=render_ids).order_by("pk")]
    assert seeds == [retry_seed(2, TRIES), retry_seed(4, TRIES)]


def test_there_is_nothing_to_retry_before_the_end_and_without_a_failure(desk):
    generation, _ = desk.ask(2)
    with pytest.raises(StillRunningError, match="still on their way"):
        retry.retry(generation_id=generation.pk, now=desk.now)
    for render in take(worker()).renders:
        complete(render)
    with pytest.raises(NothingToRetryError, match="nothing to retry"):
        retry.retry(generation_id=generation.pk, now=desk.now)


def test_a_retry_that_cannot_be_paid_writes_nothing(db, make_workspace):
    desk = Desk(make_workspace("poor", plan="free").pk)
    first = half_failed(desk)
    desk.ask(18)
    with pytest.raises(InsufficientCreditsError):
        retry.retry(generation_id=first.pk, now=desk.now)
    assert retry.retried([first.pk]) == set()


# --- what an operator sees -------------------------------------------------------------------------------------------


def test_failures_are_told_by_generation_with_their_commonest_reasons(desk, workspace):
    first = half_failed(desk)
    desk.ask(1)
    found, following = failures.newest()
    assert following is None
    assert [(f.generation_id, f.failed, f.images, f.workspace_slug) for f in found] == [(first.pk, 2, 4, "acme")]
    assert [(reason.text, reason.images) for reason in found[0].reasons] == [("Out of memory.", 2)]
    assert found[0].unfinished == 0


def test_failures_come_page_by_page(desk):
    generations = [half_failed(desk).pk for _ in range(3)]
    first, before = failures.newest(limit=2)
    rest, end = failures.newest(limit=2, before=before)
    assert [failure.generation_id for failure in first + rest] == generations[::-1]
    assert end is None


def test_lines_tell_what_waits_and_runs_for_whom(desk, make_workspace):
    other = Desk(make_workspace("other").pk)
    paused, _ = desk.ask(3)
    queue.pause(generation_id=paused.pk)
    other.later(minutes=1)
    other.ask(4)
    claim(worker(), at_most=2)
    lines = {line.workspace: line for line in operations.lines()}
    assert (lines["Acme"].waiting, lines["Acme"].paused, lines["Acme"].running) == (3, 3, 0)
    assert (lines["Other"].waiting, lines["Other"].paused, lines["Other"].running) == (2, 0, 2)
    # What is paused waits for a person, and stands behind what waits for a worker.
    assert [line.workspace for line in operations.lines()] == ["Other", "Acme"]


def test_a_worker_with_a_batch_is_silent_once_its_lease_time_has_passed_and_an_idle_one_never(desk):
    idle, busy = worker(), worker()
    desk.ask(2)
    claim(busy)
    told = {state.id: state for state in operations.workers(now=desk.later(seconds=59))}
    assert (told[busy.pk].batch_id is not None, told[busy.pk].is_silent) == (True, False)
    told = {state.id: state for state in operations.workers(now=desk.later(seconds=2))}
    assert (told[busy.pk].is_silent, told[idle.pk].is_silent) == (True, False)


def test_batches_tell_their_step_while_they_run_and_what_came_of_them_after(desk):
    desk.ask(2)
    hand = worker()
    batch = take(hand)
    queue.heartbeat(batch=batch, worker=hand, phase="step", step=3, steps=20, now=desk.now)
    (running,) = operations.running_batches()
    assert (running.phase, running.step, running.steps, running.size, running.checkpoint) == (
        "step",
        3,
        20,
        2,
        "starter",
    )
    assert operations.recent_batches() == []
    for render in batch.renders:
        complete(render)
    queue.finish_batch(batch=batch, now=desk.later(seconds=4))
    assert operations.running_batches() == []
    (recent,) = operations.recent_batches()
    assert (recent.succeeded, recent.failed) == (2, 0)


def test_the_pulse_beats_when_something_changed_and_only_then(desk, django_assert_num_queries):
    pulses = [operations.pulse()]
    desk.ask(2)
    pulses.append(operations.pulse())
    hand = worker()
    batch = take(hand)
    pulses.append(operations.pulse())
    queue.heartbeat(batch=batch, worker=hand, phase="step", step=3, steps=20, now=desk.now)
    pulses.append(operations.pulse())
    for render in batch.renders:
        complete(render)
    with django_assert_num_queries(5):
        pulses.append(operations.pulse())
    assert len({pulse.text for pulse in pulses}) == len(pulses)
    assert operations.pulse() == pulses[-1]
    assert [pulse.is_at_work for pulse in pulses] == [False, False, True, True, False]


def test_what_an_operator_sees_costs_as_many_queries_for_many_as_for_few(desk, django_assert_num_queries):
    def look():
        operations.lines()
        operations.workers(now=desk.now)
        operations.running_batches()
        operations.recent_batches()
        failures.newest()

    half_failed(desk)
    with django_assert_num_queries(8):
        look()
    for _ in range(5):
        half_failed(desk)
    with django_assert_num_queries(8):
        look()
