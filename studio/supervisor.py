"""Starts the processes of a single machine, starts again what dies, and ends them together.

One supervisor a data folder: whoever holds its lock file. Knows processes, not what they do.
"""

import fcntl
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import quote

from django.conf import settings

from studio import lifeline

logger = logging.getLogger(__name__)

STOP_GRACE_S = 15.0
RESTART_PAUSE_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Role:
    """A process to keep running: its name (and log file's) and its command line after ``python``."""

    name: str
    arguments: tuple[str, ...]


def celery_worker(name: str, *options: str) -> Role:
    """A Celery worker that reads the queue of its name."""
    arguments = ("-m", "celery", "-A", "studio.celery", "worker", "--queues", name, "--hostname", f"{name}@%h")
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO")
    return Role(name=name, arguments=(*arguments, *quiet, *options))


WORKERS = (
    celery_worker("gpu", "--pool", "solo"),
    celery_worker("default", "--pool", "threads", "--concurrency", "2"),
    Role(name="beat", arguments=("-m", "celery", "-A", "studio.celery", "beat", "--loglevel", "WARNING", "--pidfile=")),
)


@dataclass
class Supervisor:
    """``with Supervisor(...)``: the roles run inside the block and are ended after it."""

    roles: tuple[Role, ...]
    data_dir: Path
    on_death: Callable[[], None] = lambda: None
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _restart_at: dict[str, float] = field(default_factory=dict)
    deaths: int = 0
    _lock: IO[str] | None = None
    _lifeline: tuple[int, int] | None = None

    @property
    def is_leading(self) -> bool:
        """Whether these roles are this supervisor's own; False where another one serves the data folder."""
        return self._lock is not None

    def start(self) -> bool:
        """Start the roles; False (and nothing started) if another supervisor runs over this data folder."""
        lock = (self.data_dir / "supervisor.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._lock = lock
        self._lifeline = os.pipe()
        (self.data_dir / "logs").mkdir(exist_ok=True)
        self.on_death()
        for role in self.roles:
            self._spawn(role)
        return True

    def check(self) -> None:
        """Start again what died. To be called about once a second.

        Where another supervisor ran these roles and is gone by now, this one takes over.
        """
        if self._lock is None and not self.start():
            return
        for role in self.roles:
            process = self._processes.get(role.name)
            if process is not None and process.poll() is not None:
                logger.warning("%s ended with %s and is started again", role.name, process.returncode)
                del self._processes[role.name]
                self._restart_at[role.name] = time.monotonic() + RESTART_PAUSE_S
                self.deaths += 1
                self.on_death()
            if process is None and time.monotonic() >= self._restart_at[role.name]:
                self._spawn(role)

    def stop(self) -> None:
        """End all: ask, wait, then kill."""
        for process in self._processes.values():
            process.send_signal(signal.SIGTERM)
        ends_at = time.monotonic() + STOP_GRACE_S
        for process in self._processes.values():
            try:
                process.wait(timeout=max(0.0, ends_at - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._processes:
            self._processes.clear()
            self.on_death()
        if self._lifeline:
            for descriptor in self._lifeline:
                os.close(descriptor)
            self._lifeline = None
        if self._lock:
            self._lock.close()
            self._lock = None

    def _absolute(self) -> dict[str, str]:
        """The settings that are paths, as this process read them: a child starts in another folder."""
        absolute = {"STUDIO_DATA": str(self.data_dir)}
        if folders := settings.STUDIO_CHECKPOINTS:
            absolute["STUDIO_CHECKPOINTS"] = ",".join(f"{slug}={folder}" for slug, folder in folders.items())
        if os.environ.get("DATABASE_URL", "").startswith("sqlite:"):
            absolute["DATABASE_URL"] = f"sqlite:///{quote(str(settings.DATABASES['default']['NAME']))}"
        return absolute

    def _spawn(self, role: Role) -> None:
        if self._lifeline is None:
            raise RuntimeError("The supervisor was not started.")
        reading_end = self._lifeline[0]
        with (self.data_dir / "logs" / f"{role.name}.log").open("ab") as log:
            self._processes[role.name] = subprocess.Popen(  # noqa: S603  (our own command lines)
                [sys.executable, *role.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=settings.BASE_DIR,
                env=os.environ | self._absolute() | {lifeline.VARIABLE: str(reading_end)},
                pass_fds=(reading_end,),
                # A group of its own: Ctrl-C reaches the supervisor, which ends its children in order.
                start_new_session=True,
            )


def is_alive(pid: int) -> bool:
    """Whether a process of this machine runs (a zombie does not)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:  # no Linux, or it has ended since
        return not Path("/proc/self/stat").exists()
    except ProcessLookupError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def host() -> str:
    """This machine's name, as workers register it."""
    return socket.gethostname()
