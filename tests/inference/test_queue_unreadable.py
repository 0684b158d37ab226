"""A render that nobody can work on ends alone, in words, uncharged; everybody else's go on."""

import pytest

import billing.audit
import inference.audit
from billing import ledger
from inference import catalog, queue
from inference.models import Render, RenderStatus
from tests.inference.desk import Desk, claim, claimed_ids, worker


@pytest.fixture
def desk(workspace):
    yield Desk(workspace.pk)
    findings = billing.audit.broken_invariants() | inference.audit.broken_invariants()
    assert {name: number for name, number in findings.items() if number} == {}


def spoil(render_id: int) -> None:
    Render.objects.filter(pk=render_id).update(request={"prompt": "half a request"})


def take_off_the_catalogue(*render_ids: int) -> None:
    Render.objects.filter(pk__in=render_ids).update(checkpoint="sd-9")


def claim_as_the_runner_does(desk: Desk) -> queue.ClaimedBatch | None:
    return queue.claim(
        worker=worker(), batch_size_of=lambda checkpoint: catalog.entry(checkpoint).batch_size("cpu"), now=desk.now
    )


def failures(desk: Desk) -> list[tuple[int, str, str]]:
    rows = Render.objects.filter(status=RenderStatus.FAILED).order_by("pk")
    return list(rows.values_list("pk", "failure_code", "failure_reason"))


def test_a_request_that_cannot_be_read_fails_at_the_head_of_the_queue_and_the_next_ones_are_claimed(desk):
    generation, [bad] = desk.ask(1, priority=5)
    _, ids = desk.ask(2)
    spoil(bad)
    assert claimed_ids(claim(worker())) == ids
    [(failed, code, reason)] = failures(desk)
    assert (failed, code) == (bad, "unreadable")
    assert reason == "Its settings can no longer be read. Nothing was charged; ask for it anew."
    generation.refresh_from_db()
    assert generation.failed == 1
    assert ledger.balance(workspace_id=desk.workspace_id).held == 2 * ledger.MILLI


def test_a_neighbor_that_cannot_be_read_costs_the_batch_only_itself(desk):
    _, ids = desk.ask(4)
    spoil(ids[2])
    batch = claim(worker())
    assert claimed_ids(batch) == [ids[0], ids[1], ids[3]]
    assert [pk for pk, *_ in failures(desk)] == [ids[2]]
    assert desk.row(ids[0]).batch.size == 3


def test_a_checkpoint_that_is_in_the_catalogue_no_more_stops_nobody_else(desk):
    _, gone = desk.ask(3, priority=5)
    _, ids = desk.ask(2)
    take_off_the_catalogue(*gone)
    assert claimed_ids(claim_as_the_runner_does(desk)) == ids
    assert [pk for pk, *_ in failures(desk)] == gone
    assert "“sd-9” is no longer offered here" in failures(desk)[0][2]
    assert "Nothing was charged" in failures(desk)[0][2]


def test_a_checkpoint_is_missed_also_where_the_render_has_to_run_alone(desk):
    _, [gone] = desk.ask(1)
    take_off_the_catalogue(gone)
    Render.objects.update(must_run_alone=True)
    assert claim_as_the_runner_does(desk) is None
    assert [pk for pk, *_ in failures(desk)] == [gone]


def test_whatever_asking_for_the_batch_size_raises_the_queue_goes_on(desk):
    _, odd = desk.ask(1, checkpoint="sd-1-5", priority=5)
    _, ids = desk.ask(1)

    def size(checkpoint: str) -> int:
        if checkpoint == "sd-1-5":
            raise ZeroDivisionError
        return 4

    assert claimed_ids(queue.claim(worker=worker(), batch_size_of=size, now=desk.now)) == ids
    assert queue.claim(worker=worker(), batch_size_of=size, now=desk.now) is None
    # Another worker, of another kind or a newer version, may have a size for it.
    assert failures(desk) == []
    assert claimed_ids(claim(worker())) == odd


def test_a_queue_of_nothing_but_unreadable_renders_is_emptied(desk):
    _, ids = desk.ask(5)
    for pk in ids:
        spoil(pk)
    assert claim(worker()) is None
    assert [pk for pk, *_ in failures(desk)] == ids
    assert ledger.balance(workspace_id=desk.workspace_id).held == 0
