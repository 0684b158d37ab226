"""Names made safe for cell keys and file names. The same text always gives the same slug, whatever stands beside it.
Knows nothing about what is named.
"""

import hashlib
import re
import unicodedata

MAX_SLUG_LENGTH = 60
_PLAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_OTHER = re.compile(r"[^A-Za-z0-9._-]+")


def slug(text: str) -> str:
    """A readable word of at most 60 ASCII letters, digits, dots, dashes and underscores, each blank a dash.

    A text that loses more than blanks ends in ``~`` and 8 hex digits of its SHA-256, so that what is told apart in the
    text is told apart in the slug. ``~`` stands in no other slug.
    """
    words = "-".join(text.split())
    if len(words) <= MAX_SLUG_LENGTH and _PLAIN.fullmatch(words):
        return words
    ascii_text = unicodedata.normalize("NFKD", words).encode("ascii", "ignore").decode()
    kept = _OTHER.sub("-", ascii_text).strip("._-")[: MAX_SLUG_LENGTH - 9]
    return f"{kept}~{digest(words)}"


def reading(text: str) -> str:
    """Equal for texts whose slugs a file system may not tell apart: "sunset sky", "Sunset-Sky"."""
    return slug(text).casefold()


def digest(text: str) -> str:
    """8 hex digits of a text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]
