"""The styles of the Image Studio: words that join a prompt, in the way its model reads.
Knows nothing about any model's pictures, nor about forms.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from inference.catalog import CatalogEntry
from inference.catalog.entry import Dialect

AUTO: Final = "auto"
FIELDS: Final = ("slug", "name", "description", "natural", "natural_negative", "tags", "tags_negative")


class UnknownStyleError(LookupError):
    """No style has this slug; the sentence names those that exist."""


@dataclass(frozen=True, kw_only=True)
class Fragment:
    """What a style adds to a prompt and to its negative prompt; empty adds nothing."""

    prompt: str
    negative_prompt: str


@dataclass(frozen=True, kw_only=True)
class Style:
    """One artistic direction; `natural` is for models that read sentences, `tags` for the others."""

    slug: str
    name: str
    description: str
    natural: Fragment
    tags: Fragment

    def fragment(self, dialect: Dialect) -> Fragment:
        """The words for a model's dialect."""
        return self.natural if dialect == "natural" else self.tags


@dataclass(frozen=True, kw_only=True)
class Combined:
    """The texts that the model gets."""

    prompt: str
    negative_prompt: str


@cache
def load() -> Mapping[str, Style]:
    """Every style by slug, in the order of the form; read once a process."""
    table = tomllib.loads((Path(__file__).parent / "styles.toml").read_text(encoding="utf-8"))
    return MappingProxyType({style.slug: style for style in map(_read, table["style"])})


def style(slug: str) -> Style:
    """The style of a slug. Raises UnknownStyleError with the slugs to choose from."""
    styles = load()
    if slug not in styles:
        raise UnknownStyleError(f'There is no style "{slug}". Choose one of: {", ".join(styles)}.')
    return styles[slug]


def combine(*, prompt: str, negative_prompt: str, style: Style, entry: CatalogEntry) -> Combined:
    """What a person typed together with a style's words, as the entry reads them.

    Words that stand there already are not repeated, and a model that takes no negative prompt gets none of the
    style's. An empty prompt stays empty: a style alone asks for nothing.
    """
    fragment = style.fragment(entry.dialect)
    takes_negative = "negative_prompt" in entry.capabilities
    return Combined(
        prompt=_join(prompt, fragment.prompt) if prompt.strip() else "",
        negative_prompt=_join(negative_prompt, fragment.negative_prompt if takes_negative else ""),
    )


def _join(typed: str, words: str) -> str:
    typed = typed.strip()
    missing = [word for word in words.split(", ") if word and not stands_in(word, typed)]
    # A sentence's full stop would cut the style off from it.
    return ", ".join(part for part in (typed.rstrip(" .,;") if missing else typed, *missing) if part)


def stands_in(word: str, text: str) -> bool:
    """Whether a word or a few are in a text as they are, capitals aside."""
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE) is not None


def _read(values: Mapping[str, Any]) -> Style:
    if unknown := sorted(set(values) - set(FIELDS)):
        raise ValueError(f"styles.toml: {values.get('slug')}: {unknown[0]}: is not a field of a style; remove it.")
    return Style(
        slug=values["slug"],
        name=values["name"],
        description=values["description"],
        natural=Fragment(prompt=values.get("natural", ""), negative_prompt=values.get("natural_negative", "")),
        tags=Fragment(prompt=values.get("tags", ""), negative_prompt=values.get("tags_negative", "")),
    )
