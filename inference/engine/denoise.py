"""One padded denoising pass: inputs to a diffusers pipeline's arguments, and its one call.
Knows nothing about devices, loading or decoding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from inference.engine.batching import BatchKey
from inference.engine.checkpoint import LoadedCheckpoint
from inference.engine.conditioning import Conditioning
from inference.engine.interface import EngineInput, Progress, Stopped, has_preview
from inference.engine.schedulers import scheduler

if TYPE_CHECKING:
    from inference.engine.interface import Pixels

# An inpainting U-Net takes text-to-image as: repaint all of a grey picture.
GREY = 128
REPAINT = 255


def pad(inputs: tuple[EngineInput, ...], batch_size: int) -> tuple[EngineInput, ...]:
    """The inputs, the last one repeated up to batch_size: kernels are chosen by shape, so one size gives one result."""
    return inputs + inputs[-1:] * (batch_size - len(inputs))


def encode(
    key: BatchKey,
    padded: Sequence[EngineInput],
    checkpoint: LoadedCheckpoint,
    conditioning: Conditioning,
    on_progress: Callable[[Progress], None],
) -> Mapping[str, Any]:
    """The pipeline's arguments that carry texts and pictures; each distinct one is encoded once."""
    total = 3
    on_progress(Progress("encode", 0, total))
    positive = [conditioning.prompt(each.prompt) for each in padded]
    on_progress(Progress("encode", 1, total))
    negative = [conditioning.negative_prompt(each.negative_prompt) for each in padded]
    on_progress(Progress("encode", 2, total))
    texts = checkpoint.family.text_arguments(positive, negative)
    pictures = {} if _is_free(key, checkpoint) else _picture_arguments(key, padded, checkpoint, conditioning)
    on_progress(Progress("encode", total, total))
    return {**texts, **pictures}


def denoise(
    key: BatchKey,
    padded: Sequence[EngineInput],
    checkpoint: LoadedCheckpoint,
    arguments: Mapping[str, Any],
    *,
    preview: Callable[[torch.Tensor], tuple[Pixels, ...]],
    on_progress: Callable[[Progress], None],
    should_stop: Callable[[], bool],
) -> torch.Tensor:
    """Latents (batch, 4, H/8, W/8) after every step; `preview` makes small pictures of them for on_progress.

    Raises Stopped between two steps.
    """
    steps = key.denoising_steps

    def on_step_end(_pipeline: Any, step: int, _timestep: Any, tensors: Mapping[str, Any]) -> Mapping[str, Any]:
        is_due = has_preview(step + 1, steps)
        on_progress(Progress("step", step + 1, steps, preview(tensors["latents"]) if is_due else ()))
        if step + 1 < steps and should_stop():
            raise Stopped(f"The batch was stopped after step {step + 1} of {steps}.")
        return {}

    if should_stop():
        raise Stopped("The batch was stopped before its first step.")
    on_progress(Progress("step", 0, steps))
    pipeline: Any = checkpoint.text2img if _is_free(key, checkpoint) else checkpoint.inpaint
    # A scheduler keeps state from step to step: every pass begins with a fresh one.
    pipeline.scheduler = scheduler(key.scheduler, checkpoint.scheduler_config)
    result = pipeline(
        **arguments,
        height=key.height,
        width=key.width,
        num_inference_steps=key.num_inference_steps,
        guidance_scale=key.guidance_scale,
        # One generator an image, on the CPU: its noise depends on its seed alone, not on the batch or the device.
        generator=[torch.Generator("cpu").manual_seed(each.seed) for each in padded],
        output_type="latent",
        callback_on_step_end=on_step_end,
    )
    latents: torch.Tensor = result.images
    return latents


def _is_free(key: BatchKey, checkpoint: LoadedCheckpoint) -> bool:
    return key.task == "text2img" and checkpoint.text2img is not None


def _picture_arguments(
    key: BatchKey, padded: Sequence[EngineInput], checkpoint: LoadedCheckpoint, conditioning: Conditioning
) -> Mapping[str, Any]:
    pairs = [_image_and_mask(key, each) for each in padded]
    masks = torch.from_numpy(np.stack([mask for _, mask in pairs]) >= GREY)[:, None]
    if checkpoint.source.in_channels == 9:
        masked = torch.cat([conditioning.masked_latents(image, mask) for image, mask in pairs])
    needs_image = checkpoint.source.in_channels == 4 or key.strength < 1
    image = torch.cat([conditioning.latents(image) for image, _ in pairs]) if needs_image else masked
    return {
        "image": image,
        "mask_image": masks.to(torch.float32),
        # Only 9-channel U-Nets look at it; the others' pipelines still ask for its shape.
        "masked_image_latents": masked if checkpoint.source.in_channels == 9 else image,
        "strength": key.strength,
    }


def _image_and_mask(key: BatchKey, each: EngineInput) -> tuple[Pixels, Pixels]:
    if each.image is not None and each.mask_image is not None:
        return each.image, each.mask_image
    grey = np.full((key.height, key.width, 3), GREY, dtype=np.uint8)
    return grey, np.full((key.height, key.width), REPAINT, dtype=np.uint8)
