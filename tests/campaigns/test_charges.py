"""What credits were for: the image behind a line, the launch behind a hold, a period's usage by whom and for what."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth import get_user_model

import campaigns.news
from billing import clock, ledger
from campaigns import charges, launch, usage
from gallery import review
from inference import queue
from inference.models import Generation, Render
from tests.inference.desk import Desk, complete, take, worker

ZONE = ZoneInfo("UTC")


@pytest.fixture
def launched(planned) -> Generation:
    """A launch of four images by Ida: three came out, the last one failed."""
    ida = get_user_model().objects.create(email="ida@example.com", first_name="Ida", last_name="Lind")
    launch.launch(campaign_id=planned.campaign.pk, now=clock.now(), created_by_id=ida.pk)
    batch = take(worker(), now=clock.now())
    assert batch is not None
    for render in batch.renders[:3]:
        complete(render, now=clock.now())
    queue.fail(render=batch.renders[3], code="EngineError", reason="Out of memory.", may_retry=False, now=clock.now())
    return Generation.objects.get()


def lines(generation: Generation) -> list[int]:
    return list(Render.objects.filter(generation=generation).order_by("pk").values_list("hold_line", flat=True))


def test_a_line_leads_to_its_image_and_a_failed_ones_to_the_reason(launched):
    images = charges.images_of(lines(launched))
    first, *_, last = (images[line] for line in lines(launched))
    assert (first.title, first.scene, first.status) == ("MUG", "marble, square", "succeeded")
    assert first.asset_id is not None
    assert first.reason == ""
    assert (last.title, last.scene, last.asset_id, last.reason) == ("CUP", "sand, square", None, "Out of memory.")


def test_a_studio_images_line_is_told_by_its_prompt(workspace):
    desk = Desk(workspace.pk)
    generation, _ = desk.ask(1, prompt="a mug on a table, " * 10)
    (image,) = charges.images_of(lines(generation)).values()
    assert image.title.startswith("a mug on a table,")
    assert (len(image.title) <= 80, image.title[-1], image.cell_id) == (True, "…", None)


def test_a_hold_leads_to_its_launch_or_to_the_studio(launched, workspace):
    studio, _ = Desk(workspace.pk).ask(2)
    origins = charges.origins_of([launched.hold_id, studio.hold_id])
    assert [origins[hold].title for hold in (launched.hold_id, studio.hold_id)] == ["Shelf, launch 1", "Image Studio"]
    assert (origins[launched.hold_id].failed, origins[launched.hold_id].is_repeated) == (1, False)
    launch.launch(campaign_id=origins[launched.hold_id].campaign_id or 0, now=clock.now())
    assert charges.origins_of_generations([launched.pk])[launched.pk].is_repeated


def test_a_campaigns_holds_are_found_in_its_own_workspace_only(launched, planned, workspace, make_workspace):
    found = charges.hold_ids_of(workspace_id=workspace.pk, campaign_id=planned.campaign.pk)
    assert found == [launched.hold_id]
    other = make_workspace("other").pk
    assert charges.hold_ids_of(workspace_id=other, campaign_id=planned.campaign.pk) == []
    assert charges.launched_campaigns(workspace_id=workspace.pk) == [(planned.campaign.pk, "Shelf")]
    assert charges.launched_campaigns(workspace_id=other) == []


# --- usage -----------------------------------------------------------------------------------------------------------


def report(workspace_id: int, *, days_ago: int = 0) -> usage.Usage:
    return report_until(workspace_id, clock.now() + timedelta(minutes=1) - timedelta(days=days_ago))


def report_until(workspace_id: int, until: datetime) -> usage.Usage:
    return usage.usage(workspace_id=workspace_id, since=until - timedelta(days=1), until=until, zone=ZONE)


def test_usage_tells_campaign_member_and_checkpoint_with_images_and_credits(launched, workspace):
    desk = Desk(workspace.pk)
    desk.now = clock.now()
    desk.ask(1)
    for render in take(worker(), now=clock.now()).renders:
        complete(render, now=clock.now())
    found = report(workspace.pk)
    assert (found.total.spent, found.total.images) == (4_000, 4)
    assert [(share.name, share.spent, share.images) for share in found.by_campaign] == [
        ("Shelf", 3_000, 3),
        ("Image Studio", 1_000, 1),
    ]
    assert [(share.name, share.images) for share in found.by_member] == [("Ida Lind", 3), ("Command line", 1)]
    assert [(share.name, share.images) for share in found.by_checkpoint] == [("starter", 4)]
    assert [(day, share.spent) for day, share in found.by_day] == [(clock.now().date(), 4_000)]


def test_an_approved_image_costs_what_was_charged_around_it_and_refunds_are_taken_off(launched, workspace):
    assert report(workspace.pk).total.per_approved is None
    reviewer = get_user_model().objects.create(email="rev@example.com")
    assets = list(Render.objects.filter(asset__isnull=False).order_by("pk").values_list("asset", flat=True))
    review.approve(assets[0], by_id=reviewer.pk, now=clock.now())
    assert report(workspace.pk).total.per_approved == 3_000
    ledger.refund(line_id=lines(launched)[1], key="distorted", now=clock.now())
    (shelf,) = report(workspace.pk).by_campaign
    assert (shelf.spent, shelf.images, shelf.approved, shelf.per_approved) == (2_000, 3, 1, 2_000)


def test_usage_of_another_period_or_workspace_is_empty(launched, workspace, make_workspace):
    assert report(workspace.pk, days_ago=2).total.images == 0
    assert report(make_workspace("other").pk).by_campaign == []


def test_usage_is_one_query(launched, workspace, django_assert_num_queries):
    now = clock.now()
    with django_assert_num_queries(1):
        report_until(workspace.pk, now)


# --- news ------------------------------------------------------------------------------------------------------------


def test_a_launch_is_news_when_its_last_image_has_ended(planned, workspace):
    launch.launch(campaign_id=planned.campaign.pk, now=clock.now())
    batch = take(worker(), now=clock.now())
    for render in batch.renders[:3]:
        complete(render, now=clock.now())
    assert campaigns.news.happened(workspace_id=workspace.pk, limit=5) == []
    reason = "Out of memory."
    queue.fail(render=batch.renders[3], code="EngineError", reason=reason, may_retry=False, now=clock.now())
    (news,) = campaigns.news.happened(workspace_id=workspace.pk, limit=5)
    assert (news.campaign, news.number, news.images, news.succeeded, news.failed) == ("Shelf", 1, 4, 3, 1)
    assert [(each.text, each.images) for each in news.reasons] == [(reason, 1)]


def test_a_click_in_the_studio_is_news_only_where_something_failed(workspace):
    desk = Desk(workspace.pk)
    desk.ask(1)
    for render in take(worker()).renders:
        complete(render)
    assert campaigns.news.happened(workspace_id=workspace.pk, limit=5) == []
    desk.ask(1)
    for render in take(worker()).renders:
        queue.fail(render=render, code="x", reason="Out of memory.", may_retry=False, now=desk.now)
    (news,) = campaigns.news.happened(workspace_id=workspace.pk, limit=5)
    assert (news.campaign_id, news.failed) == (None, 1)
