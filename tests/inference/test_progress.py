"""What a render tells about itself while it waits, runs and ends, and what it costs to ask."""

from datetime import timedelta

import pytest

from inference import catalog, progress, queue
from inference.models import Batch, Render, RenderStatus, Worker
from inference.pace import LOAD_GUESS_S
from inference.progress import RenderProgress
from tests.inference.desk import Desk, claim, complete, take, worker

GUESS_S = catalog.entry("starter").seconds_per_image


@pytest.fixture
def desk(workspace) -> Desk:
    return Desk(workspace.pk)


def of(desk: Desk, ids: list[int]) -> list[RenderProgress]:
    found = progress.of_renders(ids, now=desk.now)
    return [found[pk] for pk in ids]


def positions(desk: Desk, ids: list[int]) -> list[int | None]:
    return [each.position for each in of(desk, ids)]


def test_what_waits_knows_its_place_behind_older_and_more_urgent_work(desk):
    _, first = desk.ask(3)
    _, second = desk.ask(2)
    assert positions(desk, first) == [1, 2, 3]
    assert positions(desk, second) == [4, 5]
    _, urgent = desk.ask(2, priority=10)
    assert positions(desk, [*urgent, *first, *second]) == [1, 2, 3, 4, 5, 6, 7]


def test_the_place_within_a_generation_counts_those_that_were_not_asked_about(desk):
    _, ids = desk.ask(5)
    assert positions(desk, ids[3:]) == [4, 5]


def test_paused_work_neither_has_a_place_nor_takes_one(desk):
    generation, paused = desk.ask(2)
    _, ids = desk.ask(1)
    queue.pause(generation_id=generation.pk)
    assert positions(desk, ids) == [1]
    [first, _] = of(desk, paused)
    assert (first.position, first.eta, first.is_paused) == (None, None, True)
    queue.resume(generation_id=generation.pk)
    assert positions(desk, [*paused, *ids]) == [1, 2, 3]


def test_the_time_to_wait_grows_with_what_is_before_it(desk):
    _, ids = desk.ask(3)
    _, later = desk.ask(1, checkpoint="sdxl-base")
    waits = [each.eta for each in of(desk, [*ids, *later])]
    other = catalog.entry("sdxl-base").seconds_per_image
    painting = (GUESS_S, 2 * GUESS_S, 3 * GUESS_S, 3 * GUESS_S + other)
    loading = [LOAD_GUESS_S * loads for loads in (1, 1, 1, 2)]
    assert waits == [timedelta(seconds=sum(parts)) for parts in zip(painting, loading, strict=True)]


def test_the_latest_time_is_told_beside_the_likely_one_for_what_waits(desk):
    _, ids = desk.ask(2)
    take(worker(), at_most=1)
    running, waiting = of(desk, ids)
    assert waiting.eta is not None
    assert waiting.eta_late is not None
    assert waiting.eta_late > waiting.eta
    assert running.eta is not None
    assert running.eta_late is None


def test_workspaces_take_turns_so_that_a_small_order_is_soon_its_own_turn(desk, make_workspace):
    _, many = desk.ask(40)
    other = Desk(make_workspace("other").pk)
    _, few = other.ask(2)
    assert positions(desk, few) == [2, 4]
    assert positions(desk, many[:4]) == [1, 3, 5, 6]
    assert positions(desk, many[-1:]) == [42]


def test_a_paused_workspaces_images_have_no_place_and_are_told_to_be_paused(desk, make_workspace):
    other = Desk(make_workspace("other").pk)
    _, theirs = other.ask(2)
    _, ids = desk.ask(1)
    queue.pause_workspace(workspace_id=other.workspace_id, now=other.now)
    assert positions(desk, ids) == [1]
    assert {(each.is_paused, each.position, each.eta) for each in of(desk, theirs)} == {(True, None, None)}
    marks = progress.marks(theirs, workspace_id=other.workspace_id, now=other.now)
    assert set(marks.values()) == {"paused"}
    queue.resume_workspace(workspace_id=other.workspace_id)
    assert not any(each.is_paused for each in of(desk, theirs))


def test_one_image_of_a_model_that_is_gone_does_not_spoil_the_page_of_the_others(desk):
    _, [gone] = desk.ask(1)
    Render.objects.filter(pk=gone).update(checkpoint="sd-9")
    _, ids = desk.ask(1)
    assert positions(desk, [gone, *ids]) == [1, 2]


def test_the_time_to_wait_follows_what_was_measured(desk):
    _, done = desk.ask(2)
    batch = claim(worker(), at_most=2)
    assert batch is not None
    for render in batch.renders:
        complete(render)
    hand = Worker.objects.get()
    queue.loaded(worker=hand, batch=batch, checkpoint="starter", device_class="", load_s=4, now=desk.later(seconds=4))
    queue.finish_batch(batch=batch, now=desk.later(seconds=20))
    _, ids = desk.ask(3)
    # Two fit into a batch, and the third has one for itself; loading it took four seconds once, and is over.
    assert [each.eta for each in of(desk, ids)] == [timedelta(seconds=s) for s in (20, 20, 40)]
    assert [each.status for each in of(desk, done)] == [RenderStatus.SUCCEEDED] * 2


def test_a_running_render_tells_its_step_and_the_preview_that_is_stored(desk):
    _, ids = desk.ask(2)
    batch = claim(worker())
    assert batch is not None
    [before, _] = of(desk, ids)
    assert (before.status, before.step, before.steps, before.preview_key) == (RenderStatus.RUNNING, 0, 0, "")
    Batch.objects.filter(pk=batch.id).update(phase="step", step=9, steps=12, preview_step=8)
    [now, _] = of(desk, ids)
    assert (now.step, now.steps, now.preview_step) == (9, 12, 8)
    assert now.preview_key == f"previews/{ids[0]}.webp"
    assert before.eta is not None
    assert now.eta == before.eta / 4


def test_an_ended_render_tells_its_asset_or_why_there_is_none(desk):
    _, ids = desk.ask(3)
    batch = claim(worker(), at_most=2)
    assert batch is not None
    complete(batch.renders[0])
    reason = "It broke. Nothing was charged."
    queue.fail(render=batch.renders[1], code="x", reason=reason, may_retry=False, now=desk.now)
    queue.cancel_render(render_id=ids[2], now=desk.now)
    done, failed, canceled = of(desk, ids)
    assert done.asset_id == desk.row(ids[0]).asset_id is not None
    assert (failed.status, failed.reason) == (RenderStatus.FAILED, reason)
    assert (canceled.status, canceled.reason) == (RenderStatus.CANCELED, "Canceled. Nothing was charged.")
    assert all(each.is_over and each.position is None and each.eta is None for each in (done, failed, canceled))


def test_a_render_whose_next_try_is_put_off_has_no_place_yet(desk):
    _, ids = desk.ask(1)
    batch = claim(worker())
    assert batch is not None
    queue.fail(render=batch.renders[0], code="x", reason="Not now.", may_retry=True, now=desk.now)
    [waiting] = of(desk, ids)
    assert (waiting.status, waiting.position, waiting.reason) == (RenderStatus.QUEUED, None, "")


@pytest.mark.parametrize("images", [1, 40])
def test_asking_costs_as_many_queries_for_forty_renders_as_for_one(desk, images, django_assert_num_queries):
    ids = [pk for _ in range(5) for pk in desk.ask(images)[1]]
    claim(worker())
    with django_assert_num_queries(5):
        progress.of_renders(ids, now=desk.now)


def test_a_queue_that_no_worker_comes_to_is_told_from_one_that_is_only_long(desk):
    _, ids = desk.ask(3)
    assert not any(each.is_unattended for each in of(desk, ids))
    desk.later(seconds=21)
    assert all(each.is_unattended for each in of(desk, ids))
    batch = claim(worker(), at_most=1, now=desk.now)
    assert batch is not None
    assert not any(each.is_unattended for each in of(desk, ids))
    complete(batch.renders[0], now=desk.now)
    queue.finish_batch(batch=batch, now=desk.now)
    # Between two batches nothing runs for a moment.
    assert not any(each.is_unattended for each in of(desk, ids[1:]))
    desk.later(seconds=21)
    assert all(each.is_unattended for each in of(desk, ids[1:]))


def test_a_worker_that_died_with_an_image_in_hand_does_not_count_as_one(desk):
    _, ids = desk.ask(2)
    claim(worker(), at_most=1, now=desk.now)
    desk.later(minutes=3)
    assert of(desk, ids[1:])[0].is_unattended


def test_what_is_over_costs_one_query(desk, django_assert_num_queries):
    generation, ids = desk.ask(3)
    queue.cancel(generation_id=generation.pk, now=desk.now)
    with django_assert_num_queries(1):
        progress.of_renders(ids, now=desk.now)


def test_canceling_one_image_leaves_the_others_and_gives_its_credits_back(desk):
    generation, ids = desk.ask(3)
    claim(worker(), at_most=1)
    assert queue.cancel_render(render_id=ids[0], now=desk.now)
    assert queue.cancel_render(render_id=ids[1], now=desk.now)
    assert not queue.cancel_render(render_id=ids[1], now=desk.now)
    assert [desk.row(pk).status for pk in ids] == ["canceled", "canceled", "queued"]
    generation.refresh_from_db()
    assert generation.canceled == 2
    assert [desk.row(pk).hold_line.released for pk in ids] == [1000, 1000, 0]
