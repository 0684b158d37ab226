"""What a contact sheet says: each tile's state by its newest version, counts, pages of rows, states to narrow by."""

from datetime import timedelta

import pytest

from billing import clock
from campaigns import launch, sheet
from campaigns.entered import EnteredAxis, EnteredChannel
from campaigns.models import Campaign, CellRender
from campaigns.sheet import Tile
from gallery import review
from inference import queue
from inference.models import Batch
from studio.models import Workspace
from tests.campaigns.conftest import Planned
from tests.campaigns.sheets import begin, finish, launched, somebody, spoil

SQUARE = EnteredChannel(name="square", width="128", height="128", scale="0.6", anchor="center")
STORY = EnteredChannel(name="story", width="96", height="128", scale="0.6", anchor="bottom")
KEPT = EnteredChannel(name="original", way="keep")


def tiles(campaign: Campaign, *, channel: str = "square", state: str = "") -> list[Tile]:
    """Row by row, as the sheet has them."""
    rows = sheet.matrix(campaign, channel=channel, state=state).rows
    return [tile for row in rows for slot in row.slots for tile in slot]


def states(campaign: Campaign) -> list[str]:
    return [tile.state for tile in tiles(campaign)]


def decide(asset_id: int, verdict: str) -> None:
    by_id = somebody("reviewer").pk
    if verdict == "approved":
        review.approve(asset_id, by_id=by_id, now=clock.now())
    elif verdict == "rejected":
        review.reject(asset_id, by_id=by_id, reason="bad_light", now=clock.now())
    else:
        review.request_changes(asset_id, by_id=by_id, note="Lighter.", now=clock.now())


def asset_of(render_id: int) -> int:
    return int(CellRender.objects.values_list("render__asset_id", flat=True).get(render=render_id))


def test_a_planned_campaign_is_a_sheet_of_planned_tiles(planned: Planned) -> None:
    assert states(planned.campaign) == ["planned"] * 4
    seen = sheet.overview(planned.campaign)
    assert seen.counts["planned"] == 4
    assert seen.eta is None


def test_what_waits_says_its_place_and_when_the_last_one_is_there(workspace: Workspace) -> None:
    campaign = launched(workspace.pk)
    found = tiles(campaign)
    assert [tile.progress.position for tile in found if tile.progress] == [1, 2, 3, 4]
    assert (found[0].width, found[0].height) == (128, 128)
    eta = sheet.overview(campaign).eta
    assert eta is not None
    assert timedelta() < eta.p50 < eta.p95


def test_while_the_workspace_is_paused_nobody_knows_when_it_is_there(workspace: Workspace) -> None:
    campaign = launched(workspace.pk)
    queue.pause_workspace(workspace_id=workspace.pk, now=clock.now())
    assert sheet.overview(campaign).eta is None
    assert all(tile.progress.is_paused for tile in tiles(campaign) if tile.progress)


def test_only_the_next_in_line_say_their_place(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "PLACES_TOLD", 2)
    found = tiles(launched(workspace.pk))
    assert [tile.progress.position if tile.progress else None for tile in found] == [1, 2, None, None]


def test_a_tile_follows_its_render_and_then_its_review(workspace: Workspace) -> None:
    campaign = launched(workspace.pk)
    done, approved, rejected = finish(3)
    begin()
    assert states(campaign) == ["pending", "pending", "pending", "running"]
    decide(asset_of(approved), "approved")
    decide(asset_of(rejected), "rejected")
    decide(asset_of(done), "changes_requested")
    assert states(campaign) == ["changes_requested", "approved", "rejected", "running"]
    assert sheet.overview(campaign).count_of("approved", "rejected") == 2


def test_a_running_tile_tells_its_step(workspace: Workspace) -> None:
    campaign = launched(workspace.pk)
    batch = begin()
    hand = Batch.objects.select_related("worker").get(pk=batch.id).worker
    queue.heartbeat(batch=batch, worker=hand, phase="step", step=7, steps=12, now=clock.now())
    before = tiles(campaign)[0]
    assert before.progress is not None
    assert (before.progress.step, before.progress.steps) == (7, 12)
    queue.heartbeat(batch=batch, worker=hand, phase="step", step=8, steps=12, now=clock.now())
    assert tiles(campaign)[0].tag != before.tag


def test_a_failure_is_told_in_words_and_a_canceled_one_is_not_a_failure(workspace: Workspace) -> None:
    campaign = launched(workspace.pk)
    spoil("The product's photo is gone.")
    launch.cancel(campaign_id=campaign.pk, now=clock.now())
    found = tiles(campaign)
    assert [tile.state for tile in found] == ["failed", "canceled", "canceled", "canceled"]
    assert found[0].reason == "The product's photo is gone."
    assert sheet.overview(campaign).counts == {"failed": 1, "canceled": 3}


def test_only_the_newest_version_of_an_image_counts(workspace: Workspace) -> None:
    campaign = launched(workspace.pk)
    (first, *_) = finish(4)
    cell = campaign.cells.order_by("position")[0]
    assert launch.run_again(cell_id=cell.pk, image=1, seen_render_id=first, now=clock.now())
    assert states(campaign) == ["waiting", "pending", "pending", "pending"]
    assert sum(sheet.overview(campaign).counts.values()) == campaign.planned


def test_a_tile_says_what_it_shows(workspace: Workspace) -> None:
    assert [tile.label for tile in tiles(launched(workspace.pk, "MUG"))] == [
        "MUG, marble, square",
        "MUG, sand, square",
    ]


def test_each_image_of_a_cell_is_a_tile_of_its_own(workspace: Workspace) -> None:
    campaign = launched(workspace.pk, "MUG", images_per_cell="3")
    (row,) = sheet.matrix(campaign, channel="square").rows
    assert [[tile.image for tile in slot] for slot in row.slots] == [[1, 2, 3], [1, 2, 3]]


def test_channels_are_tabs_with_their_size_and_counts(workspace: Workspace) -> None:
    campaign = launched(workspace.pk, channels=(SQUARE, KEPT))
    seen = sheet.overview(campaign)
    assert [(each.name, each.width, each.height) for each in seen.channels] == [
        ("square", 128, 128),
        ("original", 0, 0),
    ]
    finish(1)
    by_channel = sheet.overview(campaign).by_channel
    assert {name: {state: n for state, n in counts.items() if n} for name, counts in by_channel.items()} == {
        "square": {"pending": 1, "waiting": 3},
        "original": {"waiting": 4},
    }


def test_a_state_keeps_the_rows_that_have_it(workspace: Workspace) -> None:
    campaign = launched(workspace.pk)
    finish(1)
    rows = sheet.matrix(campaign, channel="square", state="pending").rows
    assert [row.heading.title for row in rows] == ["MUG"]
    assert [tile.state for slot in rows[0].slots for tile in slot] == ["pending", "waiting"]
    assert not sheet.matrix(campaign, channel="square", state="failed").rows
    assert len(sheet.matrix(campaign, channel="square", state="waiting").rows) == 2


@pytest.mark.parametrize("state", ["planned", "canceled", "approved"])
def test_every_state_can_be_narrowed_to(state: str, planned: Planned) -> None:
    campaign = planned.campaign
    if state != "planned":
        launch.launch(campaign_id=campaign.pk, now=clock.now())
        decide(asset_of(finish(1)[0]), "approved")
        launch.cancel(campaign_id=campaign.pk, now=clock.now())
    assert state in [tile.state for tile in tiles(campaign, state=state)]


def test_pages_of_rows_follow_one_another_without_a_gap_or_a_twin(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = launched(workspace.pk, "A", "B", "C", "D", "E")
    monkeypatch.setattr(sheet, "TILES_PER_PAGE", 4)
    seen: list[str] = []
    after: int | None = 0
    while after is not None:
        page = sheet.matrix(campaign, channel="square", after=after)
        assert len(page.rows) <= 2
        seen += [row.heading.title for row in page.rows]
        after = page.after
    assert seen == ["A", "B", "C", "D", "E"]


def test_a_larger_sheet_takes_no_more_queries(workspace: Workspace, django_assert_max_num_queries) -> None:
    small = launched(workspace.pk, "A")
    more = EnteredAxis(name="surface", values="\n".join(f"surface {n}" for n in range(6)))
    large = launched(workspace.pk, "A", "B", "C", "D", axes=(more,), channels=(SQUARE, STORY))
    finish(2)
    begin(2)
    for campaign in (small, large):
        with django_assert_max_num_queries(20):  # PostgreSQL is asked for the time besides
            sheet.overview(campaign)
            sheet.matrix(campaign, channel="square")
