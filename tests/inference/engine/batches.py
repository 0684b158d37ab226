"""Keys, inputs and runs of batches as short as tests want them."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.catalog.sources import CheckpointSource
from inference.engine.batching import BatchKey
from inference.engine.interface import NO_ADDONS, Addons, EngineInput, Progress, RenderEngine
from inference.requests import RenderTask

if TYPE_CHECKING:
    from inference.engine.interface import Pixels

PROMPTS = ("a red cat", "marble kitchen, sunset sky", "a jar on sand", "")


def key_for(source: CheckpointSource, *, task: RenderTask = "inpaint", steps: int = 2, **changes: Any) -> BatchKey:
    """A key at the source's native size."""
    key = BatchKey(
        checkpoint=source.slug,
        task=task,
        width=source.native_size_px,
        height=source.native_size_px,
        num_inference_steps=steps,
        guidance_scale=5.0,
        strength=1.0,
        scheduler="DPM++ 2M Karras",
    )
    return dataclasses.replace(key, **changes)


def input_for(key: BatchKey, number: int) -> EngineInput:
    """Input of a number: its own seed and negative prompt, one of four prompts, one of two products."""
    rng = np.random.default_rng(number % 2)
    product = number % 2
    image = rng.integers(0, 256, (key.height, key.width, 3), dtype=np.uint8)
    mask_image = np.full((key.height, key.width), 255, dtype=np.uint8)
    mask_image[16 + 8 * product : 48, 16:48] = 0
    return EngineInput(
        prompt=PROMPTS[number % len(PROMPTS)],
        negative_prompt="blurry" if number % 3 else "",
        seed=number,
        image=image if key.task == "inpaint" else None,
        mask_image=mask_image if key.task == "inpaint" else None,
    )


def run(
    engine: RenderEngine,
    source: CheckpointSource,
    key: BatchKey,
    inputs: Sequence[EngineInput],
    *,
    addons: Addons = NO_ADDONS,
    batch_size: int = 4,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
    into: list[tuple[int, Pixels]] | None = None,
) -> list[Pixels]:
    """The pictures of a batch, of which none is missing; `into` gets (index, picture) as they come."""
    arrived: list[tuple[int, Pixels]] = [] if into is None else into
    for index, picture in engine.run(
        key,
        inputs,
        source=source,
        addons=addons,
        batch_size=batch_size,
        on_progress=on_progress,
        should_stop=should_stop,
    ):
        assert picture.shape == (key.height, key.width, 3)
        assert picture.dtype == np.uint8
        arrived.append((index, picture))
    assert [index for index, _ in arrived] == list(range(len(inputs)))
    return [picture for _, picture in arrived]


def sha256(picture: Pixels) -> str:
    return hashlib.sha256(picture.tobytes()).hexdigest()


def difference(one: Pixels, other: Pixels) -> float:
    """Mean difference in levels."""
    return float(np.abs(one.astype(int) - other.astype(int)).mean())
