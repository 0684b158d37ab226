"""One padded denoising pass: inputs to a diffusers pipeline's arguments, and its one call.
Knows nothing about devices, loading or decoding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

from inference.engine import look
from inference.engine.batching import BatchKey
from inference.engine.checkpoint import LoadedCheckpoint
from inference.engine.conditioning import Conditioning, Texts
from inference.engine.control import Residuals, steered
from inference.engine.families.family import Pictures
from inference.engine.interface import Addons, EngineInput, Progress, Stopped, has_preview

if TYPE_CHECKING:
    from inference.engine.interface import Pixels

Value = TypeVar("Value")
# One made for inpainting takes text-to-image as: repaint all of a grey picture.
GREY = 128
REPAINT = 255


def pad(inputs: Sequence[Value], batch_size: int) -> tuple[Value, ...]:
    """The inputs, the last one repeated up to batch_size: kernels are chosen by shape, so one size gives one result."""
    return tuple(inputs) + (inputs[-1],) * (batch_size - len(inputs))


def read_texts(
    key: BatchKey, inputs: Sequence[EngineInput], conditioning: Conditioning, on_progress: Callable[[Progress], None]
) -> list[Texts]:
    """Every input's texts, each distinct one encoded once."""
    texts = []
    on_progress(Progress("encode", 0, len(inputs)))
    for number, each in enumerate(inputs, start=1):
        texts.append(conditioning.texts(each.prompt, each.negative_prompt, key.clip_skip))
        on_progress(Progress("encode", number, len(inputs)))
    return texts


def encode(
    key: BatchKey,
    padded: Sequence[EngineInput],
    texts: Sequence[Texts],
    checkpoint: LoadedCheckpoint,
    conditioning: Conditioning,
) -> Mapping[str, Any]:
    """The pipeline's arguments that carry texts, size and pictures; each distinct picture is encoded once."""
    family = checkpoint.family
    negative = [each.negative for each in texts if each.negative is not None]
    pictures = _pictures(key, padded, checkpoint, conditioning)
    return {
        **family.text_arguments([each.positive for each in texts], negative),
        **family.picture_arguments(checkpoint.pipeline(key.task), key, pictures),
    }


@contextmanager
def steering(
    key: BatchKey,
    padded: Sequence[EngineInput],
    checkpoint: LoadedCheckpoint,
    conditioning: Conditioning,
    addons: Addons,
) -> Iterator[None]:
    """What makes the denoiser follow the batch's maps and looks while it is entered; nothing where it has none."""
    denoiser = checkpoint.family.denoiser(checkpoint.own)
    with ExitStack() as stack:
        if key.look_scale is not None and addons.look is not None:
            pictures = [each.look_image for each in padded if each.look_image is not None]
            looks = [conditioning.look(addons.look, each) for each in pictures]
            stack.enter_context(look.acting(denoiser, checkpoint.look(addons.look), looks, key.look_scale))
        if key.control is not None and addons.control is not None:
            maps = [each.control_image for each in padded if each.control_image is not None]
            residuals = _residuals(maps, checkpoint, conditioning, addons.control)
            stack.enter_context(steered(denoiser, key.control, steps=key.denoising_steps, residuals=residuals))
        yield


def _residuals(
    pictures: Sequence[Pixels], checkpoint: LoadedCheckpoint, conditioning: Conditioning, folder: Path
) -> Residuals:
    family, denoiser = checkpoint.family, checkpoint.family.denoiser(checkpoint.own)
    if family.control_as_latents:
        maps = torch.cat([conditioning.latents(each) for each in pictures])
    else:
        pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
        maps = (pixels / 255).to(denoiser.device, denoiser.dtype)
    return family.residuals(checkpoint.control(folder), maps)


def denoise(
    key: BatchKey,
    padded: Sequence[EngineInput],
    checkpoint: LoadedCheckpoint,
    arguments: Mapping[str, Any],
    *,
    steering: AbstractContextManager[None],
    preview: Callable[[torch.Tensor], tuple[Pixels, ...]],
    on_progress: Callable[[Progress], None],
    should_stop: Callable[[], bool],
) -> torch.Tensor:
    """Latents (batch, C, H/8, W/8) after every step, under `steering`; `preview` makes small pictures of them.

    Raises Stopped between two steps.
    """
    steps = key.denoising_steps
    family, pipeline = checkpoint.family, checkpoint.pipeline(key.task)

    def on_step_end(_pipeline: Any, step: int, _timestep: Any, tensors: Mapping[str, Any]) -> Mapping[str, Any]:
        is_due = has_preview(step + 1, steps)
        previews = preview(family.unpack(pipeline, tensors["latents"], key)) if is_due else ()
        on_progress(Progress("step", step + 1, steps, previews))
        if step + 1 < steps and should_stop():
            raise Stopped(f"The batch was stopped after step {step + 1} of {steps}.")
        return {}

    if should_stop():
        raise Stopped("The batch was stopped before its first step.")
    on_progress(Progress("step", 0, steps))
    # A scheduler keeps state from step to step: every pass begins with a fresh one.
    pipeline.scheduler = family.scheduler(key.scheduler, checkpoint.scheduler_config)
    with steering:
        result = pipeline(
            **arguments,
            num_inference_steps=key.num_inference_steps,
            guidance_scale=key.guidance_scale,
            # One generator an image, on the CPU: its noise depends on its seed alone, not on the batch or the device.
            generator=[torch.Generator("cpu").manual_seed(each.seed) for each in padded],
            output_type="latent",
            callback_on_step_end=on_step_end,
        )
    return family.unpack(pipeline, result.images, key)


def _pictures(
    key: BatchKey, padded: Sequence[EngineInput], checkpoint: LoadedCheckpoint, conditioning: Conditioning
) -> Pictures | None:
    """What is painted over; None where the model begins from noise alone."""
    task = checkpoint.task(key.task)
    if task == "text2img":
        return None
    pairs = [_image_and_mask(key, each) for each in padded]
    if task == "img2img":
        return Pictures(image=torch.cat([conditioning.latents(image) for image, _ in pairs]))
    masks = torch.from_numpy(np.stack([mask for _, mask in pairs]) >= GREY)[:, None].to(torch.float32)
    if not checkpoint.source.is_inpainting:
        return Pictures(image=torch.cat([conditioning.latents(image) for image, _ in pairs]), masks=masks)
    masked = torch.cat([conditioning.masked_latents(image, mask) for image, mask in pairs])
    # One made for inpainting looks at the whole picture only where it begins from it.
    begins_from_it = key.strength < 1
    image = torch.cat([conditioning.latents(image) for image, _ in pairs]) if begins_from_it else masked
    return Pictures(image=image, masks=masks, masked=masked)


def _image_and_mask(key: BatchKey, each: EngineInput) -> tuple[Pixels, Pixels]:
    """The picture and what of it is painted: all of it where no mask says otherwise, grey where there is none."""
    image, mask_image = each.image, each.mask_image
    if image is None:
        image = np.full((key.height, key.width, 3), GREY, dtype=np.uint8)
    if mask_image is None:
        mask_image = np.full((key.height, key.width), REPAINT, dtype=np.uint8)
    return image, mask_image
