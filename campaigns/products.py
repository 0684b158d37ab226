"""A workspace's products: taken in from photos or a CSV with its files, named, given another photo, removed.

Every file is decoded before anything is written. Knows nothing about briefs.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO

from django.db import transaction
from django.db.models import ProtectedError

from campaigns import photos, products_csv
from campaigns.models import Cell, Photo, Product
from campaigns.photos import ExaminedPhoto
from campaigns.products_csv import MAX_SKU_LENGTH, MAX_TITLE_LENGTH, ProductRow
from campaigns.slugs import reading
from campaigns.toml_tables import Problems, nearest, text_fault
from gallery import intake
from gallery.intake import RefusedError

MASK_ENDINGS = ("-mask", "_mask", ".mask")
# What most file systems take, whatever the letters are.
MAX_NAME_LENGTH = 60
CSV_NAME = "products.csv"


class ProductError(ValueError):
    """What was asked of a product cannot be done; the sentence says what to do. Nothing was written."""


@dataclass(frozen=True, kw_only=True)
class GivenFile:
    """A file that somebody sent, in a scratch folder; ``name`` is what they call it."""

    name: str
    path: Path


@dataclass(frozen=True, kw_only=True)
class RowProblem:
    """Why a file or a line of a CSV was not taken: where, and a sentence that says what to do."""

    where: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What an import came to: SKUs by what happened to them, and what was not taken."""

    added: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    problems: tuple[RowProblem, ...] = ()


def keep(name: str, source: IO[bytes], *, folder: Path) -> GivenFile:
    """Write a sent file into a scratch folder, under a name that no other one has there."""
    own = folder / f"given-{sum(1 for _ in folder.iterdir())}"
    own.mkdir()
    plain = PurePosixPath(name.replace("\\", "/")).name
    path = own / (plain[-MAX_NAME_LENGTH:].strip(". ") or "file")
    with path.open("wb") as target:
        while chunk := source.read(1 << 20):
            target.write(chunk)
    return GivenFile(name=plain, path=path)


def import_photos(*, workspace_id: int, files: Sequence[GivenFile], scratch: Path, now: datetime) -> Imported:
    """Take in photos, each a product named as its file is; a file NAME-mask gives the photo NAME its lock mask.

    Each file is taken or refused for itself. A SKU that is there already gets the photo as its new one.

    :raises gallery.decoder.DecoderError: no decoder starts on this machine.
    """
    titles = dict(Product.objects.filter(workspace_id=workspace_id).values_list("sku", "title"))
    rows, problems = _rows_of_files(files, titles)
    examined, refusals = photos.sort_out(rows, scratch=scratch)
    problems += [RowProblem(where=one.row.photo_name, sentence=one.sentence) for one in refusals]
    return _accept(workspace_id, [row for row in rows if row.sku in examined], examined, titles, problems, now)


def import_csv(
    *, workspace_id: int, csv: GivenFile, files: Sequence[GivenFile], scratch: Path, now: datetime
) -> Imported:
    """Take in the products of a CSV with the photos and masks that it names: all of them, or none.

    Files are found by their names, whatever folders the CSV names in front: nothing else of this machine is read.

    :raises gallery.decoder.DecoderError: no decoder starts on this machine.
    """
    titles = dict(Product.objects.filter(workspace_id=workspace_id).values_list("sku", "title"))
    found = Problems()
    try:
        text = products_csv.read_text(csv.path, most_bytes=products_csv.MAX_FILE_BYTES)
    except products_csv.UnreadableError as error:
        return Imported(problems=(RowProblem(where=csv.name, sentence=_sentence(str(error))),))
    named = products_csv.parse_products(text, folder=Path(), file=csv.name, problems=found)
    rows = list(_with_files(named, files, csv=csv.name, problems=found))
    for row in rows:
        if fault := _twin_fault(row.sku, titles):
            found.add(csv.name, row.line, f"{row.sku} sku: {fault}")
    examined, refusals = photos.sort_out(rows, scratch=scratch)
    for one in refusals:
        found.add(csv.name, one.row.line, f"{one.row.sku}: {one.sentence}")
    if found.found:
        ordered = found.ordered(first=csv.name)
        return Imported(
            problems=tuple(
                RowProblem(where=f"{csv.name}, line {one.line}", sentence=_sentence(one.what)) for one in ordered
            )
        )
    return _accept(workspace_id, rows, examined, titles, [], now)


def catalogue(*, workspace_id: int, skus: Iterable[str] | None = None) -> list[ProductRow]:
    """The workspace's products as a brief's rows, in order of their SKUs; only those of ``skus`` if they are given.

    Their photos are named by storage key.
    """
    found = Product.objects.filter(workspace_id=workspace_id).select_related("photo__upload").order_by("sku")
    if skus is not None:
        found = found.filter(sku__in=set(skus))
    return rows_of(found)


def rows_of(found: Iterable[Product]) -> list[ProductRow]:
    """Products, with their photos at hand, as a brief's rows; photos and masks are named by storage key."""
    return [_row(product, line) for line, product in enumerate(found, start=2)]


def rename(*, product_id: int, title: str) -> None:
    """Give a product another title.

    :raises ProductError: it is empty or too long, or holds a control character.
    """
    if fault := text_fault(title, most=MAX_TITLE_LENGTH):
        raise ProductError(f"The title {fault}" if title.strip() else "The title is empty. Write what the product is.")
    Product.objects.filter(pk=product_id).update(title=title.strip())


def replace_photo(
    *, product: Product, photo: GivenFile | None, mask: GivenFile | None, scratch: Path, now: datetime
) -> None:
    """Give a product another photo, or its photo a mask. Campaigns take it once its mask is there; what is made stays.

    :raises ProductError: a file cannot be used, or neither is given.
    :raises gallery.decoder.DecoderError: no decoder starts on this machine.
    """
    if photo is None:
        raise ProductError("Choose the photo. A mask goes with the photo that it was painted for.")
    row = ProductRow(product.sku, product.title, photo.path, mask.path if mask else None, photo.name, 0)
    examined, refusals = photos.sort_out([row], scratch=scratch)
    if refusals:
        raise ProductError(" ".join(one.sentence for one in refusals))
    photos.accept(workspace_id=product.workspace_id, rows=[row], examined=examined, now=now)


def give_mask(*, photo: Photo, mask: GivenFile, scratch: Path, now: datetime) -> None:
    """Give a product's photo the mask that somebody painted: white is protected.

    :raises ProductError: it cannot be used, or the product has another photo by now; nothing is written.
    :raises gallery.decoder.DecoderError: no decoder starts on this machine.
    """
    (examined,) = intake.examine_masks([mask.path], scratch=scratch)
    if isinstance(examined, RefusedError):
        raise ProductError(str(examined))
    upload = photo.upload
    if examined.lock_pixels == upload.width * upload.height:
        raise ProductError("All of the photo is protected, so nothing could be painted. Tint the background.")
    if not examined.lock_pixels:
        raise ProductError("Nothing is protected. Leave the product clear.")
    try:
        intake.check_mask(examined, width=upload.width, height=upload.height, photo=upload.name)
    except RefusedError as refusal:
        raise ProductError(str(refusal)) from refusal
    if photos.accept_painted(photo=photo, mask=examined, now=now) is None:
        raise ProductError("The product was given another photo meanwhile. Open it again, and paint that one's mask.")


def remove(*, product_id: int) -> None:
    """Remove a product that no campaign uses, and its photos with it.

    :raises ProductError: a campaign uses it.
    """
    try:
        with transaction.atomic():
            if used := _campaign_with(product_id):
                raise ProductError(f"The campaign “{used}” uses this product, so it stays: its recipes name it.")
            Product.objects.filter(pk=product_id).update(photo=None)
            Photo.objects.filter(product_id=product_id).delete()
            Product.objects.filter(pk=product_id).delete()
    except ProtectedError:
        raise ProductError("A campaign was planned with this product a moment ago, so it stays.") from None


def _campaign_with(product_id: int) -> str | None:
    cells = Cell.objects.filter(product_id=product_id).order_by("-campaign")
    return cells.values_list("campaign__name", flat=True).first()


def _rows_of_files(files: Sequence[GivenFile], titles: Mapping[str, str]) -> tuple[list[ProductRow], list[RowProblem]]:
    masks = {stem: file for file in files if (stem := _masked_stem(file.name))}
    stems = {_stem(file.name) for file in files}
    rows: dict[str, ProductRow] = {}
    problems: list[RowProblem] = []
    for file in files:
        stem = _stem(file.name)
        if (masked := _masked_stem(file.name)) and masked in stems:
            continue
        if masked in titles and stem not in titles:
            sentence = f"This is named as the mask of {masked}, whose photo was not sent. Send both, or rename it."
            problems.append(RowProblem(where=file.name, sentence=sentence))
            continue
        if fault := _file_fault(stem, rows, titles):
            problems.append(RowProblem(where=file.name, sentence=fault))
            continue
        mask = masks.get(stem)
        title = titles.get(stem) or title_from(stem)
        rows[reading(stem)] = ProductRow(stem, title, file.path, mask.path if mask else None, file.name, 0)
    return list(rows.values()), problems


def _file_fault(stem: str, rows: Mapping[str, ProductRow], titles: Mapping[str, str]) -> str | None:
    if fault := text_fault(stem, most=MAX_SKU_LENGTH):
        return f"The file's name becomes the SKU, and it {fault} Rename the file."
    if twin := rows.get(reading(stem)):
        return f"{twin.photo_name} gives the SKU {twin.sku} already. Keep one of them, or rename it."
    fault = _twin_fault(stem, titles)
    return _sentence(fault) if fault else None


def _twin_fault(sku: str, titles: Mapping[str, str]) -> str | None:
    """Cells and files are named by SKU, where blanks are dashes and small letters may count as capitals."""
    if sku in titles:
        return None
    twin = next((known for known in titles if reading(known) == reading(sku)), None)
    return (
        f"there is {twin} already, which reads the same. Write {twin}, or give this one another SKU." if twin else None
    )


def _with_files(
    rows: Iterable[ProductRow], files: Sequence[GivenFile], *, csv: str, problems: Problems
) -> Iterator[ProductRow]:
    """The CSV's rows with the files that were sent; what is missing is noted."""
    sent = {file.name.casefold(): file for file in files}
    for row in rows:
        if row.photo is None:
            problems.add(csv, row.line, f"{row.sku} photo: is empty. Name the product's photo.")
            continue
        paths = {}
        for column, named in (("photo", row.photo), ("mask", row.mask)):
            if named is None:
                continue
            name = PurePosixPath(str(named).replace("\\", "/")).name
            if file := sent.get(name.casefold()):
                paths[column] = file.path
            else:
                hint = nearest(name, [each.name for each in files])
                sentence = f"{row.sku} {column}: {name} is not among the files that were sent.{hint} Send it along."
                problems.add(csv, row.line, sentence)
        if "photo" in paths:
            yield replace(row, photo=paths["photo"], mask=paths.get("mask"))


def _accept(
    workspace_id: int,
    rows: Sequence[ProductRow],
    examined: Mapping[str, ExaminedPhoto],
    titles: Mapping[str, str],
    problems: Iterable[RowProblem],
    now: datetime,
) -> Imported:
    photos.accept(workspace_id=workspace_id, rows=rows, examined=examined, now=now)
    return Imported(
        added=tuple(row.sku for row in rows if row.sku not in titles),
        updated=tuple(row.sku for row in rows if row.sku in titles),
        problems=tuple(problems),
    )


def _row(product: Product, line: int) -> ProductRow:
    photo = product.photo
    return ProductRow(
        sku=product.sku,
        title=product.title,
        photo=Path(photo.upload.storage_key) if photo else None,
        mask=Path(photo.mask_key) if photo and photo.mask_key else None,
        photo_name=photo.upload.name if photo else "",
        line=line,
    )


def title_from(stem: str) -> str:
    """A first title out of a file's name: JUICE-APPLE_330ml → "Juice apple 330ml"."""
    words = stem.replace("-", " ").replace("_", " ").split()
    text = " ".join(word.lower() if word.isupper() and word.isalpha() else word for word in words) or stem
    return text[:1].upper() + text[1:]


def _stem(name: str) -> str:
    return PurePosixPath(name).stem.strip()


def _masked_stem(name: str) -> str:
    """The photo's stem that a file's name says it is the mask of, or nothing."""
    stem = _stem(name)
    return next((stem[: -len(ending)] for ending in MASK_ENDINGS if stem.casefold().endswith(ending)), "")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
