"""Renders batches with diffusers: load, encode, one padded denoising pass, decode picture by picture.
Knows neither Django nor who is asking; one engine per process, because it sets the process's device and threads.
"""

from __future__ import annotations

import gc
import os
import platform
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from itertools import count
from typing import TYPE_CHECKING, Self

# The libraries read these when they are loaded, so they stand before them.
# What is not in a checkpoint's folder is missing: no library may ask the Hub for it.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Without it cuBLAS's sums may differ from run to run (PyTorch, "Reproducibility").
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
# OpenMP's threads wait asleep, not spinning: beside a web server on the same two cores, spinning took up to nine times
# the CPU time for the same batch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

from inference.catalog.sources import CheckpointSource
from inference.engine import checkpoint as checkpoints
from inference.engine.batching import BatchKey
from inference.engine.checkpoint import LoadedCheckpoint
from inference.engine.conditioning import Conditioning, Texts, decode
from inference.engine.counters import Counters
from inference.engine.denoise import denoise, encode, pad, read_texts, steering
from inference.engine.interface import (
    NO_ADDONS,
    Addons,
    EngineInput,
    NotFiniteError,
    OutOfMemoryError_,
    Progress,
    Stopped,
    check_batch,
)
from inference.engine.preview import Preview

if TYPE_CHECKING:
    from inference.engine.interface import Pixels

OnProgress = Callable[[Progress], None]
ShouldStop = Callable[[], bool]

# Threads change the bytes on a CPU: with one thread or two they differ, and with more a picture depends on its place in
# the batch as well, because element-wise kernels split a tensor in uneven parts whose ends they compute in another way
# (measured with torch 2.13 on SiLU with three and four threads). So the number is fixed, whatever the machine has; a
# machine with more cores runs more workers.
CPU_THREADS = 2
# What paints, and what makes masks, maps and frames of the pictures that it is given.
LIBRARIES = ("torch", "diffusers", "transformers", "numpy", "pillow", "opencv-python-headless")


@dataclass(frozen=True, kw_only=True, eq=False)
class _Batch:
    """What `run` was asked for, checked."""

    key: BatchKey
    inputs: tuple[EngineInput, ...]
    addons: Addons
    batch_size: int
    on_progress: OnProgress
    should_stop: ShouldStop

    def of(self, indexes: Sequence[int]) -> Self:
        """The same of some of its inputs."""
        return replace(self, inputs=tuple(self.inputs[index] for index in indexes))


class Engine:
    """A device and the one checkpoint that is loaded on it. See RenderEngine for what each method promises."""

    def __init__(self, *, device: str | None = None, threads: int | None = None) -> None:
        """Set up the process: device is torch's name ("cpu", "cuda:1"), by default a GPU where there is one.

        threads is torch's for all of the process, by default 2 on a CPU; ValueError for more than 2 there.
        """
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        on_cpu = self._device.type == "cpu"
        if on_cpu and threads is not None and not 1 <= threads <= CPU_THREADS:
            raise ValueError(
                f"{threads} threads would make pictures depend on their neighbors; give 1 or {CPU_THREADS}."
            )
        self._threads = threads or (CPU_THREADS if on_cpu else torch.get_num_threads())
        self._checkpoint: LoadedCheckpoint | None = None
        self._conditioning: Conditioning | None = None
        self._preview: Preview | None = None
        self._counters = Counters()
        torch.set_num_threads(self._threads)
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Filling fresh memory is for finding bugs in operators; it costs time on every tensor.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark = False

    @property
    def device_class(self) -> str:
        """ "cpu", or "cuda-sm90" and the like by compute capability."""
        if self._device.type != "cuda":
            return self._device.type
        major, minor = torch.cuda.get_device_capability(self._device)
        return f"cuda-sm{major}{minor}"

    @property
    def loaded(self) -> str | None:
        """The slug of the checkpoint in memory, or None."""
        return None if self._checkpoint is None else self._checkpoint.source.slug

    @property
    def counters(self) -> Counters:
        """What it has done so far: a copy."""
        return replace(self._counters)

    def versions(self) -> dict[str, str]:
        """Libraries, and on a CPU its instruction set and the threads: what may change the bytes of a recipe."""
        libraries = {name: version(name) for name in LIBRARIES}
        found = {**libraries, "python": platform.python_version()}
        if self._device.type == "cpu":
            found |= {"cpu": torch.backends.cpu.get_cpu_capability(), "threads": str(self._threads)}
        return found

    def run(
        self,
        key: BatchKey,
        inputs: Sequence[EngineInput],
        *,
        source: CheckpointSource,
        addons: Addons = NO_ADDONS,
        batch_size: int,
        on_progress: OnProgress,
        should_stop: ShouldStop,
    ) -> Iterator[tuple[int, Pixels]]:
        """One batch; see RenderEngine.run."""
        check_batch(key, inputs, source=source, addons=addons, batch_size=batch_size)
        batch = _Batch(
            key=key,
            inputs=tuple(inputs),
            addons=addons,
            batch_size=batch_size,
            on_progress=on_progress,
            should_stop=should_stop,
        )
        return self._run(batch, source)

    def _run(self, batch: _Batch, source: CheckpointSource) -> Iterator[tuple[int, Pixels]]:
        if batch.should_stop():
            raise Stopped("The batch was stopped before it began.")
        # No mode is held across a yield: it would leak into the caller's own code.
        with torch.inference_mode(), self._memory_faults(batch):
            checkpoint, conditioning, preview = self._load(source, batch.on_progress)
            conditioning.use_loras(batch.key.loras, batch.addons.loras)
            texts = read_texts(batch.key, batch.inputs, conditioning, batch.on_progress)
        broken: list[int] = []
        decoded = 0
        groups = _equally_long(texts)
        for number, group in enumerate(groups):
            paint = partial(_paint, checkpoint=checkpoint, conditioning=conditioning)
            part = replace(batch.of(group), on_progress=partial(_report_pass, batch.on_progress, number, len(groups)))
            of_group = [texts[index] for index in group]
            # What is shown belongs to all inputs: where they are painted in several passes, nothing is.
            previews = partial(preview.pictures, first=len(group)) if len(groups) == 1 else _no_previews
            with torch.inference_mode(), self._memory_faults(batch, partial(_try_step, paint, part, of_group)):
                self._counters.passes += 1
                latents = paint(part, of_group, previews=previews)
            batch.on_progress(Progress("decode", decoded, len(batch.inputs)))
            for index, each in zip(group, latents, strict=False):  # the padding is not decoded
                with torch.inference_mode(), self._memory_faults(batch):
                    picture = decode(checkpoint.own.vae, each)
                decoded += 1
                self._counters.decoded += 1
                batch.on_progress(Progress("decode", decoded, len(batch.inputs)))
                if picture is None:
                    broken.append(index)
                else:
                    yield index, picture
        yield from self._again(batch, broken, checkpoint)

    def _again(
        self, batch: _Batch, broken: Sequence[int], checkpoint: LoadedCheckpoint
    ) -> Iterator[tuple[int, Pixels]]:
        """Images that came out as no numbers, each once more by itself in float32 where that is more precise.

        Raises NotFiniteError after them for those that stay so.
        """
        lost: list[int] = []
        for index in broken:
            picture = self._in_float32(batch.of([index]), checkpoint) if checkpoint.is_half else None
            if picture is None:
                lost.append(index)
            else:
                yield index, picture
        if lost:
            raise NotFiniteError(
                f"{len(lost)} of {len(batch.inputs)} images came out as no numbers (NaN). Try another seed, a lower "
                "guidance scale or another scheduler.",
                tuple(lost),
            )

    def _in_float32(self, one: _Batch, checkpoint: LoadedCheckpoint) -> Pixels | None:
        """The picture of a batch of one, None where it is not finite or float32 does not fit into memory."""
        # Alone: so its bytes do not depend on its neighbors, and twice the memory for each image is there.
        alone = replace(one, batch_size=1, on_progress=lambda _: None)
        try:
            with torch.inference_mode(), checkpoint.in_float32():
                # What is kept of texts and pictures was made in half precision.
                conditioning = Conditioning(checkpoint, self._counters)
                texts = read_texts(alone.key, alone.inputs, conditioning, alone.on_progress)
                self._counters.passes += 1
                latents = _paint(alone, texts, checkpoint=checkpoint, conditioning=conditioning, previews=_no_previews)
                return decode(checkpoint.own.vae, latents[0])
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
        self._release_memory()
        return None

    def _load(
        self, source: CheckpointSource, on_progress: OnProgress
    ) -> tuple[LoadedCheckpoint, Conditioning, Preview]:
        """The source's checkpoint, loaded unless it is already; one is held at a time."""
        if (
            self._checkpoint is None
            or self._conditioning is None
            or self._preview is None
            or not self._checkpoint.is_current(source)
        ):
            on_progress(Progress("load", 0, 1))
            self._unload()
            self._checkpoint = checkpoints.load(source, device=self._device)
            self._counters.checkpoint_loads += 1
            self._conditioning = Conditioning(self._checkpoint, self._counters)
            self._preview = Preview(self._checkpoint.own.vae)
            on_progress(Progress("load", 1, 1))
        return self._checkpoint, self._conditioning, self._preview

    def _unload(self) -> None:
        self._checkpoint = self._conditioning = self._preview = None
        self._release_memory()

    def _release_memory(self) -> None:
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    @contextmanager
    def _memory_faults(self, batch: _Batch, try_size: Callable[[int], None] | None = None) -> Iterator[None]:
        """Tell a lack of memory in words; try_size runs a little of the work at a smaller size, to find what fits."""
        try:
            yield
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            # The frames that failed hold what filled the memory.
            traceback.clear_frames(error.__traceback__)
            self._release_memory()
            fits = None if try_size is None else self._fits(try_size, batch.batch_size)
            raise OutOfMemoryError_(_out_of_memory(batch, fits), fits) from error

    def _fits(self, try_size: Callable[[int], None], size: int) -> int | None:
        """The largest of the halved sizes that the device has memory for, 0 for none; None on a CPU."""
        if not self._owns_memory:
            return None
        while size := size // 2:
            try:
                try_size(size)
            except (MemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
                    raise
                traceback.clear_frames(error.__traceback__)
            else:
                return size
            finally:
                self._release_memory()
        return 0

    @property
    def _owns_memory(self) -> bool:
        return self._device.type != "cpu"


def _paint(
    batch: _Batch,
    texts: Sequence[Texts],
    *,
    checkpoint: LoadedCheckpoint,
    conditioning: Conditioning,
    previews: Callable[[torch.Tensor], tuple[Pixels, ...]],
) -> torch.Tensor:
    """One padded pass over a batch's inputs and their texts, all of one length: its latents."""
    padded = pad(batch.inputs, batch.batch_size)
    return denoise(
        batch.key,
        padded,
        checkpoint,
        encode(batch.key, padded, pad(texts, batch.batch_size), checkpoint, conditioning),
        steering=steering(batch.key, padded, checkpoint, conditioning, batch.addons),
        preview=previews,
        on_progress=batch.on_progress,
        should_stop=batch.should_stop,
    )


def _try_step(paint: Callable[..., torch.Tensor], batch: _Batch, texts: Sequence[Texts], size: int) -> None:
    """The first step of a pass at another size."""
    asked = count()
    smaller = replace(
        batch.of(range(len(batch.inputs))[:size]),
        batch_size=size,
        on_progress=lambda _: None,
        # Before the first step, and then after it.
        should_stop=lambda: next(asked) > 0,
    )
    with suppress(Stopped):
        paint(smaller, texts[:size], previews=_no_previews)


def _no_previews(_latents: torch.Tensor) -> tuple[Pixels, ...]:
    return ()


def _out_of_memory(batch: _Batch, fits: int | None) -> str:
    size = f"{batch.key.width} x {batch.key.height}"
    told = f"The device ran out of memory with {batch.batch_size} images of {size} at once."
    if fits is None:
        return f"{told} Lower the batch size of this device class, or use a device with more memory."
    if not fits:
        return f"{told} Not even one fits: take a smaller size, or use a device with more memory."
    return f"{told} It has memory for {fits}: lower the batch size of this device class to that."


def _equally_long(texts: Sequence[Texts]) -> list[list[int]]:
    """The inputs' indexes, those together whose texts have one length: a pass takes no others."""
    groups: dict[int, list[int]] = {}
    for index, each in enumerate(texts):
        groups.setdefault(each.length, []).append(index)
    return list(groups.values())


def _report_pass(on_progress: OnProgress, number: int, passes: int, progress: Progress) -> None:
    """Report the steps of one of several passes as steps of them all."""
    on_progress(replace(progress, step=number * progress.steps + progress.step, steps=passes * progress.steps))


def _is_out_of_memory(error: Exception) -> bool:
    # On a CPU, torch raises a plain RuntimeError of its allocator.
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error)
