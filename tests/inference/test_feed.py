"""What a person made in the Studio: newest first, page by page, their own only, at a cost that does not grow."""

import pytest

from inference import feed, generate, queue
from inference.generate import Settings
from studio.models import User
from tests.conftest import NOW
from tests.inference.desk import Desk, claim, complete, worker


@pytest.fixture
def user(db) -> User:
    return User.objects.create(email="maker@example.com")


@pytest.fixture
def click(workspace, user):
    def ask(number: int, *, count: int = 1, by: User = user) -> int:
        settings = Settings(checkpoint="starter", prompt=f"scene {number}", count=count, style="comic")
        return generate.generate(
            workspace_id=workspace.pk, created_by_id=by.pk, key=str(number), settings=settings, now=NOW
        ).pk

    return ask


def page(workspace, user, before: int | None = None) -> feed.Page:
    return feed.page(workspace_id=workspace.pk, created_by_id=user.pk, before=before, now=NOW)


def test_clicks_come_newest_first_page_by_page_without_a_gap(workspace, user, click):
    ids = [click(number) for number in range(2 * feed.PAGE + 1)]
    found, before = [], None
    for _ in range(3):
        shown = page(workspace, user, before)
        found += [each.id for each in shown.clicks]
        before = shown.next_before
    assert found == ids[::-1]
    assert before is None


def test_the_last_page_says_that_it_is_the_last(workspace, user, click):
    for number in range(feed.PAGE):
        click(number)
    assert page(workspace, user).next_before is None


def test_what_others_made_and_what_campaigns_launched_is_not_among_it(workspace, user, click):
    own = click(1)
    click(2, by=User.objects.create(email="other@example.com"))
    Desk(workspace.pk).ask(2)
    assert [each.id for each in page(workspace, user).clicks] == [own]
    assert feed.of(generation_ids=[own], workspace_id=workspace.pk + 1, now=NOW) == ()


def test_a_click_tells_what_was_typed_and_how_far_each_image_is(workspace, user, click):
    click(1, count=3)
    batch = claim(worker(), at_most=2)
    assert batch is not None
    complete(batch.renders[0])
    [shown] = page(workspace, user).clicks
    assert (shown.settings.prompt, shown.style.name, shown.entry.slug) == ("scene 1", "Comic", "starter")
    assert [result.progress.status for result in shown.results] == ["succeeded", "running", "queued"]
    assert [(result.width, result.height, result.price) for result in shown.results] == [(256, 256, 1000)] * 3
    assert shown.is_done
    assert not shown.is_over
    assert [result.render_id for result in page(workspace, user).live] == [each.render_id for each in shown.results[1:]]
    queue.cancel(generation_id=shown.id, now=NOW)
    assert page(workspace, user).clicks[0].is_over


def test_a_click_is_found_by_any_of_its_images_in_its_workspace_only(workspace, user, click):
    first, second = click(1, count=2), click(2)
    ids = [result.render_id for each in page(workspace, user).clicks for result in each.results]
    assert [each.id for each in feed.with_renders(render_ids=ids, workspace_id=workspace.pk, now=NOW)] == [
        second,
        first,
    ]
    assert feed.with_renders(render_ids=ids, workspace_id=workspace.pk + 1, now=NOW) == ()
    assert feed.with_renders(render_ids=[], workspace_id=workspace.pk, now=NOW) == ()


@pytest.mark.parametrize("clicks", [2, feed.PAGE])
def test_a_page_costs_the_same_however_much_is_on_it(workspace, user, click, clicks, django_assert_num_queries):
    for number in range(clicks):
        click(number, count=4)
    claim(worker())
    with django_assert_num_queries(7):
        page(workspace, user)
