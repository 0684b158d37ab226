"""A goal, and what was measured. Knows nothing about how."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """One line of the report: what is to be reached, in words, and the figure of this run."""

    name: str
    goal: str
    figure: str
    is_reached: bool

    def __str__(self) -> str:
        return f"{self.name} · {self.goal} · {self.figure} · {'reached' if self.is_reached else 'NOT reached'}"
