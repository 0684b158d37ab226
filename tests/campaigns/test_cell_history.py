"""One image through its versions: which is shown, what each cost and why, who decided, where one goes from here."""

from billing import clock
from campaigns import cell_history, launch
from campaigns.cell_history import History, Neighbor
from campaigns.entered import EnteredChannel
from campaigns.models import Campaign, Cell, CellRender
from gallery import review
from inference import queue
from inference.models import Render
from studio.models import Workspace
from tests.campaigns.sheets import begin, finish, launched, render_all, somebody, spoil


def cells(campaign: Campaign) -> list[Cell]:
    return list(campaign.cells.select_related("campaign").order_by("position"))


def history(campaign: Campaign, *, image: int = 1, version: int | None = None) -> History:
    return cell_history.history(cells(campaign)[0], image=image, version=version)


def again(campaign: Campaign) -> bool:
    cell = cells(campaign)[0]
    seen = CellRender.objects.filter(cell=cell).latest("pk").render_id
    return launch.run_again(cell_id=cell.pk, image=1, seen_render_id=seen, now=clock.now())


def test_versions_are_told_oldest_first_and_the_newest_is_shown(workspace: Workspace) -> None:
    campaign = launched(workspace.pk)
    finish(4)
    assert again(campaign)
    found = history(campaign)
    assert [(each.number, each.state) for each in found.versions] == [(1, "pending"), (2, "waiting")]
    assert found.shown == found.newest == found.versions[1]
    assert found.progress is not None
    assert found.progress.position == 1


def test_an_older_version_can_be_looked_at_and_a_number_that_is_none_shows_the_newest(workspace: Workspace) -> None:
    campaign = launched(workspace.pk)
    finish(4)
    again(campaign)
    older = history(campaign, version=1)
    assert older.shown == older.versions[0]
    assert older.progress is None
    assert history(campaign, version=9).shown == older.versions[1]


def test_a_version_of_another_seed_tells_its_own(workspace: Workspace) -> None:
    campaign = launched(workspace.pk)
    finish(4)
    again(campaign)
    first, second = history(campaign).versions
    assert first.seed != second.seed


def test_a_finished_version_tells_recipe_certificate_and_cost(workspace: Workspace) -> None:
    campaign = launched(workspace.pk, "MUG")
    render_all()
    shown = history(campaign).shown
    assert shown is not None
    assert shown.charged == 1000
    assert shown.request["prompt"] == "on marble"
    assert shown.certificate is not None
    assert shown.certificate["lock_max_diff"] == 0
    assert (shown.width, shown.height, len(shown.sha256)) == (128, 128, 64)


def test_a_failed_version_says_why_cost_nothing_and_may_be_tried_again(workspace: Workspace) -> None:
    campaign = launched(workspace.pk)
    spoil("The product's photo is gone.")
    found = history(campaign)
    assert found.shown is not None
    assert (found.shown.state, found.shown.reason) == ("failed", "The product's photo is gone.")
    assert found.shown.charged == 0
    assert found.shown.asset_id is None
    assert (found.shown.width, found.shown.height) == (128, 128)
    assert found.can_run_again


def test_tries_that_were_thrown_away_say_why(workspace: Workspace) -> None:
    campaign = launched(workspace.pk)
    (render,) = begin().renders
    render.tries.append({"seed": 1, "reason": "halo"})
    queue.fail(render=render, code="flawed", reason="Every try had a halo.", may_retry=False, now=clock.now())
    shown = history(campaign).shown
    assert shown is not None
    assert (shown.tries, shown.thrown_away) == (2, ("halo",))


def test_a_decision_stands_with_its_version_until_it_is_taken_back(workspace: Workspace) -> None:
    campaign = launched(workspace.pk)
    finish(1)
    judge = somebody("reviewer")
    asset_id = Render.objects.values_list("asset_id", flat=True).get(asset__isnull=False)
    decision = review.request_changes(asset_id, by_id=judge.pk, note="Lighter.", now=clock.now())
    shown = history(campaign).shown
    assert shown is not None
    assert shown.decision is not None
    assert (shown.decision.note, shown.decision.made_by) == ("Lighter.", judge)
    review.undo(decision, by_id=judge.pk, now=clock.now())
    shown = history(campaign).shown
    assert shown is not None
    assert shown.decision is None


def test_what_waits_runs_or_is_approved_is_not_asked_for_again(workspace: Workspace) -> None:
    campaign = launched(workspace.pk)
    assert not history(campaign).can_run_again
    finish(1)
    assert history(campaign).can_run_again
    asset_id = Render.objects.values_list("asset_id", flat=True).get(asset__isnull=False)
    review.approve(asset_id, by_id=somebody("reviewer").pk, now=clock.now())
    assert not history(campaign).can_run_again


def test_what_was_never_asked_for_has_no_version(planned) -> None:
    found = history(planned.campaign)
    assert (found.versions, found.shown, found.progress) == ((), None, None)
    assert found.can_run_again


def test_neighbors_go_image_by_image_then_cell_by_cell_within_the_channel(workspace: Workspace) -> None:
    channels = tuple(
        EnteredChannel(name=name, width="128", height="128", scale="0.6", anchor="center") for name in ("one", "two")
    )
    campaign = launched(workspace.pk, "MUG", channels=channels, images_per_cell="2")
    first, second = (cell for cell in cells(campaign) if cell.channel == "one")
    walked, place = [(first.pk, 1)], Neighbor(cell_id=first.pk, image=1)
    by_id = {cell.pk: cell for cell in cells(campaign)}
    while found := cell_history.history(by_id[place.cell_id], image=place.image).next:
        back = cell_history.history(by_id[found.cell_id], image=found.image).previous
        assert back == place
        place = found
        walked.append((found.cell_id, found.image))
    assert walked == [(first.pk, 1), (first.pk, 2), (second.pk, 1), (second.pk, 2)]
    assert cell_history.history(first, image=1).previous is None


def test_more_versions_take_no_more_queries(workspace: Workspace, django_assert_max_num_queries) -> None:
    campaign = launched(workspace.pk)
    spoil()
    for _ in range(2):
        assert again(campaign)
        queue.cancel(generation_id=Render.objects.latest("pk").generation_id, now=clock.now())
    cell = cells(campaign)[0]
    with django_assert_max_num_queries(3):
        assert len(cell_history.history(cell, image=1).versions) == 3
