"""A brief with everything that it needs, in one ZIP: brief.toml, products.csv, photos and lock masks.

``script/campaign`` runs what is in it, on any machine, to the same cells, prompts and seeds. Knows files, no pages.
"""

import csv
import io
import zipfile
from dataclasses import dataclass
from typing import IO

from campaigns import drafts
from campaigns.entered import CSV, FILE, Entered
from campaigns.models import Campaign, Photo
from campaigns.outlook import chosen
from campaigns.products_csv import COLUMNS
from campaigns.slugs import slug
from gallery import storage


@dataclass(frozen=True, kw_only=True)
class Package:
    """What goes into the ZIP: the brief's text, and each product's SKU, title and the photo it is made with, if any."""

    text: str
    products: tuple[tuple[str, str, Photo | None], ...]


def of_form(*, workspace_id: int, form: Entered) -> Package:
    """A brief that is being written, with the photos that its products have now."""
    products = chosen(workspace_id=workspace_id, form=form)
    return Package(text=form.text(), products=tuple((each.sku, each.title, each.photo) for each in products))


def of_campaign(campaign: Campaign) -> Package:
    """A planned campaign's brief, with the titles that it was planned with and the photos that it is made with."""
    cells = campaign.asked_cells.filter(product__isnull=False).select_related("product", "photo__upload")
    products: dict[str, tuple[str, str, Photo | None]] = {}
    for cell in cells.order_by("position"):
        if cell.product:
            sku = cell.product.sku
            products.setdefault(sku, (sku, campaign.titles.get(sku, cell.product.title), cell.photo))
    return Package(text=drafts.of_campaign(campaign).text(), products=tuple(products.values()))


def write(package: Package, target: IO[bytes]) -> None:
    """Write the ZIP. Photos and masks lie in it as they were normalized: lossless, and nothing of the sent container.

    :raises FileNotFoundError: storage has lost a photo or a mask.
    """
    # PNG does not become smaller.
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(FILE, package.text)
        rows = [_row(archive, *product) for product in package.products]
        if rows:
            archive.writestr(CSV, _table(rows))


def _row(archive: zipfile.ZipFile, sku: str, title: str, photo: Photo | None) -> dict[str, str]:
    row = {"sku": sku, "title": title, "photo": "", "mask": ""}
    if photo:
        row["photo"] = _add(archive, f"photos/{slug(sku)}.png", photo.upload.storage_key)
        row["mask"] = _add(archive, f"masks/{slug(sku)}.png", photo.mask_key) if photo.mask_key else ""
    return row


def _add(archive: zipfile.ZipFile, name: str, key: str) -> str:
    archive.writestr(name, storage.read(key))
    return name


def _table(rows: list[dict[str, str]]) -> str:
    """The CSV as it is read back: quoting what a spreadsheet takes for a formula would make other products of these."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()
