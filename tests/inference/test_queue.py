"""The queue's functions, one by one: asking, whose turn it is, how attempts end, and what is charged."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

import billing.audit
import inference.audit
from billing import ledger
from billing.ledger import AlreadyResolvedError, InsufficientCreditsError, OverBudgetError
from billing.models import Budget, Entry, Hold, HoldLine
from gallery.models import Asset
from inference import catalog, queue
from inference.models import Batch, Generation, Render, RenderStatus, Worker
from inference.queue import KeyReusedError, StaleAttemptError
from tests.inference.desk import Desk, claim, claimed_ids, complete, finished, queued, take, worker


@pytest.fixture
def desk(workspace):
    """A desk at a workspace with 20,200 credits; every test ends with both audits finding nothing."""
    yield Desk(workspace.pk)
    findings = billing.audit.broken_invariants() | inference.audit.broken_invariants()
    assert {name: number for name, number in findings.items() if number} == {}


@pytest.fixture
def second_desk(desk, make_workspace):
    return Desk(make_workspace("other").pk)


def states(ids: list[int]) -> list[str]:
    by_id = dict(Render.objects.filter(pk__in=ids).values_list("pk", "status"))
    return [by_id[pk] for pk in ids]


def spent(desk: Desk) -> tuple[int, int]:
    """What is held and spent, in whole credits."""
    balance = ledger.balance(workspace_id=desk.workspace_id)
    return balance.held // ledger.MILLI, balance.spent // ledger.MILLI


# --- asking ----------------------------------------------------------------------------------------------------------


def test_asking_makes_a_generation_its_renders_in_order_and_one_hold_of_a_line_each(desk):
    generation, ids = desk.ask(3)
    rows = Render.objects.filter(pk__in=ids).order_by("pk")
    assert [row.pk for row in rows] == ids
    assert [row.seed for row in rows] == [1, 2, 3]
    assert [row.hold_line.position for row in rows] == [1, 2, 3]
    assert {row.hold_line.hold_id for row in rows} == {generation.hold_id}
    assert {(row.status, row.fence, row.attempts) for row in rows} == {("queued", 0, 0)}
    assert (generation.total, generation.done) == (3, 0)
    assert spent(desk) == (3, 0)


def test_asking_again_under_the_same_key_returns_what_was_made_the_first_time(desk):
    first = desk.ask(3, key="one click")
    desk.later(minutes=5)
    assert desk.ask(3, key="one click") == first
    assert Render.objects.count() == 3
    assert spent(desk) == (3, 0)


@pytest.mark.parametrize("other", [{"images": 2}, {"images": 3, "prompt": "another mug"}])
def test_a_key_that_stands_for_other_requests_is_refused(desk, other):
    desk.ask(3, key="one click")
    with pytest.raises(KeyReusedError, match="'one click' was used for other requests"):
        desk.ask(**other, key="one click")
    assert Render.objects.count() == 3
    assert spent(desk) == (3, 0)


def test_two_workspaces_may_use_the_same_key(desk, second_desk):
    mine, _ = desk.ask(1, key="one click")
    theirs, _ = second_desk.ask(2, key="one click")
    assert mine.pk != theirs.pk
    assert (mine.total, theirs.total) == (1, 2)


def nothing_was_left_behind() -> bool:
    tables = (Generation, Render, Hold, HoldLine)
    return not any(table.objects.exists() for table in tables) and not Entry.objects.exclude(kind="grant").exists()


def test_asking_for_more_than_there_are_credits_leaves_nothing_behind(desk):
    ledger.hold(workspace_id=desk.workspace_id, key="all but 2", amounts=[20_198_000], tier="standard", now=desk.now)
    holds = Hold.objects.count()
    with pytest.raises(InsufficientCreditsError, match="needs 3 credits, and the workspace has 2"):
        desk.ask(3, key="one click")
    assert not Generation.objects.exists()
    assert not Render.objects.exists()
    assert Hold.objects.count() == holds
    desk.ask(2, key="one click")


def test_asking_for_more_than_the_budget_allows_leaves_nothing_behind(desk):
    budget_id = ledger.open_budget(workspace_id=desk.workspace_id, name="Autumn", amount=2000)
    with pytest.raises(OverBudgetError):
        desk.ask(3, budget_id=budget_id)
    assert nothing_was_left_behind()
    assert Budget.objects.get().held == 0


def test_asking_for_no_image_at_all_leaves_nothing_behind(desk):
    with pytest.raises(ValueError, match="needs an amount for each image"):
        desk.ask(0)
    assert nothing_was_left_behind()


def test_a_request_is_priced_by_its_own_entry_only(desk):
    with pytest.raises(ValueError, match="price list"):
        queue.enqueue(
            workspace_id=desk.workspace_id,
            key="x",
            requests=[queued(1)],
            entry=catalog.entry("sd-1-5"),
            now=desk.now,
        )
    assert nothing_was_left_behind()


# --- whose turn it is ------------------------------------------------------------------------------------------------


def test_a_claim_takes_renders_of_one_batch_key_up_to_the_batch_size_oldest_first(desk):
    _, first = desk.ask(2, shape="square")
    _, wide = desk.ask(1, shape="wide")
    _, second = desk.ask(4, shape="square")
    hand = worker()
    batch = claim(hand, at_most=4)
    assert claimed_ids(batch) == [*first, *second[:2]]
    assert states([*first, *second[:2]]) == ["running"] * 4
    assert claimed_ids(claim(hand)) == wide
    assert claimed_ids(claim(hand)) == second[2:]
    assert claim(hand) is None
    assert list(Batch.objects.order_by("pk").values_list("size", "batch_key")) == [
        (4, "starter square"),
        (1, "starter wide"),
        (2, "starter square"),
    ]


def test_a_claimed_render_has_a_new_fence_a_lease_and_its_frozen_request(desk):
    _, [render_id] = desk.ask(1, prompt="a red mug")
    batch = claim(worker())
    assert batch is not None
    render = batch.renders[0]
    row = desk.row(render_id)
    assert (render.fence, row.fence, row.attempts, row.batch_id) == (1, 1, 1, batch.id)
    assert row.lease_expires_at == desk.now + queue.LEASE
    assert render.request == queued(1, prompt="a red mug").request


def test_a_worker_claims_only_from_its_own_queue(desk):
    desk.ask(1, queue="hosted")
    assert claim(worker()) is None
    assert not queue.waiting(queue="gpu", now=desk.now)
    assert queue.waiting(queue="hosted", now=desk.now)


def test_the_loaded_checkpoints_work_goes_before_older_and_more_urgent_work(desk):
    _, urgent = desk.ask(1, checkpoint="starter", priority=9)
    _, fitting = desk.ask(1, checkpoint="sd-1-5")
    hand = worker(loaded="sd-1-5")
    assert claimed_ids(claim(hand)) == fitting
    assert claimed_ids(claim(hand)) == urgent


def test_priority_goes_before_age(desk):
    _, old = desk.ask(1)
    _, urgent = desk.ask(1, priority=1)
    hand = worker()
    assert [claimed_ids(claim(hand, at_most=1)) for _ in range(2)] == [urgent, old]


def test_the_workspace_with_fewer_running_renders_goes_first(desk, second_desk):
    _, mine = desk.ask(4)
    _, theirs = second_desk.ask(2)
    hand = worker()
    order = [claimed_ids(claim(hand, at_most=1))[0] for _ in range(6)]
    assert order == [mine[0], theirs[0], mine[1], theirs[1], mine[2], mine[3]]


def test_a_batch_is_filled_from_the_workspace_with_fewer_running_renders_first(desk, second_desk):
    _, mine = desk.ask(8)
    hand = worker()
    assert claimed_ids(claim(hand, at_most=4)) == mine[:4]
    _, theirs = second_desk.ask(3)
    assert claimed_ids(claim(hand, at_most=4)) == [*theirs, mine[4]]


def test_no_more_renders_of_a_workspace_run_at_once_than_its_cap(desk, second_desk, settings):
    settings.STUDIO_MAX_RUNNING = 3
    _, mine = desk.ask(6)
    hand = worker()
    first = claim(hand, at_most=4)
    assert claimed_ids(first) == mine[:3]
    assert claim(hand) is None
    _, theirs = second_desk.ask(1)
    assert claimed_ids(claim(hand)) == theirs
    assert first is not None
    complete(first.renders[0])
    assert claimed_ids(claim(hand)) == [mine[3]]


def test_a_paused_generation_is_not_claimed_and_resumed_it_is(desk):
    generation, ids = desk.ask(2)
    hand = worker()
    running = claim(hand, at_most=1)
    queue.pause(generation_id=generation.pk)
    assert claim(hand) is None
    assert not queue.waiting(queue="gpu", now=desk.now)
    assert running is not None
    complete(running.renders[0])
    assert states(ids) == ["succeeded", "queued"]
    queue.resume(generation_id=generation.pk)
    assert claimed_ids(claim(hand)) == ids[1:]


def test_a_render_waits_for_its_time(desk):
    _, [render_id] = desk.ask(1)
    hand = worker()
    batch = claim(hand)
    assert batch is not None
    queue.fail(render=batch.renders[0], code="oom", reason="No memory.", may_retry=True, now=desk.now)
    waits_until = desk.row(render_id).not_before
    assert waits_until is not None
    assert waits_until > desk.now
    assert claim(hand, now=desk.now) is None
    assert not queue.waiting(queue="gpu", now=desk.now)
    assert claimed_ids(claim(hand, now=waits_until)) == [render_id]


# --- settling --------------------------------------------------------------------------------------------------------


def test_a_completed_render_has_its_asset_and_is_charged_once(desk):
    generation, [render_id] = desk.ask(1)
    batch = claim(worker())
    assert batch is not None
    desk.later(seconds=20)
    second_try = replace(batch.renders[0], tries=[{"seed": 1, "reason": "ghost"}])
    complete(second_try, seed=7, now=desk.now)
    row = desk.row(render_id)
    assert (row.status, row.seed, row.tries) == ("succeeded", 7, [{"seed": 1, "reason": "ghost"}])
    assert (row.finished_at, row.lease_expires_at) == (desk.now, None)
    assert row.asset is not None
    assert row.hold_line.captured == 1000
    generation.refresh_from_db()
    assert (generation.succeeded, generation.done) == (1, 1)
    assert spent(desk) == (0, 1)
    with pytest.raises(StaleAttemptError):
        complete(batch.renders[0])
    assert spent(desk) == (0, 1)


def test_a_settlement_that_fails_half_way_leaves_the_renders_running_and_nothing_charged(desk, monkeypatch):
    _, ids = desk.ask(2)
    batch = take(worker())

    def refuse(**_: object) -> None:
        raise AlreadyResolvedError("one of them was settled before")

    monkeypatch.setattr(ledger, "settle", refuse)
    with pytest.raises(AlreadyResolvedError):
        queue.complete([finished(render) for render in batch.renders], now=desk.now)
    assert states(ids) == ["running", "running"]
    assert not Asset.objects.exists()
    assert spent(desk) == (2, 0)


def test_images_of_several_clicks_are_settled_together_each_with_its_own_asset_and_seed(desk):
    first, _ = desk.ask(2)
    second, _ = desk.ask(1)
    batch = take(worker())
    thrown_away = [{"seed": 1, "reason": "blank"}]
    first_seed = batch.renders[0].request.seed
    ready = [
        finished(replace(batch.renders[0], tries=thrown_away), seed=first_seed + 7),
        *(finished(render, seed=render.request.seed) for render in batch.renders[1:]),
    ]
    assert queue.complete(ready, now=desk.now) == frozenset()
    rows = [desk.row(render.id) for render in batch.renders]
    assert [row.status for row in rows] == ["succeeded"] * 3
    assert [row.seed for row in rows] == [first_seed + 7, *(render.request.seed for render in batch.renders[1:])]
    assert [row.tries for row in rows] == [thrown_away, [], []]
    assert [row.asset.hold_line_id for row in rows] == [row.hold_line_id for row in rows]
    for generation, images in ((first, 2), (second, 1)):
        generation.refresh_from_db()
        assert generation.succeeded == images
    assert spent(desk) == (0, 3)


def test_who_lost_one_image_of_a_batch_settles_the_others(desk):
    _, ids = desk.ask(3)
    batch = take(worker())
    queue.cancel_render(render_id=ids[1], now=desk.now)
    stale = queue.complete([finished(render) for render in batch.renders], now=desk.now)
    assert stale == {ids[1]}
    assert states(ids) == ["succeeded", "canceled", "succeeded"]
    assert spent(desk) == (0, 2)
    assert Asset.objects.count() == 2


def test_a_batch_is_settled_in_as_many_statements_as_two_images(desk):
    desk.ask(40)
    hand = worker()
    statements = []
    for size in (2, 30):
        ready = [finished(render) for render in take(hand, at_most=size).renders]
        with CaptureQueriesContext(connection) as queries:
            queue.complete(ready, now=desk.now)
        statements.append(len(queries))
    assert statements[0] == statements[1]


def test_a_request_that_fails_by_its_own_fault_fails_after_three_attempts_and_costs_nothing(desk):
    generation, [render_id] = desk.ask(1)
    hand = worker()
    for attempt in (1, 2, 3):
        assert states([render_id]) == ["queued"]
        batch = claim(hand, now=desk.later(hours=1))
        assert batch is not None
        assert batch.renders[0].fence == attempt
        queue.fail(render=batch.renders[0], code="odd", reason="It did not work.", may_retry=True, now=desk.now)
    row = desk.row(render_id)
    assert (row.status, row.failure_code, row.failure_reason) == ("failed", "odd", "It did not work.")
    generation.refresh_from_db()
    assert generation.failed == 1
    assert spent(desk) == (0, 0)


def test_a_request_that_cannot_be_helped_fails_at_once(desk):
    _, [render_id] = desk.ask(1)
    batch = claim(worker())
    assert batch is not None
    queue.fail(render=batch.renders[0], code="product", reason="No product.", may_retry=False, now=desk.now)
    assert states([render_id]) == ["failed"]
    assert spent(desk) == (0, 0)


def test_an_attempt_that_failed_by_our_fault_does_not_count_up_to_twenty_times(desk):
    _, [render_id] = desk.ask(1)
    hand = worker()
    pauses = []
    for _ in range(queue.MAX_GIVEN_BACK):
        batch = claim(hand, now=desk.later(hours=1))
        assert batch is not None
        queue.give_back(render=batch.renders[0], code="storage", reason="Disk full.", now=desk.now)
        row = desk.row(render_id)
        assert (row.status, row.attempts) == ("queued", 0)
        assert row.not_before is not None
        pauses.append(row.not_before - desk.now)
    assert pauses == sorted(pauses)
    assert (pauses[0].total_seconds(), pauses[-1]) == (2, queue.MAX_BACKOFF)
    batch = claim(hand, now=desk.later(hours=1))
    assert batch is not None
    queue.give_back(render=batch.renders[0], code="storage", reason="Disk full.", now=desk.now)
    assert states([render_id]) == ["failed"]
    assert spent(desk) == (0, 0)


def test_what_a_worker_gives_back_when_it_is_asked_to_stop_waits_for_nothing_and_shares_batches(desk):
    _, ids = desk.ask(2)
    hand = worker()
    for _ in range(queue.MAX_GIVEN_BACK + 5):
        batch = claim(hand)
        assert batch is not None
        assert claimed_ids(batch) == ids
        for render in batch.renders:
            queue.give_back(render=render, code="shutdown", reason="Asked to stop.", now=desk.now)
    assert {desk.row(pk).attempts for pk in ids} == {0}


def test_being_asked_to_stop_ends_nothing_however_often_the_storage_failed_before(desk):
    _, [render_id] = desk.ask(1)
    Render.objects.update(given_back=queue.MAX_GIVEN_BACK)
    [render] = take(worker()).renders
    queue.give_back(render=render, code="shutdown", reason="Asked to stop.", now=desk.now)
    assert states([render_id]) == ["queued"]


# --- dead workers ----------------------------------------------------------------------------------------------------


def test_a_lease_that_nobody_renews_is_taken_back_and_the_late_worker_changes_nothing(desk):
    _, ids = desk.ask(2)
    batch = claim(worker())
    assert batch is not None
    assert queue.reap(now=desk.later(seconds=59)) == 0
    assert queue.reap(now=desk.later(seconds=1)) == 2
    assert states(ids) == ["queued", "queued"]
    for late in (
        lambda render: complete(render),
        lambda render: queue.fail(render=render, code="x", reason="x", may_retry=False, now=desk.now),
        lambda render: queue.give_back(render=render, code="x", reason="x", now=desk.now),
    ):
        with pytest.raises(StaleAttemptError, match="went on without attempt 1"):
            late(batch.renders[0])
    assert states(ids) == ["queued", "queued"]
    assert spent(desk) == (2, 0)


def test_a_late_worker_cannot_settle_what_another_one_is_at(desk):
    _, [render_id] = desk.ask(1)
    first = claim(worker())
    queue.reap(now=desk.later(minutes=2))
    second = claim(worker(), now=desk.now)
    assert first is not None
    assert second is not None
    with pytest.raises(StaleAttemptError):
        complete(first.renders[0])
    complete(second.renders[0])
    assert states([render_id]) == ["succeeded"]
    assert spent(desk) == (0, 1)


def test_renders_of_a_batch_that_died_are_claimed_one_by_one(desk):
    _, ids = desk.ask(3)
    hand = worker()
    claim(hand)
    queue.reap(now=desk.later(minutes=2))
    _, fresh = desk.ask(2)
    assert [claimed_ids(claim(hand, now=desk.now)) for _ in range(4)] == [[ids[0]], [ids[1]], [ids[2]], fresh]


def test_a_render_that_had_to_run_alone_still_does_after_its_worker_was_asked_to_stop(desk):
    _, ids = desk.ask(2)
    hand = worker()
    claim(hand)
    queue.reap(now=desk.later(minutes=2))
    alone = claim(hand, now=desk.now)
    assert alone is not None
    desk.ask(2)  # could share its batch, were it allowed to
    queue.give_back(render=alone.renders[0], code="shutdown", reason="Asked to stop.", now=desk.now)
    assert claimed_ids(claim(hand, now=desk.now)) == ids[:1]


def test_a_render_whose_worker_dies_three_times_fails_and_costs_nothing(desk):
    _, [render_id] = desk.ask(1)
    for _ in range(queue.MAX_ATTEMPTS):
        assert claim(worker(), now=desk.now) is not None
        assert queue.reap(now=desk.later(minutes=2)) == 1
    row = desk.row(render_id)
    assert (row.status, row.failure_code) == ("failed", "worker_died")
    assert spent(desk) == (0, 0)


def test_what_dead_workers_of_this_host_had_is_taken_back_at_once_and_no_others(desk):
    _, ids = desk.ask(3)
    dead, living, elsewhere = worker(pid=1), worker(pid=2), worker(pid=1, host="another")
    for hand in (dead, living, elsewhere):
        claim(hand, at_most=1)
    assert queue.bury(host="desk", is_alive=lambda pid: pid == 2, now=desk.now) == 1
    assert states(ids) == ["queued", "running", "running"]
    assert list(Worker.objects.filter(ended_at__isnull=False)) == [dead]
    assert queue.bury(host="desk", is_alive=lambda pid: pid == 2, now=desk.now) == 0


def test_a_heartbeat_renews_the_leases_and_names_what_is_still_this_attempts(desk):
    _, ids = desk.ask(2)
    other, [canceled] = desk.ask(1)
    hand = worker()
    batch = claim(hand)
    assert batch is not None
    queue.cancel(generation_id=other.pk, now=desk.now)
    alive = queue.heartbeat(batch=batch, worker=hand, phase="step", step=3, steps=12, now=desk.later(seconds=45))
    assert alive == frozenset(ids)
    assert queue.reap(now=desk.later(seconds=30)) == 0
    assert queue.reap(now=desk.later(seconds=30)) == 2
    assert queue.heartbeat(batch=batch, worker=hand, phase="step", step=4, steps=12, now=desk.now) == frozenset()
    row = Batch.objects.get(pk=batch.id)
    assert (row.phase, row.step, row.steps) == ("step", 4, 12)
    assert Worker.objects.get(pk=hand.pk).seen_at == desk.now
    assert states([*ids, canceled]) == ["queued", "queued", "canceled"]


def test_a_heartbeat_does_not_touch_what_another_worker_has_by_now(desk):
    desk.ask(1)
    slow = worker()
    lost = claim(slow)
    assert lost is not None
    queue.reap(now=desk.later(minutes=2))
    assert claim(worker(), now=desk.now) is not None
    assert queue.heartbeat(batch=lost, worker=slow, phase="step", step=1, steps=2, now=desk.now) == frozenset()
    desk.later(seconds=50)
    queue.heartbeat(batch=lost, worker=slow, phase="step", step=2, steps=2, now=desk.now)
    assert queue.reap(now=desk.later(seconds=10)) == 1


# --- deadlines and canceling -----------------------------------------------------------------------------------------


def test_what_is_queued_past_its_deadline_expires_uncharged(desk):
    generation, ids = desk.ask(2, deadline_at=desk.now)
    _, patient = desk.ask(1)
    assert claimed_ids(claim(worker())) == patient
    assert queue.expire(now=desk.now) == 2
    assert states(ids) == ["expired", "expired"]
    generation.refresh_from_db()
    assert generation.expired == 2
    assert spent(desk) == (1, 0)
    assert queue.expire(now=desk.now) == 0


def test_what_runs_past_its_deadline_is_not_kept_alive_and_expires(desk):
    _, [render_id] = desk.ask(1, deadline_at=desk.now + timedelta(seconds=30))
    hand = worker()
    batch = claim(hand)
    assert batch is not None
    queue.heartbeat(batch=batch, worker=hand, phase="step", step=1, steps=9, now=desk.later(seconds=15))
    for _ in range(5):
        queue.heartbeat(batch=batch, worker=hand, phase="step", step=2, steps=9, now=desk.later(seconds=15))
    # Its lease has run out as well; but what is late is not tried again.
    assert queue.reap(now=desk.now) == 0
    assert queue.expire(now=desk.now) == 1
    assert states([render_id]) == ["expired"]
    assert spent(desk) == (0, 0)


def test_canceling_ends_what_is_queued_or_running_and_leaves_what_is_done(desk):
    generation, ids = desk.ask(4)
    hand = worker()
    done, running = claim(hand, at_most=1), claim(hand, at_most=1)
    assert done is not None
    assert running is not None
    complete(done.renders[0])
    assert queue.cancel(generation_id=generation.pk, now=desk.now) == 3
    assert states(ids) == ["succeeded", "canceled", "canceled", "canceled"]
    assert spent(desk) == (0, 1)
    with pytest.raises(StaleAttemptError):
        complete(running.renders[0])
    assert spent(desk) == (0, 1)
    assert queue.cancel(generation_id=generation.pk, now=desk.now) == 0
    generation.refresh_from_db()
    assert (generation.succeeded, generation.canceled) == (1, 3)


# --- what the database refuses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"status": "lost"}, "render_status_known"),
        ({"status": RenderStatus.SUCCEEDED}, "render_succeeded_has_asset"),
        ({"status": RenderStatus.RUNNING}, "render_running_has_lease"),
    ],
)
def test_a_render_in_an_impossible_state_is_refused_by_the_database(desk, values, constraint):
    desk.ask(1)
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Render.objects.update(**values)


@pytest.mark.parametrize("counter", ["succeeded", "failed", "canceled", "expired"])
def test_a_generation_cannot_count_more_ends_than_renders(desk, counter):
    desk.ask(2)
    with pytest.raises(IntegrityError, match="generation_counts"), transaction.atomic():
        Generation.objects.update(**{counter: 3})
