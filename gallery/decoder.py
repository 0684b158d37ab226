"""Keeps a decoding child process, gives it files, and starts another when one has been too much for it.
Knows processes and limits, nothing of images or of who sent them.
"""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from gallery.decode_child import Answer, Order, Use

START_TIMEOUT_S = 60
END_TIMEOUT_S = 2
# Neighbors may keep the machine busy: the clock only stops what hangs, processor time what works too long.
WALL_FACTOR = 3
_TIME_SIGNALS = (signal.SIGXCPU, signal.SIGALRM)


class DecoderError(RuntimeError):
    """The decoding process does not start. A fault of this machine, not of a file."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one file may cost."""

    max_pixels: int
    max_memory_bytes: int
    cpu_s: int
    min_side_px: int = 64

    @property
    def wall_s(self) -> int:
        return WALL_FACTOR * self.cpu_s


class Decoder:
    """A context in which one thread has files decoded, one by one, in a child process."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def decode(self, data: bytes, *, target: Path, use: Use) -> Answer:
        """Have a file's bytes decoded into a PNG at the target.

        A file that kills its child, hangs it or takes too much gets a refusal; the next one gets a new child.

        :raises DecoderError: the child does not start.
        """
        child = self._running()
        order = Order(
            size_bytes=len(data),
            target=str(target),
            use=use,
            min_side_px=self.limits.min_side_px if use == "photo" else 1,
            max_pixels=self.limits.max_pixels,
            cpu_s=self.limits.cpu_s,
            # The child's own alarm is for the case that this process is gone.
            wall_s=self.limits.wall_s + 5,
        )
        message = json.dumps(dataclasses.asdict(order)).encode() + b"\n" + data
        with _Deadline(child, self.limits.wall_s) as deadline:
            line = _asked(child, message)
        if line.endswith(b"\n"):
            return _answer(line)
        status = self._end()
        target.unlink(missing_ok=True)
        return Answer(refusal=self._reason(is_too_slow=deadline.has_passed or -status in _TIME_SIGNALS))

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._child.poll() is None:
            return self._child
        self._end()
        self._child = subprocess.Popen(  # noqa: S603 (our own module, by our own interpreter)
            [sys.executable, "-m", "gallery.decode_child", str(os.getpid()), str(self.limits.max_memory_bytes)],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        with _Deadline(self._child, START_TIMEOUT_S):
            line = _pipe(self._child.stdout).readline()
        if line != b"ready\n":
            self._end()
            raise DecoderError(
                "The image decoder does not start. Check that Pillow and pillow-heif are installed, and that"
                f" STUDIO_DECODE_MAX_MEMORY_BYTES ({self.limits.max_memory_bytes:,}) is at least 500,000,000."
            )
        return self._child

    def _reason(self, *, is_too_slow: bool) -> str:
        if is_too_slow:
            return (
                f"takes longer than {self.limits.cpu_s} s to decode. Scale it down, save it in another format,"
                " or raise STUDIO_DECODE_TIMEOUT_S."
            )
        return "stops the image decoder. Save it again from its original, or in another format."

    def _end(self) -> int:
        """End the child, if there is one; its exit status, negative for the signal that ended it."""
        child, self._child = self._child, None
        if child is None:
            return 0
        with contextlib.suppress(BrokenPipeError):
            _pipe(child.stdin).close()
        # Without orders it ends by itself; one that is ending already tells by its status why.
        try:
            status = child.wait(timeout=END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            status = child.wait()
        _pipe(child.stdout).close()
        return status


class _Deadline:
    """Kills a child that is still at work when the time is over."""

    def __init__(self, child: subprocess.Popen[bytes], timeout_s: float) -> None:
        self.has_passed = False
        self._child = child
        self._timer = threading.Timer(timeout_s, self._kill)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()

    def _kill(self) -> None:
        self.has_passed = True
        self._child.kill()


def _answer(line: bytes) -> Answer:
    answer = Answer(**json.loads(line))
    return dataclasses.replace(answer, dark_box=tuple(answer.dark_box))


def _asked(child: subprocess.Popen[bytes], message: bytes) -> bytes:
    """The child's answer; cut short or empty when it ended."""
    try:
        _pipe(child.stdin).write(message)
        _pipe(child.stdin).flush()
    except BrokenPipeError:
        return b""
    return _pipe(child.stdout).readline()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise DecoderError("The image decoder was started without its pipes.")
    return pipe
