"""What was made, as rows: adding an asset. Knows bytes and recipes, not who asked for them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gallery.models import Asset, AssetOrigin


@dataclass(frozen=True, kw_only=True)
class StoredImage:
    """An image whose bytes lie in storage already. Width and height in pixels, size in bytes."""

    storage_key: str
    sha256: str
    width: int
    height: int
    size_bytes: int
    lock_mask_key: str = ""


def add_generated(
    *,
    workspace_id: int,
    image: StoredImage,
    recipe: dict[str, Any],
    recipe_hash: str,
    certificate: dict[str, Any] | None,
    now: datetime,
) -> int:
    """Record a finished image and return its asset's id. The caller's transaction decides whether it stays."""
    return Asset.objects.create(
        workspace_id=workspace_id,
        origin=AssetOrigin.GENERATED,
        storage_key=image.storage_key,
        sha256=image.sha256,
        width=image.width,
        height=image.height,
        size_bytes=image.size_bytes,
        lock_mask_key=image.lock_mask_key,
        recipe=recipe,
        recipe_hash=recipe_hash,
        certificate=certificate,
        created_at=now,
    ).pk
