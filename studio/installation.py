"""The machine under the studio, for its operator: disk, data folder, database, versions, sound books."""

import platform
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import connection

import billing.audit

PACKAGES: Final = ("Django", "celery", "torch", "diffusers", "transformers", "Pillow")
# Below it a night's campaign may not fit.
LOW_DISK_BYTES = 5 * 1024**3
# Below it even one batch may not fit, and a database that cannot grow stops.
FULL_DISK_BYTES = 512 * 1024**2


@dataclass(frozen=True, kw_only=True)
class Disk:
    """The data folder and the disk it lies on, in bytes."""

    folder: Path
    free: int
    total: int
    database: str
    database_bytes: int | None

    @property
    def is_low(self) -> bool:
        """Whether it is time to make room."""
        return self.free < LOW_DISK_BYTES

    @property
    def is_full(self) -> bool:
        """Whether no work should be taken any more."""
        return self.free < FULL_DISK_BYTES

    @property
    def used_percent(self) -> int:
        """How full the disk is, 0 to 100."""
        return round(100 * (self.total - self.free) / self.total) if self.total else 0


@dataclass(frozen=True, kw_only=True)
class Finding:
    """An invariant of the ledger in words, and how many rows break it."""

    invariant: str
    broken: int


def disk() -> Disk:
    """How much room is left where everything is kept."""
    usage = shutil.disk_usage(settings.STUDIO_DATA)
    is_file = connection.vendor == "sqlite"
    path = Path(str(connection.settings_dict["NAME"]))
    return Disk(
        folder=settings.STUDIO_DATA,
        free=usage.free,
        total=usage.total,
        database="SQLite" if is_file else "PostgreSQL",
        database_bytes=path.stat().st_size if is_file and path.exists() else None,
    )


def versions() -> list[tuple[str, str]]:
    """What runs here. Packages are looked up, not loaded: torch stays out of the web process."""
    return [("Python", platform.python_version()), *((name, _version(name)) for name in PACKAGES)]


def audit() -> list[Finding]:
    """Every invariant of the ledger, broken ones first. Reads the books whole: asked for, never on a page's way."""
    counts = billing.audit.broken_invariants()
    findings = [Finding(invariant=name.replace("_", " "), broken=count) for name, count in counts.items()]
    return sorted(findings, key=lambda finding: -finding.broken)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
