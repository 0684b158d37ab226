"""Small bar charts in SVG. They only draw what a table beside them says, so they are hidden from screen readers."""

from collections.abc import Iterable
from datetime import date, timedelta

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

register = template.Library()

HEIGHT = 100
GAP = 0.2  # of a bar's place


@register.simple_tag
def share_bar(part: int, whole: int) -> SafeString:
    """How much of the largest this one is: a bar from 0 to 100 % of its place."""
    share = 100 * max(part, 0) / whole if whole else 0
    return format_html(
        '<svg class="share-bar" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">'
        '<rect width="{}" height="1"/></svg>',
        f"{share:.2f}",
    )


@register.simple_tag
def day_bars(days: Iterable[tuple[date, int]], since: date, until: date) -> SafeString:
    """A bar for every day from ``since`` to ``until``, both included; a day that is not among ``days`` has none."""
    amounts = dict(days)
    number = (until - since).days + 1
    highest = max(amounts.values(), default=0) or 1
    bars = [
        (f"{index + GAP / 2:.2f}", f"{HEIGHT - height:.2f}", 1 - GAP, f"{height:.2f}")
        for index in range(number)
        if (height := HEIGHT * max(amounts.get(since + timedelta(days=index), 0), 0) / highest)
    ]
    return format_html(
        '<svg class="day-bars" viewBox="0 0 {} {}" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="ground" y="{}" width="{}" height="1"/>{}</svg>',
        number,
        HEIGHT,
        HEIGHT - 1,
        number,
        format_html_join("", '<rect x="{}" y="{}" width="{}" height="{}"/>', bars),
    )
