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

Weights = dict[str, torch.Tensor]


class ResumeError(RuntimeError):
    """A training state is there although carrying it on was not asked."""


@dataclass(frozen=True)
class Slice:
    """How long to train now, how many samples in all, and where the state lies."""

    folder: Path
    minutes: float
    samples: int
    resume: bool
    save_every_s: float = 180.0


@dataclass
class Progress:
    """How far a training is: steps, samples and seconds of earlier slices, and the clock of this one."""

    step: int = 0
    samples: int = 0
    seconds: float = 0.0
    started: float = field(default_factory=time.monotonic)
    saved: float = field(default_factory=time.monotonic)
    recent: list[float] = field(default_factory=list)

    def advance(self, samples: int, value: float) -> None:
        """Count one step and remember its measure for the log."""
        self.step += 1
        self.samples += samples
        self.recent = [*self.recent[-199:], value]

    def elapsed(self) -> float:
        """Seconds of this slice."""
        return time.monotonic() - self.started

    def is_done(self, plan: Slice) -> bool:
        """Tell whether the slice's time or the training's samples are used up."""
        return self.elapsed() > plan.minutes * 60 or self.samples >= plan.samples

    def is_due(self, plan: Slice) -> bool:
        """Tell whether it is time to save; asks once, then the clock starts anew."""
        due = time.monotonic() - self.saved > plan.save_every_s or self.is_done(plan)
        if due:
            self.saved = time.monotonic()
        return due

    def mean(self) -> float:
        """The measure's mean over the last 200 steps."""
        return sum(self.recent) / len(self.recent)


class Trained:
    """Networks with their averaged weights and optimizer, saved and taken up as one file."""

    def __init__(self, name: str, parts: dict[str, torch.nn.Module], *, rate: float, average: float) -> None:
        self.name, self.parts, self.average = name, parts, average
        self.weights = [p for part in parts.values() for p in part.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.weights, lr=rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
        self.shadows = {key: shadow_of(part) for key, part in parts.items()}
        self.progress = Progress()

    def restore(self, plan: Slice) -> None:
        """Take up the saved state, if there is one; raises ResumeError where carrying on was not asked."""
        path = plan.folder / f"{self.name}.pt"
        if not path.exists():
            return
        if not plan.resume:
            raise ResumeError(f"{path} holds a training; add --resume to carry it on, or name another --work folder.")
        state = load_state(path)
        for key, part in self.parts.items():
            part.load_state_dict(state["model"][key])
            for name, value in state["shadows"][key].items():
                self.shadows[key][name].copy_(value)
        # Frozen or sealed weights leave the optimizer another shape or meaning; its moments then start anew.
        if state["optimizer"] and len(state["optimizer"]["param_groups"][0]["params"]) == len(self.weights):
            self.optimizer.load_state_dict(state["optimizer"])
        self.progress = Progress(state["step"], state["samples"], state["seconds"])

    def step(self, loss: torch.Tensor, *, rate: float) -> None:
        """Take one optimizer step and move the averages."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.optimizer.step()
        for key, part in self.parts.items():
            move_average(part, self.shadows[key], self.progress.step, limit=self.average)

    def save(self, plan: Slice) -> None:
        """Write the state."""
        state = {
            "model": {key: part.state_dict() for key, part in self.parts.items()},
            "shadows": self.shadows,
            "optimizer": self.optimizer.state_dict(),
            "step": self.progress.step,
            "samples": self.progress.samples,
            "seconds": self.progress.seconds + self.progress.elapsed(),
        }
        save_state(plan.folder / f"{self.name}.pt", state)

    def log(self, plan: Slice, **values: float) -> None:
        """Append a line to the training record and print it."""
        hours = (self.progress.seconds + self.progress.elapsed()) / 3600
        values = {"samples": self.progress.samples, **values, "hours": hours}
        line = json.dumps({key: round(value, 5) for key, value in values.items()})
        with (plan.folder / f"{self.name}.jsonl").open("a") as stream:
            stream.write(line + "\n")
        print(self.name, line, flush=True)


def cosine(samples: int, horizon: int, *, peak: float, warmup: int, floor: float = 0.05) -> float:
    """Return the learning rate after so many samples: linear warm-up, then half a cosine down to floor * peak."""
    if samples < warmup:
        return peak * (samples + 1) / warmup
    part = min(1.0, (samples - warmup) / max(1, horizon - warmup))
    return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * part)))


def move_average(module: torch.nn.Module, shadow: Weights, step: int, *, limit: float) -> None:
    """Move the shadow weights toward the module's; young averages forget faster."""
    decay = min(limit, (1 + step) / (10 + step))
    values = module.state_dict()
    names = [name for name in shadow if shadow[name].is_floating_point()]
    torch._foreach_lerp_([shadow[n] for n in names], [values[n] for n in names], 1 - decay)


def shadow_of(module: torch.nn.Module) -> Weights:
    """Copy the module's weights."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def load_state(path: Path) -> dict[str, Any]:
    """Read a saved state onto the CPU; raises FileNotFoundError."""
    return torch.load(path, map_location="cpu", weights_only=True)  # type: ignore[no-any-return]


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write the state so that a killed process never leaves half of one."""
    partial = path.with_name(path.name + ".partial")
    torch.save(state, partial)
    os.replace(partial, path)
