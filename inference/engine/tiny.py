"""Tiny checkpoints of the real classes with seeded random weights: the starter's stand-in, and what tests run on.
They draw patterns, not things, but patterns that depend on every word and seed.
"""

# diffusers and transformers leave many of their functions untyped.
# mypy: allow-untyped-calls

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxFillPipeline,
    FluxPipeline,
    FluxTransformer2DModel,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLInpaintPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)
from transformers.convert_slow_tokenizer import bytes_to_unicode

from inference.catalog.sources import TINY_NATIVE_SIZE_PX

# All VAEs have three halvings: 8 px a latent cell.
VAE_FACTOR = 8
TEXT_WIDTH = 32
FLUX_CHANNELS = 16


def build_sd(folder: Path, *, in_channels: int = 4, seed: int = 0, native_size_px: int = TINY_NATIVE_SIZE_PX) -> None:
    """Write a tiny Stable Diffusion checkpoint, for inpainting with 9 input channels, all at once or not at all."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        cls = StableDiffusionInpaintPipeline if in_channels == 9 else StableDiffusionPipeline
        pipeline = cls(
            vae=_vae(),
            text_encoder=CLIPTextModel(_text_config()).eval(),
            tokenizer=clip_tokenizer(),
            unet=_unet(in_channels, native_size_px, cross_attention_dim=TEXT_WIDTH, attention_head_dim=4),
            scheduler=_scheduler(),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    _save(pipeline, folder)


def build_sdxl(folder: Path, *, in_channels: int = 4, seed: int = 0, native_size_px: int = TINY_NATIVE_SIZE_PX) -> None:
    """Write a tiny Stable Diffusion XL checkpoint, for inpainting with 9 input channels, all at once or not at all."""
    time_dim = 8
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        cls = StableDiffusionXLInpaintPipeline if in_channels == 9 else StableDiffusionXLPipeline
        pipeline = cls(
            vae=_vae(),
            text_encoder=CLIPTextModel(_text_config()).eval(),
            text_encoder_2=CLIPTextModelWithProjection(_text_config()).eval(),
            tokenizer=clip_tokenizer(),
            tokenizer_2=clip_tokenizer(),
            unet=_unet(
                in_channels,
                native_size_px,
                cross_attention_dim=2 * TEXT_WIDTH,
                attention_head_dim=(2, 4),
                use_linear_projection=True,
                addition_embed_type="text_time",
                addition_time_embed_dim=time_dim,
                # The pooled text and six numbers of micro-conditioning (SDXL report, section 2.2).
                projection_class_embeddings_input_dim=TEXT_WIDTH + 6 * time_dim,
            ),
            scheduler=_scheduler(timestep_spacing="leading"),
            add_watermarker=False,
        )
    _save(pipeline, folder)


def build_flux(
    folder: Path, *, is_inpainting: bool = False, seed: int = 0, native_size_px: int = TINY_NATIVE_SIZE_PX
) -> None:
    """Write a tiny FLUX.1 checkpoint (dev), or one of Fill for inpainting, all at once or not at all."""
    packed = 4 * FLUX_CHANNELS
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        transformer: Any = FluxTransformer2DModel(
            in_channels=packed + (packed + 4 * VAE_FACTOR**2 if is_inpainting else 0),
            out_channels=packed,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=TEXT_WIDTH,
            pooled_projection_dim=TEXT_WIDTH,
            axes_dims_rope=(4, 4, 8),
            guidance_embeds=True,
        )
        _heed_packed_texts(transformer)
        cls = FluxFillPipeline if is_inpainting else FluxPipeline
        pipeline = cls(
            vae=_vae(native_size_px, latent_channels=FLUX_CHANNELS, shift_factor=0.1159, scaling_factor=0.3611),
            text_encoder=CLIPTextModel(_text_config()).eval(),
            tokenizer=clip_tokenizer(),
            text_encoder_2=T5EncoderModel(_t5_config()).eval(),
            tokenizer_2=t5_tokenizer(),
            transformer=transformer.eval(),
            scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        )
    _save(pipeline, folder)


def _unet(in_channels: int, native_size_px: int, **extra: Any) -> Any:
    unet: Any = UNet2DConditionModel(
        block_out_channels=(16, 32),
        layers_per_block=1,
        sample_size=native_size_px // VAE_FACTOR,
        in_channels=in_channels,
        out_channels=4,
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        **extra,
    )
    _heed_texts(unet)
    return unet.eval()


def _heed_texts(unet: Any) -> None:
    """Random cross attention hardly moves a picture: these factors make two prompts differ by some twenty levels."""
    with torch.no_grad():
        for name, part in unet.named_modules():
            if name.endswith("attn2"):
                part.to_q.weight.mul_(4)
                part.to_k.weight.mul_(4)
                part.to_out[0].weight.mul_(30)


def _heed_packed_texts(transformer: Any) -> None:
    """The same for a transformer that reads texts and pictures as one sequence."""
    with torch.no_grad():
        transformer.context_embedder.weight.mul_(30)
        for block in transformer.transformer_blocks:
            block.attn.add_v_proj.weight.mul_(30)


def _vae(sample_size: int = TINY_NATIVE_SIZE_PX, **extra: Any) -> Any:
    blocks = 4
    vae: Any = AutoencoderKL(
        block_out_channels=(8, 8, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * blocks,
        up_block_types=("UpDecoderBlock2D",) * blocks,
        norm_num_groups=4,
        sample_size=sample_size,
        **extra,
    )
    return vae.eval()


def _text_config() -> CLIPTextConfig:
    end = len(_vocabulary()) - 1
    return CLIPTextConfig(
        vocab_size=end + 1,
        hidden_size=TEXT_WIDTH,
        intermediate_size=2 * TEXT_WIDTH,
        projection_dim=TEXT_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        bos_token_id=end - 1,
        eos_token_id=end,
        pad_token_id=end,
    )


def _t5_config() -> T5Config:
    return T5Config(
        vocab_size=len(_t5_vocabulary()),
        d_model=TEXT_WIDTH,
        d_kv=8,
        d_ff=2 * TEXT_WIDTH,
        num_layers=2,
        num_heads=4,
        is_encoder_decoder=False,
        use_cache=False,
    )


def _scheduler(**extra: Any) -> Any:
    return EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, **extra
    )


def _vocabulary() -> Sequence[str]:
    letters = sorted(bytes_to_unicode().values())
    return [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]


def clip_tokenizer() -> CLIPTokenizer:
    """CLIP's byte-level tokenizer without merges: every character is a token, so no file has to be fetched."""
    with tempfile.TemporaryDirectory() as folder:
        vocabulary = Path(folder, "vocab.json")
        vocabulary.write_text(json.dumps({token: number for number, token in enumerate(_vocabulary())}))
        merges = Path(folder, "merges.txt")
        merges.write_text("#version: 0.2\n")
        return CLIPTokenizer(str(vocabulary), str(merges), model_max_length=77)


def _t5_vocabulary() -> list[tuple[str, float]]:
    """T5's own first tokens, the mark of a word's beginning, and every printable character, each with its log odds."""
    characters = [chr(code) for code in range(ord("!"), ord("~") + 1)]
    return [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0), *((each, -3.0) for each in characters)]


def t5_tokenizer() -> T5Tokenizer:
    """T5's tokenizer with single characters for pieces: no file has to be fetched for it either."""
    return T5Tokenizer(vocab=_t5_vocabulary(), extra_ids=0)


def _save(pipeline: Any, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        pipeline.save_pretrained(draft, safe_serialization=True)
        draft.chmod(0o755)
        draft.rename(folder)
    except OSError:
        # Another process was quicker: both made the same bytes from the same seed.
        if not (folder / "model_index.json").is_file():
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
