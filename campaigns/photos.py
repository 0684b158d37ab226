"""Product photos on their way in: all examined before anything is written, then accepted together."""

import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from celery import current_app
from django.conf import settings
from django.db import transaction

from campaigns import following
from campaigns.models import MaskSource, Photo, Product
from campaigns.products_csv import ProductRow
from gallery import intake
from gallery.intake import NormalizedImage, RefusedError
from gallery.models import Upload

DAY_S = 24 * 60 * 60


class PhotosRefusedError(ValueError):
    """Photos or masks that cannot be used; ``problems`` has one sentence each."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


@dataclass(frozen=True)
class Refusal:
    """Why a product's photo or mask cannot be used, in a sentence that names the file."""

    row: ProductRow
    sentence: str


@dataclass(frozen=True, kw_only=True)
class ExaminedPhoto:
    """A product's photo, decoded and normalised in a scratch folder, with its mask if one was given."""

    row: ProductRow
    photo: NormalizedImage
    mask: NormalizedImage | None


def scratch_folder() -> tempfile.TemporaryDirectory[str]:
    """Where photos are decoded to before they are accepted; gone with the block."""
    parent = settings.STUDIO_DATA / "scratch"
    parent.mkdir(exist_ok=True)
    for left in parent.iterdir():
        # What a killed run could not remove; a day is longer than any run examines photos.
        if time.time() - left.stat().st_mtime > DAY_S:
            shutil.rmtree(left, ignore_errors=True)
    return tempfile.TemporaryDirectory(dir=parent)


def examine(rows: Iterable[ProductRow], *, scratch: Path) -> dict[str, ExaminedPhoto]:
    """Decode every photo and mask of these products into a scratch folder; by SKU. Writes nothing else.

    :raises PhotosRefusedError: with every problem of every file.
    """
    found, refusals = sort_out(rows, scratch=scratch)
    if refusals:
        raise PhotosRefusedError(
            [f"{one.row.sku} (line {one.row.line} of the products): {one.sentence}" for one in refusals]
        )
    return found


def sort_out(rows: Iterable[ProductRow], *, scratch: Path) -> tuple[dict[str, ExaminedPhoto], list[Refusal]]:
    """Decode photos and masks into a scratch folder: those that can be used, by SKU, and why others cannot.

    :raises gallery.decoder.DecoderError: no decoder starts on this machine.
    """
    rows = [row for row in rows if row.photo]
    photos = intake.examine([row.photo for row in rows if row.photo], scratch=scratch)
    masked = [row for row in rows if row.mask]
    masks = intake.examine_masks([row.mask for row in masked if row.mask], scratch=scratch)
    mask_of = dict(zip([row.sku for row in masked], masks, strict=True))
    found, refusals = {}, []
    for row, photo in zip(rows, photos, strict=True):
        mask = mask_of.get(row.sku)
        refused = [Refusal(row, sentence) for sentence in _refusals(photo, mask)]
        if not refused and isinstance(photo, NormalizedImage) and not isinstance(mask, RefusedError):
            found[row.sku] = ExaminedPhoto(row=row, photo=photo, mask=mask)
        refusals += refused
    return found, refusals


def _refusals(photo: NormalizedImage | RefusedError, mask: NormalizedImage | RefusedError | None) -> Iterator[str]:
    if isinstance(photo, RefusedError):
        yield str(photo)
    if isinstance(mask, RefusedError):
        yield str(mask)
    if isinstance(photo, NormalizedImage) and isinstance(mask, NormalizedImage):
        try:
            intake.check_mask(mask, width=photo.width, height=photo.height, photo=photo.source_name)
        except RefusedError as refusal:
            yield str(refusal)


def accept(
    *, workspace_id: int, rows: Sequence[ProductRow], examined: Mapping[str, ExaminedPhoto], now: datetime
) -> dict[str, Photo]:
    """Store products and their photos; by SKU. What is there already is used again, and a new photo takes its place.

    A photo without a mask gets one from a worker, which is told when this is committed.
    """
    uploads = {sku: _upload(workspace_id, entry, now) for sku, entry in examined.items()}
    with transaction.atomic():
        products = {row.sku: _product(workspace_id, row, now) for row in rows}
        return {sku: _photo(products[sku], *pair, source=MaskSource.FILE, now=now) for sku, pair in uploads.items()}


def accept_painted(*, photo: Photo, mask: NormalizedImage, now: datetime) -> Photo | None:
    """Give a product's photo a mask that was painted by hand; None where the product has another photo by now."""
    painted = intake.accept(workspace_id=photo.workspace_id, image=mask, now=now)
    with transaction.atomic():
        product = Product.objects.select_for_update().get(pk=photo.product_id)
        if product.photo_id != photo.pk:
            return None
        return _photo(product, photo.upload, painted, source=MaskSource.HAND, now=now)


def _upload(workspace_id: int, entry: ExaminedPhoto, now: datetime) -> tuple[Upload, Upload | None]:
    photo = intake.accept(workspace_id=workspace_id, image=entry.photo, now=now)
    mask = intake.accept(workspace_id=workspace_id, image=entry.mask, now=now) if entry.mask else None
    return photo, mask


def _product(workspace_id: int, row: ProductRow, now: datetime) -> Product:
    product, is_new = Product.objects.get_or_create(
        workspace_id=workspace_id, sku=row.sku, defaults={"title": row.title, "created_at": now}
    )
    if not is_new and product.title != row.title:
        Product.objects.filter(pk=product.pk).update(title=row.title)
    return product


def _photo(product: Product, upload: Upload, mask: Upload | None, *, source: MaskSource, now: datetime) -> Photo:
    photo, is_new = Photo.objects.get_or_create(
        product=product,
        upload=upload,
        mask_upload=mask,
        defaults={
            "workspace_id": product.workspace_id,
            "mask_key": mask.storage_key if mask else "",
            "mask_source": source if mask else "",
            "created_at": now,
        },
    )
    if product.photo_id != photo.pk:
        Product.objects.filter(pk=product.pk).update(photo=photo)
        following.take_photo(photo.pk)
    # Given again, a photo gets another try: what went wrong may have been the machine's fault.
    if mask is None and not retry_mask(photo_id=photo.pk) and is_new:
        _ask_for_mask(photo.pk)
    return photo


def retry_mask(*, photo_id: int) -> bool:
    """Have a mask that could not be made tried again; False where none had failed."""
    if not Photo.objects.filter(pk=photo_id).exclude(mask_failure="").update(mask_failure=""):
        return False
    _ask_for_mask(photo_id)
    return True


def _ask_for_mask(photo_id: int) -> None:
    # By name: the task's module loads OpenCV, which only workers need. A lost message is replaced by the sweep.
    transaction.on_commit(lambda: current_app.send_task("campaigns.make_mask", args=[photo_id]), robust=True)
