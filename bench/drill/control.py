"""The control: the same work under the same kills with Celery's own promises alone. It has to lose some.

A message is a job here; there are no rows, no leases, and nobody who sweeps.
"""

import random
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from celery import shared_task

from billing.kill_points import kill_point
from drill import roles
from drill.clocks import SharedOffset
from drill.disasters import Disaster, Disasters
from drill.folders import Folders
from drill.processes import Crew
from drill.servers import CrashingServer, Server
from studio.celery import app

POINTS = ("after_claim", "mid_render", "after_put")
QUIET_S = 10.0  # after this long without a finished job, what is missing is lost
SECONDS_A_JOB = 1 / roles.IMAGES_PER_S


@shared_task(name="chaos.stock")
def stock(number: int, folder: str) -> None:
    """One job as a plain Celery task."""
    kill_point("after_claim")
    time.sleep(SECONDS_A_JOB / 2)
    kill_point("mid_render")
    time.sleep(SECONDS_A_JOB / 2)
    (Path(folder) / f"{number}.{time.time_ns()}").touch()
    kill_point("after_put")


def run(*, folder: Path, jobs: int, kills: int, seed: int, database: Server, broker: CrashingServer) -> Counter[str]:
    """Send the jobs, kill while they are done, and count: done, lost, done twice, kills."""
    dice = random.Random(seed)
    where = Folders(folder)
    where.make()
    done = folder / "done"
    done.mkdir()
    roles.preload()
    crew = Crew({f"gpu{n}": partial(_worker, n) for n in range(roles.GPU_WORKERS)}, logs=where.logs)
    troubles = Disasters(where, crew, dice, database, broker, SharedOffset(), clock_is_shared=True)
    for role in crew.roles:
        crew.start(role)
    crew.errand("client", partial(_send, jobs, str(done)))
    plan = [
        Disaster("kill", dice.choice(POINTS)) if dice.random() < 0.5 else Disaster("kill at random")
        for _ in range(kills)
    ]
    killed = _kill(crew, troubles, plan, finished=lambda: sum(1 for _ in done.iterdir()), jobs=jobs)
    troubles.calm()
    for _ in crew.stop():
        pass
    times = Counter(path.name.partition(".")[0] for path in done.iterdir())
    twice = sum(1 for number in times.values() if number > 1)
    return Counter({"jobs": jobs, "done": len(times), "lost": jobs - len(times), "done twice": twice, "kills": killed})


def _kill(crew: Crew, troubles: Disasters, plan: list[Disaster], *, finished: Callable[[], int], jobs: int) -> int:
    """Kill in step with the work until nothing is finished any more; returns how often."""
    planned, killed, last, moved_at = len(plan), 0, 0, time.monotonic()
    while time.monotonic() - moved_at < QUIET_S:
        troubles.follow()
        for death in crew.deaths():
            killed += death.signal == 9
            crew.start(death.role)
        number = finished()
        if number != last:
            last, moved_at = number, time.monotonic()
        if plan and number / jobs >= (planned - len(plan)) / planned * 0.9:
            disaster = plan.pop()
            if not troubles.strike(disaster):
                plan.insert(0, disaster)
        time.sleep(0.02)
    return killed


def _worker(number: int) -> None:
    options: Any = ("worker", "--queues", "gpu", "--hostname", f"gpu{number}@%h", "--pool", "solo", *roles.WORKER)
    app.worker_main(list(options))


def _send(jobs: int, folder: str) -> None:
    for number in range(jobs):
        app.send_task("chaos.stock", args=[number, folder], queue="gpu", ignore_result=True)
