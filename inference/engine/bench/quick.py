"""All goals of the engine that a CPU can show, one after another. Knows nothing of how any is measured."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from inference.engine.bench import calls, determinism, egress, lora_switch, planner
from inference.engine.bench.goal import Goal
from inference.engine.checkpoint import be_quiet

Measure = Callable[[Path], list[Goal]]

QUICK: Mapping[str, Measure] = {
    "calls": calls.goals,
    "egress": lambda _folder: egress.goals(),
    "determinism": determinism.goals,
    "lora-switch": lambda _folder: lora_switch.goals(),
    "planner": partial(planner.goals, every=10),
}
WHOLE: Mapping[str, Measure] = {
    **QUICK,
    "determinism": partial(determinism.goals, images=200, kills=5),
    "planner": partial(planner.goals, every=1),
}


def measured(*, is_quick: bool) -> Iterator[Goal]:
    """Each goal as soon as it is measured, on the CPU, in temporary folders of their own."""
    be_quiet()
    for measure in (QUICK if is_quick else WHOLE).values():
        with tempfile.TemporaryDirectory(prefix="bench") as scratch:
            yield from measure(Path(scratch))
