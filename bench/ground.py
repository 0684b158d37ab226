"""What a bench stands on: a folder, a database and a Django of its own, and processes forked from it.

Knows nothing of what is measured.
"""

import contextlib
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drill.servers import Postgres, Sqlite

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

ROOT = Path(__file__).resolve().parent.parent
fork = multiprocessing.get_context("fork")


@contextlib.contextmanager
def ground(database: str) -> Iterator[Path]:
    """A migrated studio over "sqlite" or a PostgreSQL of its own, with the fixed-rate engine; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench") as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)  # PostgreSQL's own account has to reach its data
        server = Postgres(folder / "postgres") if database == "postgres" else Sqlite()
        try:
            _set_up(folder, server.url)
            yield folder
        finally:
            _close_connections()
            server.stop()


def _set_up(folder: Path, database_url: str) -> None:
    os.environ.update(
        DJANGO_SETTINGS_MODULE="studio.settings",
        STUDIO_DATA=str(folder / "data"),
        STUDIO_ENGINE="fixed-rate",
        STUDIO_BROKER_URL="embedded",
        DATABASE_URL=database_url,
        STUDIO_LOG_LEVEL="WARNING",
        STUDIO_ALLOWED_HOSTS="testserver,localhost",
        PYTHONPATH=str(ROOT),
    )
    sys.path.insert(0, str(ROOT))
    import django

    django.setup()
    from django.core.management import call_command

    from studio.celery import app

    app.finalize()
    call_command("migrate", verbosity=0)


def _close_connections() -> None:
    if "django" in sys.modules:
        from django.db import connections

        connections.close_all()


def start(acts: Sequence[Callable[[], None]]) -> "list[BaseProcess]":
    """Each in a process of its own, forked from this one, with connections of its own."""
    _close_connections()  # a child must not talk over its parent's
    processes: list[BaseProcess] = [fork.Process(target=act, daemon=True) for act in acts]
    for process in processes:
        process.start()
    return processes


def together(acts: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each returned, all having run at once, each in a process of its own.

    :raises RuntimeError: one of them failed; what it wrote says why.
    """
    results = [fork.SimpleQueue() for _ in acts]

    def run(place: int) -> None:
        results[place].put((acts[place](),))

    processes = start([lambda place=place: run(place) for place in range(len(acts))])  # type: ignore[misc]
    answers = []
    for process, result in zip(processes, results, strict=True):
        while result.empty() and process.is_alive():
            process.join(0.05)
        if result.empty():
            raise RuntimeError(f"A process of the bench ended with {process.exitcode}.")
        answers.append(result.get()[0])
        process.join()
    return answers


def make_workspace(slug: str, *, credits: int, now: datetime) -> int:
    """The id of a workspace with at least 20 credits, and exactly so many."""
    from billing import ledger
    from billing.models import GrantKind
    from studio.models import Workspace

    workspace = Workspace.objects.create(slug=slug, name=slug)
    ledger.open_account(workspace_id=workspace.pk, plan="free", now=now)
    if rest := credits * ledger.MILLI - ledger.balance(workspace_id=workspace.pk).available:
        ledger.grant(
            workspace_id=workspace.pk, kind=GrantKind.PURCHASED, amount=rest, key="bench", expires_at=None, now=now
        )
    return workspace.pk


def broken_invariants() -> dict[str, int]:
    """What the audits of ledger and queue find, which should be nothing."""
    import billing.audit
    import inference.audit

    found = billing.audit.broken_invariants() | inference.audit.broken_invariants()
    return {name: number for name, number in found.items() if number}
