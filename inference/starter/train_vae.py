"""Trains the autoencoder on crops of rendered pictures.

Latents are made to turn and shrink with the picture, so mirrored latents are latents of mirrored pictures
(Kouzelis et al. 2025, EQ-VAE); knows no prompts.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch.nn import functional

from inference.starter.dataset import shards
from inference.starter.loop import ResumeError, Slice, Trained, cosine
from inference.starter.models import Preset, Vae, build_vae, pick_device
from inference.starter.warm_start import warm_start

CROP = 96
KL_WEIGHT = 2e-4
EDGE_WEIGHT = 1.0
EMA = 0.998
SEAL = "vae.sealed"
SHEET_PICTURES = 6


def crops(folder: Path, rng: np.random.Generator, batch: int) -> Iterator[torch.Tensor]:
    """Yield batch x 3 x CROP x CROP tensors in -1..1, a third of them from pictures at half size."""
    while True:
        found = shards(folder)
        pools = [found[int(i)].load_pictures() for i in rng.integers(len(found), size=24)]
        for _ in range(200):
            yield to_tensor(np.stack([_crop(pools[int(rng.integers(len(pools)))], rng) for _ in range(batch)]))


def _crop(pool: npt.NDArray[Any], rng: np.random.Generator) -> npt.NDArray[Any]:
    half = rng.random() < 0.3
    side = CROP * 2 if half else CROP
    count, height, width = pool.shape[:3]
    y, x = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    part = np.array(pool[int(rng.integers(count)), y : y + side, x : x + side])
    if half:
        part = cv2.resize(part, (CROP, CROP), interpolation=cv2.INTER_AREA)
    return part[:, ::-1] if rng.random() < 0.5 else part


def to_tensor(pictures: npt.NDArray[Any]) -> torch.Tensor:
    """Turn count x height x width x 3 uint8 into count x 3 x height x width float32 in -1..1."""
    tensor = torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float()
    return (tensor / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def loss_of(vae: Vae, pictures: torch.Tensor, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
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


def is_sealed(work: Path) -> bool:
    """Tell whether pictures have been encoded, after which the encoder must stay as it is."""
    return (work / SEAL).exists()


def train(data: Path, preset: Preset, plan: Slice, *, seed: int = 0, decoder_only: bool = False) -> None:
    """Train for the slice and save; raises ResumeError. `decoder_only` leaves latents that were encoded valid."""
    if is_sealed(plan.folder) and not decoder_only:
        raise ResumeError("The pictures are encoded already; add --decoder-only, or start in another --work folder.")
    device = pick_device()
    vae = warm_start(build_vae(preset)).to(device, memory_format=torch.channels_last)
    vae.encoder.requires_grad_(not decoder_only)
    vae.quant_conv.requires_grad_(not decoder_only)
    trained = Trained("vae", {"vae": vae}, rate=preset.vae_rate, average=EMA)
    trained.restore(plan)
    progress = trained.progress
    rng = np.random.default_rng([seed, progress.step])
    torch.manual_seed(seed + progress.step)
    for pictures in crops(data, rng, preset.vae_batch):
        rate = cosine(progress.samples, plan.samples, peak=preset.vae_rate, warmup=400)
        loss, error = loss_of(vae, pictures.to(device), rng)
        trained.step(loss, rate=rate)
        progress.advance(len(pictures), float(error))
        if progress.step % 50 == 0:
            trained.log(plan, psnr=-10 * math.log10(progress.mean()), rate=rate)
        if progress.is_due(plan):
            trained.save(plan)
        if progress.is_done(plan):
            break
    vae.load_state_dict(trained.shadows["vae"])
    print("PSNR over twelve whole pictures, dB:", sheet(vae, data, plan.folder / "vae.png"))


@torch.no_grad()
def sheet(vae: Vae, data: Path, target: Path) -> float:
    """Write originals over reconstructions, and return their PSNR in dB."""
    pool = next(shard for shard in shards(data) if "256x256" in shard.pictures.name).load_pictures()
    device = next(vae.parameters()).device
    pictures = to_tensor(pool[:SHEET_PICTURES]).to(device)
    decoded = vae.decode(vae.encode(pictures).latent_dist.mode()).sample.clamp(-1, 1)
    rows = [torch.cat(list(half), dim=2) for half in (pictures, decoded)]
    array = ((torch.cat(rows, dim=1).permute(1, 2, 0) + 1) * 127.5).round().byte().cpu().numpy()
    Image.fromarray(array).save(target)
    return float(-10 * torch.log10(((decoded - pictures) ** 2).mean() / 4))
