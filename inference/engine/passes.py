"""More inputs of one key than a batch takes, through an engine pass by pass, as if they were one batch.
Knows batches and progress; nothing of what the pictures are for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from inference.catalog.sources import CheckpointSource
from inference.engine.batching import BatchKey
from inference.engine.interface import NO_ADDONS, Addons, EngineInput, NotFiniteError, Progress, RenderEngine

if TYPE_CHECKING:
    from inference.engine.interface import Pixels


def run(
    engine: RenderEngine,
    key: BatchKey,
    inputs: Sequence[EngineInput],
    *,
    source: CheckpointSource,
    addons: Addons = NO_ADDONS,
    batch_size: int,
    on_progress: Callable[[Progress], None],
    should_stop: Callable[[], bool],
) -> Iterator[tuple[int, Pixels]]:
    """Every input's index and picture, in as many batches as it takes, each padded to batch_size.

    Steps are reported as steps of them all, and previews only where one batch takes all inputs.
    Raises what RenderEngine.run does; NotFiniteError after every batch, for all inputs concerned.
    """
    passes = range(0, len(inputs), batch_size)
    lost: list[NotFiniteError] = []
    for number, first in enumerate(passes):
        report = on_progress if len(passes) == 1 else partial(_report, on_progress, number, len(passes))
        pictures = engine.run(
            key,
            inputs[first : first + batch_size],
            source=source,
            addons=addons,
            batch_size=batch_size,
            on_progress=report,
            should_stop=should_stop,
        )
        try:
            for index, picture in pictures:
                yield first + index, picture
        except NotFiniteError as error:
            lost.append(NotFiniteError(str(error), tuple(first + index for index in error.indexes)))
    if lost:
        raise NotFiniteError(str(lost[0]), tuple(index for error in lost for index in error.indexes))


def _report(on_progress: Callable[[Progress], None], number: int, passes: int, progress: Progress) -> None:
    """Report a pass's own steps as steps of all passes; what comes before and after them as it is."""
    if progress.phase == "step":
        step, steps = number * progress.steps + progress.step, passes * progress.steps
        progress = replace(progress, step=step, steps=steps, previews=())
    on_progress(progress)
