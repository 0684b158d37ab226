"""The words that LoRAs answer to, and how they join a prompt. Knows texts alone."""

from collections.abc import Iterable

from inference import styles


def words(text: str) -> list[str]:
    """The words of a list with commas between, each once, without blanks around them."""
    return list(dict.fromkeys(plain for part in text.split(",") if (plain := " ".join(part.split()))))


def join(prompt: str, lists: Iterable[str]) -> str:
    """A prompt with the words of these lists in front; those that it has are not said again.

    In front, because text encoders heed the most what comes first. An empty prompt stays empty.
    """
    missing: list[str] = []
    for text in lists:
        missing += [word for word in words(text) if not styles.stands_in(word, ", ".join([*missing, prompt]))]
    return ", ".join([*missing, prompt]) if prompt.strip() else prompt
