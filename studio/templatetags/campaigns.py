"""What the pages of campaigns say in their own way: sections, problems at their fields, the shapes of channels."""

from collections.abc import Iterable, Mapping
from typing import Final

from django import template
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from campaigns.entered import EnteredChannel
from inference.models import Lora
from studio.templatetags.accounts import Section

register = template.Library()

SECTIONS: Final = (("campaigns", "Campaigns"), ("products", "Products"), ("loras", "LoRAs"))
# What a worker is at before and after the steps that are counted.
PHASES: Final = {"decode": "Finishing", "store": "Finishing"}
BOX = 28.0  # the longer side of a channel's drawn shape, in its own units


@register.inclusion_tag("shell/sections.html")
def campaign_sections(slug: str, current: str) -> dict[str, object]:
    """The sections of the campaigns' pages; ``current`` is a route's name."""
    return {
        "label": "Campaigns, their products and LoRAs",
        "sections": [Section(label, reverse(name, args=[slug]), name == current) for name, label in SECTIONS],
    }


@register.filter
def phase_words(phase: str) -> str:
    """What a worker is at, where no step is counted."""
    return PHASES.get(phase, "Starting")


@register.filter
def placed(placement: str) -> str:
    """A certificate's placement in words: "keep" → "where it was", "13,144,528,352,…" → "528 × 352 at 13, 144"."""
    if placement == "keep":
        return "where it was"
    x, y, width, height = placement.split(",")[:4]
    return f"{width} × {height} at {x}, {y}"


@register.filter
def is_among(name: str, loras: Iterable[Lora]) -> bool:
    """Whether a LoRA of this name is offered."""
    return any(lora.name.casefold() == name.strip().casefold() for lora in loras)


@register.simple_tag
def problems(errors: Mapping[str, Iterable[str]], key: str, *, is_swapped: bool = False) -> SafeString:
    """The place of a field's problems, empty or not, so that it can be filled while somebody types."""
    items = format_html_join("", "<li>{}</li>", ((sentence,) for sentence in errors.get(key, ())))
    swap = SafeString(' hx-swap-oob="true"') if is_swapped else ""
    return format_html('<ul class="errorlist" id="error-{}"{}>{}</ul>', key, swap, items)


@register.simple_tag
def invalid(errors: Mapping[str, Iterable[str]], key: str) -> SafeString:
    """The attributes that tie a field to its problems."""
    state = SafeString(' aria-invalid="true"') if errors.get(key) else ""
    return format_html('aria-describedby="error-{}"{}', key, state)


@register.simple_tag
def channel_shape(channel: EnteredChannel) -> SafeString:
    """A channel drawn small: its canvas, and where the product stands on it. Nothing without a size."""
    try:
        width, height = float(channel.width), float(channel.height)
        scale = min(1.0, max(0.05, float(channel.scale or 0.7)))
    except ValueError:
        return SafeString("")
    if width < 1 or height < 1 or channel.way == "keep":
        return SafeString("")
    factor = BOX / max(width, height)
    width, height = width * factor, height * factor
    product = _product(width, height, scale, channel.anchor) if channel.way == "place" else SafeString("")
    return format_html(
        '<svg class="shape" viewBox="{} {} 32 32" aria-hidden="true">'
        '<rect class="shape-canvas" width="{}" height="{}" rx="1"/>{}</svg>',
        *(f"{value:.1f}" for value in ((width - 32) / 2, (height - 32) / 2, width, height)),
        product,
    )


def _product(width: float, height: float, scale: float, anchor: str) -> SafeString:
    """The product's box, three wide to four high, kept to its side of the canvas."""
    high = min(height * scale, width * scale * 4 / 3)
    wide = high * 3 / 4
    x = 0.0 if "left" in anchor else width - wide if "right" in anchor else (width - wide) / 2
    y = 0.0 if "top" in anchor else height - high if "bottom" in anchor else (height - high) / 2
    return format_html(
        '<rect class="shape-product" x="{}" y="{}" width="{}" height="{}"/>',
        *(f"{value:.1f}" for value in (x, y, wide, high)),
    )
