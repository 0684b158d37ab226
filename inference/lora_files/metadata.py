"""What a LoRA's trainer noted in the file: the words that it answers to. Hints only: people write here what they like.
Knows the notes of Kohya's trainer and of the model specification (modelspec), not whether they are true.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

MAX_LENGTH: Final = 200
MAX_WORDS: Final = 5
SAID: Final = ("modelspec.trigger_phrase", "trigger_words", "trigger_word", "ss_trigger_words")
# A word that stands under so many of the pictures is what they have in common.
SHARE: Final = 0.9


def trigger_words(metadata: Mapping[str, str]) -> str:
    """The words that call the LoRA up, with commas between them; empty where nothing tells.

    Where nobody said them, they are the tags that stand under nearly every picture that it was trained on.
    """
    for name in SAID:
        if said := _plain(metadata.get(name, "")):
            return _joined(said.split(","))
    counts: Counter[str] = Counter()
    for tags in _tables(_json(metadata.get("ss_tag_frequency", ""))):
        counts.update({tag.strip(): number for tag, number in tags.items() if _is_count(number)})
    images = sum(
        int(folder.get("img_count", 0))
        for folder in _tables(_json(metadata.get("ss_dataset_dirs", "")))
        if _is_count(folder.get("img_count"))
    )
    common = [tag for tag, number in counts.most_common(MAX_WORDS) if images and number >= SHARE * images]
    return _joined(common)


def _joined(words: Iterable[str]) -> str:
    kept = dict.fromkeys(plain for word in words if (plain := _plain(word)))
    text = ", ".join(list(kept)[:MAX_WORDS])
    return text if len(text) <= MAX_LENGTH else ""


def _plain(text: str) -> str:
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _tables(values: Any) -> Iterator[Mapping[str, Any]]:
    """The objects inside of an object, whatever else is in it."""
    if isinstance(values, dict):
        yield from (value for value in values.values() if isinstance(value, dict))


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 < value < 1_000_000_000
