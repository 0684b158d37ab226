"""The prompt of a brief with its places to fill: {surface}, and {{ or }} for a brace that is meant.
Knows names and texts only; nothing but a plain name can stand in a place, so a template cannot reach into objects.
"""

import string
from collections.abc import Mapping
from dataclasses import dataclass


class TemplateError(ValueError):
    """The template cannot be read; the sentence says what to change."""


@dataclass(frozen=True)
class Template:
    """A parsed template: literal texts, each followed by the name of what to fill in ("" for nothing)."""

    parts: tuple[tuple[str, str], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names to fill in, once each, in their order."""
        return tuple(dict.fromkeys(name for _, name in self.parts if name))

    def filled(self, values: Mapping[str, str]) -> str:
        """The prompt. Values stand in it as they are; braces in them mean nothing.

        :raises KeyError: a name has no value.
        """
        words = (literal + (values[name] if name else "") for literal, name in self.parts)
        return "".join(words).strip()


def parse_template(text: str) -> Template:
    """Read a template.

    :raises TemplateError: braces do not pair, or hold something else than a plain name.
    """
    try:
        fields = list(string.Formatter().parse(text))
    except ValueError:
        raise TemplateError(
            "has a brace without its partner. Write {surface} for an axis, {{ or }} for a brace that is meant."
        ) from None
    written = [(literal, _written(*field)) for literal, *field in fields]
    if faulty := ", ".join(f"{{{name}}}" for _, name in written if name is not None and not is_name(name)):
        raise TemplateError(f"holds {faulty}. Between braces stands the plain name of an axis, such as {{surface}}.")
    return Template(tuple((literal, name or "") for literal, name in written))


def _written(name: str | None, spec: str | None, conversion: str | None) -> str | None:
    """What stands between the braces; None where there are none."""
    if name is None:
        return None
    return name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")


def is_name(word: str) -> bool:
    """Whether a word can name an axis: a letter of a to z, then letters, digits and underscores."""
    return word.isascii() and word.isidentifier() and not word.startswith("_")
