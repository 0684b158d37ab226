"""What images must have in common to share one forward pass, and the checks of such a batch.
Knows nothing about torch, devices or queues.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from inference.requests import ImageRequest, RenderTask, Size, model_size


@dataclass(frozen=True, kw_only=True)
class BatchKey:
    """Everything that must be equal to share a forward pass; width and height are the model's own size in pixels."""

    checkpoint: str
    task: RenderTask
    width: int
    height: int
    num_inference_steps: int
    guidance_scale: float
    strength: float
    scheduler: str

    @property
    def denoising_steps(self) -> int:
        """How many steps really run: strength below 1 skips the first ones (diffusers' inpainting pipelines)."""
        return min(int(self.num_inference_steps * self.strength), self.num_inference_steps)

    def digest(self) -> str:
        """SHA-256 (hex) of the key's canonical JSON: equal for equal keys, on every machine."""
        canonical = json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def batch_key(request: ImageRequest, sizes: Sequence[Size]) -> BatchKey:
    """The key of a request, at that of the model's (width, height) sizes whose aspect is nearest to the delivery's."""
    width, height = model_size(sizes, width=request.width, height=request.height)
    return BatchKey(
        checkpoint=request.checkpoint,
        task=request.task,
        width=width,
        height=height,
        num_inference_steps=request.num_inference_steps,
        guidance_scale=request.guidance_scale,
        strength=request.strength if request.task == "inpaint" else 1.0,
        scheduler=request.scheduler,
    )
