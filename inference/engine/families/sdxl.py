"""Stable Diffusion XL and its inpainting version: two text encoders, the second also pooled.
Knows nothing about devices, batching or pictures.
"""

# diffusers and transformers leave many of their functions untyped.
# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from diffusers import StableDiffusionXLImg2ImgPipeline, StableDiffusionXLInpaintPipeline, StableDiffusionXLPipeline
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from inference.engine import clip_texts
from inference.engine.families.family import CheckpointFiles, Family, TextEmbedding
from inference.engine.families.unet import UNetFamily
from inference.requests import RenderTask

PIPELINES: Mapping[RenderTask, Any] = {
    "text2img": StableDiffusionXLPipeline,
    "img2img": StableDiffusionXLImg2ImgPipeline,
    "inpaint": StableDiffusionXLInpaintPipeline,
}


class _StableDiffusionXL(UNetFamily):
    def load(self, files: CheckpointFiles) -> Any:
        return files.pipeline(
            PIPELINES["inpaint" if files.is_inpainting else "text2img"],
            denoiser="unet",
            text_encoder=files.text_encoder(CLIPTextModel, "text_encoder"),
            text_encoder_2=files.text_encoder(CLIPTextModelWithProjection, "text_encoder_2"),
            # The product lock promises untouched pixels: no invisible watermark is drawn into them.
            add_watermarker=False,
        )

    def pipeline(self, own: Any, task: RenderTask) -> Any:
        return PIPELINES[task](
            **own.components,
            force_zeros_for_empty_prompt=own.config.force_zeros_for_empty_prompt,
            add_watermarker=False,
        )

    def encode(self, pipeline: Any, text: str, clip_skip: int) -> TextEmbedding:
        # Trained on the last layer but one.
        layer = -2 - clip_skip
        small = clip_texts.encode(pipeline.tokenizer, pipeline.text_encoder, text, layer=layer)
        large = clip_texts.encode(pipeline.tokenizer_2, pipeline.text_encoder_2, text, layer=layer)
        return TextEmbedding(tokens=torch.cat((small.tokens, large.tokens), dim=-1), pooled=large.pooled)

    def encode_negative(self, pipeline: Any, text: str, clip_skip: int) -> TextEmbedding:
        embedding = self.encode(pipeline, text, clip_skip)
        if text or not pipeline.config.force_zeros_for_empty_prompt or embedding.pooled is None:
            return embedding
        # SDXL base was trained with zeros, not with the encoded empty text, as "nothing".
        return TextEmbedding(torch.zeros_like(embedding.tokens), torch.zeros_like(embedding.pooled))

    def text_arguments(self, positive: Sequence[TextEmbedding], negative: Sequence[TextEmbedding]) -> Mapping[str, Any]:
        return {
            "prompt_embeds": torch.cat([each.tokens for each in positive]),
            "pooled_prompt_embeds": torch.cat([each.pooled for each in positive if each.pooled is not None]),
            "negative_prompt_embeds": torch.cat([each.tokens for each in negative]),
            "negative_pooled_prompt_embeds": torch.cat([each.pooled for each in negative if each.pooled is not None]),
        }


FAMILY: Family = _StableDiffusionXL()
