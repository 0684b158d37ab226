"""The fixed-rate engine with a GPU's troubles: out of memory, far too slow, or never coming back, as ordered."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from billing import kill_points
from inference.catalog.sources import CheckpointSource
from inference.engine.batching import BatchKey
from inference.engine.fixed_rate import FixedRateEngine
from inference.engine.interface import NO_ADDONS, Addons, EngineInput, OutOfMemoryError_, Progress

if TYPE_CHECKING:
    from inference.engine.interface import Pixels

POINT = "engine"
SLOW_S = 20.0  # longer than a heartbeat's interval, so that leases have to be renewed


class TroubledEngine(FixedRateEngine):
    """Looks for an order before each batch: "oom", "slow" or "hang"."""

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
    ) -> "Iterator[tuple[int, Pixels]]":
        """One batch; see RenderEngine.run."""
        order = kill_points.take(POINT)
        if order == "oom":
            raise OutOfMemoryError_("The device had not enough memory for this batch.")
        if order == "hang":
            on_progress(Progress("encode", 0, 1))
            while True:
                time.sleep(60)
        if order == "slow":
            for second in range(int(SLOW_S)):
                on_progress(Progress("load", second, int(SLOW_S)))
                time.sleep(1)
        return super().run(
            key,
            inputs,
            source=source,
            addons=addons,
            batch_size=batch_size,
            on_progress=on_progress,
            should_stop=should_stop,
        )
