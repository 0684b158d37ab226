"""The drill's processes: forked from one parent that has everything loaded, so that a restart costs milliseconds.

Knows process ids and how they ended. The parent itself has no connection to anything, or its children would share it.
"""

import gc
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from drill.servers import die_with_parent


@dataclass(frozen=True)
class Death:
    """A process that ended: its role, and os.waitpid's status."""

    role: str
    pid: int
    status: int

    @property
    def signal(self) -> int | None:
        """The signal that ended it."""
        return os.WTERMSIG(self.status) if os.WIFSIGNALED(self.status) else None

    @property
    def code(self) -> int | None:
        """The exit code that it ended with by itself."""
        return os.WEXITSTATUS(self.status) if os.WIFEXITED(self.status) else None


class Crew:
    """Processes by role, each started again when it dies."""

    def __init__(self, roles: dict[str, Callable[[], None]], *, logs: Path) -> None:
        self.roles = roles
        self.pids: dict[str, int] = {}
        self._errands: set[int] = set()
        self._logs = logs
        self._thaw_at: dict[int, float] = {}
        gc.freeze()

    def start(self, role: str) -> None:
        """Fork a role's process."""
        self.pids[role] = self._fork(role, self.roles[role])

    def errand(self, name: str, act: Callable[[], None]) -> int:
        """Fork a process that does one thing and ends; nobody minds how."""
        pid = self._fork(name, act)
        self._errands.add(pid)
        return pid

    def wait_for(self, pid: int) -> None:
        """Wait for an errand that nothing can go on without.

        :raises RuntimeError: it failed.
        """
        self._errands.discard(pid)
        _, status = os.waitpid(pid, 0)
        if status:
            raise RuntimeError(f"A process that prepares the drill ended with {status}; see {self._logs}.")

    def deaths(self) -> Iterator[Death]:
        """The processes that ended since the last call."""
        for role, pid in list(self.pids.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del self.pids[role]
                self._thaw_at.pop(pid, None)
                yield Death(role, pid, status)
        self._errands = {pid for pid in self._errands if not os.waitpid(pid, os.WNOHANG)[0]}

    def is_frozen(self, pid: int) -> bool:
        """Whether it was stopped and is not to go on yet."""
        return pid in self._thaw_at

    def thaw_later(self, pid: int, *, seconds: float) -> None:
        """Let a stopped process go on after a time."""
        self._thaw_at[pid] = time.monotonic() + seconds

    def thaw(self, *, everybody: bool = False) -> None:
        """Let those go on whose time has come."""
        for pid, moment in list(self._thaw_at.items()):
            if everybody or time.monotonic() >= moment:
                del self._thaw_at[pid]
                if pid in self.pids.values():
                    os.kill(pid, signal.SIGCONT)

    def stop(self, *, grace_s: float = 20.0) -> Iterator[Death]:
        """Ask all to end, wait, then kill."""
        self.thaw(everybody=True)
        for pid in self.pids.values():
            os.kill(pid, signal.SIGTERM)
        ends_at = time.monotonic() + grace_s
        while self.pids and time.monotonic() < ends_at:
            yield from self.deaths()
            time.sleep(0.05)
        for pid in self.pids.values():
            os.kill(pid, signal.SIGKILL)
        while self.pids:
            yield from self.deaths()
            time.sleep(0.05)

    def _fork(self, name: str, act: Callable[[], None]) -> int:
        sys.stdout.flush()
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            die_with_parent()
            log = os.open(self._logs / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            act()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            # Not sys.exit: what the parent registered for its own end is not this process's to do.
            os._exit(code)
