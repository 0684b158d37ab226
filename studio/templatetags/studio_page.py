"""What the Studio page says of models and of images on their way. Knows words and shapes, no queue."""

from datetime import timedelta
from uuid import uuid4

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from inference.eta import Forecast

register = template.Library()

CAPABILITY_WORDS = {
    "img2img": "base image",
    "inpaint": "products and edits",
    "outpaint": "outpainting",
    "upscale": "upscaling",
    "control": "control images",
    "ip_adapter": "reference images",
    "lora": "LoRA",
    "negative_prompt": "negative prompt",
    "guidance": "CFG",
    "schedulers": "schedulers",
    "clip_skip": "clip skip",
    "native_styles": "own styles",
}
INDICATOR_PX = 22


@register.filter
def dots(mark: int, word: str) -> SafeString:
    """A mark of 1 to 5: ``{{ 4|dots:"Quality" }}`` → "Quality ●●●●○", read out as "Quality 4 of 5"."""
    drawn = "●" * mark + "○" * (5 - mark)
    return format_html(
        '{} <span class="dots" aria-hidden="true">{}</span><span class="visually-hidden">{} of 5</span>',
        word,
        drawn,
        mark,
    )


@register.filter
def abilities(capabilities: frozenset[str]) -> str:
    """What a model takes beside a text, in words."""
    return ", ".join(word for name, word in CAPABILITY_WORDS.items() if name in capabilities)


@register.filter
def commands(sentence: str) -> SafeString:
    """A sentence whose `commands` between backticks are set as code."""
    parts = enumerate(sentence.split("`"))
    return format_html_join(
        "", "{}", ((format_html("<code>{}</code>", part) if odd % 2 else part,) for odd, part in parts)
    )


@register.filter
def about(span: timedelta) -> str:
    """A time to wait, as exact as it can be known: "about 5 s", "about 40 s", "about 3 min", "about 2 h"."""
    return f"about {_rounded(span)}"


@register.filter
def or_late(likely: timedelta, late: timedelta | None) -> str:
    """A time to wait with its late end: "about 4 min, 7 min at the latest"."""
    end = late_end(late, likely)
    return f"{about(likely)}, {end} at the latest" if end else about(likely)


@register.filter
def late_end(late: timedelta | None, likely: timedelta) -> str:
    """The late end alone: "7 min"; empty where it looks like the likely time."""
    return "" if late is None or _rounded(late) == _rounded(likely) else _rounded(late)


@register.filter
def foretold(forecast: Forecast) -> str:
    """A forecast: "about 4 min, 7 min at the latest (95 %)"."""
    words = or_late(forecast.p50, forecast.p95)
    return f"{words} (95 %)" if words != about(forecast.p50) else words


def _rounded(span: timedelta) -> str:
    seconds = max(1, round(span.total_seconds()))
    if seconds < 10:
        return f"{seconds} s"
    if seconds < 55:
        return f"{-(-seconds // 5) * 5} s"
    if seconds < 3300:
        return f"{max(1, round(seconds / 60))} min"
    return f"{max(1, round(seconds / 3600))} h"


@register.filter
def in_line(position: int) -> str:
    """A place in the queue: 1 → "Next in line", 2 → "2nd in line", 11 → "11th in line"."""
    if position == 1:
        return "Next in line"
    ending = "th" if position % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(position % 10, "th")
    return f"{position:,}{ending} in line"


@register.simple_tag
def new_key() -> str:
    """What tells one click from the next, for a form that spends credits."""
    return uuid4().hex


@register.simple_tag
def asset_name(asset_id: int) -> str:
    """The name under which the form chooses an image that was made."""
    return f"asset-{asset_id}"


@register.simple_tag
def shape(across: int, down: int) -> SafeString:
    """An aspect ratio drawn: a rectangle of that shape, at most 22 units a side."""
    unit = INDICATOR_PX / max(across, down)
    width, height = across * unit, down * unit
    return format_html(
        '<svg class="shape" viewBox="0 0 24 24" aria-hidden="true">'
        '<rect x="{}" y="{}" width="{}" height="{}" rx="1.5"/></svg>',
        *(f"{side:.2f}" for side in (12 - width / 2, 12 - height / 2, width, height)),
    )
