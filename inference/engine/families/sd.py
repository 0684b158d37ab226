"""Stable Diffusion 1.5 and 2, and their inpainting versions: one text encoder.
Knows nothing about devices, batching or pictures.
"""

# diffusers and transformers leave many of their functions untyped.
# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline, StableDiffusionPipeline
from transformers import CLIPTextModel

from inference.engine import clip_texts
from inference.engine.families.family import CheckpointFiles, Family, TextEmbedding
from inference.engine.families.unet import UNetFamily
from inference.requests import RenderTask

# No checker that blacks pictures out behind the reviewers' backs, and no parts that only it would use.
WITHOUT_CHECKER: Mapping[str, Any] = {
    "safety_checker": None,
    "feature_extractor": None,
    "image_encoder": None,
    "requires_safety_checker": False,
}
PIPELINES: Mapping[RenderTask, Any] = {
    "text2img": StableDiffusionPipeline,
    "img2img": StableDiffusionImg2ImgPipeline,
    "inpaint": StableDiffusionInpaintPipeline,
}


class _StableDiffusion(UNetFamily):
    def load(self, files: CheckpointFiles) -> Any:
        return files.pipeline(
            PIPELINES["inpaint" if files.is_inpainting else "text2img"],
            denoiser="unet",
            text_encoder=files.text_encoder(CLIPTextModel, "text_encoder"),
            **WITHOUT_CHECKER,
        )

    def pipeline(self, own: Any, task: RenderTask) -> Any:
        return PIPELINES[task](**own.components, requires_safety_checker=False)

    def encode(self, pipeline: Any, text: str, clip_skip: int) -> TextEmbedding:
        return TextEmbedding(clip_texts.encode(pipeline.tokenizer, pipeline.text_encoder, text, layer=clip_skip).tokens)

    def encode_negative(self, pipeline: Any, text: str, clip_skip: int) -> TextEmbedding:
        # Trained with the empty text as "nothing": it is encoded like any other.
        return self.encode(pipeline, text, clip_skip)

    def text_arguments(self, positive: Sequence[TextEmbedding], negative: Sequence[TextEmbedding]) -> Mapping[str, Any]:
        return {
            "prompt_embeds": torch.cat([each.tokens for each in positive]),
            "negative_prompt_embeds": torch.cat([each.tokens for each in negative]),
        }


FAMILY: Family = _StableDiffusion()
