"""Reading an answer's page: its words without the markup, and the first thing in it that a pattern finds."""

import re

from django.http import HttpResponse


def words(response: HttpResponse) -> str:
    """The page's words, one space between them."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


def found_in(page: str, pattern: str) -> str:
    """What the pattern's first group holds, with the character references of addresses undone."""
    match = re.search(pattern, page)
    assert match is not None, f"{pattern} is nowhere in the page"
    return match.group(1).replace("&amp;", "&")
