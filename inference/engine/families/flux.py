"""FLUX.1: dev and schnell, and Fill for inpainting: a transformer over packed latents, guided by a number it was
trained on instead of by a negative text. Knows nothing about devices, batching or pictures.
"""

# diffusers and transformers leave many of their functions untyped.
# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    FluxControlNetModel,
    FluxFillPipeline,
    FluxImg2ImgPipeline,
    FluxInpaintPipeline,
    FluxPipeline,
)
from transformers import CLIPTextModel, T5EncoderModel

from inference.engine.batching import BatchKey
from inference.engine.control import Residuals
from inference.engine.families.family import CheckpointFiles, Family, Pictures, TextEmbedding
from inference.engine.prompt_weights import plain
from inference.requests import RenderTask

PIPELINES: Mapping[RenderTask, Any] = {
    "text2img": FluxPipeline,
    "img2img": FluxImg2ImgPipeline,
    "inpaint": FluxInpaintPipeline,
}
# What schnell was trained with (its pipeline's limit); dev was trained with more.
DISTILLED_TOKENS = 256
TOKENS = 512
# A share of a step: diffusers counts the skipped steps downwards, and rounding must not skip one more.
HAIR = 1e-6


class _Fill(FluxFillPipeline):
    """Fill that takes the picture and its masked latents both, encoded once by us; diffusers checks for one of them,
    and cannot run without the first."""

    def check_inputs(self, *arguments: Any, image: Any = None, **keywords: Any) -> None:
        super().check_inputs(*arguments, **keywords)  # type: ignore[misc]  # diffusers is untyped


class _Flux:
    gpu_dtype = torch.bfloat16  # float16 overflows in its text encoder
    takes_negative_prompt = False
    control_as_latents = True

    def load(self, files: CheckpointFiles) -> Any:
        return files.pipeline(
            _Fill if files.is_inpainting else FluxPipeline,
            denoiser="transformer",
            text_encoder=files.text_encoder(CLIPTextModel, "text_encoder"),
            text_encoder_2=files.text_encoder(T5EncoderModel, "text_encoder_2"),
        )

    def pipeline(self, own: Any, task: RenderTask) -> Any:
        if isinstance(own, _Fill):
            return own
        names = ("scheduler", "vae", "text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2", "transformer")
        return PIPELINES[task](**{name: own.components[name] for name in names})

    def denoiser(self, pipeline: Any) -> Any:
        return pipeline.transformer

    def scheduler(self, name: str, checkpoint_config: Mapping[str, Any]) -> Any:
        # Flow matching has one way to step; inference.requests lets nothing else through.
        return FlowMatchEulerDiscreteScheduler.from_config(dict(checkpoint_config))

    def encode(self, pipeline: Any, text: str, clip_skip: int) -> TextEmbedding:
        # T5 reads a text as a whole: what people weigh is told it in words, and the marks are taken out.
        text = plain(text)
        tokens = TOKENS if pipeline.transformer.config.guidance_embeds else DISTILLED_TOKENS
        embedded, pooled, _ = pipeline.encode_prompt(
            prompt=text, prompt_2=text, device=pipeline.device, max_sequence_length=tokens
        )
        return TextEmbedding(tokens=embedded, pooled=pooled)

    def encode_negative(self, pipeline: Any, text: str, clip_skip: int) -> TextEmbedding:
        raise ValueError("FLUX.1 takes no negative prompt.")

    def text_arguments(self, positive: Sequence[TextEmbedding], negative: Sequence[TextEmbedding]) -> Mapping[str, Any]:
        return {
            "prompt_embeds": torch.cat([each.tokens for each in positive]),
            "pooled_prompt_embeds": torch.cat([each.pooled for each in positive if each.pooled is not None]),
        }

    def picture_arguments(self, pipeline: Any, key: BatchKey, pictures: Pictures | None) -> Mapping[str, Any]:
        arguments: dict[str, Any] = {"height": key.height, "width": key.width}
        if pictures is None:
            return arguments
        arguments |= {
            "image": pictures.image,
            "strength": 1.0 if key.strength == 1 else (key.denoising_steps - HAIR) / key.num_inference_steps,
        }
        if pictures.masked is not None and pictures.masks is not None:
            return {**arguments, "masked_image_latents": _fill_latents(pipeline, pictures.masked, pictures.masks, key)}
        if pictures.masks is not None:
            arguments |= {"mask_image": pictures.masks, "masked_image_latents": pictures.image}
        return arguments

    def load_control(self, folder: Path, dtype: torch.dtype) -> Any:
        return FluxControlNetModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, torch_dtype=dtype
        )

    def residuals(self, controlnet: Any, maps: torch.Tensor) -> Residuals:
        packed = FluxPipeline._pack_latents(maps, *maps.shape)

        def of_step(arguments: tuple[Any, ...], named: Mapping[str, Any], scale: float) -> Mapping[str, Any]:
            names = ("timestep", "pooled_projections", "encoder_hidden_states", "txt_ids", "img_ids")
            blocks, single_blocks = controlnet(
                # Fill sees more channels behind the latents.
                hidden_states=named["hidden_states"][..., : packed.shape[-1]],
                controlnet_cond=packed,
                conditioning_scale=scale,
                guidance=named["guidance"] if controlnet.config.guidance_embeds else None,
                return_dict=False,
                **{name: named[name] for name in names},
            )
            return {"controlnet_block_samples": blocks, "controlnet_single_block_samples": single_blocks}

        return of_step

    def unpack(self, pipeline: Any, latents: torch.Tensor, key: BatchKey) -> torch.Tensor:
        unpacked: torch.Tensor = pipeline._unpack_latents(latents, key.height, key.width, pipeline.vae_scale_factor)
        return unpacked


def _fill_latents(pipeline: Any, masked: torch.Tensor, masks: torch.Tensor, key: BatchKey) -> torch.Tensor:
    """The masked pictures' latents and their masks, packed and joined, as Fill takes them: (n, cells, 64 + 256)."""
    vae = pipeline.vae.config
    # The pipeline scales what it is given; these are scaled already.
    plain = masked / vae.scaling_factor + vae.shift_factor
    count = len(masked)
    mask, latents = pipeline.prepare_mask_latents(
        masks, plain, count, vae.latent_channels, 1, key.height, key.width, masked.dtype, masked.device, None
    )
    return torch.cat((latents, mask), dim=-1)


FAMILY: Family = _Flux()
