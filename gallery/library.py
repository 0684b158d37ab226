"""What was made, as rows: adding assets with renditions and reviews, archiving and tagging them, finding their files.
Knows bytes and recipes, not what they were asked for.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from gallery.models import Asset, AssetOrigin, Rendition, RenditionKind, Review, Tag

TAG_LIMIT = 60


class TagError(ValueError):
    """A tag that cannot be kept; the sentence says why."""


@dataclass(frozen=True, kw_only=True)
class StoredRendition:
    """A rendition whose bytes lie in storage already. Width and height in pixels; no key where it cannot be made."""

    kind: RenditionKind
    storage_key: str
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class StoredImage:
    """An image whose bytes lie in storage already. Width and height in pixels, size in bytes."""

    storage_key: str
    sha256: str
    width: int
    height: int
    size_bytes: int
    lock_mask_key: str = ""
    renditions: tuple[StoredRendition, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class GeneratedImage:
    """A finished image to record: its file, how it was made, and its product lock's certificate.

    hold_line_id is what paid for it, where a refund goes; created_by_id who asked for it, and may not approve it.
    """

    file: StoredImage
    recipe: dict[str, Any]
    recipe_hash: str
    prompt: str = ""
    certificate: dict[str, Any] | None = None
    hold_line_id: int | None = None
    created_by_id: int | None = None


def add_generated(*, workspace_id: int, images: Sequence[GeneratedImage], now: datetime) -> list[int]:
    """Record finished images, their reviews pending, and return their assets' ids in order.

    The caller's transaction decides whether all of it stays.
    """
    assets = Asset.objects.bulk_create(
        Asset(
            workspace_id=workspace_id,
            created_by_id=each.created_by_id,
            hold_line_id=each.hold_line_id,
            origin=AssetOrigin.GENERATED,
            storage_key=each.file.storage_key,
            sha256=each.file.sha256,
            width=each.file.width,
            height=each.file.height,
            size_bytes=each.file.size_bytes,
            lock_mask_key=each.file.lock_mask_key,
            prompt=each.prompt,
            recipe=each.recipe,
            recipe_hash=each.recipe_hash,
            certificate=each.certificate,
            created_at=now,
        )
        for each in images
    )
    made = {each.file.storage_key: each.file.renditions for each in images}
    add_renditions(workspace_id=workspace_id, made=made, now=now)
    Review.objects.bulk_create(
        Review(workspace_id=workspace_id, asset=asset, content_hash=asset.sha256, recipe_hash=asset.recipe_hash)
        for asset in assets
    )
    return [asset.pk for asset in assets]


def add_renditions(*, workspace_id: int, made: Mapping[str, tuple[StoredRendition, ...]], now: datetime) -> None:
    """Record what was made of stored files, by their storage keys; what is known already stays as it is."""
    rows = [
        Rendition(
            workspace_id=workspace_id,
            source_key=source_key,
            kind=one.kind,
            storage_key=one.storage_key,
            width=one.width,
            height=one.height,
            created_at=now,
        )
        for source_key, renditions in made.items()
        for one in renditions
    ]
    Rendition.objects.bulk_create(rows, ignore_conflicts=True)


def rendition_key(*, source_key: str, kind: str) -> str | None:
    """The storage key of a rendition; None while there is none."""
    made = Rendition.objects.filter(source_key=source_key, kind=kind).exclude(storage_key="")
    return made.values_list("storage_key", flat=True).first()


def archive(*, workspace_id: int, asset_ids: Iterable[int], now: datetime) -> list[int]:
    """Put assets out of sight; returns the ids of those that were not archived before."""
    shown = Asset.objects.filter(workspace_id=workspace_id, pk__in=list(asset_ids), archived_at__isnull=True)
    ids = list(shown.values_list("pk", flat=True))
    Asset.objects.filter(pk__in=ids).update(archived_at=now)
    return ids


def restore(*, workspace_id: int, asset_ids: Iterable[int]) -> list[int]:
    """Bring archived assets back; returns the ids of those that were archived."""
    archived = Asset.objects.filter(workspace_id=workspace_id, pk__in=list(asset_ids), archived_at__isnull=False)
    ids = list(archived.values_list("pk", flat=True))
    Asset.objects.filter(pk__in=ids).update(archived_at=None)
    return ids


def tag(*, workspace_id: int, asset_ids: Iterable[int], name: str) -> Tag:
    """Tag assets; a tag that differs from a known one only in its case is that one.

    :raises TagError: the name is empty or too long.
    """
    name = " ".join(name.split())
    if not 0 < len(name) <= TAG_LIMIT:
        raise TagError(f"A tag has 1 to {TAG_LIMIT} characters; this one has {len(name)}.")
    known = Tag.objects.filter(workspace_id=workspace_id, name__iexact=name)
    try:
        with transaction.atomic():
            found = known.first() or Tag.objects.create(workspace_id=workspace_id, name=name)
    except IntegrityError:
        found = known.get()
    found.assets.add(*Asset.objects.filter(workspace_id=workspace_id, pk__in=list(asset_ids)))
    return found


def untag(*, workspace_id: int, asset_id: int, tag_id: int) -> None:
    """Take a tag off an asset; a tag that is on no asset is gone."""
    found = Tag.objects.filter(workspace_id=workspace_id, pk=tag_id).first()
    if found is not None:
        found.assets.remove(asset_id)
        Tag.objects.filter(pk=found.pk, assets__isnull=True).delete()
