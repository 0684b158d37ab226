"""The LoRAs of a brief: read by name, and looked up among those that the workspace has.
Knows names, weights and what fits what; files and rows it does not know.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from campaigns.toml_tables import Document, Table, nearest, spelled
from inference import catalog
from inference.catalog import CatalogEntry
from inference.loras import MAX_NAME_LENGTH, MAX_WEIGHT, KnownLora
from inference.references import MAX_LORAS


@dataclass(frozen=True)
class BriefLora:
    """A LoRA that every image of a brief is made with. ``file`` is its storage key, empty where there is none."""

    name: str
    weight: float
    file: str = ""
    trigger_words: str = ""


def read(top: Table, known: Sequence[KnownLora]) -> tuple[BriefLora, ...]:
    """The brief's LoRAs in its order; what is wrong with them is noted.

    :param known: those of the workspace.
    """
    if not top.peek("loras"):
        return ()
    tables = top.children("loras")
    if len(tables) > MAX_LORAS:
        top.add("loras", f"are {len(tables)}. Take at most {MAX_LORAS}.")
    first: dict[str, str] = {}
    found = []
    for table in tables:
        name = table.text("name", most=MAX_NAME_LENGTH, example='name = "Soft light"')
        weight = _weight(table)
        table.close()
        here = spelled(table.path)
        if name and (other := first.setdefault(name.casefold(), here)) != here:
            table.add("name", f'"{name}" is {other} already. Leave one of them out.')
        row = _named(name, known)
        if name and row is None:
            table.add("name", _unknown(name, known))
        elif row and row.is_archived:
            table.add("name", f'"{row.name}" is archived. Restore it under LoRAs, or leave it out.')
        found.append(BriefLora(name, weight, row.file, row.trigger_words) if row else BriefLora(name, weight))
    return tuple(found)


def check(loras: Sequence[BriefLora], entry: CatalogEntry, document: Document, known: Sequence[KnownLora]) -> None:
    """Note what the brief's checkpoint cannot use."""
    if loras and "lora" not in entry.capabilities:
        able = ", ".join(each.slug for each in catalog.load().values() if "lora" in each.capabilities)
        document.add(("loras",), f"{entry.name} takes no LoRAs. Leave them out, or choose one of: {able}.")
        return
    for index, each in enumerate(loras):
        row = _named(each.name, known)
        if row is not None and entry.slug not in row.fits:
            instead = ", ".join(sorted(row.fits & catalog.load().keys()))
            choose = f", or choose the checkpoint that it was trained on: {instead}" if instead else ""
            document.add(("loras", index, "name"), f'"{row.name}" does not fit {entry.name}. Leave it out{choose}.')


def _weight(table: Table) -> float:
    weight = table.number("weight", is_required=False)
    if weight is None:
        return 1.0
    if not 0 <= weight <= Decimal(MAX_WEIGHT):
        table.add("weight", f"is {weight}. Write a number from 0 to {MAX_WEIGHT:g}.")
        return 1.0
    return float(weight)


def _named(name: str, known: Sequence[KnownLora]) -> KnownLora | None:
    return next((row for row in known if row.name.casefold() == name.casefold()), None)


def _unknown(name: str, known: Sequence[KnownLora]) -> str:
    hint = nearest(name, [row.name for row in known if not row.is_archived])
    return f'there is no LoRA "{name}" in this workspace.{hint} Upload it under LoRAs, or leave it out.'
