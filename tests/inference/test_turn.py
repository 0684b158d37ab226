"""Whose turn it is where checkpoints and workspaces compete: quanta, no starving, no loading to and fro."""

import itertools
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import pytest

from inference import queue, turn
from inference.models import Render, Worker
from inference.queue import ClaimedBatch
from tests.inference.desk import Desk, claim, claimed_ids, complete, take, worker

BATCH_S = 5
QUANTUM_S = turn.QUANTUM.total_seconds()


@pytest.fixture
def desk(workspace) -> Desk:
    return Desk(workspace.pk)


@pytest.fixture
def second_desk(desk, make_workspace) -> Desk:
    return Desk(make_workspace("other").pk)


def work(desk: Desk, hand: Worker, *, seconds: float = BATCH_S) -> tuple[str, ClaimedBatch]:
    """One batch from the claim to its end, as the runner does it; the checkpoint it was of."""
    batch = take(hand, now=desk.now)
    checkpoint = Render.objects.values_list("checkpoint", flat=True).get(pk=batch.renders[0].id)
    if hand.checkpoint != checkpoint:
        queue.loaded(worker=hand, batch=batch, checkpoint=checkpoint, device_class="cpu", load_s=0, now=desk.now)
    desk.later(seconds=seconds)
    for render in batch.renders:
        complete(render, now=desk.now)
    queue.finish_batch(batch=batch, now=desk.now)
    return checkpoint, batch


def switches(checkpoints: Sequence[str]) -> int:
    return sum(one != other for one, other in itertools.pairwise(checkpoints))


def test_a_click_for_another_checkpoint_waits_for_no_longer_than_a_quantum(desk):
    desk.ask(200, checkpoint="starter")
    hand = worker()
    work(desk, hand)
    clicked_at = desk.now
    _, [click] = desk.ask(1, checkpoint="sd-1-5", priority=10)
    while desk.row(click).status == "queued":
        checkpoint, batch = work(desk, hand)
    assert checkpoint == "sd-1-5"
    assert claimed_ids(batch) == [click]
    begun_after_s = (desk.now - clicked_at).total_seconds() - BATCH_S
    assert 0 < begun_after_s <= QUANTUM_S
    assert work(desk, hand)[0] == "starter"


def test_a_click_for_the_loaded_checkpoint_is_next(desk):
    desk.ask(200, checkpoint="starter")
    hand = worker()
    work(desk, hand)
    _, [click] = desk.ask(1, checkpoint="starter", priority=10)
    assert click in claimed_ids(work(desk, hand)[1])


def test_click_after_click_for_another_checkpoint_changes_it_at_the_pace_of_quanta(desk):
    desk.ask(120, checkpoint="starter")
    hand, made = worker(), []
    for _ in range(24):
        desk.ask(1, checkpoint="sd-1-5", priority=10)
        made.append(work(desk, hand)[0])
    spent_s = len(made) * BATCH_S
    assert Counter(made)["sd-1-5"] >= 1
    # There and back in a quantum at most, not with every batch.
    assert switches(made) <= 2 * (spent_s / QUANTUM_S + 1)
    assert switches(made) < len(made) / 2


def test_the_work_of_two_workspaces_for_two_checkpoints_alternates_in_quanta(desk, second_desk):
    desk.ask(200, checkpoint="starter")
    second_desk.ask(200, checkpoint="sd-1-5")
    hand = worker()
    made = [work(desk, hand)[0] for _ in range(36)]
    batches = int(QUANTUM_S / BATCH_S)
    assert made == (["starter"] * batches + ["sd-1-5"] * batches) * 3


def test_older_work_for_another_checkpoint_is_not_left_waiting_by_new_work_for_the_loaded_one(desk):
    _, [old] = desk.ask(1, checkpoint="sd-1-5")
    hand = worker(loaded="starter")
    for _ in range(int(QUANTUM_S / BATCH_S)):
        desk.ask(1, checkpoint="starter")
        assert work(desk, hand)[0] == "starter"
    desk.ask(1, checkpoint="starter")
    assert claimed_ids(work(desk, hand)[1]) == [old]


def test_less_urgent_work_for_another_checkpoint_waits_until_the_urgent_work_is_done(desk):
    _, patient = desk.ask(1, checkpoint="sd-1-5")
    desk.ask(36, checkpoint="starter", priority=1)
    hand = worker()
    made = [work(desk, hand)[0] for _ in range(10)]
    assert made == ["starter"] * 9 + ["sd-1-5"]
    assert desk.row(patient[0]).status == "succeeded"


def test_the_quantum_begins_when_the_checkpoint_is_loaded_and_not_with_each_batch(desk):
    hand = worker()
    assert turn.stays_with(hand, now=desk.now) == ""
    desk.ask(8, checkpoint="starter")
    work(desk, hand)
    loaded_at = hand.loaded_at
    work(desk, hand)
    assert hand.loaded_at == loaded_at == Worker.objects.get().loaded_at
    assert loaded_at is not None
    assert turn.stays_with(hand, now=loaded_at + turn.QUANTUM - timedelta(seconds=1)) == "starter"
    assert turn.stays_with(hand, now=loaded_at + turn.QUANTUM) == ""


def test_a_clock_set_back_ends_a_quantum_instead_of_stretching_it(desk):
    hand = worker(loaded="starter", now=desk.now)
    assert turn.stays_with(hand, now=desk.now - timedelta(minutes=10)) == ""


def test_one_worker_serves_the_workspaces_in_turn_though_nothing_else_ever_runs(desk, second_desk, make_workspace):
    third = Desk(make_workspace("third").pk)
    owner = {pk: name for name, each in (("a", desk), ("b", second_desk), ("c", third)) for pk in each.ask(16)[1]}
    hand, order = worker(), []
    for _ in range(6):
        _, batch = work(desk, hand)
        order.append({owner[pk] for pk in claimed_ids(batch)})
    assert order == [{"a"}, {"b"}, {"c"}, {"a"}, {"b"}, {"c"}]


def test_the_rest_of_a_batch_is_filled_by_the_workspace_whose_turn_comes_after(desk, second_desk):
    desk.ask(8)
    hand = worker()
    work(desk, hand)
    _, theirs = second_desk.ask(3)
    _, batch = work(desk, hand)
    assert set(theirs) < set(claimed_ids(batch))
    assert len(batch.renders) == 4


def test_a_paused_workspace_is_not_eligible_and_another_one_is(desk, second_desk):
    desk.ask(2)
    _, theirs = second_desk.ask(1)
    queue.pause_workspace(workspace_id=desk.workspace_id, now=desk.now)
    assert list(turn.eligible(queue="gpu", now=desk.now).values_list("pk", flat=True)) == theirs
    assert claimed_ids(claim(worker())) == theirs
    assert claim(worker()) is None
