"""Encodes the rendered pictures once, whole and at half size, and serves them from memory.

The autoencoder is sealed first: its latents get mean 0 and deviation 1, and its encoder is then left alone.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from inference.starter.dataset import Shard, shards
from inference.starter.grammar import Scene
from inference.starter.loop import load_state, save_state, shadow_of
from inference.starter.models import Preset, Vae, build_vae, pick_device
from inference.starter.train_vae import SEAL, is_sealed, to_tensor

SCALES = {"full": 1, "half": 2}


@dataclass(frozen=True)
class Pool:
    """Latents of one size, count x 4 x h x w float16, and the scenes that they show."""

    latents: npt.NDArray[np.float16]
    scenes: list[Scene]


def load_vae(work: Path, preset: Preset) -> Vae:
    """Load the averaged autoencoder of the training in this folder, sealing it on first use."""
    state = load_state(work / "vae.pt")
    vae = build_vae(preset)
    vae.load_state_dict(state["shadows"]["vae"])
    vae.eval().requires_grad_(False)
    if not is_sealed(work):
        _seal(vae, work / "data")
        weights = {"vae": shadow_of(vae)}
        save_state(work / "vae.pt", state | {"model": weights, "shadows": weights, "optimizer": None})
        (work / SEAL).touch()
    vae.register_to_config(scaling_factor=1.0)
    return vae.to(pick_device(), memory_format=torch.channels_last)


@torch.no_grad()
def _seal(vae: Vae, data: Path) -> None:
    pictures = np.concatenate(
        [shard.load_pictures()[:16] for shard in shards(data) if "256x256" in shard.pictures.name][:8]
    )
    latents = torch.cat([vae.encode(to_tensor(part)).latent_dist.mode() for part in np.array_split(pictures, 8)])
    mean, deviation = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    encode, decode = vae.quant_conv, vae.post_quant_conv
    decode.bias += decode.weight[:, :, 0, 0] @ mean
    decode.weight *= deviation[None, :, None, None]
    encode.weight[:4] /= deviation[:, None, None, None]
    encode.bias[:4] = (encode.bias[:4] - mean) / deviation
    encode.bias[4:] -= 2 * deviation.log()


@torch.no_grad()
def encode_shards(work: Path, preset: Preset, *, scale: str, limit: int) -> None:
    """Encode up to `limit` shards that are not encoded yet at this scale ("full" or "half")."""
    vae = load_vae(work, preset)
    pending = [shard for shard in shards(work / "data") if not _latent_file(shard, scale).exists()]
    for shard in pending[:limit]:
        pictures = shard.load_pictures()
        parts = [_encode(vae, pictures[start : start + 16], SCALES[scale]) for start in range(0, len(pictures), 16)]
        partial = _latent_file(shard, scale).with_suffix(".partial")
        with partial.open("wb") as stream:
            np.save(stream, np.concatenate(parts))
        os.replace(partial, _latent_file(shard, scale))


def _encode(vae: Vae, pictures: npt.NDArray[np.uint8], shrink: int) -> npt.NDArray[np.float16]:
    if shrink > 1:
        size = (pictures.shape[2] // shrink, pictures.shape[1] // shrink)
        pictures = np.stack([cv2.resize(np.ascontiguousarray(p), size, interpolation=cv2.INTER_AREA) for p in pictures])
    latents = vae.encode(to_tensor(pictures).to(vae.device)).latent_dist.mode()
    return latents.cpu().numpy().astype(np.float16)  # type: ignore[no-any-return]


def _latent_file(shard: Shard, scale: str) -> Path:
    return shard.pictures.with_suffix(f".{scale}.lat")


def load_pools(data: Path, *, scale: str) -> list[Pool]:
    """Read all latents of this scale, one pool for each size."""
    found: dict[str, list[Shard]] = {}
    for shard in shards(data):
        if _latent_file(shard, scale).exists():
            found.setdefault(shard.pictures.stem.split("-")[1], []).append(shard)
    return [
        Pool(
            np.concatenate([np.load(_latent_file(s, scale)) for s in group]),
            [scene for s in group for scene in s.load_scenes()],
        )
        for group in found.values()
    ]
