"""A checkpoint in memory: loaded from its folder alone, never from the Hub, or refused in words.
Knows nothing about batches, prompts or pictures.
"""

# diffusers and transformers leave many of their functions untyped.
# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from inference.catalog.entry import Family as FamilyName
from inference.catalog.sources import CheckpointMissingError, CheckpointSource, FileStamp, stamp
from inference.engine import look, tiny
from inference.engine.families import flux, sd, sdxl
from inference.engine.families.family import CheckpointFiles, Family
from inference.engine.interface import CorruptCheckpointError
from inference.engine.look import LookAdapter
from inference.requests import RenderTask

FAMILIES: Mapping[FamilyName, Family] = {"sd": sd.FAMILY, "sdxl": sdxl.FAMILY, "flux": flux.FAMILY}
HALVES = (torch.float16, torch.bfloat16)


@dataclass(frozen=True, eq=False)
class LoadedCheckpoint:
    """A checkpoint on the device: its own pipeline, and those of other tasks on the same set of weights."""

    source: CheckpointSource
    stamp: tuple[FileStamp, ...]
    family: Family
    own: Any
    scheduler_config: Mapping[str, Any]
    _pipelines: dict[RenderTask, Any] = field(default_factory=dict)
    _controls: dict[Path, Any] = field(default_factory=dict)
    _looks: dict[Path, LookAdapter] = field(default_factory=dict)

    def is_current(self, source: CheckpointSource) -> bool:
        """Whether this is that source, its files untouched since they were read."""
        return self.source == source and self.stamp == _stamp(source)

    def task(self, asked: RenderTask) -> RenderTask:
        """How a task is done: one made for inpainting paints freely by painting over all of a picture."""
        return "inpaint" if self.source.is_inpainting else asked

    def pipeline(self, asked: RenderTask) -> Any:
        """The pipeline of a task."""
        task = self.task(asked)
        if task not in self._pipelines:
            pipeline = self.family.pipeline(self.own, task)
            pipeline.set_progress_bar_config(disable=True)
            self._pipelines[task] = pipeline
        return self._pipelines[task]

    def control(self, folder: Path) -> Any:
        """A ControlNet for it, on its device; the one used last stays.

        :raises CorruptCheckpointError: its folder cannot be loaded.
        """
        if folder not in self._controls:
            self._controls.clear()
            try:
                controlnet = self.family.load_control(folder, self.family.denoiser(self.own).dtype)
            # As with checkpoints: whatever error the reader of a damaged file has.
            except Exception as error:
                reason = str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
                raise CorruptCheckpointError(
                    f"The ControlNet in {folder} cannot be loaded: {reason}. Copy the folder again."
                ) from error
            self._controls[folder] = controlnet.eval()
        # A pass that is repeated in higher precision takes the ControlNet along.
        denoiser = self.family.denoiser(self.own)
        return self._controls[folder].to(denoiser.device, denoiser.dtype)

    def look(self, folder: Path) -> LookAdapter:
        """An IP-Adapter for its U-Net; the one used last stays.

        :raises IncompatibleAdapterError, CorruptCheckpointError: see `look.read`.
        """
        if folder not in self._looks:
            self._looks.clear()
            self._looks[folder] = look.read(folder, self.family.denoiser(self.own))
        denoiser = self.family.denoiser(self.own)
        self._looks[folder].to(denoiser.device, denoiser.dtype)
        return self._looks[folder]

    @property
    def is_half(self) -> bool:
        """Whether it computes in half precision, where large values become infinite."""
        return self.family.denoiser(self.own).dtype in HALVES

    @contextmanager
    def in_float32(self) -> Iterator[None]:
        """Let every part compute in float32 for a while; the weights are the same before, in it and after, to the bit.

        To be entered in inference mode, in which the weights were read.
        """
        parts = [part for part in self.own.components.values() if isinstance(part, torch.nn.Module)]
        tensors = chain.from_iterable(chain(part.parameters(), part.buffers()) for part in parts)
        halves = [(each, each.dtype) for each in tensors if each.dtype in HALVES]
        try:
            for each, _ in halves:
                each.data = each.data.to(torch.float32)
            yield
        finally:
            for each, dtype in halves:
                each.data = each.data.to(dtype)


def load(source: CheckpointSource, *, device: torch.device) -> LoadedCheckpoint:
    """Read a checkpoint and put it on the device, in float32 on a CPU, in its family's type on a GPU.

    The VAE is float32 everywhere. The starter's tiny stand-in is made first where it is missing.
    Raises CorruptCheckpointError.
    """
    be_quiet()
    if source.is_built_on_first_load and not source.folder.exists():
        tiny.build_sd(source.folder)
    family = FAMILIES[source.family]
    files = CheckpointFiles(
        folder=source.folder,
        is_inpainting=source.is_inpainting,
        dtype=_dtype(family, device),
        file=source.file,
    )
    # Taken before the files are read: what changes while they are read is then noticed by the next batch.
    before = _stamp(source)
    if before is None:
        raise CorruptCheckpointError(f"The checkpoint in {source.folder} is gone. Copy the folder again.")
    pipeline = _read(family, files)
    pipeline.to(device)
    return LoadedCheckpoint(
        source=source,
        stamp=before,
        family=family,
        own=pipeline,
        scheduler_config=dict(pipeline.scheduler.config),
    )


def _dtype(family: Family, device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "cpu" else family.gpu_dtype


def _stamp(source: CheckpointSource) -> tuple[FileStamp, ...] | None:
    try:
        return stamp(source)
    except CheckpointMissingError:
        return None


def _read(family: Family, files: CheckpointFiles) -> Any:
    try:
        pipeline = family.load(files)
    except (CorruptCheckpointError, MemoryError):
        raise
    # Damaged files surface as whatever error the reader of that file has: OSError, ValueError, RuntimeError, …
    except Exception as error:
        reason = str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
        what = "folder" if files.file is None else "file"
        raise CorruptCheckpointError(
            f"The checkpoint in {files.file or files.folder} cannot be loaded: {reason}. Copy the {what} again."
        ) from error
    for name, part in pipeline.components.items():
        if isinstance(part, torch.nn.Module):
            _refuse_unread_weights(part.eval(), name, files)
    return pipeline


def _refuse_unread_weights(part: torch.nn.Module, name: str, files: CheckpointFiles) -> None:
    for weight, values in part.named_parameters():
        # diffusers leaves a weight that no file held without any values.
        if values.is_meta:
            where = files.folder / name if files.file is None else f"{files.file} ({name})"
            raise CorruptCheckpointError(f"{where} lacks the weight {weight}. Copy the checkpoint again.")


def be_quiet() -> None:
    """Progress bars and advice for notebooks have no place in a worker's log."""
    diffusers_logging.set_verbosity_error()
    diffusers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
