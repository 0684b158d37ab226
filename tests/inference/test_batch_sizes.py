"""A device with too little memory for the catalogue's batch size goes on with what fits, and says so."""

from collections.abc import Iterator
from typing import Any

import pytest

from billing import clock, ledger
from gallery.models import Asset
from inference import batch_sizes
from inference.catalog import UnknownCheckpointError
from inference.engine.fixed_rate import FixedRateEngine
from inference.engine.interface import OutOfMemoryError_
from inference.models import Batch, BatchLimit, Generation, Render
from inference.runner import Runner
from tests.conftest import NOW
from tests.inference.test_runner import ask, check_invariants, request_for, runner


class Small(FixedRateEngine):
    """Has memory for so many images at once, and knows it."""

    def __init__(self, room: int) -> None:
        super().__init__(images_per_s=1000)
        self.room = room
        self.sizes: list[int] = []

    def run(self, *arguments: Any, batch_size: int, **options: Any) -> Iterator[tuple[int, Any]]:
        self.sizes.append(batch_size)
        if batch_size > self.room:
            raise OutOfMemoryError_("Out of memory.", self.room)
        yield from super().run(*arguments, batch_size=batch_size, **options)


@pytest.fixture
def asked(workspace) -> Generation:
    return ask(workspace, [request_for(None, number) for number in range(6)])


def drain(engine: FixedRateEngine) -> Runner:
    made = runner(engine)
    made.drain(limit_s=60)
    return made


def test_too_large_a_batch_is_made_again_in_smaller_ones_and_uses_up_no_attempt(workspace, asked):
    engine = Small(2)
    drain(engine)
    assert engine.sizes == [4, 2, 2, 2]
    assert [*Render.objects.values_list("status", "attempts", "must_run_alone")] == [("succeeded", 1, False)] * 6
    assert set(Asset.objects.values_list("recipe__batch_size", flat=True)) == {2}
    assert [*Batch.objects.order_by("pk").values_list("batch_size", flat=True)] == [4, 2, 2, 2]
    assert ledger.balance(workspace_id=workspace.pk).spent == 6000
    check_invariants()


def test_another_worker_of_that_device_class_begins_with_what_fits(workspace, asked):
    drain(Small(2))
    ask(workspace, [request_for(None, 9)], key="later")
    engine = Small(2)
    drain(engine)
    assert engine.sizes == [2]


def test_a_lifted_limit_is_tried_again(workspace, asked):
    drain(Small(2))
    [limit] = batch_sizes.all_limits()
    assert (limit.checkpoint, limit.device_class, limit.size, limit.failed_size, limit.wanted) == (
        *("starter", "cpu"),
        *(2, 4, 4),
    )
    assert batch_sizes.lift(limit_id=limit.id)
    assert not batch_sizes.lift(limit_id=limit.id)
    ask(workspace, [request_for(None, 9)], key="later")
    engine = Small(4)
    drain(engine)
    assert engine.sizes == [4]


def test_where_not_even_one_fits_it_fails_at_once_uncharged_and_in_words(workspace, asked):
    engine = Small(0)
    drain(engine)
    assert engine.sizes == [4, 4]
    reasons = set(Render.objects.values_list("status", "failure_code", "failure_reason"))
    assert reasons == {("failed", "out_of_memory", "Out of memory. Nothing was charged.")}
    assert not BatchLimit.objects.exists()
    assert ledger.balance(workspace_id=workspace.pk).spent == 0
    check_invariants()


def test_a_limit_is_never_raised_by_another_worker(db):
    def lower(to: int) -> None:
        batch_sizes.lower(checkpoint="starter", device_class="cpu", failed_size=16, to=to, now=NOW)

    for size in (8, 4, 8):
        lower(size)
    assert batch_sizes.limits("cpu") == {"starter": 4}
    assert batch_sizes.limits("cuda") == {}


def test_the_catalogue_decides_what_may_be_asked_for_and_how_many_at_most():
    assert batch_sizes.batch_size("starter", "cpu", {"sdxl-base": 1}) == 4
    assert batch_sizes.batch_size("starter", "cpu", {"starter": 64}) == 4
    with pytest.raises(UnknownCheckpointError):
        batch_sizes.batch_size("nothing", "cpu", {})


def test_a_limit_outlives_its_checkpoint(db):
    batch_sizes.lower(checkpoint="gone", device_class="cpu", failed_size=4, to=1, now=clock.now())
    assert [(limit.checkpoint, limit.wanted) for limit in batch_sizes.all_limits()] == [("gone", None)]
