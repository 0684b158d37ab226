"""Where a brief's products come from: the CSV that it names, or the products that a workspace has already.
Knows rows and their files; what a brief asks of its products is campaigns.brief's affair.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from campaigns import products_csv
from campaigns.products_csv import ProductRow
from campaigns.slugs import reading
from campaigns.toml_tables import Problems, Table, nearest


class ProductSource(Protocol):
    """Gives a brief its products. ``place`` says where one looks for a SKU, in words."""

    place: str

    def rows(self, file: str, *, problems: Problems) -> tuple[ProductRow, ...]:
        """Every usable row, in order; what is wrong with the others is noted.

        :raises campaigns.products_csv.UnreadableError: there is nothing to read.
        """
        ...

    def check(self, rows: Sequence[ProductRow], products: Table, *, is_photo_needed: bool, problems: Problems) -> None:
        """Note what the chosen rows lack."""
        ...


class CsvProducts:
    """The products of the CSV that the brief names, relative to the brief's folder."""

    place = "in the CSV"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = ""

    def rows(self, file: str, *, problems: Problems) -> tuple[ProductRow, ...]:
        self.file = file
        return products_csv.read_products(self.folder / file, file=file, problems=problems)

    def check(self, rows: Sequence[ProductRow], products: Table, *, is_photo_needed: bool, problems: Problems) -> None:
        products_csv.check_files(rows, file=self.file, is_photo_needed=is_photo_needed, problems=problems)


class KnownProducts:
    """Products that are there already, in their order; a file that the brief names is not looked for."""

    place = "among the products of this workspace"

    def __init__(self, known: Sequence[ProductRow]) -> None:
        self.known = tuple(known)

    def rows(self, file: str, *, problems: Problems) -> tuple[ProductRow, ...]:
        return self.known

    def check(self, rows: Sequence[ProductRow], products: Table, *, is_photo_needed: bool, problems: Problems) -> None:
        first: dict[str, str] = {}
        for row in rows:
            # Cells are named by SKU, where blanks are dashes and small letters may count as capitals.
            if (other := first.setdefault(reading(row.sku), row.sku)) != row.sku:
                products.add("only", f'has "{row.sku}" and "{other}", which read the same. Leave one of them out.')
            if is_photo_needed and row.photo is None:
                products.add(
                    "only", f'has "{row.sku}", which has no photo. Give it one, or leave it out: the channels place it.'
                )


class ListedProducts(KnownProducts):
    """Those of the products that are there already which a CSV lists; its photos and masks are not looked for."""

    def __init__(self, known: Sequence[ProductRow], *, csv: str) -> None:
        super().__init__(known)
        self.csv = csv
        self.file = ""

    def rows(self, file: str, *, problems: Problems) -> tuple[ProductRow, ...]:
        self.file = file
        listed = products_csv.parse_products(self.csv, folder=Path(), file=file, problems=problems)
        known = {row.sku: row for row in self.known}
        return tuple(known.get(row.sku, row) for row in listed)

    def check(self, rows: Sequence[ProductRow], products: Table, *, is_photo_needed: bool, problems: Problems) -> None:
        known = {row.sku for row in self.known}
        for row in rows:
            if row.sku not in known:
                hint = nearest(row.sku, known)
                problems.add(self.file, row.line, f"{row.sku} is not {self.place}.{hint} Upload its photo first.")
        there = [row for row in rows if row.sku in known]
        super().check(there, products, is_photo_needed=is_photo_needed, problems=problems)
