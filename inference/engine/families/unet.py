"""What Stable Diffusion and Stable Diffusion XL have in common: a U-Net that takes latents as they are.
Knows nothing about text encoders.
"""

# diffusers and transformers leave many of their functions untyped.
# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import ControlNetModel

from inference.engine import schedulers
from inference.engine.batching import BatchKey
from inference.engine.control import Residuals
from inference.engine.families.family import Pictures

LATENT_CHANNELS = 4


class UNetFamily:
    """The half of a Family that knows the U-Net; see there for what each method promises."""

    gpu_dtype = torch.float16
    takes_negative_prompt = True
    control_as_latents = False

    def denoiser(self, pipeline: Any) -> Any:
        return pipeline.unet

    def scheduler(self, name: str, checkpoint_config: Mapping[str, Any]) -> Any:
        return schedulers.scheduler(name, checkpoint_config)

    def picture_arguments(self, pipeline: Any, key: BatchKey, pictures: Pictures | None) -> Mapping[str, Any]:
        size = {"height": key.height, "width": key.width}
        if pictures is None:
            return size
        if pictures.masks is None:
            # Image-to-image takes its size from the latents.
            return {"image": pictures.image, "strength": key.strength}
        return {
            **size,
            "image": pictures.image,
            "mask_image": pictures.masks,
            # Only U-Nets made for inpainting look at it; the others' pipelines still ask for its shape.
            "masked_image_latents": pictures.image if pictures.masked is None else pictures.masked,
            "strength": key.strength,
        }

    def load_control(self, folder: Path, dtype: torch.dtype) -> Any:
        return ControlNetModel.from_pretrained(folder, local_files_only=True, use_safetensors=True, torch_dtype=dtype)

    def residuals(self, controlnet: Any, maps: torch.Tensor) -> Residuals:
        def of_step(arguments: tuple[Any, ...], named: Mapping[str, Any], scale: float) -> Mapping[str, Any]:
            # Those made for inpainting see more channels behind the latents.
            latents, timestep = arguments[0][:, :LATENT_CHANNELS], arguments[1]
            # Each image is there twice, with and without its prompt.
            repeated = maps.repeat(len(latents) // len(maps), 1, 1, 1)
            down, mid = controlnet(
                latents,
                timestep,
                encoder_hidden_states=named["encoder_hidden_states"],
                controlnet_cond=repeated,
                conditioning_scale=scale,
                added_cond_kwargs=named.get("added_cond_kwargs"),
                return_dict=False,
            )
            return {"down_block_additional_residuals": down, "mid_block_additional_residual": mid}

        return of_step

    def unpack(self, pipeline: Any, latents: torch.Tensor, key: BatchKey) -> torch.Tensor:
        return latents
