"""Ids as they stand in addresses and forms: text that anybody may have written. Knows no object."""

from collections.abc import Iterable

from django.http import HttpRequest

MAX_DIGITS = 18  # what fits the database's ids


def object_id(text: str | None) -> int | None:
    """The id that a text holds; None where it holds none."""
    return int(text) if text and text.isdecimal() and len(text) <= MAX_DIGITS and int(text) else None


def object_ids(texts: Iterable[str]) -> list[int]:
    """The ids among these texts, in order."""
    return [pk for text in texts if (pk := object_id(text)) is not None]


def id_in_query(request: HttpRequest, name: str) -> int | None:
    """The id under this name in the address; None where there is none, or something that nobody offered."""
    return object_id(request.GET.get(name))
