"""A checkpoint in memory: loaded from its folder alone, never from the Hub, or refused in words.
Knows nothing about batches, prompts or pictures.
"""

# diffusers and transformers leave many of their functions untyped.
# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from inference.catalog.entry import Family as FamilyName
from inference.catalog.sources import CheckpointMissingError, CheckpointSource, FileStamp, stamp
from inference.engine import tiny
from inference.engine.families import sd, sdxl
from inference.engine.families.family import CheckpointFiles, Family
from inference.engine.interface import CorruptCheckpointError

FAMILIES: Mapping[FamilyName, Family] = {"sd": sd.FAMILY, "sdxl": sdxl.FAMILY}


@dataclass(frozen=True, eq=False)
class LoadedCheckpoint:
    """A checkpoint's pipelines on the device, all on one set of weights; text2img is None for inpainting U-Nets."""

    source: CheckpointSource
    stamp: tuple[FileStamp, ...]
    family: Family
    text2img: Any | None
    inpaint: Any
    scheduler_config: Mapping[str, Any]

    def is_current(self, source: CheckpointSource) -> bool:
        """Whether this is that source, its files untouched since they were read."""
        return self.source == source and self.stamp == _stamp(source)


def load(source: CheckpointSource, *, device: torch.device) -> LoadedCheckpoint:
    """Read a checkpoint and put it on the device, in float32 on a CPU, float16 on a GPU (the VAE in float32).

    The starter's tiny stand-in is made first where it is missing. Raises CorruptCheckpointError.
    """
    _be_quiet()
    if source.is_built_on_first_load and not source.folder.exists():
        tiny.build_sd(source.folder)
    family = FAMILIES[source.family]
    files = CheckpointFiles(
        folder=source.folder,
        in_channels=source.in_channels,
        dtype=torch.float32 if device.type == "cpu" else torch.float16,
    )
    # Taken before the files are read: what changes while they are read is then noticed by the next batch.
    before = _stamp(source)
    if before is None:
        raise CorruptCheckpointError(f"The checkpoint in {source.folder} is gone. Copy the folder again.")
    pipeline = _read(family, files)
    pipeline.to(device)
    pipeline.set_progress_bar_config(disable=True)
    inpaint = family.inpainting(pipeline)
    inpaint.set_progress_bar_config(disable=True)
    return LoadedCheckpoint(
        source=source,
        stamp=before,
        family=family,
        text2img=None if source.in_channels == 9 else pipeline,
        inpaint=inpaint,
        scheduler_config=dict(pipeline.scheduler.config),
    )


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
        raise CorruptCheckpointError(
            f"The checkpoint in {files.folder} cannot be loaded: {reason}. Copy the folder again."
        ) from error
    for name, part in pipeline.components.items():
        if isinstance(part, torch.nn.Module):
            _refuse_unread_weights(part.eval(), name, files)
    return pipeline


def _refuse_unread_weights(part: torch.nn.Module, name: str, files: CheckpointFiles) -> None:
    for weight, values in part.named_parameters():
        # diffusers leaves a weight that no file held without any values.
        if values.is_meta:
            raise CorruptCheckpointError(f"{files.folder / name} lacks the weight {weight}. Copy the checkpoint again.")


def _be_quiet() -> None:
    """Progress bars and advice for notebooks have no place in a worker's log."""
    diffusers_logging.set_verbosity_error()
    diffusers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
