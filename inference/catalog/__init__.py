"""What the studio offers: one TOML file a model, read once, validated, frozen.
Knows nothing about weights on disk (sources.py), queues, workspaces or torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from inference.catalog.entry import (
    CAPABILITIES,
    CONTROLS,
    SCHEDULERS,
    Addon,
    CatalogEntry,
    CatalogError,
    Defaults,
    Limits,
    Price,
    Range,
    Source,
    read_entry,
)

__all__ = [
    "CAPABILITIES",
    "CONTROLS",
    "SCHEDULERS",
    "Addon",
    "CatalogEntry",
    "CatalogError",
    "Defaults",
    "Limits",
    "Price",
    "Range",
    "Source",
    "UnknownCheckpointError",
    "entry",
    "load",
    "read_folder",
]


class UnknownCheckpointError(LookupError):
    """No catalogue entry has this slug; the sentence names the slugs that exist."""


@cache
def load() -> Mapping[str, CatalogEntry]:
    """Every entry by slug, `starter` first, then by slug; read once a process. Raises CatalogError."""
    return read_folder(Path(__file__).parent)


def read_folder(folder: Path) -> Mapping[str, CatalogEntry]:
    """Every `*.toml` of a folder, validated one by one and against each other. Raises CatalogError."""
    entries = {path.stem: read_entry(path) for path in sorted(folder.glob("*.toml"), key=_starter_first)}
    for slug, each in entries.items():
        if each.replaced_by is not None and each.replaced_by not in entries:
            known = ", ".join(entries)
            raise CatalogError(
                f'{slug}.toml: replaced_by: there is no entry "{each.replaced_by}"; name one of: {known}.'
            )
    return MappingProxyType(entries)


def entry(slug: str) -> CatalogEntry:
    """The entry of a slug. Raises UnknownCheckpointError with the slugs to choose from."""
    entries = load()
    if slug not in entries:
        raise UnknownCheckpointError(f'There is no checkpoint "{slug}". Choose one of: {", ".join(entries)}.')
    return entries[slug]


def _starter_first(path: Path) -> tuple[bool, str]:
    return path.stem != "starter", path.stem
