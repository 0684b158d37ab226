"""Wrong clocks: one time for all processes of a machine, which jumps, or one for each host."""

import mmap
import struct
from datetime import datetime, timedelta, tzinfo

from billing import clock

JUMP_S = 600.0


class SharedOffset:
    """Seconds that every process forked after this adds to its clock; whoever sets it sets it for all."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8)
        self.set(0.0)

    def set(self, seconds: float) -> None:
        """Let the clock jump."""
        self._memory[:8] = struct.pack("d", seconds)

    def get(self) -> float:
        """How far it is off, in seconds."""
        (seconds,) = struct.unpack("d", self._memory[:8])
        return float(seconds)


def install(offset: SharedOffset, *, own_seconds: float = 0.0) -> None:
    """Give this process's clock the shared offset, and one of its own."""

    class Wrong(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(seconds=offset.get() + own_seconds)

    clock.datetime = Wrong  # type: ignore[attr-defined]
