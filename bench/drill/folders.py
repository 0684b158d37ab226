"""Where a drill keeps what its processes tell each other: plain files, so that a kill -9 loses no line."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Folders:
    """One drill's scratch folder and what lies in it."""

    root: Path

    @property
    def orders(self) -> Path:
        """What billing.kill_points obeys."""
        return self.root / "orders"

    @property
    def taken(self) -> Path:
        """Orders that somebody obeyed, by point, process id and time."""
        return self.orders / "taken"

    @property
    def asked(self) -> Path:
        """What each client was told: a line for each generation."""
        return self.root / "asked"

    @property
    def told(self) -> Path:
        """What became of each killed worker's batch, a file for each process id."""
        return self.root / "told"

    @property
    def logs(self) -> Path:
        """What the processes write, a file for each role."""
        return self.root / "logs"

    @property
    def state(self) -> Path:
        """What the observer saw last."""
        return self.root / "state.json"

    @property
    def enough(self) -> Path:
        """There once the clients may stop asking."""
        return self.root / "enough"

    def make(self) -> None:
        """Make them all."""
        for folder in (self.orders, self.taken, self.asked, self.told, self.logs):
            folder.mkdir(parents=True, exist_ok=True)


def write(path: Path, text: str) -> None:
    """The text appears under the path whole."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text)
    draft.rename(path)


def append(path: Path, record: dict[str, Any]) -> None:
    """Add a line, in one write."""
    with path.open("a") as file:
        file.write(json.dumps(record) + "\n")


def records(path: Path) -> list[dict[str, Any]]:
    """The lines of a file; a line that a kill cut off is cut off the file as well."""
    if not path.exists():
        return []
    text = path.read_text()
    whole = text[: text.rfind("\n") + 1]
    return [json.loads(line) for line in whole.splitlines()]


def mend(path: Path) -> None:
    """Cut off a line that a kill left unfinished. For the file's one writer."""
    if path.exists():
        text = path.read_text()
        if not text.endswith("\n"):
            path.write_text(text[: text.rfind("\n") + 1])


def everything_asked(folders: Folders) -> Iterator[dict[str, Any]]:
    """What all clients were told until now."""
    for path in sorted(folders.asked.glob("client*.jsonl")):
        yield from records(path)
