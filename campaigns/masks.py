"""The lock masks of product photos: found when none was given. Runs in workers, since it needs OpenCV."""

import io
import logging

import numpy as np
from django.db import transaction
from django.db.models import QuerySet
from PIL import Image

from campaigns import following
from campaigns.models import MaskSource, Photo
from gallery import storage
from inference.engine import segment

logger = logging.getLogger(__name__)


def missing() -> QuerySet[Photo]:
    """Photos whose mask is still to be made."""
    return Photo.objects.filter(mask_key="", mask_failure="")


def make(*, photo_id: int) -> None:
    """Find a photo's mask and keep it, with its confidence; making it twice changes nothing.

    Where nothing stands out, the photo keeps the reason instead, in words for the person who gave it.
    """
    photo = missing().select_related("upload").filter(pk=photo_id).first()
    if photo is None:
        return
    with Image.open(io.BytesIO(storage.read(photo.upload.storage_key))) as image:
        pixels = np.asarray(image.convert("RGBA" if photo.upload.has_alpha else "RGB"))
    try:
        found = segment.find_mask(pixels)
    except segment.MaskNotFoundError as error:
        missing().filter(pk=photo_id).update(mask_failure=str(error))
        return
    except Exception:
        # Whatever it was, nobody may wait for this mask for ever.
        logger.exception("mask of photo %s", photo_id)
        missing().filter(pk=photo_id).update(mask_failure="Its mask could not be made.")
        return
    stream = io.BytesIO()
    Image.fromarray(found.mask).save(stream, "PNG", compress_level=1)
    mask_key = storage.put(photo.workspace_id, stream.getvalue(), suffix=".png")
    with transaction.atomic():
        missing().filter(pk=photo_id).update(
            mask_key=mask_key, mask_source=MaskSource(found.source), mask_confidence=found.confidence
        )
        following.take_photo(photo_id)
