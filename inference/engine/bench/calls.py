"""How often a denoiser is called for a batch, counted by torch itself. Knows nothing of how a family calls it."""

# diffusers leaves many of its functions untyped.
# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers import FluxTransformer2DModel, UNet2DConditionModel

from inference.catalog.sources import read_source
from inference.engine.batching import BatchKey
from inference.engine.bench.determinism import BUILD, NATIVE_PX
from inference.engine.bench.goal import Goal
from inference.engine.engine import Engine
from inference.engine.interface import EngineInput

DENOISERS = (UNet2DConditionModel, FluxTransformer2DModel)
BATCH_SIZE = 4
IMAGES = 3
STEPS = 5


def goals(folder: Path) -> list[Goal]:
    """Whether a batch costs one call a step in every family, guidance and padding included."""
    found = {family: _calls(folder, family) for family in BUILD}
    what = ", ".join(f"{family} {calls}" for family, calls in found.items())
    return [
        Goal(
            f"calls of the denoiser for {IMAGES} images in a batch of {BATCH_SIZE}, {STEPS} steps",
            f"{STEPS}: one a step",
            what,
            set(found.values()) == {STEPS},
        )
    ]


@contextmanager
def counted() -> Iterator[list[str]]:
    """A list that grows by the class's name at each call of a denoiser while it is entered."""
    seen: list[str] = []

    def count(module: torch.nn.Module, _arguments: Any) -> None:
        if isinstance(module, DENOISERS):
            seen.append(type(module).__name__)

    hook = torch.nn.modules.module.register_module_forward_pre_hook(count)
    try:
        yield seen
    finally:
        hook.remove()


def _calls(folder: Path, family: str) -> int:
    BUILD[family](folder / family, native_size_px=NATIVE_PX)
    source = read_source(folder / family, slug=family)
    key = BatchKey(
        checkpoint=family,
        task="text2img",
        width=NATIVE_PX,
        height=NATIVE_PX,
        num_inference_steps=STEPS,
        guidance_scale=5.0,
        strength=1.0,
        scheduler="Euler",
    )
    inputs = [EngineInput(prompt=f"on marble {seed}", negative_prompt="", seed=seed) for seed in range(IMAGES)]
    engine = Engine(device="cpu")
    with counted() as seen:
        pictures = engine.run(
            key,
            inputs,
            source=source,
            batch_size=BATCH_SIZE,
            on_progress=lambda _: None,
            should_stop=lambda: False,
        )
        if len(list(pictures)) != IMAGES:
            raise RuntimeError("The engine left images out.")
    return len(seen)
