"""Where cells stand on a sheet: products by scenes, scenes by products when there are many, what else varies."""

from campaigns import sheet_layout
from campaigns.entered import EnteredAxis, EnteredChannel
from campaigns.models import Campaign, Cell
from campaigns.sheet_layout import Layout
from studio.models import Workspace
from tests.campaigns.sheets import launched

SQUARE = EnteredChannel(name="square", width="128", height="128", scale="0.6", anchor="center")
TEXT = EnteredChannel(name="banner", way="text", width="256", height="128")
POSTER = EnteredChannel(name="poster", way="text", width="128", height="256")


def axis(name: str, *values: str) -> EnteredAxis:
    return EnteredAxis(name=name, values="\n".join(values))


def layout(campaign: Campaign, channel: str = "square") -> Layout:
    return sheet_layout.lay_out(campaign, channel=channel)


def titles(found: Layout) -> tuple[list[str], list[str]]:
    return [row.heading.title for row in found.rows], [column.title for column in found.columns]


def written(workspace: Workspace, *axes: EnteredAxis, channels: tuple[EnteredChannel, ...] = (TEXT,)) -> Campaign:
    """A campaign of the text alone."""
    template = " ".join(f"{{{each.name}}}" for each in axes)
    return launched(workspace.pk, "NONE", channels=channels, template=template, axes=axes, skus=())


def test_products_are_rows_and_scenes_columns(workspace: Workspace) -> None:
    found = layout(launched(workspace.pk))
    assert titles(found) == (["MUG", "CUP"], ["marble", "sand"])
    assert found.corner == "Product"
    assert found.rows[0].heading.note == "The mug"
    assert found.rows[0].heading.photo_id
    cells = {cell.pk: cell.key for cell in Cell.objects.all()}
    assert [[cells[pk] for pk in row.cells if pk] for row in found.rows] == [
        [cell.key for cell in Cell.objects.filter(product__sku=sku).order_by("position")] for sku in ("MUG", "CUP")
    ]


def test_a_scene_is_headed_by_its_first_axis_and_noted_with_the_others(workspace: Workspace) -> None:
    axes = (axis("surface", "marble", "sand"), axis("light", "soft", "hard"), axis("lens", "50 mm"))
    found = layout(launched(workspace.pk, "MUG", axes=axes, template="{surface} {light} {lens}"))
    assert [(column.title, column.note) for column in found.columns] == [
        ("marble", "soft"), ("marble", "hard"), ("sand", "soft"), ("sand", "hard"),
    ]  # fmt: skip


def test_many_scenes_become_the_rows(workspace: Workspace) -> None:
    surfaces = axis("surface", *(f"surface {n}" for n in range(sheet_layout.MAX_COLUMNS + 1)))
    found = layout(launched(workspace.pk, axes=(surfaces,)))
    assert found.corner == "Scene"
    assert [column.title for column in found.columns] == ["MUG", "CUP"]
    assert len(found.rows) == sheet_layout.MAX_COLUMNS + 1


def test_more_products_than_scenes_stay_the_rows(workspace: Workspace) -> None:
    skus = [f"P{n}" for n in range(sheet_layout.MAX_COLUMNS + 2)]
    surfaces = axis("surface", *(f"surface {n}" for n in range(sheet_layout.MAX_COLUMNS + 1)))
    found = layout(launched(workspace.pk, *skus, axes=(surfaces,)))
    assert [row.heading.title for row in found.rows] == skus


def test_without_axes_channels_are_the_columns_of_one_sheet(workspace: Workspace) -> None:
    story = EnteredChannel(name="story", width="96", height="128", scale="0.6", anchor="bottom")
    campaign = launched(workspace.pk, axes=(), template="on marble", channels=(SQUARE, story))
    assert sheet_layout.has_channel_columns(campaign)
    assert titles(layout(campaign)) == (["MUG", "CUP"], ["square", "story"])


def test_with_axes_channels_are_tabs(workspace: Workspace) -> None:
    story = EnteredChannel(name="story", width="96", height="128", scale="0.6", anchor="bottom")
    campaign = launched(workspace.pk, "MUG", channels=(SQUARE, story))
    assert not sheet_layout.has_channel_columns(campaign)
    square, tall = ({pk for row in layout(campaign, name).rows for pk in row.cells} for name in ("square", "story"))
    assert not square & tall
    assert len(square | tall) == 4


def test_pictures_of_the_text_alone_stand_by_their_first_two_axes(workspace: Workspace) -> None:
    campaign = written(workspace, axis("time_of_year", "spring", "autumn"), axis("mood", "calm", "wild"))
    found = layout(campaign, "banner")
    assert titles(found) == (["spring", "autumn"], ["calm", "wild"])
    assert found.corner == "Time of year"


def test_one_axis_of_the_text_alone_stands_by_channels(workspace: Workspace) -> None:
    campaign = written(workspace, axis("season", "spring", "autumn"), channels=(TEXT, POSTER))
    assert titles(layout(campaign, "banner")) == (["spring", "autumn"], ["banner", "poster"])


def test_a_place_without_a_cell_stays_empty(workspace: Workspace) -> None:
    campaign = launched(workspace.pk)
    gone = Cell.objects.get(product__sku="CUP", axes__surface="marble")
    gone.versions.all().delete()
    gone.delete()
    assert [[pk is not None for pk in row.cells] for row in layout(campaign).rows] == [[True, True], [False, True]]
    assert titles(layout(campaign))[1] == ["marble", "sand"]
