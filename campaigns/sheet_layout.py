"""Rows and columns of a contact sheet: products by scenes, or what else varies. Knows places, no states."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from campaigns.models import Campaign
from campaigns.places import ordered

# More scenes than this and they become the rows, so that no row is endless.
MAX_COLUMNS = 24

Key = str | tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Heading:
    """What a row or a column stands for: a product, a scene, or a channel."""

    title: str
    note: str = ""
    photo_id: int | None = None


@dataclass(frozen=True)
class PlannedRow:
    """A row before its tiles are known: the id of the cell in each column, None where there is none."""

    number: int
    heading: Heading
    cells: tuple[int | None, ...]


@dataclass(frozen=True)
class Layout:
    """Which cell stands in which row and column."""

    corner: str
    columns: tuple[Heading, ...]
    rows: list[PlannedRow]


@dataclass(frozen=True)
class _Coordinates:
    """Where one cell stands."""

    cell_id: int
    sku: str
    title: str
    photo_id: int | None
    axes: tuple[tuple[str, str], ...]
    channel: str

    def headings(self, *, is_turned: bool, varying: Collection[str]) -> tuple[tuple[Key, Heading], tuple[Key, Heading]]:
        """(key, heading) of its row and of its column."""
        values = [value for name, value in self.axes if name in varying]
        channel: tuple[Key, Heading] = (self.channel, Heading(title=self.channel))
        if self.sku:
            product: tuple[Key, Heading] = (self.sku, Heading(title=self.sku, note=self.title, photo_id=self.photo_id))
            if not values:
                return product, channel
            scene_heading: tuple[Key, Heading] = (tuple(values), _scene_heading(values))
            return (scene_heading, product) if is_turned else (product, scene_heading)
        if not values:
            return ("", Heading(title="The picture")), channel
        first = (values[0], Heading(title=values[0]))
        return first, ((tuple(values[1:]), _scene_heading(values[1:])) if values[1:] else channel)


def lay_out(campaign: Campaign, *, channel: str) -> Layout:
    """Where each cell of a channel stands; of every channel, where channels are the columns."""
    cells = campaign.asked_cells.order_by("position")
    if not has_channel_columns(campaign):
        cells = cells.filter(channel=channel)
    found = [
        _Coordinates(pk, sku or "", title or "", photo_id or current, ordered(axes, campaign.axes), name)
        for pk, sku, title, photo_id, current, axes, name in cells.values_list(
            "pk", "product__sku", "product__title", "photo_id", "product__photo_id", "axes", "channel"
        )
    ]
    is_turned = _is_turned(found)
    varying = _varying(found)
    places: dict[Key, dict[Key, int]] = {}
    row_headings: dict[Key, Heading] = {}
    columns: dict[Key, Heading] = {}
    for each in found:
        (row, row_heading), (column, column_heading) = each.headings(is_turned=is_turned, varying=varying)
        row_headings.setdefault(row, row_heading)
        columns.setdefault(column, column_heading)
        places.setdefault(row, {})[column] = each.cell_id
    return Layout(
        _corner(campaign, found, is_turned=is_turned),
        tuple(columns.values()),
        [
            PlannedRow(number, row_headings[row], tuple(places[row].get(column) for column in columns))
            for number, row in enumerate(places, start=1)
        ],
    )


def has_channel_columns(campaign: Campaign) -> bool:
    """Whether channels are the sheet's columns rather than its tabs: where there is no second thing that varies."""
    has_products = campaign.asked_cells.filter(product__isnull=False).exists()
    return len(campaign.axes) < (1 if has_products else 2)


def _scene_heading(values: Sequence[str]) -> Heading:
    return Heading(title=values[0], note=", ".join(values[1:]))


def _varying(cells: Sequence[_Coordinates]) -> set[str]:
    """The axes that tell cells apart; with one value each, the first of them stands for the scene."""
    seen: dict[str, set[str]] = {}
    for each in cells:
        for name, value in each.axes:
            seen.setdefault(name, set()).add(value)
    return {name for name, values in seen.items() if len(values) > 1} or set(list(seen)[:1])


def _is_turned(cells: Sequence[_Coordinates]) -> bool:
    scenes = len({each.axes for each in cells})
    products = len({each.sku for each in cells if each.sku})
    return bool(products) and scenes > MAX_COLUMNS and scenes > products


def _corner(campaign: Campaign, cells: Sequence[_Coordinates], *, is_turned: bool) -> str:
    """What the rows are, for the table's corner."""
    if any(each.sku for each in cells) and not is_turned:
        return "Product"
    if is_turned:
        return "Scene"
    return str(campaign.axes[0]).replace("_", " ").capitalize() if campaign.axes else ""
