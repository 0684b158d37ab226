"""An engine that keeps a stated pace and draws a simple picture of seed and prompt: for benches, chaos and quick tests.
Knows nothing about torch: what surrounds an engine can be measured and tested without a neural network.
"""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from inference.catalog.sources import CheckpointSource
from inference.engine.batching import BatchKey
from inference.engine.interface import NO_ADDONS, Addons, EngineInput, Progress, Stopped, check_batch, has_preview

if TYPE_CHECKING:
    from inference.engine.interface import Pixels

# Tiles a side: large enough to be told apart at a glance, small enough to fill every part of a picture.
TILES = 8


class FixedRateEngine:
    """Renders images_per_s images a second in full batches; a padded batch takes as long as a full one, as on a GPU."""

    def __init__(self, *, images_per_s: float) -> None:
        if not images_per_s > 0:
            raise ValueError(f"images_per_s is {images_per_s}; give a number above 0.")
        self._images_per_s = images_per_s
        self._loaded: str | None = None

    @property
    def device_class(self) -> str:
        """Always "cpu": its bytes are the same everywhere."""
        return "cpu"

    @property
    def loaded(self) -> str | None:
        """The slug of the last batch's checkpoint, or None."""
        return self._loaded

    def versions(self) -> dict[str, str]:
        """Python, and that no library painted."""
        return {"engine": "fixed-rate", "python": platform.python_version()}

    def run(
        self,
        key: BatchKey,
        inputs: Sequence[EngineInput],
        *,
        source: CheckpointSource,
        addons: Addons = NO_ADDONS,
        batch_size: int,
        on_progress: Callable[[Progress], None],
        should_stop: Callable[[], bool],
    ) -> Iterator[tuple[int, Pixels]]:
        """One batch; see RenderEngine.run."""
        check_batch(key, inputs, source=source, addons=addons, batch_size=batch_size)
        return self._run(key, tuple(inputs), batch_size, on_progress, should_stop)

    def _run(
        self,
        key: BatchKey,
        inputs: tuple[EngineInput, ...],
        batch_size: int,
        on_progress: Callable[[Progress], None],
        should_stop: Callable[[], bool],
    ) -> Iterator[tuple[int, Pixels]]:
        started = time.monotonic()
        if self._loaded != key.checkpoint:
            on_progress(Progress("load", 0, 1))
            self._loaded = key.checkpoint
            on_progress(Progress("load", 1, 1))
        steps = key.denoising_steps
        on_progress(Progress("step", 0, steps))
        for step in range(1, steps + 1):
            if should_stop():
                raise Stopped(f"The batch was stopped before step {step} of {steps}.")
            # Towards the batch's own clock, so that what callbacks cost does not slow the pace.
            due = started + batch_size / self._images_per_s * step / steps
            time.sleep(max(0.0, due - time.monotonic()))
            previews = tuple(_sketch(key, each) for each in inputs) if has_preview(step, steps) else ()
            on_progress(Progress("step", step, steps, previews))
        for index, each in enumerate(inputs):
            on_progress(Progress("decode", index + 1, len(inputs)))
            yield index, _draw(key, each)


def _sketch(key: BatchKey, each: EngineInput) -> Pixels:
    """The picture at an eighth of its size."""
    small = replace(key, width=key.width // 8, height=key.height // 8)
    if each.image is None or each.mask_image is None:
        return _draw(small, each)
    thin = (slice(0, small.height * 8, 8), slice(0, small.width * 8, 8))
    return _draw(small, replace(each, image=each.image[thin], mask_image=each.mask_image[thin]))


def _draw(key: BatchKey, each: EngineInput) -> Pixels:
    """Tiles of color chosen by texts and seed, uint8 (H, W, 3), painted where mask_image is 255."""
    text = f"{each.prompt}\0{each.negative_prompt}\0{each.seed}".encode()
    colors = np.frombuffer(hashlib.shake_256(text).digest(TILES * TILES * 3), dtype=np.uint8).reshape(TILES, TILES, 3)
    rows = np.arange(key.height) * TILES // key.height
    columns = np.arange(key.width) * TILES // key.width
    picture: Pixels = colors[rows[:, None], columns[None, :]]
    if each.image is None or each.mask_image is None:
        return picture
    return np.where(each.mask_image[..., None] >= 128, picture, each.image)
