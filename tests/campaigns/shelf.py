"""Products on a workspace's shelf without the decoder: small photos and their lock masks, stored as intake stores."""

import hashlib
import io

from PIL import Image, ImageDraw

from campaigns.entered import Entered, EnteredAxis, EnteredChannel
from campaigns.models import MaskSource, Photo, Product
from gallery import storage
from gallery.models import Upload, UploadStatus
from tests.conftest import NOW

SIZE = (96, 80)
BOX = (30, 20, 66, 64)


def png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def photo_of(sku: str) -> bytes:
    """A product on grey, in a color of its own."""
    image = Image.new("RGB", SIZE, "#cccccc")
    ImageDraw.Draw(image).rectangle(BOX, f"#{hashlib.sha256(sku.encode()).hexdigest()[:6]}")
    return png(image)


def mask() -> bytes:
    """The lock mask of any of these photos."""
    image = Image.new("L", SIZE)
    ImageDraw.Draw(image).rectangle(BOX, 255)
    return png(image)


def stock(workspace_id: int, *skus: str, has_mask: bool = True) -> dict[str, Product]:
    """Products of these SKUs, each titled after its SKU, with a photo and its mask; by SKU."""
    return {sku: _product(workspace_id, sku, photo_of(sku), has_mask=has_mask) for sku in skus}


def _product(workspace_id: int, sku: str, data: bytes, *, has_mask: bool) -> Product:
    product = Product.objects.create(workspace_id=workspace_id, sku=sku, title=f"The {sku.lower()}", created_at=NOW)
    key = storage.put(workspace_id, data, suffix=".png")
    upload = Upload.objects.create(
        workspace_id=workspace_id,
        status=UploadStatus.CLEAN,
        name=f"{sku}.png",
        source_sha256=key.partition("/")[2].removesuffix(".png"),
        source_size_bytes=len(data),
        storage_key=key,
        sha256=key.partition("/")[2].removesuffix(".png"),
        width=SIZE[0],
        height=SIZE[1],
        created_at=NOW,
    )
    product.photo = Photo.objects.create(
        workspace_id=workspace_id,
        product=product,
        upload=upload,
        mask_key=storage.put(workspace_id, mask(), suffix=".png") if has_mask else "",
        mask_source=MaskSource.FILE if has_mask else "",
        created_at=NOW,
    )
    product.save()
    return product


def entered(*skus: str, **changes: object) -> Entered:
    """A form over these products that can be launched: 1 channel × 2 scenes, and what is to be otherwise."""
    values: dict[str, object] = {
        "name": "Shelf",
        "checkpoint": "starter",
        "skus": skus,
        "template": "on {surface}",
        "axes": (EnteredAxis(name="surface", values="marble\nsand"),),
        "channels": (EnteredChannel(name="square", width="128", height="128", scale="0.6", anchor="center"),),
    }
    return Entered(**values | changes)  # type: ignore[arg-type]
