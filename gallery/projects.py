"""Folders: creating, naming, archiving them, and laying assets into them. What is archived keeps what lies in it."""

from collections.abc import Iterable
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import F, Window
from django.db.models.functions import RowNumber

from gallery.models import Asset, Project, ProjectAsset

NAME_LIMIT = 120


class ProjectError(Exception):
    """A folder that cannot be made or named so; the sentence says what to do."""


def create(*, workspace_id: int, name: str, now: datetime, created_by_id: int | None = None) -> Project:
    """Make a folder.

    :raises ProjectError: the name is empty, too long or taken, whatever its case.
    """
    name = _checked(name)
    try:
        with transaction.atomic():
            return Project.objects.create(
                workspace_id=workspace_id, name=name, created_by_id=created_by_id, created_at=now
            )
    except IntegrityError as error:
        raise _taken(name) from error


def rename(project: Project, *, name: str) -> None:
    """Give a folder another name.

    :raises ProjectError: the name is empty, too long or taken, whatever its case.
    """
    name = _checked(name)
    try:
        with transaction.atomic():
            Project.objects.filter(pk=project.pk).update(name=name)
    except IntegrityError as error:
        raise _taken(name) from error


def archive(project: Project, *, now: datetime) -> None:
    """Put a folder out of sight; its images stay where they are everywhere else."""
    Project.objects.filter(pk=project.pk, archived_at__isnull=True).update(archived_at=now)


def restore(project: Project) -> None:
    """Bring a folder back."""
    Project.objects.filter(pk=project.pk).update(archived_at=None)


def add(project: Project, assets: Iterable[Asset], *, now: datetime) -> int:
    """Lay assets into a folder; returns how many were not in it before."""
    known = set(project.entries.values_list("asset_id", flat=True))
    new = [asset for asset in assets if asset.pk not in known]
    entries = [ProjectAsset(project=project, asset=asset, added_at=now) for asset in new]
    ProjectAsset.objects.bulk_create(entries, ignore_conflicts=True)
    return len(new)


def remove(project: Project, assets: Iterable[Asset]) -> int:
    """Take assets out of a folder; returns how many were in it."""
    count, _ = project.entries.filter(asset__in=list(assets)).delete()
    return count


def move(assets: Iterable[Asset], *, source: Project, target: Project, now: datetime) -> int:
    """Take assets out of one folder and lay them into another; returns how many were in the first.

    What was not in the first stays where it is.
    """
    inside = Asset.objects.filter(pk__in=[asset.pk for asset in assets], project_entries__project=source)
    with transaction.atomic():
        moved = list(inside)
        add(target, moved, now=now)
        if source.pk != target.pk:
            remove(source, moved)
    return len(moved)


def covers(project_ids: Iterable[int], *, each: int = 3) -> dict[int, list[int]]:
    """Project id → ids of up to ``each`` assets to show on its front, the newest first."""
    place = Window(RowNumber(), partition_by=F("project_id"), order_by=F("asset_id").desc())
    shown = ProjectAsset.objects.filter(project_id__in=list(project_ids), asset__archived_at__isnull=True)
    rows = shown.annotate(place=place).filter(place__lte=each).order_by("project_id", "place")
    found: dict[int, list[int]] = {}
    for project_id, asset_id in rows.values_list("project_id", "asset_id"):
        found.setdefault(project_id, []).append(asset_id)
    return found


def _checked(name: str) -> str:
    name = " ".join(name.split())
    if not name:
        raise ProjectError("Give the project a name.")
    if len(name) > NAME_LIMIT:
        raise ProjectError(f"The name has {len(name)} characters. Shorten it to {NAME_LIMIT}.")
    return name


def _taken(name: str) -> ProjectError:
    return ProjectError(f"There is a project named “{name}” already, maybe an archived one. Take another name.")
