"""The gallery's shelves: narrowed, page by page, and an address that shows the same place again."""

from datetime import timedelta

import pytest

from gallery import library, search
from gallery.models import Asset, Review
from gallery.search import CursorError, Filters
from tests.conftest import NOW
from tests.gallery.review_samples import paid_asset


@pytest.fixture
def shelf(workspace, monkeypatch) -> list[Asset]:
    """Seven assets, the newest first; the second and the third are of the same moment. A page holds two."""
    monkeypatch.setattr(search, "PAGE", 2)
    assets = [paid_asset(workspace) for _ in range(7)]
    for age, asset in zip((0, 1, 1, 2, 3, 4, 5), reversed(assets), strict=True):
        Asset.objects.filter(pk=asset.pk).update(created_at=NOW - timedelta(hours=age))
    return assets[::-1]


def found(workspace, **filters) -> list[int]:
    return [asset.pk for asset in search.newest(workspace_id=workspace.pk, filters=Filters(**filters))]


def turn(workspace, after: str = "", *, is_fragment: bool = False) -> search.Page:
    return search.page(
        search.newest(workspace_id=workspace.pk, filters=Filters()), after=after, is_fragment=is_fragment
    )


def test_pages_follow_each_other_without_a_gap_or_a_double(workspace, shelf):
    seen: list[int] = []
    page = turn(workspace)
    while True:
        seen += [asset.pk for asset in page.assets]
        if page.cursor is None:
            break
        page = turn(workspace, page.cursor, is_fragment=True)
    assert seen == [asset.pk for asset in shelf]


def test_an_address_shows_everything_down_to_its_place_again(workspace, shelf):
    second = turn(workspace, turn(workspace).cursor or "")
    assert [asset.pk for asset in second.assets] == [asset.pk for asset in shelf[:4]]
    assert second.shown == 2
    third = turn(workspace, second.cursor or "")
    assert [asset.pk for asset in third.assets] == [asset.pk for asset in shelf[:6]]


def test_a_new_image_does_not_move_the_place(workspace, shelf):
    cursor = turn(workspace).cursor or ""
    before = turn(workspace, cursor, is_fragment=True).assets
    newer = paid_asset(workspace)
    Asset.objects.filter(pk=newer.pk).update(created_at=NOW + timedelta(hours=1))
    assert turn(workspace, cursor, is_fragment=True).assets == before


def test_what_one_page_cannot_hold_begins_anew(workspace, shelf, monkeypatch):
    monkeypatch.setattr(search, "AT_ONCE", 3)
    page = turn(workspace, turn(workspace, turn(workspace).cursor or "").cursor or "")
    assert page.is_continued
    assert [asset.pk for asset in page.assets] == [asset.pk for asset in shelf[4:6]]


def test_neighbors_stand_as_on_the_shelf_also_for_an_image_that_is_not_on_it(workspace, shelf):
    whole = search.newest(workspace_id=workspace.pk, filters=Filters())
    first, second, third, *_, before_last, last = whole
    assert search.neighbors(whole, second) == (first.pk, third.pk)
    assert search.neighbors(whole.exclude(pk=second.pk), second) == (first.pk, third.pk)
    assert search.neighbors(whole, first) == (None, second.pk)
    assert search.neighbors(whole, last) == (before_last.pk, None)


def test_an_images_own_cursor_shows_everything_down_to_it(workspace, shelf):
    third = search.newest(workspace_id=workspace.pk, filters=Filters())[2]
    page = turn(workspace, search.cursor_of(third))
    assert [asset.pk for asset in page.assets[: page.shown]] == [asset.pk for asset in shelf[:3]]


@pytest.mark.parametrize("cursor", ["x", "1", "1-2-3", "9" * 40 + "-1"])
def test_a_cursor_that_nobody_wrote_is_refused(workspace, shelf, cursor):
    with pytest.raises(CursorError):
        turn(workspace, cursor)


def test_filters_narrow_and_combine(workspace, shelf):
    first, second, *_ = shelf
    library.tag(workspace_id=workspace.pk, asset_ids=[first.pk, second.pk], name="Hero")
    library.archive(workspace_id=workspace.pk, asset_ids=[second.pk], now=NOW)
    Asset.objects.filter(pk=first.pk).update(prompt="On MARBLE, teal")
    assert found(workspace, tag="hero") == [first.pk]
    assert found(workspace, text="marble") == [first.pk]
    assert found(workspace, text="marble", tag="hero", status="approved") == []
    assert found(workspace, is_archived=True) == [second.pk]
    assert len(found(workspace)) == 6


def test_another_workspace_has_a_shelf_of_its_own(workspace, shelf, make_workspace):
    other = paid_asset(make_workspace("elsewhere"))
    assert other.pk not in found(workspace)
    assert Review.objects.filter(workspace=other.workspace).count() == 1
