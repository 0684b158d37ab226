"""Messages that wake workers: one unread at most on a queue, however long the work takes, and a lost one replaced.

The broker is the real one of a single machine; tests/services tells the same of Redis.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from celery import current_app
from django.conf import settings

from billing import clock
from inference import queue, tasks
from inference.engine.fixed_rate import FixedRateEngine
from inference.models import Render
from inference.queue import nudges
from inference.runner import Runner
from tests.conftest import NOW
from tests.inference.desk import Desk, claimed_ids, take, worker

MESSAGES = Path(settings.BROKER_DIR) / "messages"


@pytest.fixture
def name() -> Iterator[str]:
    """A queue of this test's own in the broker's real folder."""
    own = f"q{uuid4().hex[:8]}"
    yield own
    for message in MESSAGES.glob(f"*.{own}.msg*"):
        message.unlink()


@pytest.fixture
def desk(transactional_db, make_workspace) -> Desk:
    return Desk(make_workspace().pk)


@pytest.fixture
def sweep(monkeypatch, name) -> Callable[[], None]:
    """Sweeps of this queue, in which no time passes."""
    monkeypatch.setattr(tasks, "SWEPT_QUEUES", (name,))
    monkeypatch.setattr(tasks, "_swept_at", [])
    monkeypatch.setattr(clock, "now", lambda: NOW)
    return tasks.sweep


def files(name: str) -> list[Path]:
    return sorted(MESSAGES.glob(f"*.{name}.msg"))


def read_one(name: str) -> bool:
    """Take a message as a worker does."""
    with current_app.connection_for_read() as connection:
        message = connection.SimpleQueue(name).get_nowait()
        message.ack()
        return bool(message.payload[0] == [name])


def test_messages_do_not_pile_up_while_a_worker_is_busy_for_long(desk, name, sweep):
    desk.ask(50, queue=name)
    assert len(files(name)) == 1
    assert read_one(name)  # a worker took it, and works on it for minutes
    for _ in range(30):
        sweep()
    assert len(files(name)) == 1


def test_clicks_while_a_worker_is_busy_do_not_pile_up_messages_either(desk, name):
    for _ in range(10):
        desk.ask(1, queue=name)
    assert len(files(name)) == 1


def test_a_lost_message_is_replaced_by_the_next_sweep(desk, name, sweep):
    desk.ask(1, queue=name)
    for message in files(name):
        message.unlink()
    sweep()
    assert len(files(name)) == 1


def test_nothing_is_said_where_nothing_waits(desk, name, sweep):
    generation, _ = desk.ask(1, queue=name)
    assert read_one(name)
    queue.pause(generation_id=generation.pk)
    sweep()
    assert files(name) == []


def test_what_dead_readers_and_writers_left_behind_does_not_silence_the_queue(desk, name):
    desk.ask(1, queue=name)
    [message] = files(name)
    message.rename(message.with_name(f".{message.name}.abc.taken"))
    message.with_name(f".{message.name}.abc.part").touch()
    assert nudges.unread(name) == 0
    queue.nudge(name)
    assert nudges.unread(name) == len(files(name)) == 1


def test_a_broker_that_cannot_be_asked_is_told_all_the_same(name, monkeypatch):
    def gone(*args: object, **options: object) -> None:
        raise ConnectionRefusedError

    sent: list[str] = []
    monkeypatch.setattr(nudges, "Queue", gone)
    monkeypatch.setattr(current_app, "send_task", lambda task, **options: sent.append(options["queue"]))
    queue.nudge(name)
    assert sent == [name]


def test_a_worker_passes_on_that_there_is_work_so_that_all_of_them_wake(desk, name, monkeypatch):
    desk.now = clock.now()
    desk.ask(12, queue=name)
    assert read_one(name)
    hand = queue.register(host="here", pid=1, queue=name, now=desk.now)
    heard: list[int] = []

    def look(self: Runner, batch: queue.ClaimedBatch) -> None:
        heard.append(len(files(name)))

    monkeypatch.setattr(Runner, "_run", look)
    assert not Runner(engine=FixedRateEngine(images_per_s=1000), worker=hand).drain(limit_s=60)
    assert heard == [1, 1, 1]


def test_a_worker_that_takes_the_last_of_it_wakes_nobody(desk, name, monkeypatch):
    desk.now = clock.now()
    desk.ask(1, queue=name)
    assert read_one(name)
    hand = queue.register(host="here", pid=1, queue=name, now=desk.now)
    monkeypatch.setattr(Runner, "_run", lambda self, batch: None)
    Runner(engine=FixedRateEngine(images_per_s=1000), worker=hand).drain(limit_s=60)
    assert files(name) == []


def test_what_was_asked_for_while_a_message_lay_unread_is_found_by_whoever_reads_it(desk, name):
    _, first = desk.ask(1, queue=name)
    _, second = desk.ask(1, queue=name)
    assert read_one(name)
    hand = worker()
    hand.queue = name
    assert claimed_ids(take(hand)) == [*first, *second]
    assert Render.objects.filter(status="queued").count() == 0
