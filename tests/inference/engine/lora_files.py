"""LoRAs with seeded random weights, in the spellings that public files come in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline, FluxPipeline
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import save_file

RANK = 4
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
TEXT_ATTENTION = ("q_proj", "k_proj", "v_proj", "out_proj")


def kohya(path: Path, pipeline: Any, *, with_texts: bool = True, seed: int = 0) -> Path:
    """A file as Kohya's trainer writes it for Stable Diffusion 1.5 and XL: flat names, an alpha for each layer."""
    noise = torch.Generator().manual_seed(seed)
    state: dict[str, torch.Tensor] = {}
    for prefix, part, ends in _kohya_parts(pipeline) if with_texts else list(_kohya_parts(pipeline))[:1]:
        for name, layer in _layers(part, ends):
            inner = name if prefix == "lora_unet_" or name.startswith("text_model") else f"text_model.{name}"
            key = prefix + inner.replace(".", "_")
            state[f"{key}.lora_down.weight"] = torch.randn(RANK, layer.in_features, generator=noise)
            state[f"{key}.lora_up.weight"] = torch.randn(layer.out_features, RANK, generator=noise) * 3
            state[f"{key}.alpha"] = torch.tensor(RANK / 2)
    save_file(state, path)
    return path


def peft(folder: Path, pipeline: Any, *, seed: int = 0) -> Path:
    """A file as diffusers writes what PEFT trained, for U-Nets and FLUX's transformer."""
    part = "transformer" if hasattr(pipeline, "transformer") else "unet"
    network = getattr(pipeline, part)
    copy = type(network).from_config(network.config)
    copy.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, init_lora_weights="gaussian", target_modules=list(ATTENTION)))
    noise = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, values in copy.named_parameters():
            if "lora_A" in name:
                values.copy_(torch.randn(values.shape, generator=noise) / RANK)
            elif "lora_B" in name:
                values.copy_(torch.randn(values.shape, generator=noise))
    layers = {f"{part}_lora_layers": get_peft_model_state_dict(copy)}
    cls: Any = FluxPipeline if part == "transformer" else type(pipeline)
    cls.save_lora_weights(folder, **layers)
    [path] = folder.glob("*.safetensors")
    return path


def pipeline_of(folder: Path) -> Any:
    """The checkpoint as plain diffusers loads it."""
    pipeline: Any = DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _kohya_parts(pipeline: Any) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    yield "lora_unet_", pipeline.unet, ATTENTION
    names: Mapping[str, str] = (
        {"lora_te1_": "text_encoder", "lora_te2_": "text_encoder_2"}
        if hasattr(pipeline, "text_encoder_2")
        else {"lora_te_": "text_encoder"}
    )
    for prefix, name in names.items():
        yield prefix, getattr(pipeline, name), TEXT_ATTENTION


def _layers(part: Any, ends: tuple[str, ...]) -> Iterator[tuple[str, torch.nn.Linear]]:
    for name, layer in part.named_modules():
        if isinstance(layer, torch.nn.Linear) and name.endswith(ends):
            yield name, layer
