"""The difference view of an image with a locked product, made when somebody is about to look at it. Runs in workers.
Knows an asset's recipe and certificate, nothing of reviews.
"""

import io
import logging
from datetime import datetime

from PIL import Image

from gallery import library, storage
from gallery.library import StoredRendition
from gallery.models import Asset, RenditionKind
from inference.product_lock import LockError
from inference.product_lock.compare import compare
from inference.requests import ImageRequest

logger = logging.getLogger(__name__)


def make(*, asset_id: int, now: datetime) -> None:
    """Compare an asset with its photo and keep the picture of it; an asset without a product has none.

    Making it twice changes nothing. What storage cannot give now is tried at the next asking.
    """
    asset = Asset.objects.get(pk=asset_id)
    if asset.certificate is None or library.rendition_key(source_key=asset.storage_key, kind=RenditionKind.DIFFERENCE):
        return
    product = ImageRequest.from_json(asset.recipe["request"]).product
    if product is None:
        return
    try:
        found = compare(
            storage.read(asset.storage_key),
            photo=storage.read(product.photo),
            lock_mask=storage.read(product.lock_mask),
            placement=asset.certificate["placement"],
        )
    except (OSError, LockError):
        logger.exception("difference view of asset %s", asset_id)
        return
    stream = io.BytesIO()
    Image.fromarray(found).save(stream, "WEBP", lossless=True, method=0, quality=20)
    made = StoredRendition(
        kind=RenditionKind.DIFFERENCE,
        storage_key=storage.put(asset.workspace_id, stream.getvalue(), suffix=".webp"),
        width=asset.width,
        height=asset.height,
    )
    library.add_renditions(workspace_id=asset.workspace_id, made={asset.storage_key: (made,)}, now=now)
