"""A campaign's contact sheet: a tile for each image with its state, counts by state, and pages of rows.

A tile's state is read from its newest render and that asset's review; nothing here is stored. Knows no pages.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import BooleanField, Case, Count, Max, Min, Q, Value, When

from billing import clock
from campaigns.models import Campaign, CellRender, Launch
from campaigns.places import ordered, scene
from campaigns.sheet_layout import Heading, lay_out
from campaigns.sheet_states import in_state, newest, state_of
from campaigns.staleness import counted, is_stale
from inference import eta, progress
from inference.eta import Forecast
from inference.models import RenderStatus
from inference.progress import RenderProgress

TILES_PER_PAGE = 120
# The next ones in line say their place; the others only that they wait.
PLACES_TOLD = 12


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One image of a cell as its newest version stands. Sizes in pixels; ``label`` says what it shows.

    ``render_id`` and ``asset_id`` are None while there is none. ``progress`` is known of what runs or is next in line.
    ``verdict`` is what was decided of the picture, stale or not; ``is_edited``: a person wrote over the brief.
    """

    cell_id: int
    image: int
    state: str
    label: str
    width: int
    height: int
    render_id: int | None = None
    asset_id: int | None = None
    reason: str = ""
    verdict: str = ""
    is_edited: bool = False
    progress: RenderProgress | None = None

    @property
    def tag(self) -> str:
        """Differs when the tile has to be drawn anew."""
        now = self.progress
        running = f"{now.step}.{now.preview_step}.{now.position}" if now else ""
        return f"{self.state}.{self.render_id or 0}.{running}{'.edited' if self.is_edited else ''}"


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One tab of the sheet; width and height are 0 where each photo keeps its own."""

    name: str
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row: its tiles by column, in each as many as the cell has images; a column without a cell is empty."""

    number: int
    heading: Heading
    slots: tuple[tuple[Tile, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """A page of the sheet. ``after`` is the number of the row to go on behind, None at the end."""

    corner: str
    columns: tuple[Heading, ...]
    rows: tuple[Row, ...]
    after: int | None


@dataclass(frozen=True, kw_only=True)
class Overview:
    """What stands above the sheet: tabs, how many images are in which state, and when the last waiting one is there."""

    channels: tuple[Channel, ...]
    counts: Mapping[str, int]
    by_channel: Mapping[str, Mapping[str, int]]
    eta: Forecast | None

    def count_of(self, *states: str) -> int:
        """How many images of the campaign are in one of these states."""
        return sum(self.counts.get(state, 0) for state in states)


def overview(campaign: Campaign) -> Overview:
    """Tabs and counts of a campaign's sheet, in a number of queries that does not grow with it."""
    cells = _channels(campaign)
    rows = (
        newest(CellRender.objects.filter(counted(campaign)))
        .annotate(is_stale=_staleness())
        .values_list("cell__channel", "render__status", "render__asset__review__status", "is_stale")
        .order_by()
        .annotate(number=Count("pk"))
    )
    by_channel: dict[str, Counter[str]] = {name: Counter() for name in cells}
    for name, status, review, stale, number in rows:
        by_channel[name][state_of(status, review, is_stale=stale)] += number
    for name, (_, number) in cells.items():
        by_channel[name]["planned"] = number * campaign.images_per_cell - by_channel[name].total()
    counts = sum(by_channel.values(), Counter())
    return Overview(
        channels=tuple(channel for channel, _ in cells.values()),
        counts=counts,
        by_channel=by_channel,
        eta=_eta_of_last(campaign) if counts["waiting"] or counts["running"] else None,
    )


def matrix(campaign: Campaign, *, channel: str, state: str = "", after: int = 0) -> Matrix:
    """A page of a channel's sheet, behind row ``after``; with a state, only the rows that have a tile in it."""
    plan = lay_out(campaign, channel=channel)
    rows = plan.rows
    if state:
        matching = _cells_in(campaign, state)
        rows = [row for row in rows if any(pk in matching for pk in row.cells)]
    size = max(1, TILES_PER_PAGE // max(1, len(plan.columns) * campaign.images_per_cell))
    page = [row for row in rows if row.number > after][: size + 1]
    shown = page[:size]
    tiles = tiles_of(campaign, cell_ids=[pk for row in shown for pk in row.cells if pk])
    return Matrix(
        corner=plan.corner,
        columns=plan.columns,
        rows=tuple(
            Row(
                number=row.number,
                heading=row.heading,
                slots=tuple(tuple(tiles.get(pk, ())) if pk else () for pk in row.cells),
            )
            for row in shown
        ),
        after=shown[-1].number if len(page) > size else None,
    )


def tiles_of(campaign: Campaign, *, cell_ids: Collection[int]) -> dict[int, list[Tile]]:
    """The tiles of these cells, by cell, image by image."""
    cells = campaign.asked_cells.filter(pk__in=cell_ids).values_list(
        "pk", "product__sku", "axes", "channel", "width", "height", "edit"
    )
    found = newest(CellRender.objects.filter(cell__in=cell_ids)).annotate(is_stale=_staleness())
    versions = found.values_list(
        "cell_id",
        "image",
        "render_id",
        "render__asset_id",
        "render__status",
        "render__asset__review__status",
        "render__failure_reason",
        "is_stale",
    )
    known = {(row[0], row[1]): row[2:] for row in versions}
    running = progress.of_renders(_told(campaign, known.values()))
    return {
        pk: [
            _tile(
                pk,
                image,
                label=label(sku, ordered(axes, campaign.axes), channel),
                size=(width, height),
                version=known.get((pk, image)),
                running=running,
                is_edited=bool(edit),
            )
            for image in range(1, campaign.images_per_cell + 1)
        ]
        for pk, sku, axes, channel, width, height, edit in cells
    }


def _staleness() -> Case:
    return Case(When(is_stale(), then=Value(True)), default=Value(False), output_field=BooleanField())


def label(sku: str | None, axes: Sequence[tuple[str, str]], channel: str) -> str:
    """What an image shows, in a few words: for alternative texts and headings."""
    return ", ".join(filter(None, (sku, scene(axes), channel)))


def _tile(
    cell_id: int,
    image: int,
    *,
    label: str,
    size: tuple[int, int],
    version: tuple[Any, ...] | None,
    running: Mapping[int, RenderProgress],
    is_edited: bool,
) -> Tile:
    there = Tile(
        cell_id=cell_id,
        image=image,
        state="planned",
        label=label,
        width=size[0],
        height=size[1],
        is_edited=is_edited,
    )
    if version is None:
        return there
    render_id, asset_id, status, review, reason, stale = version
    state = state_of(status, review, is_stale=stale)
    return replace(
        there,
        state=state,
        render_id=render_id,
        asset_id=asset_id,
        reason=reason if state == "failed" else "",
        verdict=review or "",
        progress=running.get(render_id) if state in ("running", "waiting") else None,
    )


def _told(campaign: Campaign, versions: Iterable[tuple[Any, ...]]) -> list[int]:
    """The renders among these whose progress is told: all that run, and the campaign's next in line."""
    status = {version[0]: version[2] for version in versions}
    waiting = sorted(render for render, each in status.items() if each == RenderStatus.QUEUED)
    if not waiting:
        return [render for render, each in status.items() if each == RenderStatus.RUNNING]
    next_in_line = set(next_renders(campaign))
    return [
        render
        for render, each in status.items()
        if each == RenderStatus.RUNNING or (each == RenderStatus.QUEUED and render in next_in_line)
    ]


def next_renders(campaign: Campaign) -> list[int]:
    """The campaign's renders that come next, as far as their place is told."""
    waiting = CellRender.objects.filter(cell__campaign=campaign, render__status=RenderStatus.QUEUED)
    ordered_ids = waiting.order_by("-render__priority", "render_id").values_list("render_id", flat=True)
    return list(ordered_ids[:PLACES_TOLD])


def _eta_of_last(campaign: Campaign) -> Forecast | None:
    """When the last of the campaign's images is there; None where all that waits is paused."""
    generations = Launch.objects.filter(campaign=campaign).values_list("generation", flat=True)
    return eta.remaining(list(generations), now=clock.now())


def _cells_in(campaign: Campaign, state: str) -> set[int]:
    """The cells that have an image in a state."""
    if state == "planned":
        there = Count("versions__image", distinct=True, filter=Q(versions__image__lte=campaign.images_per_cell))
        cells = campaign.asked_cells.order_by().annotate(there=there).filter(there__lt=campaign.images_per_cell)
        return set(cells.values_list("pk", flat=True))
    versions = newest(CellRender.objects.filter(counted(campaign)))
    return set(versions.filter(in_state(state)).values_list("cell_id", flat=True))


def _channels(campaign: Campaign) -> dict[str, tuple[Channel, int]]:
    """The campaign's channels in their order, each with its number of cells."""
    rows = (
        campaign.asked_cells.order_by()
        .values("channel")
        .annotate(
            first=Min("position"),
            number=Count("pk"),
            kept=Count("photo", filter=Q(placement__isnull=True)),
            wide=Max("width"),
            high=Max("height"),
        )
        .order_by("first")
    )
    return {
        row["channel"]: (
            Channel(
                name=row["channel"],
                width=0 if row["kept"] else row["wide"],
                height=0 if row["kept"] else row["high"],
            ),
            row["number"],
        )
        for row in rows
    }
