"""Several workers at one queue at once, on whichever database the tests run on."""

import itertools
from collections.abc import Callable

import pytest

import billing.audit
import inference.audit
from billing import ledger
from inference.models import Render
from tests.inference.desk import Desk, claim, complete, worker
from tests.together import raised, together

THREADS = 4
RENDERS = 40


def work_off(claimed: list[int]) -> Callable[[], None]:
    """A worker that claims and completes until every render has ended."""

    def run() -> None:
        hand = worker()
        while Render.objects.filter(status__in=("queued", "running")).exists():
            batch = claim(hand, at_most=3)
            for render in batch.renders if batch else ():
                claimed.append(render.id)
                complete(render)

    return run


def test_each_render_is_claimed_by_one_of_many_workers_and_charged_once(transactional_db, make_workspace):
    desk = Desk(make_workspace().pk)
    _, ids = desk.ask(RENDERS)
    claimed: list[list[int]] = [[] for _ in range(THREADS)]
    assert raised(together([work_off(mine) for mine in claimed])) == []
    assert sorted(itertools.chain(*claimed)) == ids
    assert ledger.balance(workspace_id=desk.workspace_id).spent == RENDERS * ledger.MILLI
    assert set(billing.audit.broken_invariants().values()) | set(inference.audit.broken_invariants().values()) == {0}


@pytest.mark.parametrize("clicks", [6])
def test_the_same_click_many_times_at_once_is_asked_for_once(transactional_db, make_workspace, clicks):
    desk = Desk(make_workspace().pk)
    answers = together([lambda: desk.ask(3, key="one click")] * clicks)
    assert raised(answers) == []
    assert len({generation.pk for generation, _ in answers}) == 1
    assert len({tuple(ids) for _, ids in answers}) == 1
    assert Render.objects.count() == 3
    assert ledger.balance(workspace_id=desk.workspace_id).held == 3 * ledger.MILLI


def test_the_same_click_many_times_at_once_is_answered_even_where_it_takes_the_last_credits(
    transactional_db, make_workspace
):
    desk = Desk(make_workspace(plan="free").pk)
    answers = together([lambda: desk.ask(20, key="one click")] * 6)
    assert raised(answers) == []
    assert len({generation.pk for generation, _ in answers}) == 1
