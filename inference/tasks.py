"""Celery's way in: a message wakes a worker, which works off what the database says. Three lines each."""

import os
import socket
import time
from datetime import datetime, timedelta
from typing import Any

from celery import shared_task
from celery.signals import worker_ready, worker_shutting_down
from django.conf import settings

from billing import clock, ledger
from billing.kill_points import kill_point
from gallery import storage
from inference import comparisons, lora_intake, previews, queue
from inference.engine.interface import RenderEngine
from inference.runner import Runner

DRAIN_LIMIT_S = 60.0
SWEPT_QUEUES = ("gpu",)

_runners: dict[str, Runner] = {}
_swept_at: list[tuple[datetime, float]] = []  # the last sweep's time, by the clock and by this process's own count


@shared_task(name="inference.drain")
def drain(name: str) -> None:
    """Work off the queue for at most a minute, then let other messages through and nudge again."""
    if _runner(name).drain(limit_s=DRAIN_LIMIT_S):
        queue.nudge(name)


@shared_task(name="inference.sweep")
def sweep() -> None:
    """Reap what dead workers held, expire what is late, and wake workers for what waits."""
    now = clock.now()
    if _jumped_ahead(now):
        queue.lend_anew(now=now)
    queue.rein_in(now=now)
    queue.reap(now=now)
    kill_point("sweeper")
    queue.expire(now=now)
    ledger.expire(now=now)
    for name in SWEPT_QUEUES:
        if queue.waiting(queue=name, now=now):
            queue.nudge(name)
    # Last: a storage that fails or stalls must keep nobody from being woken.
    previews.sweep()
    storage.sweep()


@worker_ready.connect
def _sweep_at_once(sender: Any = None, **_: object) -> None:
    """Whoever was killed left a sweep undone, and the next one is seconds away."""
    if sender is not None and sweep.app.conf.task_default_queue in sender.app.amqp.queues.consume_from:
        sweep.delay()


@shared_task(name="inference.reconcile")
def reconcile() -> None:
    """Put right what only a fault of ours could have made wrong, and note which workers are gone."""
    queue.reconcile()
    queue.end_silent_workers(now=clock.now())


def _jumped_ahead(now: datetime) -> bool:
    """Whether the clock went further than the time since the last sweep: it was set, or the machine slept."""
    counted_s = time.monotonic()
    before = _swept_at[:]
    _swept_at[:] = [(now, counted_s)]
    return any(now - then > timedelta(seconds=counted_s - count_s) + queue.CLOCK_SLACK for then, count_s in before)


@shared_task(name="inference.compare")
def compare(asset_id: int) -> None:
    """Make the difference view of an image that somebody is about to look at."""
    comparisons.make(asset_id=asset_id, now=clock.now())


@shared_task(name="inference.check_lora")
def check_lora(lora_id: int) -> None:
    """Decide about a LoRA that was uploaded."""
    lora_intake.admit(lora_id=lora_id, now=clock.now())


@shared_task(name="inference.check_lora_again")
def check_lora_again(lora_id: int) -> None:
    """Find anew which models a LoRA fits."""
    lora_intake.check_again(lora_id=lora_id, now=clock.now())


@shared_task(name="inference.check_waiting_loras")
def check_waiting_loras() -> None:
    """Decide about LoRAs whose message was lost."""
    lora_intake.sweep(now=clock.now())


def make_engine() -> RenderEngine:
    """The engine that the settings name. Importing torch takes seconds, so only the process that renders does."""
    if settings.STUDIO_ENGINE == "fixed-rate":
        from inference.engine.fixed_rate import FixedRateEngine

        return FixedRateEngine(images_per_s=50.0)
    from inference.engine.engine import Engine

    return Engine()


def _runner(name: str) -> Runner:
    if name not in _runners:
        worker = queue.register(host=socket.gethostname(), pid=os.getpid(), queue=name, now=clock.now())
        _runners[name] = Runner(engine=make_engine(), worker=worker, hands=2)
    return _runners[name]


@worker_shutting_down.connect
def _stop_runners(**_: object) -> None:
    for runner in _runners.values():
        runner.stop()
