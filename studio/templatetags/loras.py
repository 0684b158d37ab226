"""What the pages say of LoRAs: what they fit and change, in words."""

from collections.abc import Iterable, Mapping
from typing import Final

from django import template

from inference.models import Lora

register = template.Library()

PARTS: Final = {
    "unet": "the picture",
    "transformer": "the picture",
    "text_encoder": "how texts are read",
    "text_encoder_2": "how texts are read",
}
SPELLINGS: Final = {"kohya": "Kohya", "peft": "PEFT", "xlabs": "XLabs"}


@register.filter
def fitting(slugs: Iterable[str], names: Mapping[str, str]) -> str:
    """The models that a LoRA fits: "Fits Starter and Stable Diffusion 1.5"."""
    known = [names[slug] for slug in slugs if slug in names]
    if not known:
        return "Fits no model that is installed now"
    return "Fits " + " and ".join(filter(None, (", ".join(known[:-1]), known[-1])))


@register.filter
def parts(changed: Iterable[str]) -> str:
    """What a LoRA changes of a model, in words."""
    return " and ".join(dict.fromkeys(PARTS[part] for part in sorted(changed, reverse=True)))


@register.filter
def ranks(lora: Lora) -> str:
    """Its rank, or the least and the greatest of its layers."""
    return str(lora.rank) if lora.rank == lora.least_rank else f"{lora.least_rank} to {lora.rank}"


@register.filter
def spelling(style: str) -> str:
    """The program whose way of naming layers a file has."""
    return SPELLINGS.get(style, style)
