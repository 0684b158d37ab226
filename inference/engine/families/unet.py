"""What Stable Diffusion and Stable Diffusion XL have in common: a U-Net that takes latents as they are.
Knows nothing about text encoders.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from inference.engine import schedulers
from inference.engine.batching import BatchKey
from inference.engine.families.family import Pictures


class UNetFamily:
    """The half of a Family that knows the U-Net; see there for what each method promises."""

    gpu_dtype = torch.float16
    takes_negative_prompt = True

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

    def unpack(self, pipeline: Any, latents: torch.Tensor, key: BatchKey) -> torch.Tensor:
        return latents
