"""The Studio's results under their headings: just now, earlier today, yesterday, a date. Knows clicks and days."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from inference.feed import Click
from studio.ids import object_id

JUST_NOW = "Just now"
JUST_NOW_LASTS = timedelta(minutes=10)
# More than a page ever shows on its way at once.
SEEN_LIMIT = 200


@dataclass(frozen=True, kw_only=True)
class Group:
    """Clicks under one heading; the heading is empty where it stands above already."""

    heading: str
    clicks: tuple[Click, ...]

    @property
    def is_newest(self) -> bool:
        """Whether the next click joins it."""
        return self.heading == JUST_NOW


def groups(clicks: Iterable[Click], *, zone: str, now: datetime, above: str = "") -> list[Group]:
    """Clicks, newest first, by heading; `above` is the last heading that the page shows already."""
    by_heading: dict[str, list[Click]] = {}
    for click in clicks:
        by_heading.setdefault(heading(click.asked_at, zone=zone, now=now), []).append(click)
    return [Group(heading="" if name == above else name, clicks=tuple(members)) for name, members in by_heading.items()]


def heading(moment: datetime, *, zone: str, now: datetime) -> str:
    """When it was, in the words of a heading, by the workspace's own days."""
    if now - moment < JUST_NOW_LASTS:
        return JUST_NOW
    day, today = (each.astimezone(ZoneInfo(zone)).date() for each in (moment, now))
    if day == today:
        return "Earlier today"
    if day == today - timedelta(days=1):
        return "Yesterday"
    return f"{day:%B %-d}" if day.year == today.year else f"{day:%B %-d, %Y}"


def seen(text: str) -> dict[int, str]:
    """Render id → mark, as a page's poll names what it shows: "12.queued-7~13.step-4-2"; the unreadable is left out."""
    pairs = (each.partition(".") for each in text.split("~")[:SEEN_LIMIT])
    return {pk: mark for number, _, mark in pairs if (pk := object_id(number)) is not None}


def as_seen(marks: Iterable[tuple[int, str]]) -> str:
    """What `seen` reads."""
    return "~".join(f"{number}.{mark}" for number, mark in marks)
