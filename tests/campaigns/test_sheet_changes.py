"""What a sheet's poll compares: a mark that moves with everything a sheet shows, and the tiles that may differ."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from billing import clock
from campaigns import launch, sheet_changes
from campaigns.entered import EnteredChannel
from campaigns.models import Campaign, CellRender
from campaigns.sheet_changes import Mark
from gallery import review
from inference import queue
from inference.models import Batch, Render
from studio.models import Workspace
from tests.campaigns.sheets import begin, finish, launched, somebody

LATER = timedelta(minutes=1)


@pytest.fixture
def campaign(workspace: Workspace) -> Campaign:
    return launched(workspace.pk)


def mark(campaign: Campaign, *, is_later: bool = False) -> Mark:
    now = clock.now() + (LATER if is_later else timedelta())
    return sheet_changes.mark(workspace_id=campaign.workspace_id, campaign_id=campaign.pk, now=now)


def step(campaign: Campaign) -> None:
    batch = Batch.objects.select_related("worker").latest("pk")
    Batch.objects.filter(pk=batch.pk).update(phase="step", step=batch.step + 1, steps=12)


def approve(campaign: Campaign) -> None:
    asset_id = Render.objects.filter(asset__isnull=False).values_list("asset_id", flat=True).latest("pk")
    review.approve(asset_id, by_id=somebody("reviewer").pk, now=clock.now())


def undo(campaign: Campaign) -> None:
    review.undo_last(workspace_id=campaign.workspace_id, by_id=somebody("reviewer").pk, now=clock.now())


def again(campaign: Campaign) -> None:
    done = CellRender.objects.filter(render__asset__isnull=False).latest("pk")
    launch.run_again(cell_id=done.cell_id, image=1, seen_render_id=done.render_id, now=clock.now())


def test_nothing_new_is_no_news_however_late_it_is(campaign: Campaign) -> None:
    begin()
    assert not mark(campaign, is_later=True).is_news_to(mark(campaign))


def test_everything_that_a_sheet_shows_is_news(campaign: Campaign) -> None:
    steps: list[Callable[[Campaign], object]] = [
        lambda _: begin(), step, lambda _: finish(), approve, undo, again,
        lambda each: launch.pause(campaign_id=each.pk), lambda each: launch.resume(campaign_id=each.pk),
        lambda each: launch.cancel(campaign_id=each.pk, now=clock.now()),
    ]  # fmt: skip
    for number, happen in enumerate(steps):
        before = mark(campaign)
        happen(campaign)
        assert mark(campaign).is_news_to(before), f"step {number} went unnoticed"


def test_what_happens_in_another_campaign_is_no_news(campaign: Campaign, workspace: Workspace) -> None:
    before = mark(campaign)
    other = launched(workspace.pk, "HAT")
    launch.cancel(campaign_id=other.pk, now=clock.now())
    assert not mark(campaign).is_news_to(before)


def test_another_workspace_is_told_nothing_of_it(campaign: Campaign, make_workspace) -> None:
    theirs = sheet_changes.mark(workspace_id=make_workspace("other").pk, campaign_id=campaign.pk, now=clock.now())
    assert (theirs.launched, theirs.ended, theirs.paused) == (0, 0, 0)


def test_a_mark_survives_the_way_through_an_address(campaign: Campaign) -> None:
    finish()
    now = mark(campaign)
    assert Mark.parse(str(now)) == now


@pytest.mark.parametrize("text", ["", "1-2-3", "1-2-3-4-abcdefabcdef-x", "-1-0-0-0-abcdefabcdef-1", "9" * 400])
def test_what_is_no_mark_is_none(text: str) -> None:
    assert Mark.parse(text) is None


def changed(campaign: Campaign, since: Mark, *, channel: str = "") -> set[tuple[str, str]]:
    tiles = sheet_changes.changed_tiles(campaign, since=since, channel=channel)
    return {(tile.label, tile.state) for tile in tiles}


def test_the_tiles_that_changed_are_found(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("campaigns.sheet.PLACES_TOLD", 1)
    monkeypatch.setattr(sheet_changes, "OVERLAP", timedelta())
    campaign = launched(workspace.pk)
    finish()
    since = mark(campaign, is_later=True)
    begin()
    approve(campaign)
    assert changed(campaign, since) == {
        ("MUG, marble, square", "approved"),
        ("MUG, sand, square", "running"),
        ("CUP, marble, square", "waiting"),  # next in line now
    }


def test_what_ran_and_waits_again_is_found(campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("campaigns.sheet.PLACES_TOLD", 0)
    (render,) = begin().renders
    since = mark(campaign, is_later=True)
    queue.give_back(render=render, code="disk_full", reason="The disk is full.", now=clock.now())
    assert changed(campaign, since) == {("MUG, marble, square", "waiting")}


def test_only_the_channel_that_is_looked_at_is_sent(workspace: Workspace) -> None:
    channels = tuple(
        EnteredChannel(name=name, width="128", height="128", scale="0.6", anchor="center") for name in ("one", "two")
    )
    campaign = launched(workspace.pk, channels=channels)
    since = mark(campaign)
    finish(8)
    assert {label.rpartition(", ")[2] for label, _ in changed(campaign, since, channel="two")} == {"two"}
    assert {label.rpartition(", ")[2] for label, _ in changed(campaign, since)} == {"one", "two"}


def test_a_mark_takes_three_queries_however_often_images_were_asked_for_again(
    campaign: Campaign, django_assert_num_queries
) -> None:
    finish(4)
    for _ in range(3):
        again(campaign)
        finish()
    again(campaign)
    now = clock.now()
    with django_assert_num_queries(3):
        sheet_changes.mark(workspace_id=campaign.workspace_id, campaign_id=campaign.pk, now=now)
