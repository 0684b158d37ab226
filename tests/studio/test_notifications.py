"""The feed: what happened since one joined, each piece once, and how far each member has read for themselves."""

import re
from datetime import timedelta

import pytest

from billing import clock, ledger
from inference import queue
from studio import notifications
from studio.models import Membership, User, Workspace
from tests.inference.desk import Desk, take, worker
from tests.studio.page_text import found_in, words

HTMX = {"HX-Request": "true"}


@pytest.fixture
def workspace(db, make_workspace) -> Workspace:
    """On a plan that grants by the day only: daily credits are no news, whenever this test runs."""
    return make_workspace(plan="free", now=clock.now())


@pytest.fixture
def desk(workspace, people) -> Desk:
    desk = Desk(workspace.pk)
    desk.now = clock.now()
    return desk


def member(workspace: Workspace, role: str) -> Membership:
    return Membership.objects.get(workspace=workspace, role=role)


def give(workspace: Workspace, key: str = "1", *, note: str = "An outage", later: int = 0) -> None:
    ledger.give_bonus(
        workspace_id=workspace.pk,
        amount=5000,
        key=key,
        note=note,
        expires_at=None,
        created_by_id=member(workspace, "owner").user_id,
        now=clock.now() + timedelta(seconds=later),
    )


def fail_one(desk: Desk) -> None:
    desk.ask(1)
    for render in take(worker(now=desk.now), now=desk.now).renders:
        queue.fail(render=render, code="x", reason="Out of memory.", may_retry=False, now=clock.now())


def test_a_new_members_page_says_what_will_stand_here(browser, people, workspace):
    # The last of the fixture's people: nobody joined after them.
    assert "Nothing happened yet" in words(browser("viewer").get("/w/acme/notifications/"))


def test_failures_grants_and_new_members_are_told_newest_first(browser, desk, workspace):
    fail_one(desk)
    give(workspace)
    somebody = User.objects.create(email="mara@example.com", first_name="Mara")
    Membership.objects.create(workspace=workspace, user=somebody, role="reviewer")
    page = words(browser("viewer").get("/w/acme/notifications/"))
    places = [page.index(title) for title in ("Mara joined", "5 credits granted", "1 Studio image failed")]
    assert places == sorted(places)
    assert "1 image: Out of memory." in page
    assert "An outage" in page


def test_what_happened_before_one_joined_is_no_news(desk, workspace):
    give(workspace)
    late = User.objects.create(email="late@example.com")
    joined = Membership.objects.create(workspace=workspace, user=late, role="viewer")
    assert notifications.feed(joined) == ([], None)
    assert notifications.unread(joined) == 0


def test_the_bell_counts_until_one_has_read_and_only_for_oneself(browser, desk, workspace):
    give(workspace, "1")
    give(workspace, "2", note="Another")
    viewer = browser("viewer")
    page = viewer.get("/w/acme/notifications/").content.decode()
    assert "Notifications, 2 unread" in page
    assert page.count(">New<") == 2
    until = found_in(page, r'name="until" value="([^"]+)"')
    assert viewer.post("/w/acme/notifications/seen/", {"until": until}).status_code == 302
    page = viewer.get("/w/acme/notifications/").content.decode()
    assert "unread" not in page
    assert ">New<" not in page
    assert "unread" in browser("producer").get("/w/acme/notifications/").content.decode()


def test_what_happened_after_the_page_was_made_stays_unread(browser, desk, workspace):
    give(workspace, "1")
    viewer = browser("viewer")
    page = viewer.get("/w/acme/notifications/").content.decode()
    until = found_in(page, r'name="until" value="([^"]+)"')
    give(workspace, "2", note="Later", later=1)
    answer = viewer.post("/w/acme/notifications/seen/", {"until": until}, headers=HTMX)
    assert b"All read" in answer.content
    assert notifications.unread(member(workspace, "viewer")) == 1


def test_an_older_page_does_not_make_seen_news_new_again_and_the_future_cannot_be_seen(desk, workspace, browser):
    one = member(workspace, "viewer")
    now = clock.now()
    notifications.mark_seen(one, until=now)
    notifications.mark_seen(one, until=now - timedelta(hours=1))
    assert notifications.seen_until(one) == now
    browser("viewer").post("/w/acme/notifications/seen/", {"until": "2999-01-01T00:00:00+00:00"})
    assert notifications.seen_until(one) < clock.now() + timedelta(seconds=1)
    for nonsense in ("", "yesterday", "2026-13-45T00:00:00+00:00", "2026-01-01"):
        assert browser("viewer").post("/w/acme/notifications/seen/", {"until": nonsense}).status_code == 302


def test_pages_follow_each_other_without_gap_or_repetition(browser, desk, workspace):
    for number in range(40):
        give(workspace, str(number), note=f"Gift {number:02}", later=number)
    viewer = browser("viewer")
    first = viewer.get("/w/acme/notifications/").content.decode()
    more = found_in(first, r'hx-get="(\?before=[^"]+)"')
    rest = viewer.get(f"/w/acme/notifications/{more}", headers=HTMX).content.decode()
    assert "<html" not in rest
    found = re.findall(r"Gift \d\d", first) + re.findall(r"Gift \d\d", rest)
    assert found == [f"Gift {number:02}" for number in reversed(range(40))]


def test_what_happened_at_one_moment_is_not_torn_apart_between_two_pages(desk, workspace):
    now = clock.now()
    moments = [now + timedelta(seconds=max(number, 4)) for number in range(33)]
    for number, moment in enumerate(moments):
        ledger.give_bonus(
            workspace_id=workspace.pk,
            amount=1000,
            key=str(number),
            note="",
            expires_at=None,
            created_by_id=member(workspace, "owner").user_id,
            now=moment,
        )
    first, before = notifications.feed(member(workspace, "viewer"))
    rest, end = notifications.feed(member(workspace, "viewer"), before=before)
    assert [notice.at for notice in first + rest] == sorted(moments, reverse=True)
    assert (len(rest), end) == (5, None)


def test_the_bell_costs_two_queries_however_much_happened(desk, workspace, django_assert_num_queries):
    one = member(workspace, "viewer")
    for number in range(20):
        give(workspace, str(number))
    with django_assert_num_queries(2):
        assert notifications.unread(one) == 20


def test_the_page_costs_as_many_queries_for_much_as_for_little(browser, desk, workspace, django_assert_max_num_queries):
    fail_one(desk)
    give(workspace)
    viewer = browser("viewer")
    with django_assert_max_num_queries(20) as little:
        viewer.get("/w/acme/notifications/")
    for number in range(8):
        fail_one(desk)
        give(workspace, f"more {number}")
    with django_assert_max_num_queries(len(little)):
        viewer.get("/w/acme/notifications/")
