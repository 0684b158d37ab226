"""One machine, no servers: the database made ready, the default workspace, the processes that do the work."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.core.management import call_command
from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from billing import clock, ledger
from inference import queue
from studio import supervisor
from studio.models import Workspace
from studio.supervisor import Role, Supervisor

DEFAULT_SLUG = "studio"
DEFAULT_PLAN = "self-hosted"


def prepare() -> Workspace:
    """Bring the database up to date and return the default workspace, made on first use with its account."""
    with (settings.STUDIO_DATA / "migrate.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _migrate()
        workspace, _ = Workspace.objects.get_or_create(slug=DEFAULT_SLUG, defaults={"name": "Studio"})
        ledger.open_account(workspace_id=workspace.pk, plan=DEFAULT_PLAN, now=clock.now())
    return workspace


def _migrate() -> None:
    executor = MigrationExecutor(connections["default"])
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", verbosity=0, interactive=False)


@contextmanager
def running(roles: tuple[Role, ...]) -> Iterator[Supervisor]:
    """Keep the roles running inside the block, from the supervisor's first check on.

    Where another supervisor serves this data folder, its workers do the work.
    """
    keeper = Supervisor(roles=roles, data_dir=settings.STUDIO_DATA, on_death=_take_back_from_the_dead)
    try:
        yield keeper
    finally:
        keeper.stop()


def _take_back_from_the_dead() -> None:
    queue.bury(host=supervisor.host(), is_alive=supervisor.is_alive, now=clock.now())
