"""Real races on a real PostgreSQL: whoever comes first wins, nobody overspends, nobody waits in a circle."""

import itertools
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection

import billing.audit
import inference.audit
from billing import budgets, clock, ledger
from billing.ledger import AlreadyResolvedError, InsufficientCreditsError, OverBudgetError
from billing.models import Budget, Grant, GrantKind, HoldLine
from billing.plans import PLANS, Plan
from inference import queue
from inference.heartbeat import Heartbeat
from inference.models import Render
from inference.queue import StaleAttemptError
from studio.models import User
from tests.conftest import NOW
from tests.inference.desk import Desk, claim, complete, worker
from tests.inference.test_heartbeat import soon
from tests.together import raised, together

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("transactional_db")]


@pytest.fixture
def desk(transactional_db, make_workspace) -> Desk:
    return Desk(make_workspace().pk)


def nothing_is_broken() -> bool:
    findings = billing.audit.broken_invariants() | inference.audit.broken_invariants()
    assert {name: number for name, number in findings.items() if number} == {}
    return True


def test_eight_workers_claim_two_hundred_renders_each_once(desk, settings):
    settings.STUDIO_MAX_RUNNING = 1000
    _, ids = desk.ask(200)

    def claim_all() -> list[int]:
        hand, mine = worker(), []
        while queue.waiting(queue="gpu", now=NOW):
            if batch := claim(hand, at_most=4):
                mine += [render.id for render in batch.renders]
        return mine

    results = together([claim_all] * 8)
    assert raised(results) == []
    assert sorted(itertools.chain(*results)) == ids
    assert set(Render.objects.values_list("status", "fence", "attempts")) == {("running", 1, 1)}
    assert nothing_is_broken()


def hold_one(workspace_id: int, key: str, budget_id: int | None = None) -> None:
    ledger.hold(workspace_id=workspace_id, key=key, amounts=[1000], tier="standard", now=NOW, budget_id=budget_id)


def test_holds_at_the_same_time_never_spend_more_than_there_is(make_workspace):
    workspace = make_workspace(plan="free")  # 20 credits

    def hold_five(thread: int) -> Callable[[], int]:
        def run() -> int:
            held = 0
            for number in range(5):
                try:
                    hold_one(workspace.pk, f"{thread}/{number}")
                    held += 1
                except InsufficientCreditsError:
                    pass
            return held

        return run

    results = together([hold_five(thread) for thread in range(8)])
    assert raised(results) == []
    assert sum(results) == 20
    assert ledger.balance(workspace_id=workspace.pk).available == 0
    assert nothing_is_broken()


def test_holds_at_the_same_time_never_pass_a_budget(make_workspace):
    workspace = make_workspace()
    budget_id = ledger.open_budget(workspace_id=workspace.pk, name="Autumn", amount=5000)
    results = together([partial(hold_one, workspace.pk, f"{n}", budget_id) for n in range(12)])
    assert [type(error) for error in raised(results)] == [OverBudgetError] * 7
    assert Budget.objects.get(pk=budget_id).held == 5000
    assert nothing_is_broken()


def test_the_first_holds_of_a_month_share_one_budget_and_never_pass_its_ceiling(make_workspace):
    workspace = make_workspace()
    owner = User.objects.create(email="owner@example.com")
    decided = {"workspace_id": workspace.pk, "by_id": owner.pk}
    last_month = NOW - timedelta(days=31)
    budgets.set_month_ceiling(amount=5000, key="1", now=last_month, **decided)
    results = together([partial(hold_one, workspace.pk, f"{n}") for n in range(12)])
    assert [type(error) for error in raised(results)] == [OverBudgetError] * 7
    allow = partial(budgets.allow_more, amount=2000, now=NOW, **decided)
    allowed = together(
        [*[partial(allow, key="2")] * 3, *[partial(hold_one, workspace.pk, f"more {n}") for n in range(9)]]
    )
    assert {type(error) for error in raised(allowed)} <= {OverBudgetError}
    assert allowed[:3].count(True) == 1
    month = budgets.month(workspace_id=workspace.pk, now=NOW)
    assert (month.ceiling, month.used <= 7000) == (7000, True)
    assert nothing_is_broken()


def test_the_day_is_granted_once_however_many_ask_first(make_workspace):
    workspace = make_workspace()
    for day in range(1, 6):
        tomorrow = NOW + timedelta(days=day)
        top_up = [partial(ledger.top_up, workspace_id=workspace.pk, now=tomorrow)] * 8
        assert raised(together(top_up)) == []
    assert Grant.objects.filter(kind=GrantKind.DAILY).count() == 6
    assert nothing_is_broken()


def test_a_line_is_resolved_once_however_many_try(make_workspace):
    workspace = make_workspace()
    for number in range(5):
        hold_one(workspace.pk, f"{number}")
        line_id = HoldLine.objects.latest("pk").pk
        settle = [
            partial(ledger.capture, line_id=line_id, amount=1000, now=NOW),
            partial(ledger.release, line_ids=[line_id], now=NOW),
        ] * 3
        assert [type(error) for error in raised(together(settle))] == [AlreadyResolvedError] * 5
    assert nothing_is_broken()


def test_of_complete_cancel_and_reap_at_the_same_moment_one_decides(desk):
    late = NOW + timedelta(minutes=2)
    endings = set()
    for _ in range(12):
        generation, [render_id] = desk.ask(1)
        batch = claim(worker())
        assert batch is not None
        done, _, reaped = results = together(
            [
                partial(complete, batch.renders[0], now=late),
                partial(queue.cancel, generation_id=generation.pk, now=late),
                partial(queue.reap, now=late),
            ]
        )
        row = desk.row(render_id)
        endings.add(row.status)
        assert all(isinstance(error, StaleAttemptError) for error in raised(results))
        assert (done is None) == (row.status == "succeeded")
        assert (row.status, row.hold_line.captured) in {("succeeded", 1000), ("canceled", 0)}
        assert not (row.status == "succeeded" and reaped)
    assert nothing_is_broken()


def test_a_capture_and_a_hold_that_tops_up_do_not_wait_for_each_other_in_a_circle(make_workspace, monkeypatch):
    monkeypatch.setitem(PLANS, "busy", Plan(slug="busy", name="Busy", daily_credits=500, monthly_credits=0))
    workspace = make_workspace(plan="busy")
    budget_id = ledger.open_budget(workspace_id=workspace.pk, name="Autumn", amount=10**9)

    def hold_many(thread: int) -> Callable[[], None]:
        def run() -> None:
            for day in range(15):
                now = NOW + timedelta(days=day + 1)
                held = ledger.hold(
                    workspace_id=workspace.pk,
                    key=f"{thread}/{day}",
                    amounts=[1000] * 3,
                    tier="standard",
                    now=now,
                    budget_id=budget_id,
                )
                for line_id in held.lines.values_list("pk", flat=True):
                    ledger.capture(line_id=line_id, amount=500, now=now)

        return run

    assert raised(together([hold_many(thread) for thread in range(6)])) == []
    assert nothing_is_broken()


def test_everything_at_once_ends_without_a_deadlock_and_with_sound_books(desk, settings):
    settings.STUDIO_MAX_RUNNING = 1000
    autumns = [ledger.open_budget(workspace_id=desk.workspace_id, name=f"{n}", amount=10**9) for n in range(3)]
    late = NOW + timedelta(minutes=2)
    rounds = range(12)

    def ask(thread: int) -> Callable[[], None]:
        def run() -> None:
            for number in rounds:
                deadline_at = NOW + timedelta(minutes=1) if number % 3 == 0 else None
                budget_id = autumns[(thread + number) % 3]
                desk.ask(4, key=f"{thread}/{number}", budget_id=budget_id, deadline_at=deadline_at)

        return run

    def work() -> None:
        hand = worker()
        for _ in range(30):
            if batch := claim(hand, at_most=4):
                for number, render in enumerate(batch.renders):
                    queue.heartbeat(batch=batch, worker=hand, phase="step", step=number, steps=4, now=NOW)
                    try:
                        complete(render)
                    except StaleAttemptError:
                        continue

    def cancel() -> None:
        for _ in rounds:
            for pk in Render.objects.filter(status="running").values_list("generation", flat=True)[:3]:
                queue.cancel(generation_id=pk, now=NOW)

    def sweep() -> None:
        for _ in rounds:
            queue.reap(now=late)
            queue.expire(now=late)
            ledger.expire(now=NOW)

    results = together([ask(1), ask(2), work, work, work, cancel, sweep, sweep])
    assert raised(results) == []
    assert nothing_is_broken()


def test_a_heartbeat_survives_the_loss_of_its_connection(desk):
    now = clock.now()
    desk.now = now
    desk.ask(1)
    hand = worker(now=now)
    batch = claim(hand, now=now)
    assert batch is not None
    with Heartbeat(batch=batch, worker=hand, interval_s=0.05) as pulse:
        pulse.advance("step", 1, 9)
        assert soon(lambda: Render.objects.filter(batch__step=1).exists())
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            assert cursor.fetchall()
        pulse.advance("step", 2, 9)
        assert soon(lambda: Render.objects.filter(batch__step=2).exists())
