"""The order in which images are proofed, what is passed over because somebody has it, and which wait the longest."""

from datetime import timedelta

import pytest

from billing import clock
from campaigns import launch, proofing
from campaigns.models import Campaign, CellRender
from campaigns.proofing import Line, Proof
from gallery import library, review
from gallery.models import Asset
from inference.models import Render
from studio.models import User, Workspace
from tests.campaigns.sheets import finish, launched, somebody, spoil
from tests.inference.desk import Desk, complete, take, worker


@pytest.fixture
def ann(db) -> User:
    return somebody("ann")


@pytest.fixture
def ben(db) -> User:
    return somebody("ben")


@pytest.fixture
def campaign(workspace: Workspace) -> Campaign:
    """Four finished images: MUG on marble, MUG on sand, CUP on marble, CUP on sand."""
    made = launched(workspace.pk)
    finish(4)
    return made


def sheet(campaign: Campaign, **narrowed: str) -> list[Proof]:
    return proofing.sheet(workspace_id=campaign.workspace_id, campaign_id=campaign.pk, **narrowed)


def ids(campaign: Campaign) -> list[int]:
    return [proof.asset_id for proof in sheet(campaign)]


def line(campaign: Campaign, asset_id: int, by: User, **like: str) -> Line:
    return proofing.line(sheet(campaign), asset_id, by_id=by.pk, now=clock.now(), **like)  # type: ignore[arg-type]


def again(campaign: Campaign, asset_id: int) -> None:
    done = CellRender.objects.get(render__asset=asset_id)
    assert launch.run_again(cell_id=done.cell_id, image=1, seen_render_id=done.render_id, now=clock.now())


def test_images_are_proofed_in_the_sheets_order(campaign: Campaign) -> None:
    assert [(proof.product, proof.scene) for proof in sheet(campaign)] == [
        ("MUG", "marble"), ("MUG", "sand"), ("CUP", "marble"), ("CUP", "sand"),
    ]  # fmt: skip
    assert [proof.product for proof in sheet(campaign, sku="CUP")] == ["CUP", "CUP"]


def test_what_is_not_there_or_was_not_made_is_in_no_line(workspace: Workspace) -> None:
    campaign = launched(workspace.pk)
    finish(1)
    spoil()
    assert [(proof.product, proof.scene) for proof in sheet(campaign)] == [("MUG", "marble")]


def test_another_workspace_sees_nothing_of_it(campaign: Campaign, make_workspace) -> None:
    other = make_workspace("other")
    assert not proofing.sheet(workspace_id=other.pk, campaign_id=campaign.pk)
    assert not proofing.queues(workspace_id=other.pk, by_id=0, now=clock.now())


def test_a_newer_version_takes_the_place_of_the_older_one_once_it_is_finished(campaign: Campaign) -> None:
    first = ids(campaign)[0]
    again(campaign, first)
    assert ids(campaign)[0] == first
    (render_id,) = finish(1)
    assert ids(campaign)[0] == Render.objects.get(pk=render_id).asset_id


def test_an_archived_image_leaves_the_line_and_its_older_versions_stay_away(campaign: Campaign) -> None:
    first, *rest = ids(campaign)
    again(campaign, first)
    (render_id,) = finish(1)
    newest = Render.objects.get(pk=render_id).asset_id
    assert newest is not None
    library.archive(workspace_id=campaign.workspace_id, asset_ids=[newest], now=clock.now())
    assert ids(campaign) == rest
    (queue,) = proofing.queues(workspace_id=campaign.workspace_id, by_id=0, now=clock.now())
    assert queue.pending == len(rest)


def test_a_line_tells_place_and_neighbors(campaign: Campaign, ann: User) -> None:
    one, two, three, four = ids(campaign)
    review.reject(one, by_id=ann.pk, reason="bad_light", now=clock.now())
    seen = line(campaign, two, ann)
    assert (seen.number, seen.total, seen.decided) == (2, 4, 1)
    assert (seen.previous, seen.next, seen.next_pending) == (one, three, three)
    assert line(campaign, one, ann).previous is None
    assert line(campaign, four, ann).next is None


def test_the_next_to_decide_goes_round_to_the_beginning(campaign: Campaign, ann: User) -> None:
    one, two, three, four = ids(campaign)
    review.approve(two, by_id=ann.pk, now=clock.now())
    assert line(campaign, four, ann).next_pending == one
    assert proofing.waiting_after(sheet(campaign), three) == [four, one]
    assert proofing.waiting_after(sheet(campaign), None) == [one, three, four]


def test_what_somebody_else_looks_at_is_passed_over_until_they_leave(campaign: Campaign, ann: User, ben: User) -> None:
    one, two, three, _ = ids(campaign)
    review.claim(two, by_id=ben.pk, now=clock.now())
    assert (line(campaign, one, ann).next, line(campaign, three, ann).previous) == (three, one)
    assert line(campaign, one, ben).next == two
    review.release(two, by_id=ben.pk)
    assert line(campaign, one, ann).next == two


def test_a_claim_that_ran_out_holds_nobody_up(campaign: Campaign, ann: User, ben: User) -> None:
    one, two, *_ = ids(campaign)
    review.claim(two, by_id=ben.pk, now=clock.now() - review.CLAIM - timedelta(seconds=1))
    assert line(campaign, one, ann).next == two


def test_who_stands_on_an_image_that_another_took_is_still_in_line(campaign: Campaign, ann: User, ben: User) -> None:
    one, two, three, _ = ids(campaign)
    review.claim(two, by_id=ben.pk, now=clock.now())
    seen = line(campaign, two, ann)
    assert (seen.number, seen.previous, seen.next) == (2, one, three)


def test_siblings_are_of_one_product_or_of_one_scene(campaign: Campaign, ann: User) -> None:
    one, two, three, _ = ids(campaign)
    assert [proof.asset_id for proof in line(campaign, one, ann).siblings] == [one, two]
    assert [proof.asset_id for proof in line(campaign, one, ann, like="scene").siblings] == [one, three]


def test_an_image_of_another_line_is_refused(campaign: Campaign, ann: User) -> None:
    with pytest.raises(LookupError):
        line(campaign, 10**9, ann)


def test_the_longest_waiting_campaign_is_offered_first(campaign: Campaign, ann: User, ben: User) -> None:
    later = launched(campaign.workspace_id, "HAT", name="Hats")
    finish(2)
    one, two, *_ = ids(campaign)
    review.claim(two, by_id=ben.pk, now=clock.now())
    review.approve(one, by_id=ann.pk, now=clock.now())
    found = proofing.queues(workspace_id=campaign.workspace_id, by_id=ann.pk, now=clock.now())
    assert [(queue.campaign_id, queue.name, queue.pending, queue.taken) for queue in found] == [
        (campaign.pk, "Shelf", 3, 1), (later.pk, "Hats", 2, 0),
    ]  # fmt: skip
    assert found[0].first == two


def test_images_without_a_campaign_wait_in_a_line_of_their_own_by_their_click(workspace: Workspace, ann: User) -> None:
    desk = Desk(workspace.pk)
    desk.now = clock.now()
    for prompt in ("a mug", "a hat"):
        desk.ask(2, prompt=prompt)
    batch = take(worker(), at_most=4, now=desk.now)
    for render in batch.renders:
        complete(render, now=desk.now)
    proofs = proofing.loose(workspace_id=workspace.pk)
    assert len(proofs) == 4
    assert proofs[0].product == proofs[1].product != proofs[2].product
    (queue,) = proofing.queues(workspace_id=workspace.pk, by_id=ann.pk, now=clock.now())
    assert (queue.campaign_id, queue.pending) == (None, 4)
    review.approve(proofs[0].asset_id, by_id=ann.pk, now=clock.now())
    assert len(proofing.loose(workspace_id=workspace.pk)) == 3


def test_the_finished_images_of_several_campaigns_come_sheet_by_sheet(campaign: Campaign) -> None:
    other = launched(campaign.workspace_id, "HAT")
    finish(1)
    found = proofing.finished(workspace_id=campaign.workspace_id, campaign_ids=[other.pk, campaign.pk])
    assert found == [*ids(campaign), *ids(other)]
    assert len(found) == Asset.objects.count() == 5


def test_a_longer_line_takes_no_more_queries(campaign: Campaign, django_assert_num_queries) -> None:
    with django_assert_num_queries(2):
        assert len(sheet(campaign)) == 4
    large = launched(campaign.workspace_id, "A", "B", "C", "D", "E")
    finish(10)
    with django_assert_num_queries(2):
        assert len(sheet(large)) == 10
