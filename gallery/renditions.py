"""Smaller files of stored images for the pages: WebP in sRGB, the same bytes from the same pixels. Workers make them.
Knows pixels and color profiles, not what an image shows.
"""

import io
import logging
from datetime import datetime

from django.db.models import Exists, Max, OuterRef
from PIL import Image, ImageCms, UnidentifiedImageError

from gallery import library, storage
from gallery.library import StoredRendition
from gallery.models import Asset, Rendition, RenditionKind, Upload, UploadStatus

logger = logging.getLogger(__name__)

# The longer side in px, and WebP's quality: a view has to show a reviewer what the master shows.
SIZES = {RenditionKind.THUMB: (400, 80), RenditionKind.VIEW: (1600, 90)}
# What the sweep looks at: what is older had its renditions long ago, and scanning a million rows has its price.
NEWEST = 5000


def store(*, workspace_id: int, image: Image.Image) -> tuple[StoredRendition, ...]:
    """Draw and store an image's thumb and view; whoever records the image records them with it.

    :param image: RGB or straight RGBA, its color profile in ``info["icc_profile"]`` if it has one.
    :raises OSError: storage cannot take it.
    """
    srgb = _srgb(image)
    return tuple(_stored(workspace_id, kind, _drawn(srgb, size), quality) for kind, (size, quality) in SIZES.items())


def make(*, workspace_id: int, source_key: str, now: datetime) -> None:
    """Make the renditions of a stored image; making them twice changes nothing.

    What cannot be decoded is noted, so that nobody tries for ever; what is not in storage now is tried again later.
    """
    try:
        data = storage.read(source_key)
    except OSError:
        logger.warning("renditions: %s is not in storage", source_key)
        return
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
        made = store(workspace_id=workspace_id, image=image)
    except (ValueError, SyntaxError, Image.DecompressionBombError, UnidentifiedImageError):
        logger.exception("renditions of %s", source_key)
        made = tuple(StoredRendition(kind=kind, storage_key="", width=0, height=0) for kind in SIZES)
    library.add_renditions(workspace_id=workspace_id, made={source_key: made}, now=now)


def missing(*, limit: int = 20) -> list[tuple[int, str]]:
    """(workspace id, storage key) of newly stored images that have no thumb yet."""
    has_one = Exists(Rendition.objects.filter(source_key=OuterRef("storage_key"), kind=RenditionKind.THUMB))
    found: list[tuple[int, str]] = []
    for rows in (Asset.objects.all(), Upload.objects.filter(status=UploadStatus.CLEAN)):
        newest = rows.aggregate(newest=Max("pk"))["newest"] or 0
        late = rows.filter(~has_one, pk__gt=newest - NEWEST).order_by("pk")
        found += late.values_list("workspace_id", "storage_key")[:limit]
    return list(dict.fromkeys(found))


def _srgb(image: Image.Image) -> Image.Image:
    """The image's colors as sRGB, its transparency kept; a profile that cannot be used is left out."""
    profile = image.info.get("icc_profile")
    plain = image.convert("RGBA" if image.has_transparency_data else "RGB")
    plain.info.clear()
    if not profile:
        return plain
    try:
        colors = ImageCms.profileToProfile(
            plain.convert("RGB"),
            io.BytesIO(profile),
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (OSError, ImageCms.PyCMSError):
        return plain
    if colors is None:
        return plain
    if plain.mode == "RGBA":
        colors.putalpha(plain.getchannel("A"))
    colors.info.clear()
    return colors


def _drawn(image: Image.Image, size_px: int) -> Image.Image:
    """At most ``size_px`` on the longer side, never enlarged."""
    factor = min(1.0, size_px / max(image.size))
    width, height = (max(1, round(side * factor)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS) if factor < 1 else image


def _stored(workspace_id: int, kind: RenditionKind, image: Image.Image, quality: int) -> StoredRendition:
    stream = io.BytesIO()
    # Method 2: a third of the time of the default for files that are a twentieth larger.
    image.save(stream, "WEBP", quality=quality, method=2)
    key = storage.put(workspace_id, stream.getvalue(), suffix=".webp")
    return StoredRendition(kind=kind, storage_key=key, width=image.width, height=image.height)
