"""The gallery's shelves: a workspace's assets narrowed by state, tag, folder and words, newest first, page by page.
Knows assets and what lies beside them here; campaigns narrow further from above.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Q, QuerySet

from gallery.models import Asset

PAGE = 60
# Whoever has shown this many on one page goes on with a fresh one: a browser holds no endless grid.
AT_ONCE = 600
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What to narrow by; empty parts narrow nothing. ``text`` is looked for in the prompt, whatever its case.

    The text has no index: the workspace's assets are read from the newest on, at worst all of them. Of 100,000 that
    took 0.06 s on SQLite and 0.25 s on PostgreSQL; a trigram index is the step for many more.
    """

    status: str = ""
    tag: str = ""
    text: str = ""
    project_id: int | None = None
    is_archived: bool = False


@dataclass(frozen=True, kw_only=True)
class Page:
    """Assets to show, newest first; ``shown`` of them were there before. The cursor leads on, None at the end."""

    assets: tuple[Asset, ...]
    shown: int
    cursor: str | None
    is_continued: bool = False  # begins behind what one page can hold


class CursorError(ValueError):
    """A cursor that this module did not write."""


def newest(*, workspace_id: int, filters: Filters) -> QuerySet[Asset]:
    """The workspace's assets so narrowed, newest first."""
    assets = Asset.objects.filter(workspace_id=workspace_id, archived_at__isnull=not filters.is_archived)
    if filters.status:
        assets = assets.filter(review__status=filters.status)
    if filters.tag:
        assets = assets.filter(tags__name__iexact=filters.tag)
    if filters.project_id is not None:
        assets = assets.filter(project_entries__project_id=filters.project_id)
    if filters.text:
        assets = assets.filter(prompt__icontains=filters.text)
    return assets.order_by("-created_at", "-pk")


def page(assets: QuerySet[Asset], *, after: str = "", is_fragment: bool = False) -> Page:
    """Everything down to the cursor and a page behind it, so that an address shows the same place again.

    :param assets: ordered as `newest` orders them.
    :param after: the cursor of an earlier page; empty for the first.
    :param is_fragment: only what lies behind the cursor.
    :raises CursorError: there is no such cursor.
    """
    before: list[Asset] = []
    behind = assets
    if after:
        created_at, pk = _place(after)
        behind = _behind(assets, created_at, pk)
        if not is_fragment:
            until = Q(created_at__gt=created_at) | Q(created_at=created_at, pk__gte=pk)
            before = list(assets.filter(until, created_at__gte=created_at)[: AT_ONCE + 1])
    is_continued = len(before) > AT_ONCE
    before = [] if is_continued else before
    found = list(behind[: PAGE + 1])
    cursor = cursor_of(found[PAGE - 1]) if len(found) > PAGE else None
    shown = (*before, *found[:PAGE])
    return Page(assets=shown, shown=len(before), cursor=cursor, is_continued=is_continued or is_fragment)


def neighbors(assets: QuerySet[Asset], asset: Asset) -> tuple[int | None, int | None]:
    """The ids of the next newer and the next older one, None where there is none; the asset need not be among them.

    :param assets: ordered as `newest` orders them.
    """
    ahead = Q(created_at__gt=asset.created_at) | Q(created_at=asset.created_at, pk__gt=asset.pk)
    newer = assets.filter(ahead, created_at__gte=asset.created_at).order_by("created_at", "pk")
    older = _behind(assets, asset.created_at, asset.pk)
    return newer.values_list("pk", flat=True).first(), older.values_list("pk", flat=True).first()


def cursor_of(asset: Asset) -> str:
    """What to pass to `page` as ``after`` for everything down to this asset and a page behind it."""
    return f"{(asset.created_at - _EPOCH) // timedelta(microseconds=1)}-{asset.pk}"


def _behind(assets: QuerySet[Asset], created_at: datetime, pk: int) -> QuerySet[Asset]:
    is_behind = Q(created_at__lt=created_at) | Q(created_at=created_at, pk__lt=pk)
    # The plain bound lets the database start in the index; the exact one decides among equals.
    return assets.filter(is_behind, created_at__lte=created_at)


def _place(cursor: str) -> tuple[datetime, int]:
    try:
        microseconds, pk = (int(part) for part in cursor.split("-"))
        return _EPOCH + timedelta(microseconds=microseconds), pk
    except (ValueError, OverflowError) as error:
        raise CursorError(f"{cursor!r} is no place in the gallery. Start from its beginning.") from error
