"""The small pictures that are shown while a render is painted: stored beside the assets, and gone when it ends.

Never an asset, never needed: what fails here is logged, and the render goes on.
"""

import io
import logging
from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from PIL import Image

from inference.models import Batch, Render, RenderStatus

if TYPE_CHECKING:
    from inference.engine.interface import Pixels

logger = logging.getLogger(__name__)

QUALITY = 80


def key_of(render_id: int) -> str:
    """Where a render's preview lies; every newer one takes its place."""
    return f"previews/{render_id}.webp"


def store(pictures: "Mapping[int, Pixels]") -> bool:
    """Store each render's preview, uint8 (h, w, 3) RGB; False where the storage refused one."""
    try:
        for render_id, picture in pictures.items():
            _replace(key_of(render_id), _webp(picture))
    except Exception:
        # Any storage has errors of its own, and none of them may cost a picture.
        logger.warning("previews could not be stored", exc_info=True)
        return False
    return True


def read(render_id: int) -> bytes:
    """The bytes (WebP) of a render's preview.

    :raises FileNotFoundError: there is none, or not any more.
    """
    with default_storage.open(key_of(render_id)) as file:
        return bytes(file.read())


def data_uri(render_id: int) -> str:
    """A render's preview as a data URI; empty where there is none, or not any more."""
    try:
        return f"data:image/webp;base64,{b64encode(read(render_id)).decode()}"
    except OSError:
        return ""


def remove(render_ids: Iterable[int]) -> None:
    """Take previews away; those that are not there do not matter."""
    for render_id in render_ids:
        try:
            default_storage.delete(key_of(render_id))
        except Exception:
            logger.warning("the preview of render %s could not be removed", render_id, exc_info=True)


def sweep() -> None:
    """Take away what dead workers left: previews of batches of which nothing runs any more."""
    running = Render.objects.filter(status=RenderStatus.RUNNING).values("batch")
    left = Batch.objects.filter(preview_step__gt=0).exclude(pk__in=running)
    batch_ids = list(left.values_list("pk", flat=True))
    if batch_ids:
        remove(Render.objects.filter(batch_id__in=batch_ids).values_list("pk", flat=True))
        Batch.objects.filter(pk__in=batch_ids).update(preview_step=0)


def _webp(picture: "Pixels") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "WEBP", quality=QUALITY, method=0)
    return stream.getvalue()


def _replace(key: str, data: bytes) -> None:
    if default_storage.save(key, ContentFile(data)) != key:
        raise OSError(f"the storage does not overwrite {key}")
