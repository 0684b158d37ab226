"""Checkpoints of full size with random normal weights, in diffusers' format: for what must be loaded and multiplied,
not looked at. Knows nothing of what is measured.
"""

# diffusers and transformers leave many of their functions untyped.
# mypy: allow-untyped-calls

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, T5Config, T5EncoderModel

from inference.engine import tiny
from inference.engine.bench.lora_switch import SDXL_UNET

DEVIATION = 0.02
# So that reading a file never holds more than this beside what was read.
SHARD = "2GB"
VAE: Mapping[str, Any] = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "sample_size": 1024,
}


def write_sdxl(folder: Path) -> None:
    """Stable Diffusion XL base: 3.5 billion parameters, float16, 7 GB (its configs on the Hub)."""
    pipeline: Any = StableDiffusionXLPipeline(
        vae=_random(lambda: AutoencoderKL(latent_channels=4, scaling_factor=0.13025, **VAE), torch.float16),
        text_encoder=_random(lambda: CLIPTextModel(_clip(768, layers=12, heads=12)), torch.float16),
        text_encoder_2=_random(lambda: CLIPTextModelWithProjection(_clip(1280, layers=32, heads=20)), torch.float16),
        tokenizer=tiny.clip_tokenizer(),
        tokenizer_2=tiny.clip_tokenizer(),
        unet=_random(lambda: UNet2DConditionModel(**SDXL_UNET), torch.float16),
        scheduler=EulerDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
        ),
        add_watermarker=False,
    )
    pipeline.save_pretrained(folder, safe_serialization=True, max_shard_size=SHARD)


def write_flux(folder: Path) -> None:
    """FLUX.1 dev: 12 billion parameters in its transformer and 4.8 in its text encoders, bfloat16, 34 GB."""
    t5 = T5Config(
        vocab_size=32128,
        d_model=4096,
        d_kv=64,
        d_ff=10240,
        num_layers=24,
        num_heads=64,
        feed_forward_proj="gated-gelu",
        is_encoder_decoder=False,
        use_cache=False,
    )
    pipeline: Any = FluxPipeline(
        vae=_random(
            lambda: AutoencoderKL(
                latent_channels=16,
                scaling_factor=0.3611,
                shift_factor=0.1159,
                use_quant_conv=False,
                use_post_quant_conv=False,
                **VAE,
            ),
            torch.bfloat16,
        ),
        text_encoder=_random(lambda: CLIPTextModel(_clip(768, layers=12, heads=12)), torch.bfloat16),
        tokenizer=tiny.clip_tokenizer(),
        text_encoder_2=_random(lambda: T5EncoderModel(t5), torch.bfloat16),
        tokenizer_2=tiny.t5_tokenizer(),
        transformer=_random(lambda: FluxTransformer2DModel(guidance_embeds=True), torch.bfloat16),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
    )
    pipeline.save_pretrained(folder, safe_serialization=True, max_shard_size=SHARD)


def _clip(width: int, *, layers: int, heads: int) -> CLIPTextConfig:
    tokenizer = tiny.clip_tokenizer()
    return CLIPTextConfig(
        hidden_size=width,
        intermediate_size=4 * width,
        projection_dim=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        vocab_size=49408,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _random(make: Callable[[], Any], dtype: torch.dtype) -> Any:
    """A part with random matrices and neutral norms, made without its own slow initialization."""
    with torch.device("meta"):
        part = make().to(dtype)
    part = part.to_empty(device="cpu").eval()
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, values in part.named_parameters():
            if values.ndim >= 2:
                values.normal_(0, DEVIATION, generator=noise)
            else:
                values.fill_(0.0 if name.endswith("bias") else 1.0)
        for name, values in part.named_buffers():
            if name.endswith("position_ids"):
                values.copy_(torch.arange(values.shape[-1]).expand(values.shape))
    return part
