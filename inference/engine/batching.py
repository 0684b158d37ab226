"""What images must have in common to share one forward pass, and the checks of such a batch.
Knows nothing about torch, devices or queues.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from inference.requests import ImageRequest, RenderTask, Size, model_size, tiles_of


@dataclass(frozen=True, kw_only=True)
class LoraKey:
    """A LoRA by its file's storage key, which names its content, and its weight."""

    file: str
    weight: float


@dataclass(frozen=True, kw_only=True)
class ControlKey:
    """How a picture's edges or depth are followed: which ControlNet, how strongly, in which share of the steps."""

    kind: str
    scale: float
    start: float
    end: float


@dataclass(frozen=True, kw_only=True)
class BatchKey:
    """Everything that must be equal to share a forward pass; width and height are the model's own size in pixels.

    `look_scale` is how strongly the look of a reference picture is taken up (IP-Adapter), None without one.
    """

    checkpoint: str
    task: RenderTask
    width: int
    height: int
    num_inference_steps: int
    guidance_scale: float
    strength: float
    scheduler: str
    clip_skip: int = 0
    loras: tuple[LoraKey, ...] = ()
    control: ControlKey | None = None
    look_scale: float | None = None

    @property
    def denoising_steps(self) -> int:
        """How many steps really run: strength below 1 skips the first ones (diffusers' inpainting pipelines)."""
        return min(int(self.num_inference_steps * self.strength), self.num_inference_steps)

    def digest(self) -> str:
        """SHA-256 (hex) of the key's canonical JSON: equal for equal keys, on every machine."""
        return self._digest

    @functools.cached_property
    def _digest(self) -> str:
        canonical = json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def batch_key(request: ImageRequest, sizes: Sequence[Size]) -> BatchKey:
    """The key of a request, at that of the model's (width, height) sizes whose aspect is nearest to what is painted.

    A picture that is made larger is painted in tiles, each as any picture is begun from: their size is the one that
    covers it in the fewest.
    """
    across, down = request.painted_size
    is_tiled = request.task == "upscale"
    width, height = tiles_of(request, sizes).tile if is_tiled else model_size(sizes, width=across, height=down)
    return _shared_key(
        checkpoint=request.checkpoint,
        task="img2img" if is_tiled else request.task,
        width=width,
        height=height,
        num_inference_steps=request.num_inference_steps,
        guidance_scale=request.guidance_scale,
        strength=1.0 if request.task == "text2img" else request.strength,
        scheduler=request.scheduler,
        clip_skip=request.clip_skip,
        loras=_lora_keys(request),
        control=_control_key(request),
        look_scale=request.look.scale if request.look and request.look.scale else None,
    )


# A launch asks for thousands of images that have a handful of keys.
_shared_key = functools.lru_cache(maxsize=256)(BatchKey)


def _lora_keys(request: ImageRequest) -> tuple[LoraKey, ...]:
    # A weight of 0 does nothing; in one order, because adapters add up in any.
    used = sorted((each for each in request.loras if each.weight), key=lambda each: (each.file, each.weight))
    return tuple(LoraKey(file=each.file, weight=each.weight) for each in used)


def _control_key(request: ImageRequest) -> ControlKey | None:
    control = request.control
    if control is None or not control.scale:
        return None
    return ControlKey(kind=control.kind, scale=control.scale, start=control.start, end=control.end)
