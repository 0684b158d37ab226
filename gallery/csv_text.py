"""Text in CSV files that people open in a spreadsheet. Knows no file."""

from typing import Final

FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


def quoted(value: str) -> str:
    """A cell's text; what a spreadsheet would take for a formula begins with an apostrophe (OWASP, CSV injection)."""
    return f"'{value}" if value.startswith(FORMULA_STARTS) else value
