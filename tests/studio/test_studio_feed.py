"""The Studio's headings by the workspace's own days, and the marks that a page's poll carries."""

from datetime import UTC, datetime, timedelta

import pytest

from inference.feed import Click
from studio import studio_feed

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def click(asked_at: datetime) -> Click:
    return Click(id=1, asked_at=asked_at, settings=None, entry=None, style=None, results=())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ago", "heading"),
    [
        (timedelta(minutes=9), "Just now"),
        (timedelta(minutes=11), "Earlier today"),
        (timedelta(hours=13), "Yesterday"),
        (timedelta(days=2), "November 19"),
        (timedelta(days=400), "October 17, 2025"),
    ],
)
def test_a_heading_says_when_in_words(ago, heading):
    assert studio_feed.heading(NOON - ago, zone="UTC", now=NOON) == heading


def test_a_day_is_the_workspaces_own():
    evening = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
    assert studio_feed.heading(evening, zone="UTC", now=NOON) == "Yesterday"
    assert studio_feed.heading(evening, zone="Europe/Berlin", now=NOON) == "Earlier today"


def test_a_heading_that_stands_above_already_is_not_said_twice():
    clicks = [click(NOON - timedelta(hours=hours)) for hours in (1, 2, 14)]
    first, second = studio_feed.groups(clicks, zone="UTC", now=NOON, above="Earlier today")
    assert (first.heading, len(first.clicks)) == ("", 2)
    assert (second.heading, len(second.clicks)) == ("Yesterday", 1)
    assert studio_feed.groups(clicks, zone="UTC", now=NOON)[0].heading == "Earlier today"


def test_marks_come_back_as_they_were_sent_and_nonsense_is_left_out():
    marks = [(12, "queued-7"), (13, "step-4-2")]
    assert studio_feed.seen(studio_feed.as_seen(marks)) == dict(marks)
    assert studio_feed.seen("x.queued~~12~-1.a~13.step-4-2") == {12: "", 13: "step-4-2"}
    assert studio_feed.seen("") == {}


def test_an_endless_list_of_marks_is_cut():
    endless = studio_feed.as_seen((number, "paused") for number in range(1, 5000))
    assert len(studio_feed.seen(endless)) == studio_feed.SEEN_LIMIT
