"""The list of campaigns: newest first, page by page without a gap, with progress that is cheap to ask for."""

from datetime import timedelta

import pytest

from billing import clock
from campaigns import launch, listing
from campaigns.models import Campaign
from inference import queue
from inference.engine.fixed_rate import FixedRateEngine
from inference.models import Generation
from inference.runner import Runner
from studio.models import Workspace
from tests.campaigns.conftest import Planned
from tests.conftest import NOW


def many(workspace: Workspace, number: int, *, apart_s: int = 60) -> list[Campaign]:
    """Campaigns that were made one after another, or all at once."""
    return [
        Campaign.objects.create(
            workspace=workspace, name=f"Campaign {at}", brief="", digest=str(at), checkpoint="starter",
            images_per_cell=1, planned=4, axes=[], created_at=NOW + timedelta(seconds=apart_s * at),
        )
        for at in range(number)
    ]  # fmt: skip


@pytest.mark.parametrize("apart_s", [60, 0])
def test_pages_follow_one_another_without_a_gap_or_a_twin(workspace: Workspace, apart_s: int) -> None:
    made = many(workspace, 2 * listing.PAGE + 3, apart_s=apart_s)
    seen: list[int] = []
    after = None
    for _ in range(3):
        page = listing.page(workspace_id=workspace.pk, after=after)
        seen += [entry.campaign.pk for entry in page.entries]
        after = page.after
    assert after is None
    assert seen == [campaign.pk for campaign in reversed(made)]


def test_a_list_shows_one_workspaces_campaigns_only(workspace: Workspace, make_workspace) -> None:
    many(workspace, 2)
    other = make_workspace("other")
    (theirs,) = many(other, 1)
    assert [entry.campaign.pk for entry in listing.page(workspace_id=other.pk).entries] == [theirs.pk]
    # A stranger's id says nothing about where to go on.
    assert len(listing.page(workspace_id=workspace.pk, after=theirs.pk).entries) == 2


def test_progress_moves_with_the_renders_and_its_mark_with_it(planned: Planned, workspace: Workspace) -> None:
    def entry() -> listing.Entry:
        return listing.page(workspace_id=workspace.pk).entries[0]

    assert (entry().not_asked, entry().progress.total, len(entry().blanks)) == (4, 0, 4)
    launch.launch(campaign_id=planned.campaign.pk, now=clock.now())
    page = listing.page(workspace_id=workspace.pk)
    assert page.is_moving
    assert (page.entries[0].progress.waiting, page.entries[0].not_asked) == (4, 0)
    before = page.moving_mark
    assert listing.page(workspace_id=workspace.pk).moving_mark == before

    queue.pause(generation_id=Generation.objects.get().pk)
    assert entry().progress.is_paused
    assert listing.page(workspace_id=workspace.pk).moving_mark != before
    queue.resume(generation_id=Generation.objects.get().pk)

    hand = queue.register(host="here", pid=1, queue="gpu", now=clock.now())
    Runner(engine=FixedRateEngine(images_per_s=1000), worker=hand).drain(limit_s=60)
    done = entry()
    assert not listing.page(workspace_id=workspace.pk).is_moving
    assert (done.progress.succeeded, done.progress.charged, len(done.pictures), len(done.blanks)) == (4, 4000, 4, 0)


def test_the_pictures_are_those_of_the_first_cells_in_their_order(planned: Planned, workspace: Workspace) -> None:
    launch.launch(campaign_id=planned.campaign.pk, now=clock.now())
    hand = queue.register(host="here", pid=1, queue="gpu", now=clock.now())
    Runner(engine=FixedRateEngine(images_per_s=1000), worker=hand).drain(limit_s=60)
    first = planned.campaign.cells.order_by("position")
    expected = [cell.versions.get().render.asset_id for cell in first]
    assert list(listing.page(workspace_id=workspace.pk).entries[0].pictures) == expected


def test_a_page_costs_as_many_queries_for_many_campaigns_as_for_one(
    workspace: Workspace, django_assert_max_num_queries
) -> None:
    many(workspace, 1)
    with django_assert_max_num_queries(4):
        listing.page(workspace_id=workspace.pk)
    Campaign.objects.all().delete()
    many(workspace, 30)
    with django_assert_max_num_queries(4):
        listing.page(workspace_id=workspace.pk)
