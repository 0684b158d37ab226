"""The planner's bench: what it counts is what the engine did, and the least that any order can do."""

import dataclasses
import itertools

import pytest

from inference import catalog, queue
from inference.engine.bench import calls, order, planner
from inference.engine.engine import Engine
from inference.requests import image_request
from tests.conftest import NOW
from tests.inference.desk import claim, complete, worker


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    return planner.ground(tmp_path_factory.mktemp("planner"))


def test_the_plan_of_the_goal_has_2000_images_over_every_checkpoint_size_and_lora():
    cells = planner.plan()
    assert len(cells) == len(set(cells)) == 2000
    assert {(cell.checkpoint, cell.size, cell.lora) for cell in cells} == {
        (checkpoint, size, f"lora{number}")
        for checkpoint in planner.CHECKPOINTS
        for size in planner.SIZES
        for number in range(6)
    }
    least = planner.minimal(cells)
    assert (least.checkpoint_loads, least.lora_switches) == (2, 12)


def test_the_engines_counters_are_the_least_possible_and_torch_counts_as_many_calls(ground):
    cells = planner.plan(72)
    engine = Engine(device="cpu")
    with calls.counted() as seen:
        planner.paint(ground, cells, engine)
    assert engine.counters == planner.minimal(cells)
    assert len(seen) == engine.counters.passes * planner.STEPS


def test_another_order_costs_more_and_the_counters_say_so(ground, monkeypatch):
    cells = planner.plan(24)
    monkeypatch.setattr(order, "order", lambda keys: list(range(len(keys))))
    engine = Engine(device="cpu")
    planner.paint(ground, cells, engine)
    least = planner.minimal(cells)
    assert engine.counters.checkpoint_loads > least.checkpoint_loads
    assert engine.counters.lora_switches > least.lora_switches
    assert engine.counters.decoded == least.decoded


def test_batches_hold_each_image_once_and_only_images_of_one_key():
    keys = [planner._key(cell) for cell in planner.plan(200)]
    batches = list(order.batches(keys, 8))
    assert sorted(index for batch in batches for index in batch) == list(range(200))
    assert all(len({keys[index] for index in batch}) == 1 for batch in batches)
    assert all(list(batch) == sorted(batch) for batch in batches)


def test_the_order_leaves_images_alone_that_share_checkpoint_and_loras():
    keys = [dataclasses.replace(planner._key(cell), loras=(), checkpoint="one") for cell in planner.plan(50)]
    assert order.order(keys) == list(range(50))


def test_the_loop_beside_it_paints_with_the_same_checkpoints_and_loras(ground):
    assert planner.looped(ground, planner.plan(12), every=1) > 0


def test_the_queue_gives_out_the_same_batches_when_each_launch_has_one_checkpoint_and_one_set_of_loras(workspace):
    cells = planner.plan(120)
    keys = [planner._key(cell) for cell in cells]
    entries = dict(zip(planner.CHECKPOINTS, ("starter", "sd-1-5"), strict=True))
    asked: dict[int, int] = {}
    for number, (_, group) in enumerate(
        itertools.groupby(order.order(keys), key=lambda index: (keys[index].checkpoint, keys[index].loras))
    ):
        indexes = list(group)
        entry = catalog.entry(entries[cells[indexes[0]].checkpoint])
        requests = [
            queue.QueuedRequest(
                request=image_request(entry, prompt=cells[index].scene, seed=index, width=256, height=256),
                batch_key=keys[index].digest(),
            )
            for index in indexes
        ]
        _, ids = queue.enqueue(
            workspace_id=workspace.pk, key=f"launch {number}", requests=requests, entry=entry, now=NOW
        )
        asked |= dict(zip(ids, indexes, strict=True))
    hand = worker()
    given = []
    while batch := claim(hand, at_most=planner.BATCH_SIZE):
        given.append(tuple(asked[render.id] for render in batch.renders))
        for render in batch.renders:
            complete(render)
        queue.finish_batch(batch=batch, now=NOW)
    assert given == list(order.batches(keys, planner.BATCH_SIZE))
