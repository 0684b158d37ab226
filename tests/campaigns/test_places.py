"""Where an asset stands: its cell in words, its versions; and assets narrowed by product, channel and axis."""

import pytest

from billing import clock
from campaigns import launch, places
from campaigns.entered import EnteredAxis, EnteredChannel
from campaigns.models import Campaign, CellRender
from campaigns.places import Narrowing, Place
from gallery import review
from gallery.models import Asset
from studio.models import Workspace
from tests.campaigns.sheets import finish, launched, somebody
from tests.studio.samples import Samples


def assets(campaign: Campaign) -> list[int]:
    """Finished ones, in the sheet's order, older versions first."""
    rows = CellRender.objects.filter(cell__campaign=campaign, render__asset__isnull=False)
    return list(rows.order_by("cell__position", "image", "pk").values_list("render__asset_id", flat=True))


def place(asset_id: int) -> Place:
    return places.of_assets([asset_id])[asset_id]


def test_an_asset_knows_its_product_scene_and_channel(workspace: Workspace) -> None:
    axes = (EnteredAxis(name="surface", values="marble"), EnteredAxis(name="light", values="soft"))
    campaign = launched(workspace.pk, "MUG", axes=axes, template="{surface} {light}", must_have="whole\nlabel")
    finish(1)
    found = place(assets(campaign)[0])
    assert (found.sku, found.title, found.channel, found.image) == ("MUG", "The mug", "square", 1)
    assert found.axes == (("surface", "marble"), ("light", "soft"))
    assert (found.scene, found.label) == ("marble, soft", "MUG, marble, soft, square")
    assert found.must_have == ("whole", "label")
    assert found.campaign_name == "Shelf"


def test_an_asset_of_no_campaign_has_no_place(workspace: Workspace) -> None:
    loose = Samples(workspace)["asset"]
    assert places.of_assets([loose.pk]) == {}


def test_axes_come_in_the_briefs_order_whatever_the_database_made_of_it() -> None:
    assert places.ordered({"b": "2", "a": 1, "gone": "x"}, ["a", "b", "never"]) == (("a", "1"), ("b", "2"))


def test_versions_are_numbered_from_the_oldest_with_their_state(workspace: Workspace) -> None:
    campaign = launched(workspace.pk, "MUG")
    finish(2)
    first = assets(campaign)[0]
    review.reject(first, by_id=somebody("reviewer").pk, reason="bad_light", now=clock.now())
    done = CellRender.objects.get(render__asset=first)
    launch.run_again(cell_id=done.cell_id, image=1, seen_render_id=done.render_id, now=clock.now())
    finish(1)
    older, newer = places.versions(place(first))
    assert [(each.number, each.status) for each in (older, newer)] == [(1, "rejected"), (2, "pending")]
    assert older.asset_id == first
    assert places.versions(place(newer.asset_id)) == [older, newer]


@pytest.fixture
def two(workspace: Workspace) -> tuple[Campaign, Campaign]:
    """MUG and CUP on marble and sand in two channels, and a hat by an axis that is named like a lookup."""
    channels = tuple(
        EnteredChannel(name=name, width="128", height="128", scale="0.6", anchor="center") for name in ("one", "two")
    )
    shelf = launched(workspace.pk, channels=channels)
    axes = (EnteredAxis(name="contains", values="marble\nsnow"),)
    hats = launched(workspace.pk, "HAT", axes=axes, template="on {contains}", name="Hats")
    finish(10)
    return shelf, hats


@pytest.mark.parametrize(
    ("by", "number"),
    [
        (Narrowing(), 10),
        (Narrowing(sku="mu"), 4),
        (Narrowing(sku="nobody"), 0),
        (Narrowing(channel="one"), 4),
        (Narrowing(axis=("surface", "marble")), 4),
        (Narrowing(axis=("contains", "marble")), 1),
        (Narrowing(axis=("surface", "snow")), 0),
        (Narrowing(axis=("nothing__here", "marble")), 0),
        (Narrowing(sku="CUP", channel="two", axis=("surface", "sand")), 1),
    ],
)
def test_assets_are_narrowed_by_their_place(two: tuple[Campaign, Campaign], by: Narrowing, number: int) -> None:
    assert places.narrow(Asset.objects.all(), by).count() == number


def test_assets_are_narrowed_by_their_campaign(two: tuple[Campaign, Campaign]) -> None:
    _, hats = two
    assert places.narrow(Asset.objects.all(), Narrowing(campaign_id=hats.pk)).count() == 2


def test_a_page_offers_what_its_workspace_has_and_a_campaigns_axes_once_it_is_chosen(
    two: tuple[Campaign, Campaign], make_workspace
) -> None:
    shelf, hats = two
    offered = places.choices(workspace_id=shelf.workspace_id, campaign_id=None)
    assert offered.campaigns == ((hats.pk, "Hats"), (shelf.pk, "Shelf"))
    assert set(offered.skus) == {"CUP", "HAT", "MUG"}
    assert (offered.channels, offered.axes) == ((), ())
    chosen = places.choices(workspace_id=shelf.workspace_id, campaign_id=shelf.pk)
    assert chosen.channels == ("one", "two")
    assert chosen.axes == (("surface", ("marble", "sand")),)
    other = places.choices(workspace_id=make_workspace("other").pk, campaign_id=shelf.pk)
    assert (other.campaigns, other.skus, other.axes) == ((), (), ())


def test_many_places_are_one_query(two: tuple[Campaign, Campaign], django_assert_num_queries) -> None:
    made = [pk for campaign in two for pk in assets(campaign)]
    with django_assert_num_queries(1):
        assert len(places.of_assets(made)) == 10
