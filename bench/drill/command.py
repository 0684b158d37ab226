"""A drill from beginning to end: processes, load, disasters, the wait for everything to end, the recount."""

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from billing.kill_points import POINTS
from drill import disasters, folders, load, roles
from drill.clocks import SharedOffset
from drill.disasters import Disaster, Disasters
from drill.folders import Folders
from drill.processes import Crew, Death
from drill.roles import Setting
from drill.servers import CrashingServer, Server
from inference.heartbeat import HANG_EXIT_CODE
from inference.queue import LEASE

TICK_S = 0.02
AGAIN_AT_LEAST_S = 0.05  # between two disasters
TOO_MANY_UNEXPLAINED = 20  # something is plainly broken: going on would only start it again
NOTHING_MOVES_S = 420.0  # longer than any pause between two tries, and than a hung engine
CRASH_SPREAD_S = 30.0  # how long after a server's crash a process may still end because of it
STUCK_S = 10.0  # a lapsed lease has to be taken back within this
POINT_KILLS = 20
SHARE_IN_BATCH = 0.3
LEFT_TO_THE_LEASE = 0.1  # of the killed workers: as if nobody on their host had seen them die


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command was asked for."""

    jobs: int
    kills: int
    database: str
    broker: str
    seed: int
    gentle: bool
    folder: Path


@dataclass
class Tally:
    """What was counted while it ran."""

    kills: Counter[str] = field(default_factory=Counter)
    exits: Counter[str] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)


class Drill:
    """One run over a database and a broker that are there already."""

    def __init__(self, options: Options, *, database: Server, broker: CrashingServer) -> None:
        self.options = options
        self.folders = Folders(options.folder)
        self.tally = Tally()
        self._dice = random.Random(options.seed)
        offset = SharedOffset()
        many_hosts = options.database == "postgres"
        self._setting = Setting(
            folders=self.folders,
            seed=options.seed,
            images=options.jobs,
            offset=offset,
            many_hosts=many_hosts,
        )
        roles.preload()
        self._crew = Crew(roles.roles(self._setting), logs=self.folders.logs)
        self._troubles = Disasters(
            self.folders, self._crew, self._dice, database, broker, offset, clock_is_shared=not many_hosts
        )
        self._plan = (
            disasters.gentle_plan(faults=options.kills, dice=self._dice)
            if options.gentle
            else disasters.plan(kills=options.kills, dice=self._dice, database_can_crash=many_hosts)
        )
        self._planned = len(self._plan)
        self._next_at = self._count_at = 0.0
        self._counted = (0, 0)

    def run(self) -> dict[str, Any]:
        """The whole drill; returns the figures."""
        started = time.monotonic()
        self._crew.wait_for(self._crew.errand("prepare", partial(roles.prepare, self._setting)))
        for role in self._crew.roles:
            self._crew.start(role)
        is_over = self._until(self._struck) and self._until(self._ended)
        for death in self._crew.stop():
            self._note(death)
        seconds = time.monotonic() - started
        return self._figures(seconds, is_over=is_over)

    def _until(self, is_done: Callable[[], bool]) -> bool:
        """Go on until it is done; False if nothing has moved for too long."""
        last, moved_at = (0, 0), time.monotonic()
        while not is_done():
            self._troubles.follow()
            for death in self._crew.deaths():
                self._note(death)
                self._crew.start(death.role)
            moved = (self._counts()[1], self.tally.kills.total())
            if moved != last:
                last, moved_at = moved, time.monotonic()
            too_many = len(self.tally.unexplained) > TOO_MANY_UNEXPLAINED
            if too_many or time.monotonic() - moved_at > NOTHING_MOVES_S:
                return False
            time.sleep(TICK_S)
        return True

    def _struck(self) -> bool:
        """Strike what is due by the share of images that have ended; whether all is struck and enough is asked."""
        asked, ended = self._counts()
        share = min(1.0, ended / (0.9 * self.options.jobs))
        due = self._planned * share - (self._planned - len(self._plan))
        if self._plan and due > 0 and time.monotonic() >= self._next_at:
            self._next_at = time.monotonic() + AGAIN_AT_LEAST_S
            disaster = self._plan.pop()
            if not self._troubles.strike(disaster):
                self._plan.insert(self._dice.randint(0, len(self._plan)), disaster)
        if self._plan or self._troubles.is_pending() or asked < self.options.jobs:
            return False
        if self.tally.kills.total() < self.options.kills and not self.options.gentle:
            self._plan.append(Disaster("kill at random"))  # one that was killed twice counts once
            self._planned += 1
            return False
        self._troubles.calm()
        self.folders.enough.touch()
        return True

    def _ended(self) -> bool:
        """Whether everything that was asked has ended, and the office has nothing left to do."""
        asked, ended = self._counts()
        if ended < asked:
            return False
        todo = {one["number"] for one in folders.everything_asked(self.folders) if one["fate"] in load.OFFICE_FATES}
        done = {one["number"] for one in folders.records(self.folders.asked / "office.jsonl")}
        return todo <= done

    def _counts(self) -> tuple[int, int]:
        """How many images were asked for and how many have ended, by what the observer saw last."""
        if time.monotonic() >= self._count_at:
            state = next(iter(folders.records(self.folders.state)), None)
            asked = sum(len(one["renders"]) for one in folders.everything_asked(self.folders))
            unfinished = state["waiting"] + state["running"] if state else asked
            self._counted = (asked, max(0, asked - unfinished))
            self._count_at = time.monotonic() + roles.OBSERVED_EVERY_S
        return self._counted

    # --- deaths ------------------------------------------------------------------------------------------------------

    def _note(self, death: Death) -> None:
        """Find out why a process ended, and have somebody look after what it had in hand."""
        self._troubles.follow()
        cause = self._cause(death)
        self.tally.exits[cause] += 1
        if death.signal == 9 and (killed_at := self._troubles.killed.get(death.pid)):
            self.tally.kills[killed_at] += 1
        elif cause.startswith("unexplained"):
            self.tally.unexplained.append(f"{death.role} {death.pid}: {cause}")
        if death.role.startswith("gpu") and cause != "told to stop":
            is_seen = not self._setting.many_hosts or self._dice.random() >= LEFT_TO_THE_LEASE
            act = partial(roles.aftermath, self._setting, death.pid, bury=is_seen)
            self._crew.errand("aftermath", act)

    def _cause(self, death: Death) -> str:
        if death.signal == 9 and death.pid in self._troubles.killed:
            return "killed by the drill"
        if death.code == HANG_EXIT_CODE and death.pid in self._troubles.hung:
            return "hung engine, ended itself"
        if self.folders.enough.exists() and (death.signal == 15 or death.code == 0):
            return "told to stop"
        if time.monotonic() - self._troubles.server_crashed_at < CRASH_SPREAD_S and death.code:
            return "lost its database or broker"
        return f"unexplained: signal {death.signal}, code {death.code}"

    def _figures(self, seconds: float, *, is_over: bool) -> dict[str, Any]:
        told = [json.loads(path.read_text()) for path in self.folders.told.iterdir() if path.name[0] != "."]
        state = next(iter(folders.records(self.folders.state)), {"lapsed_s": None})
        return {
            "is_over": is_over,
            "seconds": round(seconds),
            "kills": dict(sorted(self.tally.kills.items())),
            "in_batch": sum(one["had_batch"] for one in told),
            "exits": dict(sorted(self.tally.exits.items())),
            "unexplained": self.tally.unexplained,
            "troubles": dict(sorted(self._troubles.done.items())),
            "lapsed_s": state["lapsed_s"],
        }


def problems(figures: dict[str, Any], recounted: dict[str, Any], options: Options) -> Iterator[str]:
    """Every invariant that does not hold, and everything that the drill meant to do and did not."""
    yield from (f"{name}: {number}" for name, number in recounted["broken"].items() if number)
    yield from figures["unexplained"]
    if recounted["audit"]:
        yield recounted["audit"]
    if not figures["is_over"]:
        yield f"it was given up: nothing moved for {NOTHING_MOVES_S:.0f} s, or process after process broke"
    if figures["lapsed_s"] is None or figures["lapsed_s"] > STUCK_S:
        yield f"a lease of {LEASE.total_seconds():.0f} s was not taken back until {figures['lapsed_s']} s after its end"
    if options.gentle and recounted["more_than_one_attempt"]:
        yield f"{recounted['more_than_one_attempt']} images used up more than one attempt, though nobody died"
    yield from _too_little(figures, recounted, kills=0 if options.gentle else options.kills)


def _too_little(figures: dict[str, Any], recounted: dict[str, Any], *, kills: int) -> Iterator[str]:
    """What a drill was to show and did not; of a short one only the kills themselves can be asked."""
    done, at = sum(figures["kills"].values()), figures["kills"]
    if done < kills:
        yield f"only {done} kills"
    wanted = min(POINT_KILLS, disasters.kills_at_each(kills)) if kills else 0
    yield from (f"only {at.get(point, 0)} kills at {point}" for point in POINTS if at.get(point, 0) < wanted)
    if kills < disasters.SHORT:
        return
    if figures["in_batch"] < SHARE_IN_BATCH * done:
        yield f"only {figures['in_batch']} of {done} kills inside a batch"
    idle = [status for status in ("succeeded", "canceled", "expired") if not recounted["ends"].get(status)]
    if idle or not recounted["refunded"]:
        yield f"no image {' or '.join(idle) or 'was refunded'}: the drill was too small"
