"""Trains the autoencoder on crops of rendered pictures.

Latents are made to turn and shrink with the picture, so mirrored latents are latents of mirrored pictures
(Kouzelis et al. 2025, EQ-VAE); knows no prompts.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch.nn import functional

from inference.starter.dataset import shards
from inference.starter.loop import Progress, Slice, averaged, cosine, load_state, log, save_state, shadow_of
from inference.starter.models import Preset, build_vae, pick_device
from inference.starter.warm_start import warm_start

CROP = 96
KL_WEIGHT = 2e-4
EDGE_WEIGHT = 1.0
EMA = 0.998


def crops(folder: Path, rng: np.random.Generator, batch: int) -> Iterator[torch.Tensor]:
    """Yield batch x 3 x CROP x CROP tensors in -1..1, a third of them from pictures at half size."""
    while True:
        found = shards(folder)
        pools = [found[int(i)].load_pictures() for i in rng.integers(len(found), size=24)]
        for _ in range(200):
            yield to_tensor(np.stack([_crop(pools[int(rng.integers(len(pools)))], rng) for _ in range(batch)]))


def _crop(pool: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    half = rng.random() < 0.3
    side = CROP * 2 if half else CROP
    count, height, width = pool.shape[:3]
    y, x = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    part = pool[int(rng.integers(count)), y : y + side, x : x + side]
    part = cv2.resize(np.ascontiguousarray(part), (CROP, CROP), interpolation=cv2.INTER_AREA) if half else part
    return part[:, ::-1] if rng.random() < 0.5 else part  # type: ignore[return-value]


def to_tensor(pictures: npt.NDArray[np.uint8]) -> torch.Tensor:
    """Turn count x height x width x 3 uint8 into count x 3 x height x width float32 in -1..1."""
    tensor = torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float()
    return (tensor / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def loss_of(vae: AutoencoderKL, pictures: torch.Tensor, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the training loss and the mean squared error; pictures in -1..1."""
    posterior = vae.encode(pictures).latent_dist
    latents, target = posterior.sample(), pictures
    if rng.random() < 0.5:
        latents, target = latents.flip(3), target.flip(3)
    if rng.random() < 0.2:
        latents, target = functional.avg_pool2d(latents, 2), functional.avg_pool2d(target, 2)
    decoded = vae.decode(latents).sample
    error = decoded - target
    loss = error.abs().mean() + EDGE_WEIGHT * _edges(error) + KL_WEIGHT * posterior.kl().mean() / latents[0].numel()
    return loss, (error.detach() ** 2).mean() / 4


def _edges(error: torch.Tensor) -> torch.Tensor:
    """Weigh what blurs: the error of neighboring differences at two scales."""
    total = torch.zeros((), device=error.device)
    for scale in (1, 2):
        part = error if scale == 1 else functional.avg_pool2d(error, 2)
        total = total + part.diff(dim=2).abs().mean() + part.diff(dim=3).abs().mean()
    return total / 2


def train(data: Path, preset: Preset, plan: Slice, *, seed: int = 0, decoder_only: bool = False) -> AutoencoderKL:
    """Train for the slice and save; raises ResumeError. `decoder_only` leaves latents that were encoded valid."""
    device = pick_device()
    vae = warm_start(build_vae(preset)).to(device, memory_format=torch.channels_last)
    vae.encoder.requires_grad_(not decoder_only)
    vae.quant_conv.requires_grad_(not decoder_only)
    optimizer = torch.optim.AdamW(
        [p for p in vae.parameters() if p.requires_grad], betas=(0.9, 0.99), weight_decay=0.01
    )
    progress, shadow = Progress(), shadow_of(vae)
    if state := load_state(plan, "vae"):
        vae.load_state_dict(state["model"])
        shadow = {name: value.to(device) for name, value in state["shadow"].items()}
        progress = Progress(state["step"], state["samples"], state["seconds"])
        if state["decoder_only"] == decoder_only:
            optimizer.load_state_dict(state["optimizer"])
    rng = np.random.default_rng([seed, progress.step])
    torch.manual_seed(seed + progress.step)
    saved, errors = time.monotonic(), []

    def save() -> None:
        log(
            plan,
            "vae",
            samples=progress.samples,
            psnr=-10 * np.log10(np.mean(errors[-200:])),
            lr=optimizer.param_groups[0]["lr"],
        )
        save_state(
            plan,
            "vae",
            {
                "model": vae.state_dict(),
                "shadow": shadow,
                "optimizer": optimizer.state_dict(),
                "step": progress.step,
                "samples": progress.samples,
                "seconds": progress.seconds + progress.elapsed(),
                "decoder_only": decoder_only,
            },
        )

    for pictures in crops(data, rng, preset.vae_batch):
        rate = cosine(progress.samples, plan.samples, peak=preset.vae_rate, warmup=400)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss, error = loss_of(vae, pictures.to(device), rng)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        progress.step += 1
        progress.samples += len(pictures)
        averaged(vae, shadow, progress.step, limit=EMA)
        errors.append(float(error))
        done = progress.elapsed() > plan.minutes * 60 or progress.samples >= plan.samples
        if progress.step % 50 == 0 or done or time.monotonic() - saved > plan.save_every_s:
            save()
            saved = time.monotonic()
        if done:
            break
    vae.load_state_dict(shadow)
    sheet(vae, data, plan.folder / "vae.png")
    return vae


@torch.no_grad()
def sheet(vae: AutoencoderKL, data: Path, target: Path) -> float:
    """Write originals over reconstructions, and return the PSNR in dB over 12 whole pictures."""
    pool = next(shard for shard in shards(data) if "256x256" in shard.pictures.name).load_pictures()
    device = next(vae.parameters()).device
    pictures = to_tensor(pool[:12]).to(device)
    decoded = vae.decode(vae.encode(pictures).latent_dist.mode()).sample.clamp(-1, 1)
    rows = [torch.cat(list(rows), dim=2) for rows in (pictures[:6], decoded[:6], pictures[6:], decoded[6:])]
    array = ((torch.cat(rows, dim=1).permute(1, 2, 0) + 1) * 127.5).round().byte().cpu().numpy()
    Image.fromarray(array).save(target)
    return float(-10 * torch.log10(((decoded - pictures) ** 2).mean() / 4))
