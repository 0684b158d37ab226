"""What every page draws the same way: icons, states, pencil marks, the bar of states, the sidebar.

Knows the words and shapes of states, not who is in which.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from django import template
from django.forms import BoundField, CheckboxInput, Textarea
from django.template import Context
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from heroicons.templatetags.heroicons import heroicon_mini, heroicon_outline

register = template.Library()


@dataclass(frozen=True)
class State:
    """How a state is shown: its word, its shape, and its tone (a class of components.css)."""

    word: str
    icon: str
    tone: str


STATES: Final = {
    "draft": State("Draft", "pencil-square", "wait"),
    "planned": State("Planned", "clipboard-document-list", "wait"),
    "waiting": State("Waiting", "clock", "wait"),
    "paused": State("Paused", "pause-circle", "wait"),
    "running": State("Rendering", "ellipsis-horizontal-circle", "act"),
    "pending": State("To review", "eye", ""),
    "approved": State("Approved", "check-circle", "ok"),
    "rejected": State("Rejected", "x-circle", "no"),
    "changes_requested": State("Changes asked", "pencil", "warn"),
    "stale": State("Stale", "arrow-path", "warn"),
    "succeeded": State("Done", "check", "ok"),
    "failed": State("Failed", "exclamation-triangle", "no"),
    "canceled": State("Canceled", "no-symbol", "wait"),
    "archived": State("Archived", "archive-box", "wait"),
    "excluded": State("Excluded", "minus-circle", "wait"),
}

# The same stroke for the same verdict everywhere, in a box of 100 × 100, and how the box fits a picture's shape.
PENCILS: Final = {
    "approved": ("M70 80c3 2 6 6 8 9 4-9 9-18 17-26", "xMaxYMax"),
    "rejected": ("M14 16c22 20 46 44 71 69M86 13C62 35 38 60 13 86", "none"),
    "changes_requested": ("M47 30c-20 1-31 17-29 31 3 17 22 25 39 22 18-3 30-18 26-33-4-16-23-24-43-19", "xMidYMid"),
}


@register.simple_tag
def icon(name: str, style: str = "", size: str = "") -> str:
    """A heroicon, hidden from screen readers; ``style`` "outline" for empty states, ``size`` "large" in the sidebar.

    :raises heroicons.IconDoesNotExist: there is no such icon.
    """
    draw = heroicon_outline if style == "outline" else heroicon_mini
    return draw(name, size=None, **{"class": f"icon {size}".strip()})


@register.simple_tag
def state(name: str, word: str = "") -> SafeString:
    """A state as shape and word in its color; ``word`` says more than the state's own.

    :raises KeyError: there is no such state.
    """
    shown = STATES[str(name)]
    classes = f"state {shown.tone}".strip()
    return format_html('<span class="{}">{}{}</span>', classes, icon(shown.icon), word or shown.word)


@register.filter
def state_word(name: str) -> str:
    """The word of a state, for alternative texts: "changes_requested" → "Changes asked"."""
    return STATES[str(name)].word


@register.simple_tag
def pencil(name: str) -> SafeString | str:
    """The grease-pencil mark of a verdict, to lie over a picture; nothing for a state without one."""
    if str(name) not in PENCILS:
        return ""
    stroke, fit = PENCILS[str(name)]
    return format_html(
        '<svg class="pencil {}" viewBox="0 0 100 100" preserveAspectRatio="{}" aria-hidden="true"><path d="{}"/></svg>',
        name,
        fit,
        stroke,
    )


@register.simple_tag
def tile_space(width: int, height: int) -> SafeString:
    """Keeps a tile's place at its picture's shape before there is a picture."""
    return format_html('<svg class="tile-space" viewBox="0 0 {} {}" aria-hidden="true"></svg>', width, height)


@register.simple_tag
def state_bar(**counts: int) -> SafeString:
    """A bar of how many are in which state: ``{% state_bar approved=17 rejected=2 waiting=4 %}``, in the order given.

    :raises KeyError: there is no such state.
    """
    total = sum(counts.values()) or 1
    label = ", ".join(f"{count} {STATES[name].word.lower()}" for name, count in counts.items() if count)
    return format_html(
        '<svg class="state-bar" viewBox="0 0 100 1" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>',
        label or "Nothing yet",
        format_html_join("", '<rect class="{}" x="{}" width="{}" height="1"/>', _parts(counts, total)),
    )


def _parts(counts: dict[str, int], total: int) -> Iterable[tuple[str, str, str]]:
    start = 0
    for name, count in counts.items():
        if count:
            yield STATES[name].tone or "review", f"{100 * start / total:.3f}", f"{100 * count / total:.3f}"
        start += count


# --- forms ------------------------------------------------------------------------------------------------------------


@register.filter
def is_check(field: BoundField) -> bool:
    """Whether a field is one box to tick, whose label stands beside it."""
    return isinstance(field.field.widget, CheckboxInput)


@register.filter
def check_class(field: BoundField) -> str:
    """The class of the label around a box to tick."""
    return "switch" if getattr(field.field.widget, "is_switch", False) else "check"


@register.filter
def limit(field: BoundField) -> int | None:
    """How many characters a text of several lines may have, where that is limited: it then shows a counter."""
    widget = field.field.widget
    return widget.attrs.get("maxlength") if isinstance(widget, Textarea) else None


# --- the frame --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Item:
    """One link of the sidebar."""

    name: str
    label: str
    icon: str
    url: str
    is_current: bool
    is_minor: bool  # on a phone under "More"
    amount: int


# Route name, label, icon, whether it is under "More" on a phone.
_INSIDE: Final = (
    ("studio", "Studio", "sparkles", False),
    ("campaigns", "Campaigns", "squares-2x2", False),
    ("review", "Review", "check-badge", False),
    ("gallery", "Gallery", "photo", False),
    ("projects", "Projects", "folder", True),
    ("credits", "Credits", "circle-stack", True),
    ("settings", "Settings", "cog-6-tooth", True),
)
_OPERATIONS: Final = ("operations", "Operations", "server-stack", True)


@register.simple_block_tag(takes_context=True)
def navigation(context: Context, content: str) -> SafeString:
    """The sidebar's links; what the block holds names the current one."""
    shown = {str(name): value for name, value in context.flatten().items()}
    return render_to_string("shell/navigation.html", {**shown, "items": _items(context, current=content.strip())})


def _items(context: Context, *, current: str) -> list[Item]:
    workspace = context.get("workspace")
    slug = [workspace.slug] if workspace else []
    rows = [(row, slug) for row in _INSIDE] if workspace else []
    if getattr(context.get("user"), "is_staff", False):
        rows.append((_OPERATIONS, []))
    amounts = {"review": context.get("to_review") or 0}
    return [
        Item(
            name=name, label=label, icon=drawn, url=url, is_current=name == current, is_minor=is_minor,
            amount=amounts.get(name, 0),
        )
        for (name, label, drawn, is_minor), arguments in rows
        if (url := _address(name, arguments))
    ]  # fmt: skip


def _address(name: str, arguments: list[str]) -> str:
    try:
        return reverse(name, args=arguments)
    except NoReverseMatch:
        return ""
