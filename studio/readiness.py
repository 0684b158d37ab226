"""Whether this installation can take work right now: database, migrations, broker, storage, room on the disk.

Each answer is a word or a phrase of ours: paths, addresses and passwords stay in the log. Each gives up after seconds.
"""

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from kombu import Connection

from studio import installation
from studio.models import Workspace

logger = logging.getLogger(__name__)

OK: Final = "ok"
# Nobody who asks for readiness waits longer, and neither does a writer that comes after.
PATIENCE_S: Final = 1


class NotReadyError(Exception):
    """Something that work needs is missing; the phrase says what, without saying where."""


def checks() -> Mapping[str, str]:
    """What work needs, by name: "ok", or what is wrong."""
    return {name: _told(name, check) for name, check in CHECKS.items()}


def _told(name: str, check: Callable[[], None]) -> str:
    try:
        check()
    except NotReadyError as error:
        return str(error)
    except Exception:
        # Whatever a driver says may name hosts and paths.
        logger.warning("readiness: %s", name, exc_info=True)
        return FALLBACKS[name]
    return OK


def _database() -> None:
    with _impatient(), transaction.atomic():
        # Of no row: a database that is read-only refuses it all the same, and nothing is written.
        Workspace.objects.filter(pk__lt=0).update(name="")


@contextmanager
def _impatient() -> Iterator[None]:
    """Let this connection wait a second for what is locked, instead of the 20 that work may take."""
    if connection.vendor != "sqlite":
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {PATIENCE_S * 1000}")
            yield
        return
    usual_s = connection.settings_dict["OPTIONS"].get("timeout", 5)
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA busy_timeout = {PATIENCE_S * 1000}")
        try:
            yield
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {usual_s * 1000}")


def _migrations() -> None:
    # Read, not through a loader of its own, so that it costs one query.
    applied = MigrationRecorder(connection).applied_migrations().keys()
    if not _newest_migrations() <= applied:
        raise NotReadyError("migrations are missing: run manage.py migrate")


@cache
def _newest_migrations() -> frozenset[tuple[str, str]]:
    """The last migration of every app, as the code of this process knows it."""
    return frozenset(MigrationLoader(None).graph.leaf_nodes())


def _broker() -> None:
    if settings.STUDIO_BROKER_URL == "embedded":
        _write_in(settings.BROKER_DIR / "messages")
        return
    options = {"socket_timeout": PATIENCE_S, "socket_connect_timeout": PATIENCE_S}
    with Connection(settings.STUDIO_BROKER_URL, connect_timeout=PATIENCE_S, transport_options=options) as broker:
        # Redis is pinged by connecting.
        broker.ensure_connection(max_retries=1, interval_start=0, timeout=PATIENCE_S)


def _storage() -> None:
    _write_in(Path(settings.MEDIA_ROOT))


def _disk() -> None:
    if installation.disk().is_full:
        floor = installation.FULL_DISK_BYTES // 1024**2
        raise NotReadyError(f"less than {floor} MB are free")


def _write_in(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"ready")
        file.flush()


CHECKS: Final[Mapping[str, Callable[[], None]]] = {
    "database": _database,
    "migrations": _migrations,
    "broker": _broker,
    "storage": _storage,
    "disk": _disk,
}
FALLBACKS: Final = {
    "database": "does not answer, or cannot be written to",
    "migrations": "not known while the database does not answer",
    "broker": "cannot be reached or written to",
    "storage": "cannot be written to",
    "disk": "cannot be measured",
}
