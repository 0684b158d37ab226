"""The lock masks of a products file, found and written to a folder: for whoever has photos, and no studio running.

Every photo is decoded before the first file is written; nothing is written to the database.
"""

import csv
import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from campaigns import photos, products_csv
from campaigns.photos import PhotosRefusedError
from campaigns.products_csv import ProductRow
from campaigns.slugs import slug
from campaigns.toml_tables import Problems
from gallery.intake import NormalizedImage
from inference.engine import segment

TABLE = "masks.csv"


@dataclass(frozen=True, kw_only=True)
class MadeMask:
    """A product's mask: its file, and how sure it is (0 to 1). Where nothing stands out: no file, and the reason."""

    sku: str
    path: Path | None
    confidence: float
    failure: str = ""


def make(products: Path, *, out: Path, scratch: Path) -> list[MadeMask]:
    """Find the mask of every product's photo: SKU.png, white on the product, and masks.csv (sku, confidence) in `out`.

    Masks that the file names are not looked at. Files of the same name in `out` are replaced.

    :raises PhotosRefusedError: the file or a photo in it cannot be used.
    :raises gallery.decoder.DecoderError: no decoder starts on this machine.
    """
    examined = photos.examine(_rows(products), scratch=scratch)
    out.mkdir(parents=True, exist_ok=True)
    made = [_make(sku, each.photo, out) for sku, each in examined.items()]
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(("sku", "confidence"))
    writer.writerows((mask.sku, f"{mask.confidence:.3f}") for mask in made)
    (out / TABLE).write_text(table.getvalue(), encoding="utf-8")
    return made


def _rows(products: Path) -> list[ProductRow]:
    """The file's products, their masks left out."""
    found = Problems()
    try:
        named = products_csv.read_products(products, file=products.name, problems=found)
    except products_csv.UnreadableError as error:
        raise PhotosRefusedError([f"{products.name}: {error}"]) from error
    rows = [replace(row, mask=None) for row in named]
    products_csv.check_files(rows, file=products.name, is_photo_needed=True, problems=found)
    if found.found:
        raise PhotosRefusedError([str(problem) for problem in found.ordered(first=products.name)])
    return rows


def _make(sku: str, photo: NormalizedImage, out: Path) -> MadeMask:
    with Image.open(photo.path) as image:
        pixels = np.asarray(image.convert("RGBA" if photo.has_alpha else "RGB"))
    try:
        found = segment.find_mask(pixels)
    except segment.MaskNotFoundError as error:
        return MadeMask(sku=sku, path=None, confidence=0.0, failure=str(error))
    path = out / f"{slug(sku)}.png"
    Image.fromarray(found.mask).save(path, "PNG")
    return MadeMask(sku=sku, path=path, confidence=found.confidence)
