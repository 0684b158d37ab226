"""The broker of a single machine: kombu's filesystem transport, made atomic. Knows messages, not what they mean.

kombu's own writes a message under its final name bit by bit, and a reader that meets the first half stops the worker.
Here a message (and the table of bindings) appears whole or not at all, and is taken by one rename, which only one
reader can win. A reader that dies with a message in hand loses it: messages are hints, the database is the truth.
"""

import fcntl
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps, loads

SCHEME = "embedded"


def register() -> None:
    """Let ``embedded://`` name this transport."""
    TRANSPORT_ALIASES[SCHEME] = f"{__name__}:Transport"


class Channel(filesystem.Channel):
    """A channel whose writes are whole."""

    @property
    def _folder(self) -> Path:
        return Path(self.data_folder_in)

    def _put(self, queue: str, payload: dict[str, Any], **kwargs: Any) -> None:  # type: ignore[override]
        # Sorted by time of sending: the wall clock, since a monotonic one starts anew with the machine.
        name = f"{time.time_ns():020d}_{uuid.uuid4()}.{queue}.msg"
        _write_whole(self._folder / name, dumps(payload))

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        for name in sorted(os.listdir(self._folder)):
            if name.partition(".")[2] != f"{queue}.msg":
                continue
            taken = self._folder / f".{name}.{uuid.uuid4()}.taken"
            try:
                (self._folder / name).rename(taken)
            except FileNotFoundError:
                continue  # another reader won
            try:
                message = loads(taken.read_text())
            finally:
                taken.unlink()
            return message
        raise Empty

    def _size(self, queue: str) -> int:
        # Whole messages only: drafts, and what a reader that died had in hand, are nobody's to take any more.
        return sum(name.partition(".")[2] == f"{queue}.msg" for name in os.listdir(self._folder))

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str | None, queue: str) -> None:
        binding = filesystem.exchange_queue_t(routing_key or "", pattern or "", queue or "")
        self.control_folder.mkdir(parents=True, exist_ok=True)
        with _locked(self.control_folder / ".lock"):
            table = self.get_table(exchange)
            if binding not in table:
                file = self._exchange_file(exchange)  # type: ignore[attr-defined]  # not in the stubs
                _write_whole(file, dumps([binding, *table]))


class Transport(filesystem.Transport):
    Channel = Channel


def _write_whole(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.{uuid.uuid4()}.part")
    try:
        with draft.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
