"""What both trainings share: time slices, saved state, averaged weights, learning rate and the log.

Knows neither pictures nor prompts.
"""

import json
import math
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch


class ResumeError(RuntimeError):
    """A training state is there, or is not, against what was asked."""


@dataclass(frozen=True)
class Slice:
    """How long to train now, how many samples in all, and where the state lies."""

    folder: Path
    minutes: float
    samples: int
    resume: bool
    save_every_s: float = 240.0


@dataclass
class Progress:
    """What is saved and taken up again."""

    step: int = 0
    samples: int = 0
    seconds: float = 0.0
    started: float = field(default_factory=time.monotonic)

    def elapsed(self) -> float:
        """Seconds of this slice."""
        return time.monotonic() - self.started


def cosine(samples: int, horizon: int, *, peak: float, warmup: int = 4000, floor: float = 0.05) -> float:
    """Return the learning rate after so many samples: linear warm-up, then half a cosine down to floor * peak."""
    if samples < warmup:
        return peak * (samples + 1) / warmup
    part = min(1.0, (samples - warmup) / max(1, horizon - warmup))
    return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * part)))


def averaged(module: torch.nn.Module, shadow: dict[str, torch.Tensor], step: int, *, limit: float) -> None:
    """Move the shadow weights toward the module's; young averages forget faster."""
    decay = min(limit, (1 + step) / (10 + step))
    values = module.state_dict()
    names = [name for name in shadow if shadow[name].is_floating_point()]
    torch._foreach_lerp_([shadow[n] for n in names], [values[n] for n in names], 1 - decay)


def shadow_of(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Copy the module's weights."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def load_state(plan: Slice, name: str) -> dict[str, Any] | None:
    """Read the saved state; raises ResumeError where one is there and resume was not asked."""
    path = plan.folder / f"{name}.pt"
    if not path.exists():
        return None
    if not plan.resume:
        raise ResumeError(f"{path} holds a training; add --resume to carry it on, or name another --work folder.")
    return torch.load(path, map_location="cpu", weights_only=False)  # type: ignore[no-any-return]


def save_state(plan: Slice, name: str, state: dict[str, Any]) -> None:
    """Write the state so that a killed process never leaves half of one."""
    partial = plan.folder / f"{name}.pt.partial"
    torch.save(state, partial)
    os.replace(partial, plan.folder / f"{name}.pt")


def log(plan: Slice, name: str, **values: float) -> None:
    """Append a line to the training record and print it."""
    line = json.dumps({key: round(value, 5) for key, value in values.items()})
    with (plan.folder / f"{name}.jsonl").open("a") as stream:
        stream.write(line + "\n")
    print(name, line, flush=True)
