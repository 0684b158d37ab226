"""Queue and ledger together under any order of events: nothing is charged twice, nothing is lost, the audits agree."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

import billing.audit
import inference.audit
from billing import ledger
from inference import queue
from inference.models import UNFINISHED, Render, Worker
from inference.queue import Claimed, ClaimedBatch, StaleAttemptError
from studio.models import Workspace
from tests import machines
from tests.inference.desk import Desk, claim, complete, finished, worker

HANDS = 3
PRICE = 1000


@dataclass(eq=False)
class RenderModel:
    generation: int
    deadline_at: datetime | None
    status: str = "queued"
    fence: int = 0
    attempts: int = 0
    lease_until: datetime | None = None
    hand: int = 0

    def end(self, status: str) -> None:
        self.status, self.lease_until = status, None

    def stop_or_retry(self) -> None:
        self.end("failed" if self.attempts >= queue.MAX_ATTEMPTS else "queued")


def by_render(attempt: Claimed) -> int:
    return attempt.id


def broken_invariants() -> dict[str, int]:
    return billing.audit.broken_invariants() | inference.audit.broken_invariants()


class QueueMachine(machines.CountedMachine):
    """One workspace, three workers that may die, come late or answer twice."""

    audit = staticmethod(broken_invariants)

    def __init__(self) -> None:
        super().__init__()
        workspace = Workspace.objects.create(slug="any", name="Any")
        self.desk = Desk(workspace.pk)
        ledger.open_account(workspace_id=workspace.pk, plan="self-hosted", now=self.desk.now)
        self.renders: dict[int, RenderModel] = {}
        self.attempts: list[Claimed] = []
        self.batches: list[tuple[Worker, ClaimedBatch]] = []
        self.hands = [worker() for _ in range(HANDS)]

    @property
    def now(self) -> datetime:
        return self.desk.now

    @rule(
        images=st.integers(1, 4),
        shape=st.sampled_from(["square", "wide"]),
        priority=st.sampled_from([0, 0, 1]),
        minutes=st.sampled_from([None, None, 5]),
    )
    def ask(self, images: int, shape: str, priority: int, minutes: int | None) -> None:
        deadline_at = None if minutes is None else self.now + timedelta(minutes=minutes)
        key = f"click {len(self.renders)}"
        first = self.desk.ask(images, key=key, shape=shape, priority=priority, deadline_at=deadline_at)
        assert self.desk.ask(images, key=key, shape=shape, priority=priority, deadline_at=deadline_at) == first
        generation, ids = first
        self.renders |= {pk: RenderModel(generation.pk, deadline_at) for pk in ids}

    @rule(hand=st.integers(0, HANDS - 1), at_most=st.integers(1, 4))
    def claim(self, hand: int, at_most: int) -> None:
        batch = claim(self.hands[hand], at_most=at_most, now=self.now)
        if batch is None:
            return
        assert 1 <= len(batch.renders) <= at_most
        self.batches.append((self.hands[hand], batch))
        for attempt in batch.renders:
            model = self.renders[attempt.id]
            assert model.status == "queued"
            assert model.deadline_at is None or model.deadline_at > self.now
            model.status, model.hand = "running", self.hands[hand].pk
            model.fence, model.attempts = model.fence + 1, model.attempts + 1
            model.lease_until = self.now + queue.LEASE
            assert attempt.fence == model.fence
            self.attempts.append(attempt)

    def _answer(self, attempt: Claimed, how: str) -> None:
        if how == "complete":
            complete(attempt, now=self.now)
        elif how in ("storage", "shutdown"):
            queue.give_back(render=attempt, code=how, reason="Ours.", now=self.now)
        else:
            queue.fail(render=attempt, code="x", reason="Its own.", may_retry=how == "retry", now=self.now)

    @precondition(lambda self: self.attempts)
    @rule(
        data=st.data(),
        how=st.sampled_from(["complete", "complete", "complete", "fail", "retry", "storage", "shutdown"]),
        is_doubled=st.booleans(),
    )
    def answer(self, data: st.DataObject, how: str, is_doubled: bool) -> None:
        """Any attempt ever made may answer: in time, late, or once more."""
        attempt = data.draw(st.sampled_from(self.attempts[-6:]))
        model = self.renders[attempt.id]
        if (model.status, model.fence) == ("running", attempt.fence):
            self._answer(attempt, how)
            if how in ("storage", "shutdown"):
                model.attempts -= 1
                model.end("queued")
            elif how == "retry":
                model.stop_or_retry()
            else:
                model.end({"complete": "succeeded", "fail": "failed"}[how])
            if not is_doubled:
                return
        with pytest.raises(StaleAttemptError):
            self._answer(attempt, how)

    @precondition(lambda self: self.attempts)
    @rule(data=st.data())
    def settle_together(self, data: st.DataObject) -> None:
        """Whatever pictures come at once, of whichever clicks: those whose attempt is current are settled."""
        attempts = data.draw(st.lists(st.sampled_from(self.attempts[-6:]), min_size=1, max_size=6, unique_by=by_render))
        current = {attempt.id for attempt in attempts if self.is_current(attempt)}
        stale = queue.complete([finished(attempt) for attempt in attempts], now=self.now)
        assert stale == {attempt.id for attempt in attempts} - current
        for pk in current:
            self.renders[pk].end("succeeded")

    @precondition(lambda self: self.batches)
    @rule(data=st.data())
    def heartbeat(self, data: st.DataObject) -> None:
        hand, batch = data.draw(st.sampled_from(self.batches[-3:]))
        alive = queue.heartbeat(batch=batch, worker=hand, phase="step", step=1, steps=2, now=self.now)
        models = {attempt.id: self.renders[attempt.id] for attempt in batch.renders}
        current = {attempt.id for attempt in batch.renders if self.is_current(attempt)}
        assert alive == current
        for pk in current:
            deadline_at = models[pk].deadline_at
            if deadline_at is None or deadline_at > self.now:
                models[pk].lease_until = self.now + queue.LEASE

    def is_current(self, attempt: Claimed) -> bool:
        model = self.renders[attempt.id]
        return (model.status, model.fence) == ("running", attempt.fence)

    @rule()
    def reap(self) -> None:
        due = [model for model in self.renders.values() if model.lease_until and model.lease_until <= self.now]
        assert queue.reap(now=self.now) == len(due)
        for model in due:
            model.fence += 1
            model.stop_or_retry()

    @rule(hand=st.integers(0, HANDS - 1))
    def bury(self, hand: int) -> None:
        dead = self.hands[hand]
        due = [model for model in self.renders.values() if model.status == "running" and model.hand == dead.pk]
        assert queue.bury(host="desk", is_alive=lambda pid: pid != dead.pid, now=self.now) == len(due)
        for model in due:
            model.fence += 1
            model.stop_or_retry()
        self.hands[hand] = worker(now=self.now)

    @precondition(lambda self: self.attempts)
    @rule(how=st.sampled_from(["complete", "fail", "retry", "storage"]))
    def die_and_answer_when_another_is_at_it(self, how: str) -> None:
        """The dangerous order: taken back, claimed by another worker, then the first one answers after all."""
        running = [attempt for attempt in self.attempts if self.is_current(attempt)]
        for hand in range(HANDS):
            self.bury(hand)
        self.claim(0, 4)
        for attempt in running:
            with pytest.raises(StaleAttemptError):
                self._answer(attempt, how)

    @precondition(lambda self: self.renders)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        generation = data.draw(st.sampled_from(sorted({model.generation for model in self.renders.values()})))
        due = [m for m in self.renders.values() if m.generation == generation and m.status in UNFINISHED]
        assert queue.cancel(generation_id=generation, now=self.now) == len(due)
        for model in due:
            model.fence += 1
            model.end("canceled")

    @precondition(lambda self: self.renders)
    @rule(data=st.data(), is_pausing=st.booleans())
    def pause_or_resume(self, data: st.DataObject, is_pausing: bool) -> None:
        generation = data.draw(st.sampled_from(sorted({model.generation for model in self.renders.values()})))
        (queue.pause if is_pausing else queue.resume)(generation_id=generation)

    @rule()
    def expire(self) -> None:
        late = [m for m in self.renders.values() if m.deadline_at and m.deadline_at <= self.now]
        due = [model for model in late if model.status in UNFINISHED]
        assert queue.expire(now=self.now) == len(due)
        ledger.expire(now=self.now)
        for model in due:
            model.fence += 1
            model.end("expired")

    @rule(seconds=st.sampled_from([1, 20, 45, 61, 400, 13 * 3600]))
    def wait(self, seconds: int) -> None:
        self.desk.later(seconds=seconds)

    @invariant()
    def every_render_is_where_the_model_has_it(self) -> None:
        rows = Render.objects.values_list("pk", "status", "fence", "attempts")
        known = {pk: (model.status, model.fence, model.attempts) for pk, model in self.renders.items()}
        assert {pk: tuple(rest) for pk, *rest in rows} == known

    @invariant()
    def exactly_what_succeeded_is_charged_and_what_is_unfinished_is_held(self) -> None:
        balance = ledger.balance(workspace_id=self.desk.workspace_id)
        statuses = [model.status for model in self.renders.values()]
        assert balance.spent == PRICE * statuses.count("succeeded")
        assert balance.held == PRICE * sum(status in UNFINISHED for status in statuses)


def test_queue_and_ledger_agree_with_a_simple_model_whatever_happens_in_whatever_order(db):
    machines.run(QueueMachine, examples=8, steps=25)
