"""IP-Adapters with seeded random weights, as public ones come: a safetensors file beside its image encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

TOKENS = 4
WIDTH = 32
PROJECTED = 24


def adapter(folder: Path, checkpoint: Path, *, kind: Literal["plain", "plus"] = "plain", seed: int = 0) -> Path:
    """The folder of an adapter for a checkpoint's U-Net; "plus" sees every patch of a reference."""
    unet: Any = UNet2DConditionModel.from_pretrained(checkpoint, subfolder="unet", local_files_only=True)
    noise = torch.Generator().manual_seed(seed)
    width = unet.config.cross_attention_dim
    projection = _plain(width, noise) if kind == "plain" else _plus(width, noise)
    state = {f"image_proj.{name}": values for name, values in projection.items()}
    names = [name for name in unet.attn_processors if name.endswith("attn2.processor")]
    for number, name in enumerate(names):
        rows = unet.get_submodule(name.removesuffix(".processor")).to_k.out_features
        for matrix in ("to_k_ip", "to_v_ip"):
            # Strong enough to be seen, weak enough for a larger scale to be seen more.
            state[f"ip_adapter.{2 * number + 1}.{matrix}.weight"] = torch.randn(rows, width, generator=noise) * 0.03
    folder.mkdir(parents=True, exist_ok=True)
    save_file(state, folder / "ip-adapter_tiny.safetensors")
    encoder(folder / "image_encoder", seed=seed)
    return folder


def encoder(folder: Path, *, projected: int = PROJECTED, seed: int = 0) -> None:
    """An image encoder for pictures of 32 px a side."""
    config = CLIPVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        projection_dim=projected,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=32,
        patch_size=8,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        CLIPVisionModelWithProjection(config).save_pretrained(folder)


def _plain(width: int, noise: torch.Generator) -> dict[str, torch.Tensor]:
    return {
        "proj.weight": torch.randn(TOKENS * width, PROJECTED, generator=noise) * 10,
        "proj.bias": torch.zeros(TOKENS * width),
        "norm.weight": torch.ones(width),
        "norm.bias": torch.zeros(width),
    }


def _plus(width: int, noise: torch.Generator) -> dict[str, torch.Tensor]:
    inner, head = 64, 64

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=noise) / shape[-1] ** 0.5

    state = {
        "latents": normal(1, TOKENS, inner),
        "proj_in.weight": normal(inner, WIDTH),
        "proj_in.bias": torch.zeros(inner),
        "proj_out.weight": normal(width, inner),
        "proj_out.bias": torch.zeros(width),
        "norm_out.weight": torch.ones(width),
        "norm_out.bias": torch.zeros(width),
    }
    for layer in ("layers.0", "layers.1", "layers.2", "layers.3"):
        state |= {
            f"{layer}.0.to_q.weight": normal(head, inner),
            f"{layer}.0.to_kv.weight": normal(2 * head, inner),
            f"{layer}.0.to_out.weight": normal(inner, head),
            f"{layer}.1.1.weight": normal(4 * inner, inner),
            f"{layer}.1.3.weight": normal(inner, 4 * inner),
        }
        for norm in ("0.norm1", "0.norm2", "1.0"):
            state |= {f"{layer}.{norm}.weight": torch.ones(inner), f"{layer}.{norm}.bias": torch.zeros(inner)}
    return state
