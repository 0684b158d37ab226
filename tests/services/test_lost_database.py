"""PostgreSQL goes away in the middle of a batch: a fault of ours, which costs the images no attempt."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psycopg
import pytest
from django.db import connection

import billing.audit
import inference.audit
from billing import clock
from inference.engine.fixed_rate import FixedRateEngine
from inference.engine.interface import EngineInput
from inference.models import Render
from tests.inference.test_runner import ask, request_for, runner

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("transactional_db")]


class PullsThePlug(FixedRateEngine):
    """Has the server throw everybody out before its first picture."""

    def __init__(self) -> None:
        super().__init__(images_per_s=1000)
        self.is_done = False

    def run(self, key: Any, inputs: Sequence[EngineInput], **options: Any) -> Iterator[tuple[int, Any]]:
        for index, picture in super().run(key, inputs, **options):
            if not self.is_done:
                self.is_done = True
                throw_everybody_out()
            yield index, picture


def throw_everybody_out() -> None:
    with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None}) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_batch_that_lost_its_database_is_given_back_and_made_later(make_workspace: Callable[..., Any]):
    ask(make_workspace(now=clock.now()), [request_for(None, number) for number in range(3)])
    hand = runner(PullsThePlug())
    hand.drain(limit_s=60)
    assert set(Render.objects.values_list("status", "attempts", "given_back", "failure_code")) == {
        ("queued", 0, 1, "database")
    }
    Render.objects.update(not_before=None)
    hand.drain(limit_s=60)
    assert set(Render.objects.values_list("status", "attempts")) == {("succeeded", 1)}
    assert not any((billing.audit.broken_invariants() | inference.audit.broken_invariants()).values())
