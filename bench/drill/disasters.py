"""What goes wrong in a drill, how often, and doing it. Knows processes, orders and servers, nothing of renders."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from billing.kill_points import EVERYBODY, POINTS
from drill import folders, troubled_engine
from drill.clocks import JUMP_S, SharedOffset
from drill.folders import Folders
from drill.processes import Crew
from drill.servers import CrashingServer, Postgres, Server

KILLS_AT_POINTS = 0.6  # the other kills come at random moments
VICTIMS = {"gpu": 12, "default": 3, "beat": 2, "client": 2, "office": 1}
AT_MOST_STANDING = 3  # orders to die at once: else workers would do nothing but start
GENTLE = ("disk full", "storage fails", "storage stalls", "clock jump", "broker crash")
SHORT = 20
FREEZE_S = 67.0  # past the lease


@dataclass(frozen=True)
class Disaster:
    """A kind of disaster and, where there is one, the point at which it strikes."""

    kind: str
    point: str = ""


def kills_at_each(kills: int) -> int:
    """How many of a drill's kills come at each named point."""
    return max(1, int(kills * KILLS_AT_POINTS) // len(POINTS))


def plan(*, kills: int, dice: random.Random, database_can_crash: bool) -> list[Disaster]:
    """Every disaster of a drill in order; other troubles come along with the kills, in proportion."""
    at_points = [Disaster("kill", point) for point in POINTS for _ in range(kills_at_each(kills))]
    at_random = [Disaster("kill at random")] * max(0, kills - len(at_points))
    shares = {
        "blink": 20,  # stopped for a second or two
        "freeze": 100,  # stopped past the lease
        "disk full": 50,
        "storage fails": 10,
        "storage stalls": 25,
        "out of memory": 10,
        "slow engine": 100,
        "hung engine": 300,
        "broker crash": 50,
        "clock jump": 100,
    }
    if database_can_crash:
        shares["database crash"] = 50
    others = [Disaster(kind) for kind, share in shares.items() for _ in range(_times(kind, kills, share))]
    everything = at_points + at_random + others
    dice.shuffle(everything)
    return everything


def gentle_plan(*, faults: int, dice: random.Random) -> list[Disaster]:
    """Nobody dies: only what must not cost an image one of its attempts."""
    everything = [Disaster(GENTLE[number % len(GENTLE)]) for number in range(faults)]
    dice.shuffle(everything)
    return everything


def _times(kind: str, kills: int, share: int) -> int:
    # A hung engine keeps its worker for three minutes; what takes a minute is left out of a short drill as well.
    is_rare = kind == "hung engine" or (kills < SHORT and kind in ("freeze", "slow engine"))
    return kills // share if is_rare else -(-kills // share)


@dataclass
class Disasters:
    """Makes things go wrong, and notes who was killed and what else was done."""

    folders: Folders
    crew: Crew
    dice: random.Random
    database: Server
    broker: CrashingServer
    offset: SharedOffset
    clock_is_shared: bool
    killed: dict[int, str] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    hung: set[int] = field(default_factory=set)
    server_crashed_at: float = float("-inf")
    _is_block_ordered: bool = False
    _seen: set[str] = field(default_factory=set)
    _ends: list[tuple[float, Callable[[], object]]] = field(default_factory=list)

    def strike(self, disaster: Disaster) -> bool:
        """Do it, or place the order for it; False if it has to wait its turn."""
        acts = {
            "kill": self._kill_at,
            "kill at random": self._kill_at_random,
            "blink": self._blink,
            "freeze": lambda point: self._block("after_claim", "freeze"),
            "disk full": self._fill_disk,
            "storage fails": lambda point: self._order("after_put", "fail EIO"),
            "storage stalls": lambda point: self._order("mid_put", "stall 5"),
            "out of memory": lambda point: self._order(troubled_engine.POINT, "oom"),
            "slow engine": lambda point: self._order(troubled_engine.POINT, "slow"),
            "hung engine": lambda point: self._block(troubled_engine.POINT, "hang"),
            "broker crash": self._crash_broker,
            "database crash": self._crash_database,
            "clock jump": self._jump,
        }
        is_done = acts[disaster.kind](disaster.point)
        if is_done and not disaster.kind.startswith("kill"):
            self.done[disaster.kind] += 1
        return is_done

    def follow(self) -> None:
        """See which orders were obeyed, and end what was only for a time."""
        for path in self.folders.taken.iterdir():
            if path.name not in self._seen:
                self._seen.add(path.name)
                point, pid, _ = path.name.split(".")
                self._obeyed(point, int(pid), path.read_text())
        now = time.monotonic()
        for end in [end for moment, end in self._ends if now >= moment]:
            end()
        self._ends = [(moment, end) for moment, end in self._ends if now < moment]
        self.crew.thaw()

    def calm(self) -> None:
        """Take back every order that nobody obeyed, and end what was for a time."""
        for _, end in self._ends:
            end()
        self._ends.clear()
        for order in self._standing():
            (self.folders.orders / order).unlink(missing_ok=True)
        self.follow()

    def is_pending(self) -> bool:
        """Whether an order waits for somebody to come by."""
        return any(True for _ in self._standing())

    def _standing(self) -> Iterator[str]:
        return (path.name for path in self.folders.orders.iterdir() if path.is_file() and path.name[0] != ".")

    def _obeyed(self, point: str, pid: int, order: str) -> None:
        if order in ("freeze", "hang"):
            self._is_block_ordered = False
        if order == "kill":
            self.killed[pid] = point
        elif order == "freeze":
            self.crew.thaw_later(pid, seconds=FREEZE_S)
        elif order == "hang":
            self.hung.add(pid)

    def _order(self, point: str, order: str) -> bool:
        path = self.folders.orders / point
        if path.exists() or (order == "kill" and len(list(self._standing())) >= AT_MOST_STANDING):
            return False
        folders.write(path, order)
        return True

    def _block(self, point: str, order: str) -> bool:
        """Take a worker away for minutes; one at a time, or nobody would be left to work."""
        blocked = any(pid in self.hung or self.crew.is_frozen(pid) for pid in self.crew.pids.values())
        if blocked or self._is_block_ordered:
            return False
        self._is_block_ordered = self._order(point, order)
        return self._is_block_ordered

    def _kill_at(self, point: str) -> bool:
        return self._order(point, "kill")

    def _victim(self) -> tuple[str, int] | None:
        kind = self.dice.choices(list(VICTIMS), list(VICTIMS.values()))[0]
        running = [(role, pid) for role, pid in self.crew.pids.items() if role.startswith(kind)]
        role, pid = self.dice.choice(running) if running else ("", 0)
        if not pid or pid in self.killed or self.crew.is_frozen(pid):
            return None
        return role, pid

    def _kill_at_random(self, point: str) -> bool:
        if (victim := self._victim()) is None:
            return False
        role, pid = victim
        self.killed[pid] = f"random {role.rstrip('0123456789')}"
        os.kill(pid, signal.SIGKILL)
        return True

    def _blink(self, point: str) -> bool:
        if (victim := self._victim()) is None:
            return False
        os.kill(victim[1], signal.SIGSTOP)
        self.crew.thaw_later(victim[1], seconds=self.dice.uniform(0.5, 3))
        return True

    def _fill_disk(self, point: str) -> bool:
        order = self.folders.orders / f"mid_put{EVERYBODY}"
        if order.exists():
            return False
        folders.write(order, "fail ENOSPC")
        self._later(self.dice.uniform(2, 8), lambda: order.unlink(missing_ok=True))
        return True

    def _crash_broker(self, point: str) -> bool:
        self.server_crashed_at = time.monotonic()
        self.done[f"broker: {self.broker.crash(self.dice)}"] += 1
        return True

    def _crash_database(self, point: str) -> bool:
        if not isinstance(self.database, Postgres):
            return False  # SQLite is no process of its own: it crashes with each that is killed over it
        self.done[f"database: {self.database.crash(self.dice)}"] += 1
        self.server_crashed_at = time.monotonic()
        return True

    def _jump(self, point: str) -> bool:
        """Ten minutes ahead or back, and right again after a while. Hosts with wrong clocks have them all the time."""
        if not self.clock_is_shared:
            return True
        if self.offset.get():
            return False
        self.offset.set(self.dice.choice((-JUMP_S, JUMP_S)))
        self._later(self.dice.uniform(3, 10), lambda: self.offset.set(0.0))
        return True

    def _later(self, seconds: float, act: Callable[[], object]) -> None:
        self._ends.append((time.monotonic() + seconds, act))
