"""Every state of a render against every transition: legal ones happen, others are refused and change nothing."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from billing.models import Account, Entry, Grant, Hold, HoldLine
from gallery.models import Asset
from inference import queue, turn
from inference.models import Generation, Render, RenderStatus
from inference.queue import Claimed, StaleAttemptError
from inference.requests import ImageRequest
from tests.inference.desk import Desk, claim, complete, take, worker

LATE = timedelta(hours=2)  # leases are over by then, and the deadline has passed


@pytest.fixture
def desk(workspace) -> Desk:
    return Desk(workspace.pk)


def in_state(desk: Desk, status: RenderStatus) -> int:
    """A render brought to a state by the queue itself."""
    generation, [render_id] = desk.ask(1, deadline_at=desk.now + timedelta(hours=1))
    if status == RenderStatus.EXPIRED:
        queue.expire(now=desk.now + LATE)
    elif status == RenderStatus.CANCELED:
        queue.cancel(generation_id=generation.pk, now=desk.now)
    elif status != RenderStatus.QUEUED:
        batch = claim(worker(pid=1))
        assert batch is not None
        if status == RenderStatus.SUCCEEDED:
            complete(batch.renders[0])
        elif status == RenderStatus.FAILED:
            queue.fail(render=batch.renders[0], code="x", reason="x", may_retry=False, now=desk.now)
    assert desk.row(render_id).status == status
    return render_id


def attempt_at(desk: Desk, render_id: int) -> Claimed:
    """An attempt whose fence is right, so that only the state speaks against it."""
    row = desk.row(render_id)
    request = ImageRequest.from_json(row.request)
    return Claimed(
        id=render_id,
        workspace_id=row.workspace_id,
        generation_id=row.generation_id,
        fence=row.fence,
        request=request,
    )


def _fail(attempt: Claimed, now: datetime) -> None:
    queue.fail(render=attempt, code="x", reason="x", may_retry=False, now=now)


def _retry(attempt: Claimed, now: datetime) -> None:
    queue.fail(render=attempt, code="x", reason="x", may_retry=True, now=now)


def _give_back(attempt: Claimed, now: datetime) -> None:
    queue.give_back(render=attempt, code="storage", reason="x", now=now)


def _cancel(attempt: Claimed, now: datetime) -> None:
    queue.cancel(generation_id=Render.objects.get(pk=attempt.id).generation_id, now=now)


QUEUED, RUNNING = RenderStatus.QUEUED, RenderStatus.RUNNING
TRANSITIONS: dict[str, tuple[Callable[[Claimed, datetime], object], dict[RenderStatus, RenderStatus]]] = {
    "claim": (lambda attempt, now: claim(worker(), now=now - LATE), {QUEUED: RUNNING}),
    "complete": (lambda attempt, now: complete(attempt, now=now), {RUNNING: RenderStatus.SUCCEEDED}),
    "fail": (_fail, {RUNNING: RenderStatus.FAILED}),
    "retry": (_retry, {RUNNING: QUEUED}),
    "give back": (_give_back, {RUNNING: QUEUED}),
    # When the lease is over and the deadline is not: what is late expires instead.
    "reap": (lambda attempt, now: queue.reap(now=now - LATE + queue.LEASE), {RUNNING: QUEUED}),
    "bury": (lambda attempt, now: queue.bury(host="desk", is_alive=lambda pid: False, now=now), {RUNNING: QUEUED}),
    "cancel": (_cancel, {QUEUED: RenderStatus.CANCELED, RUNNING: RenderStatus.CANCELED}),
    "expire": (
        lambda attempt, now: queue.expire(now=now),
        {QUEUED: RenderStatus.EXPIRED, RUNNING: RenderStatus.EXPIRED},
    ),
}


def everything() -> dict[str, list[tuple[object, ...]]]:
    tables = (Render, Generation, Asset, Account, Grant, Hold, HoldLine, Entry)
    return {table.__name__: list(table.objects.order_by("pk").values_list()) for table in tables}


@pytest.mark.parametrize("status", RenderStatus)
@pytest.mark.parametrize("name", TRANSITIONS)
def test_a_render_moves_only_where_the_state_machine_lets_it(desk, status, name):
    transition, legal = TRANSITIONS[name]
    render_id = in_state(desk, status)
    attempt = attempt_at(desk, render_id)
    if status in legal:
        transition(attempt, desk.now + LATE)
        assert desk.row(render_id).status == legal[status]
        return
    before = everything()
    try:
        transition(attempt, desk.now + LATE)
    except StaleAttemptError:
        assert name in ("complete", "fail", "retry", "give back")
    assert everything() == before


@pytest.mark.parametrize("status", RenderStatus)
@pytest.mark.parametrize("name", ["complete", "fail", "retry", "give back"])
def test_an_attempt_of_another_fence_is_stale_in_every_state(desk, status, name):
    render_id = in_state(desk, status)
    right = attempt_at(desk, render_id)
    before = everything()
    for fence in (right.fence + 1, max(0, right.fence - 1)):
        if fence == right.fence:
            continue
        attempt = replace(right, fence=fence)
        with pytest.raises(StaleAttemptError):
            TRANSITIONS[name][0](attempt, desk.now)
    assert everything() == before


# --- the guards, one by one: where one hides another's absence, what the row says tells them apart ------------------


def test_what_ended_between_choosing_and_claiming_stays_ended(desk, monkeypatch):
    _, ids = desk.ask(2)
    choose = turn.choose

    def choose_and_lose_one(**options: Any) -> list[Render]:
        chosen = choose(**options)
        queue.cancel_render(render_id=ids[0], now=desk.now)
        return chosen

    monkeypatch.setattr(turn, "choose", choose_and_lose_one)
    batch = take(worker())
    assert [desk.row(pk).status for pk in ids] == ["canceled", "running"]
    assert queue.held(batch) == {ids[1]}


def test_taking_a_render_back_moves_its_fence_on_before_anybody_claims_it_again(desk):
    _, [render_id] = desk.ask(1)
    take(worker())
    fence = desk.row(render_id).fence
    assert queue.reap(now=desk.now + LATE) == 1
    assert desk.row(render_id).fence == fence + 1


def test_canceling_and_expiring_move_the_fence_of_what_runs_on(desk):
    generation, [canceled] = desk.ask(1)
    _, [late] = desk.ask(1, deadline_at=desk.now + timedelta(minutes=1))
    take(worker())
    queue.cancel(generation_id=generation.pk, now=desk.now)
    queue.expire(now=desk.now + LATE)
    assert [desk.row(pk).fence for pk in (canceled, late)] == [2, 2]


def test_a_claim_moves_the_fence_on(desk):
    _, [render_id] = desk.ask(1)
    take(worker())
    assert desk.row(render_id).fence == 1
