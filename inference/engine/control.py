"""A ControlNet beside a denoiser: what it makes of a map of edges or depth is added inside the denoiser, at every step.
Knows nothing about where maps come from; a family says how its denoiser takes it.

Added by a hook, so that one way serves text-to-image, image-to-image and inpainting, each with diffusers' own pipeline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from inference.engine.batching import ControlKey

# (the denoiser's arguments, as given by name; how strongly) to the arguments that the ControlNet adds.
Residuals = Callable[[tuple[Any, ...], Mapping[str, Any], float], Mapping[str, Any]]


@contextmanager
def steered(denoiser: torch.nn.Module, control: ControlKey, *, steps: int, residuals: Residuals) -> Iterator[None]:
    """Have the denoiser's calls, one a step, follow a control in its share of the steps."""
    step = 0

    def add(_module: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        nonlocal step
        # As diffusers' ControlNet pipelines decide it.
        acts = not (step / steps < control.start or (step + 1) / steps > control.end)
        step += 1
        return arguments, {**named, **residuals(arguments, named, control.scale)} if acts else named

    hook = denoiser.register_forward_pre_hook(add, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()
