"""Reads the products of a brief from a CSV file and collects everything that is wrong with its rows.
Knows files and rows; whether a photo can be decoded is the intake's affair.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from campaigns.slugs import reading
from campaigns.toml_tables import Problems, nearest, text_fault

COLUMNS = ("sku", "title", "photo", "mask")
MAX_FILE_BYTES = 16_000_000
MAX_SKU_LENGTH = 80
MAX_TITLE_LENGTH = 300


@dataclass(frozen=True)
class ProductRow:
    """One product; photo and mask are absolute or relative to the working directory, and were there when read."""

    sku: str
    title: str
    photo: Path | None
    mask: Path | None
    photo_name: str
    line: int


class UnreadableError(ValueError):
    """A text file cannot be read; the sentence says why and what to do."""


def read_text(path: Path, *, most_bytes: int) -> str:
    """A UTF-8 file's text without its byte order mark.

    :raises UnreadableError: not there, not a file, too large or not UTF-8.
    """
    try:
        if not path.exists():
            raise UnreadableError(f"there is no such file.{nearest_file(path)}")
        if not path.is_file():
            raise UnreadableError("this is not a file. Name a text file.")
        with path.open("rb") as file:
            data = file.read(most_bytes + 1)
    except OSError as error:
        raise UnreadableError(f"this file cannot be read ({error.strerror}). Check its name and permissions.") from None
    if len(data) > most_bytes:
        raise UnreadableError(f"this file has more than {most_bytes:,} bytes. Split it.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnreadableError(f"line {line} is not UTF-8 text. Save the file with the encoding UTF-8.") from None


def nearest_file(path: Path) -> str:
    """A hint at the file beside it whose name is most alike."""
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return ""
    return nearest(path.name, names)


def read_products(path: Path, *, file: str, problems: Problems) -> tuple[ProductRow, ...]:
    """Every usable row of a products file, in order; what is wrong with the others is noted.

    Paths in it are relative to its folder; whether they lead anywhere is `check_files`' part.

    :param file: the file's name in problems.
    :raises UnreadableError: the file is not there or is not text.
    """
    text = read_text(path, most_bytes=MAX_FILE_BYTES)
    return parse_products(text, folder=path.parent, file=file, problems=problems)


def parse_products(text: str, *, folder: Path, file: str, problems: Problems) -> tuple[ProductRow, ...]:
    """Like `read_products`, from the file's text; ``folder`` is what paths in it are relative to."""
    records = _records(text, file=file, problems=problems)
    header_line, header = next(records, (1, []))
    columns = [name.strip().casefold() for name in header]
    if faults := list(_header_faults(columns)):
        for fault in faults:
            problems.add(file, header_line, fault)
        return ()
    lines = list(records)
    if not lines:
        problems.add(file, header_line, "there are no products below the first line. Add a row for each.")
    rows = [_row(line, fields, columns, folder=folder, file=file, problems=problems) for line, fields in lines]
    good = tuple(row for row in rows if row is not None)
    _check_skus(good, file=file, problems=problems)
    return good


def check_files(rows: Iterable[ProductRow], *, file: str, is_photo_needed: bool, problems: Problems) -> None:
    """Note every photo and mask that is missing or not a file."""
    for row in rows:
        if row.photo is None and row.mask is not None:
            problems.add(file, row.line, f"{row.sku} photo: is empty, and there is a mask. Name the photo, too.")
        elif row.photo is None and is_photo_needed:
            problems.add(file, row.line, f"{row.sku} photo: is empty. Name the product's photo.")
        if row.photo is not None and row.photo == row.mask:
            problems.add(file, row.line, f"{row.sku} mask: is the photo itself. Name the mask or leave this empty.")
        for column, path in (("photo", row.photo), ("mask", row.mask)):
            if path is not None and (fault := _file_fault(path)):
                problems.add(file, row.line, f"{row.sku} {column}: {fault}")


def _records(text: str, *, file: str, problems: Problems) -> Iterator[tuple[int, list[str]]]:
    """The CSV's records that hold anything, each with the line it begins on."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    begins = 1
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                yield begins, fields
            begins = reader.line_num + 1
    except csv.Error as error:
        problems.add(
            file, begins, f"this row cannot be read ({error}). Close every quote, and double quotes inside quoted text."
        )


def _header_faults(columns: list[str]) -> Iterator[str]:
    wanted = ",".join(COLUMNS)
    if not columns:
        yield f"the file is empty. Begin it with the line {wanted}."
        return
    if len(columns) == 1 and (mark := next((mark for mark in ";\t|" if mark in columns[0]), None)):
        name = {";": "semicolons", "\t": "tabs", "|": "bars"}[mark]
        yield f"the columns are parted by {name}. Save the file with commas, beginning with {wanted}."
        return
    for column in dict.fromkeys(columns):
        if columns.count(column) > 1:
            yield f'there are {columns.count(column)} columns "{column}". Keep one.'
        if column not in COLUMNS:
            yield f'there is no column "{column}" in a products file.{nearest(column, COLUMNS)} The columns: {wanted}.'
    for column in COLUMNS:
        if column not in columns:
            empty = "; its cells may be empty" if column in ("photo", "mask") else ""
            yield f'the column "{column}" is missing. Add it to the first line{empty}.'


def _row(
    line: int, fields: list[str], columns: list[str], *, folder: Path, file: str, problems: Problems
) -> ProductRow | None:
    if len(fields) != len(columns):
        problems.add(
            file,
            line,
            f"this row has {len(fields)} fields, the first line {len(columns)}."
            " Put text that holds a comma in double quotes, and a comma for every empty field.",
        )
        return None
    values = {column: field.strip() for column, field in zip(columns, fields, strict=True)}
    for column, most in (("sku", MAX_SKU_LENGTH), ("title", MAX_TITLE_LENGTH)):
        if not values[column]:
            problems.add(file, line, f"{values['sku'] or 'this row'} {column}: is empty. Fill it in.")
            return None
        if fault := text_fault(values[column], most=most):
            problems.add(file, line, f"{column}: {fault}")
            return None
    return ProductRow(
        sku=values["sku"],
        title=values["title"],
        photo=folder / values["photo"] if values["photo"] else None,
        mask=folder / values["mask"] if values["mask"] else None,
        photo_name=values["photo"],
        line=line,
    )


def _check_skus(rows: Iterable[ProductRow], *, file: str, problems: Problems) -> None:
    first: dict[str, ProductRow] = {}
    for row in rows:
        # Cells and output files are named by SKU, where blanks are dashes and small letters may count as capitals.
        other = first.setdefault(reading(row.sku), row)
        if other is not row:
            problems.add(
                file,
                row.line,
                f"{row.sku} sku: line {other.line} has {other.sku} already. Give each product its own SKU.",
            )


def _file_fault(path: Path) -> str | None:
    try:
        if path.is_file():
            return None
        if path.is_dir():
            return f"{path} is a folder. Name a file."
        if path.exists():
            return f"{path} is not an ordinary file. Name an image file."
    except (OSError, ValueError):
        return f"{str(path)[:200]} cannot be opened. Check the name."
    hint = " Write / between folders." if "\\" in path.name else nearest_file(path)
    return f"there is no file {str(path)[:200]}.{hint or ' Check the name; it is relative to this CSV file.'}"
