"""Prompt weights as people write them: (words:1.3), (words), [words], nested, with escapes.
Knows text alone: nothing about tokens or encoders.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

# What (words) and [words] stand for, as in AUTOMATIC1111's interface, whose prompts people paste.
STRONGER = 1.1
WEAKER = 1 / 1.1
LIMIT = 10.0
_MARK = re.compile(r"\\[()\[\]\\]|:\s*[+-]?(?:\d+\.?\d*|\.\d+)\s*\)|[()\[\]]|[^\\()\[\]:]+|.", re.DOTALL)


@dataclass(frozen=True)
class Fragment:
    """Words that have one weight; 1 is as they stand, 0 as if they were not there."""

    text: str
    weight: float


def parse(prompt: str) -> tuple[Fragment, ...]:
    """The prompt in order, neighbors of equal weight joined; an empty prompt is one empty fragment.

    Brackets without a partner are plain characters: a prompt is never refused for its punctuation. Weights multiply
    where brackets are nested, and end at 10 either way.
    """
    pieces: list[Fragment] = []
    open_at: list[tuple[str, int]] = []
    for mark in _MARK.findall(prompt):
        if mark in "([":
            open_at.append((mark, len(pieces)))
            pieces.append(Fragment(mark, 1.0))
        elif (factor := _factor(mark)) is not None and open_at and open_at[-1][0] == ("[" if mark == "]" else "("):
            _, start = open_at.pop()
            pieces[start:] = [Fragment(each.text, each.weight * factor) for each in pieces[start + 1 :]]
        else:
            pieces.append(Fragment(mark[1:] if len(mark) == 2 and mark[0] == "\\" else mark, 1.0))
    return _joined(pieces)


def plain(prompt: str) -> str:
    """The prompt's words without weights and escapes."""
    return "".join(each.text for each in parse(prompt))


def _factor(mark: str) -> float | None:
    """What a closing mark multiplies by; None for any other mark."""
    if mark == "]":
        return WEAKER
    if mark == ")":
        return STRONGER
    return float(mark[1:-1]) if mark[0] == ":" and mark[-1] == ")" and len(mark) > 2 else None


def _joined(pieces: list[Fragment]) -> tuple[Fragment, ...]:
    joined: list[Fragment] = []
    for each in pieces:
        weight = max(-LIMIT, min(LIMIT, each.weight))
        if joined and math.isclose(joined[-1].weight, weight):
            joined[-1] = Fragment(joined[-1].text + each.text, joined[-1].weight)
        elif each.text:
            joined.append(Fragment(each.text, weight))
    return tuple(joined) or (Fragment("", 1.0),)
