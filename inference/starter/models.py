"""Sizes of the networks and their construction as stock diffusers and transformers classes.

Knows no training; everything built here saves to and loads from a plain diffusers folder.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, Transformer2DModel, UNet2DConditionModel
from diffusers.models.resnet import ResnetBlock2D
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from inference.starter.grammar import caption, sample_scene

TOKENS = 48
# An AutoencoderKL, a UNet2DConditionModel, a DDIMScheduler: type checkers see no members on diffusers' classes.
Vae = Any
Unet = Any
Scheduler = Any


@dataclass(frozen=True)
class Preset:
    """How large the networks are and how they are trained; `cpu` and `gpu` differ in nothing else."""

    vae_channels: tuple[int, ...]
    vae_layers: int
    vae_batch: int
    vae_rate: float
    unet_channels: tuple[int, ...]
    unet_layers: tuple[int, ...]
    unet_batch: int
    head_size: int
    text_width: int
    text_layers: int
    learning_rate: float


PRESETS = {
    "cpu": Preset((16, 32, 64, 128), 1, 8, 4e-4, (32, 96, 192), (0, 1, 1), 16, 32, 192, 3, 1e-3),
    "gpu": Preset((32, 64, 128, 128), 1, 64, 1e-3, (64, 128, 192), (2, 2, 1), 512, 32, 192, 3, 1e-3),
}


def build_vae(preset: Preset) -> Vae:
    """Build an 8x-down, 4-channel autoencoder with random weights."""
    levels = len(preset.vae_channels)
    # One norm group: with more, a plain picture's brightness is normalized away before the last layer.
    vae = AutoencoderKL(  # type: ignore[no-untyped-call]
        block_out_channels=preset.vae_channels,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        layers_per_block=preset.vae_layers,
        latent_channels=4,
        norm_num_groups=1,
        sample_size=256,
        mid_block_add_attention=False,
    )
    return quiet(vae)


def quiet(network: Any) -> Any:
    """Zero the last layer of every residual branch, so that training starts from the identity (Goyal et al. 2017)."""
    for module in network.modules():
        if isinstance(module, ResnetBlock2D):
            torch.nn.init.zeros_(module.conv2.weight)
        elif isinstance(module, Transformer2DModel):
            torch.nn.init.zeros_(module.proj_out.weight)  # type: ignore[attr-defined]
    return network


def build_unet(preset: Preset) -> Unet:
    """Build a text-conditioned UNet over 32 x 32 x 4 latents with random weights; attention on the two lower levels."""
    lower = len(preset.unet_channels) - 1
    unet: Unet = UNet2DConditionModel(  # type: ignore[no-untyped-call]
        sample_size=32,
        in_channels=4,
        out_channels=4,
        block_out_channels=preset.unet_channels,
        layers_per_block=preset.unet_layers,
        down_block_types=("DownBlock2D", *("CrossAttnDownBlock2D",) * lower),
        up_block_types=(*("CrossAttnUpBlock2D",) * lower, "UpBlock2D"),
        attention_head_dim=tuple(max(1, width // preset.head_size) for width in preset.unet_channels),
        cross_attention_dim=preset.text_width,
        norm_num_groups=16,
        use_linear_projection=True,
    )
    torch.nn.init.zeros_(unet.conv_out.weight)
    return quiet(unet)


def build_text_encoder(preset: Preset, *, vocabulary: int, end_token: int) -> CLIPTextModel:
    """Build a small CLIP text encoder with random weights; token ids run below `vocabulary`."""
    config = CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=preset.text_width,
        intermediate_size=preset.text_width * 3,
        num_hidden_layers=preset.text_layers,
        num_attention_heads=preset.text_width // 64,
        max_position_embeddings=TOKENS,
        eos_token_id=end_token,
        bos_token_id=end_token - 1,
        pad_token_id=end_token,
        projection_dim=preset.text_width,
    )
    return CLIPTextModel(config)


def build_scheduler() -> Scheduler:
    """Return the noise schedule: SD's, but ending at a noise so strong that plain dark and white pictures are reached.

    Lin et al. 2024 (Common Diffusion Noise Schedules and Sample Steps are Flawed) ask for zero terminal SNR; an end
    of 4e-5 does the same work here and every stock scheduler takes it without a special setting.
    """
    return DDIMScheduler(  # type: ignore[no-untyped-call]
        beta_start=0.00085,
        beta_end=0.025,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def train_tokenizer(captions: list[str], *, merges: int = 1200) -> CLIPTokenizer:
    """Learn CLIP's byte-pair vocabulary from captions; all single bytes stay in it, so any prompt has tokens."""
    template = CLIPTokenizer().backend_tokenizer
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.normalizer, learner.pre_tokenizer = template.normalizer, template.pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=512 + merges,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    learner.train_from_iterator(captions, trainer)
    pairs: Any = [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*alphabet, *(letter + "</w>" for letter in alphabet), *("".join(pair) for pair in pairs)]
    words = [*dict.fromkeys(words), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: index for index, word in enumerate(words)}
    return CLIPTokenizer(vocab=vocabulary, merges=pairs, model_max_length=TOKENS)


def tokenizer_in(work: Path) -> CLIPTokenizer:
    """The work folder's tokenizer; it is learned on first use and kept there."""
    folder = work / "tokenizer"
    if not folder.exists():
        rng = np.random.default_rng(3)
        train_tokenizer([caption(sample_scene(rng), rng) for _ in range(20_000)]).save_pretrained(folder)
    tokenizer: CLIPTokenizer = CLIPTokenizer.from_pretrained(folder)
    return tokenizer


def pick_device() -> torch.device:
    """Take a GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
