"""A brief's product photos on their way in: all examined before anything is written, then accepted together."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from celery import current_app
from django.db import transaction

from campaigns.brief import Brief
from campaigns.models import MaskSource, Photo, Product
from campaigns.products_csv import ProductRow
from gallery import intake
from gallery.intake import NormalizedImage, RefusedError
from gallery.models import Upload


class PhotosRefusedError(ValueError):
    """Photos or masks that cannot be used; ``problems`` has one sentence each."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


@dataclass(frozen=True, kw_only=True)
class ExaminedPhoto:
    """A product's photo, decoded and normalised in a scratch folder, with its mask if one was given."""

    row: ProductRow
    photo: NormalizedImage
    mask: NormalizedImage | None


def examine(brief: Brief, *, scratch: Path) -> dict[str, ExaminedPhoto]:
    """Decode every photo and mask of a brief into a scratch folder; by SKU. Writes nothing else.

    :raises PhotosRefusedError: with every problem of every file.
    """
    rows = [row for row in brief.products if row.photo]
    photos = intake.examine([row.photo for row in rows if row.photo], scratch=scratch)
    masked = [row for row in rows if row.mask]
    masks = intake.examine_masks([row.mask for row in masked if row.mask], scratch=scratch)
    mask_of = dict(zip([row.sku for row in masked], masks, strict=True))
    problems: list[str] = []
    found = {}
    for row, photo in zip(rows, photos, strict=True):
        mask = mask_of.get(row.sku)
        refusals = list(_refusals(photo, mask))
        problems += [f"{row.sku} (line {row.line} of the products): {refusal}" for refusal in refusals]
        if not refusals and isinstance(photo, NormalizedImage) and not isinstance(mask, RefusedError):
            found[row.sku] = ExaminedPhoto(row=row, photo=photo, mask=mask)
    if problems:
        raise PhotosRefusedError(problems)
    return found


def _refusals(photo: NormalizedImage | RefusedError, mask: NormalizedImage | RefusedError | None) -> Iterator[str]:
    if isinstance(photo, RefusedError):
        yield str(photo)
    if isinstance(mask, RefusedError):
        yield str(mask)
    if isinstance(photo, NormalizedImage) and isinstance(mask, NormalizedImage):
        try:
            intake.check_mask(mask, photo)
        except RefusedError as refusal:
            yield str(refusal)


def accept(
    *, workspace_id: int, brief: Brief, examined: Mapping[str, ExaminedPhoto], now: datetime
) -> dict[str, Photo]:
    """Store a brief's products and photos; by SKU. What is there already is used again.

    A photo without a mask gets one from a worker, which is told when this is committed.
    """
    uploads = {sku: _upload(workspace_id, entry, now) for sku, entry in examined.items()}
    with transaction.atomic():
        products = {row.sku: _product(workspace_id, row, now) for row in brief.products}
        return {sku: _photo(products[sku], *pair, now=now) for sku, pair in uploads.items()}


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


def _photo(product: Product, upload: Upload, mask: Upload | None, *, now: datetime) -> Photo:
    photo, is_new = Photo.objects.get_or_create(
        product=product,
        upload=upload,
        mask_upload=mask,
        defaults={
            "workspace_id": product.workspace_id,
            "mask_key": mask.storage_key if mask else "",
            "mask_source": MaskSource.FILE if mask else "",
            "created_at": now,
        },
    )
    # Given again, a photo gets another try: what went wrong may have been the machine's fault.
    is_retried = Photo.objects.filter(pk=photo.pk).exclude(mask_failure="").update(mask_failure="") > 0
    if mask is None and (is_new or is_retried):
        # By name: the task's module loads OpenCV, which only workers need. A lost message is replaced by the sweep.
        transaction.on_commit(lambda: current_app.send_task("campaigns.make_mask", args=[photo.pk]), robust=True)
    return photo
