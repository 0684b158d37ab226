"""What each process of a drill does: Celery's workers and beat as they are, clients, the office, the observer.

Each function is a forked process's whole life.
"""

import json
import os
import random
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module

from django.core.checks import run_checks
from django.core.management import call_command
from django.db import Error, connections
from django.db.models import Q
from PIL import Image

from billing import clock
from drill import clocks, folders, load
from drill.clocks import JUMP_S, SharedOffset
from drill.folders import Folders
from drill.troubled_engine import TroubledEngine
from inference import operations, queue, tasks
from inference.models import Render, RenderStatus
from studio.celery import app

GPU_WORKERS = 2
IMAGES_PER_S = 100.0
WORKER = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING")
LOADED_LATE = (
    *("celery.bin.celery", "celery.apps.worker", "celery.apps.beat", "celery.app.amqp", "celery.app.log"),
    *("celery.concurrency.solo", "celery.concurrency.thread"),
    *("celery.worker.consumer", "celery.worker.components", "celery.worker.strategy", "celery.worker.autoscale"),
)
OBSERVED_EVERY_S = 0.25
AFTERMATH_TRIES = 60


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What the processes of one drill have in common."""

    folders: Folders
    seed: int
    images: int
    offset: SharedOffset
    many_hosts: bool

    def wear_wrong_clock(self) -> None:
        """On many hosts each has a wrong clock of its own; on one machine all have the same."""
        # Not the shared generator: forked processes would all draw the same.
        own = random.Random(os.getpid()).choice((-JUMP_S, 0.0, JUMP_S)) if self.many_hosts else 0.0
        clocks.install(self.offset, own_seconds=own)


def roles(setting: Setting) -> dict[str, Callable[[], None]]:
    """Every role by name."""
    gpus = {f"gpu{number}": partial(_gpu, setting, number) for number in range(GPU_WORKERS)}
    clients = {f"client{number}": partial(_client, setting, number) for number in range(load.CLIENTS)}
    others = {"default": _default, "beat": _beat, "office": _office, "observer": _observe}
    return {**gpus, **clients, **{name: partial(act, setting) for name, act in others.items()}}


def preload() -> None:
    """Load what Celery and Django load late: in the parent once, not in each process that a kill starts again."""
    app.loader.import_default_modules()
    app.finalize()
    run_checks()
    Image.init()
    for name in LOADED_LATE:
        import_module(name)


def prepare(setting: Setting) -> None:
    """Migrate the database and make what the load needs."""
    call_command("migrate", verbosity=0)
    load.prepare(images=setting.images, path=setting.folders.root / "cast.jsonl")


def _gpu(setting: Setting, number: int) -> None:
    setting.wear_wrong_clock()
    tasks.make_engine = lambda: TroubledEngine(images_per_s=IMAGES_PER_S)
    app.worker_main(["worker", "--queues", "gpu", "--hostname", f"gpu{number}@%h", "--pool", "solo", *WORKER])


def _default(setting: Setting) -> None:
    setting.wear_wrong_clock()
    threads = ("--pool", "threads", "--concurrency", "2")
    app.worker_main(["worker", "--queues", "default", "--hostname", "default@%h", *threads, *WORKER])


def _beat(setting: Setting) -> None:
    setting.wear_wrong_clock()
    app.start(["beat", "--loglevel", "WARNING", "--pidfile="])


def _client(setting: Setting, number: int) -> None:
    setting.wear_wrong_clock()
    who = load.cast(setting.folders.root / "cast.jsonl")
    load.Client(setting.folders, who, index=number, seed=setting.seed, images=setting.images).run()


def _office(setting: Setting) -> None:
    setting.wear_wrong_clock()
    load.Office(setting.folders, load.cast(setting.folders.root / "cast.jsonl")).run()


def _observe(setting: Setting) -> None:
    """Tell what waits and runs, and for how long a lapsed lease has not been taken back."""
    clocks.install(setting.offset)
    lapsed: dict[tuple[int, int], float] = {}
    longest_s = 0.0
    while True:
        try:
            lines = operations.lines()
            gone = Q(status=RenderStatus.RUNNING, lease_expires_at__lt=clock.now())
            found = set(Render.objects.filter(gone).values_list("pk", "fence"))
        except Error:
            connections.close_all()
        else:
            moment = time.monotonic()
            lapsed = {key: lapsed.get(key, moment) for key in found}
            longest_s = max([longest_s, *(moment - since for since in lapsed.values())])
            state = {
                "waiting": sum(line.waiting for line in lines),
                "running": sum(line.running for line in lines),
                "lapsed_s": round(longest_s, 1),
            }
            folders.write(setting.folders.state, json.dumps(state) + "\n")
        time.sleep(OBSERVED_EVERY_S)


def aftermath(setting: Setting, pid: int, *, bury: bool) -> None:
    """What a killed worker had in hand, and, where its supervisor would know at once, taking it back."""
    clocks.install(setting.offset)
    for _ in range(AFTERMATH_TRIES):
        try:
            now = clock.now()
            had_batch = any(one.pid == pid and one.batch_id for one in operations.workers(now=now))
            folders.write(setting.folders.told / str(pid), json.dumps({"had_batch": had_batch}))
            if bury:
                queue.bury(host=socket.gethostname(), is_alive=lambda other: other != pid, now=now)
            return
        except Error:
            connections.close_all()
            time.sleep(0.5)
