"""Trains the text encoder and the UNet together on encoded pictures and captions made up anew at every step.

v-prediction on SD's schedule with a stronger end; knows the pictures only as latents.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from transformers import CLIPTextModel, CLIPTokenizer

from inference.starter.grammar import caption
from inference.starter.latents import Pool, load_pools
from inference.starter.loop import Slice, Trained, cosine, load_state
from inference.starter.models import (
    TOKENS,
    Preset,
    Scheduler,
    Unet,
    build_scheduler,
    build_text_encoder,
    build_unet,
    pick_device,
    tokenizer_in,
)

CAPTION_DROP = 0.12
EMA = 0.9995
SNR_CLAMP = 5.0
WARMUP = 1500


@dataclass(frozen=True)
class Networks:
    """What is trained, with the tokenizer and the noise schedule it is trained for."""

    unet: Unet
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    scheduler: Scheduler

    def parts(self) -> dict[str, torch.nn.Module]:
        """The trained networks by name."""
        return {"unet": self.unet, "text_encoder": self.text_encoder}


def build(work: Path, preset: Preset) -> Networks:
    """Build the networks: the UNet with random weights, the text encoder as far as it has learned to read."""
    tokenizer = tokenizer_in(work)
    text_encoder = build_text_encoder(preset, vocabulary=len(tokenizer), end_token=tokenizer.eos_token_id)
    if (read := work / "text.pt").exists():
        text_encoder.load_state_dict(load_state(read)["shadows"]["text_encoder"])
    return Networks(build_unet(preset), text_encoder, tokenizer, build_scheduler())


def batches(
    pools: list[Pool], tokenizer: CLIPTokenizer, rng: np.random.Generator, batch: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield latents (batch x 4 x h x w, half of them mirrored) and token ids (batch x TOKENS)."""
    shares = np.array([len(pool.scenes) for pool in pools], float)
    while True:
        pool = pools[int(rng.choice(len(pools), p=shares / shares.sum()))]
        chosen = rng.integers(len(pool.scenes), size=batch)
        latents = torch.from_numpy(pool.latents[chosen].astype(np.float32))
        if rng.random() < 0.5:
            latents = latents.flip(3)
        words = ["" if rng.random() < CAPTION_DROP else caption(pool.scenes[int(i)], rng) for i in chosen]
        tokens = tokenizer(
            words, padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt"
        ).input_ids
        yield latents.contiguous(memory_format=torch.channels_last), tokens


def loss_of(networks: Networks, latents: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Return the weighted v-prediction loss.

    The weight is Min-SNR's (Hang et al. 2023) for v, but clamping SNR + 1, so that the noisiest steps, which decide
    the picture's colors, keep weight 1.
    """
    noise = torch.randn_like(latents)
    steps = torch.randint(0, networks.scheduler.config.num_train_timesteps, (len(latents),), device=latents.device)
    noisy = networks.scheduler.add_noise(latents, noise, steps)
    target = networks.scheduler.get_velocity(latents, noise, steps)
    states = networks.text_encoder(tokens)[0]
    predicted = networks.unet(noisy, steps, states).sample
    signal = networks.scheduler.alphas_cumprod.to(latents.device)[steps]
    weight = (SNR_CLAMP * (1 - signal)).clamp(max=1.0)
    errors = functional.mse_loss(predicted.float(), target, reduction="none").mean((1, 2, 3))
    loss: torch.Tensor = (errors * weight).mean()
    return loss


def train(work: Path, preset: Preset, plan: Slice, *, scale: str, seed: int = 0) -> None:
    """Train for the slice on the latents of this scale ("half" first, then "full") and save; raises ResumeError."""
    device = pick_device()
    networks = build(work, preset)
    networks.unet.to(device, memory_format=torch.channels_last)
    torch.nn.Module.to(networks.text_encoder, device)
    trained = Trained("unet", networks.parts(), rate=preset.learning_rate, average=EMA)
    trained.restore(plan)
    progress = trained.progress
    rng = np.random.default_rng([seed, progress.step])
    torch.manual_seed(seed + progress.step)
    for latents, tokens in batches(load_pools(work / "data", scale=scale), networks.tokenizer, rng, preset.unet_batch):
        rate = cosine(progress.samples, plan.samples, peak=preset.learning_rate, warmup=WARMUP)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = loss_of(networks, latents.to(device), tokens.to(device))
        trained.step(loss, rate=rate)
        progress.advance(len(latents), loss.item())
        if progress.step % 25 == 0:
            trained.log(plan, loss=progress.mean(), rate=rate)
        if progress.is_due(plan):
            trained.save(plan)
        if progress.is_done(plan):
            break
