"""LoRAs with random weights, as diffusers and Kohya's trainer write them. Knows nothing about what is measured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")

Spelling = Literal["peft", "kohya"]


def write(path: Path, unet: Any, *, rank: int, seed: int = 0, spelling: Spelling = "peft") -> Path:
    """A LoRA on every attention of a U-Net, float16."""
    noise = torch.Generator().manual_seed(seed)
    state: dict[str, torch.Tensor] = {}
    for name, layer in _attention_layers(unet):
        down = (torch.randn(rank, layer.in_features, generator=noise) / rank).half()
        up = (torch.randn(layer.out_features, rank, generator=noise) / rank).half()
        if spelling == "peft":
            state |= {f"unet.{name}.lora_A.weight": down, f"unet.{name}.lora_B.weight": up}
        else:
            flat = f"lora_unet_{name.replace('.', '_')}"
            alpha = torch.tensor(rank, dtype=torch.float16)
            state |= {f"{flat}.lora_down.weight": down, f"{flat}.lora_up.weight": up, f"{flat}.alpha": alpha}
    save_file(state, path)
    return path


def _attention_layers(unet: Any) -> Iterator[tuple[str, torch.nn.Linear]]:
    for name, layer in unet.named_modules():
        if isinstance(layer, torch.nn.Linear) and name.endswith(ATTENTION):
            yield name, layer
