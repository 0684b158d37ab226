"""What many tests share: a workspace with credits, storage of its own, and a database that commits for real."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection, connections

from billing import ledger
from inference import catalog
from studio.models import Workspace

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _own_storage(settings, tmp_path: Path) -> None:
    """Files of one test never meet another's."""
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.MAIL_FOLDER = tmp_path / "mail"
    settings.EMAIL_FILE_PATH = str(settings.MAIL_FOLDER)


@pytest.fixture(autouse=True)
def _attempts_are_not_counted_across_tests() -> None:
    cache.clear()


@pytest.fixture
def make_workspace() -> Callable[..., Workspace]:
    def make(slug: str = "acme", *, plan: str = "self-hosted", now: datetime = NOW) -> Workspace:
        workspace = Workspace.objects.create(slug=slug, name=slug.title())
        ledger.open_account(workspace_id=workspace.pk, plan=plan, now=now)
        return workspace

    return make


@pytest.fixture
def workspace(db, make_workspace) -> Workspace:
    """A workspace on the self-hosted plan: 200 credits today, 20,000 this month, as of NOW."""
    return make_workspace()


@pytest.fixture
def premium(monkeypatch, settings, tmp_path: Path) -> str:
    """The slug of a premium model that is installed as far as can be told without loading it."""
    entry = replace(catalog.entry("starter"), slug="starter-premium", name="Starter Premium", tier="premium")
    entries = {**catalog.load(), entry.slug: entry}
    monkeypatch.setattr(catalog, "load", lambda: entries)
    for name, text in (
        ("model_index.json", '{"_class_name": "StableDiffusionInpaintPipeline"}'),
        ("unet/config.json", '{"in_channels": 9, "sample_size": 32}'),
        ("vae/config.json", '{"block_out_channels": [8, 8, 8, 8]}'),
    ):
        path = tmp_path / "premium" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    settings.STUDIO_CHECKPOINTS = {entry.slug: tmp_path / "premium"}
    return entry.slug


class Clock:
    """A time that moves only when told to."""

    def __init__(self) -> None:
        self.now = NOW

    def advance(self, **span: float) -> datetime:
        self.now += timedelta(**span)
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def transactional_db(django_db_setup, django_db_blocker, tmp_path: Path) -> Iterator[None]:
    """A database in which transactions really commit, put back afterwards, in the place of pytest-django's own.

    That one deletes row by row on SQLite, which the ledger's append-only trigger refuses.
    """
    with django_db_blocker.unblock():
        name = Path(str(connection.settings_dict["NAME"]))
        is_file = connection.vendor == "sqlite"
        if is_file:
            _checkpoint()
            shutil.copy(name, tmp_path / "pristine.sqlite3")
        try:
            yield
        finally:
            if is_file:
                connections.close_all()
                for rest in (name.with_name(f"{name.name}-wal"), name.with_name(f"{name.name}-shm")):
                    rest.unlink(missing_ok=True)
                shutil.copy(tmp_path / "pristine.sqlite3", name)
            else:
                call_command("flush", verbosity=0, interactive=False)
                connections.close_all()


def _checkpoint() -> None:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connections.close_all()
