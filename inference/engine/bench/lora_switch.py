"""What it costs to use another LoRA on a U-Net of Stable Diffusion XL's full size.
Knows nothing about pictures: nothing is painted.
"""

# diffusers leaves many of its functions untyped.
# mypy: allow-untyped-calls

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from safetensors.torch import load_file

from inference.engine import loras
from inference.engine.bench.goal import Goal
from inference.engine.bench.loras import Spelling, write

# The U-Net of Stable Diffusion XL base 1.0, 2.6 billion parameters (its unet/config.json; SDXL report, section 2.1).
SDXL_UNET: Mapping[str, Any] = {
    "sample_size": 128,
    "in_channels": 4,
    "out_channels": 4,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (320, 640, 1280),
    "layers_per_block": 2,
    "cross_attention_dim": 2048,
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
RANK = 32
SPELLINGS: Sequence[Spelling] = ("peft", "kohya")
MOST_OF_COPY = 2.0
LEAST_OF_DIFFUSERS = 10.0


@dataclass(frozen=True)
class Switch:
    """What one LoRA file of so many bytes took, in seconds and against the other ways in the same round: medians."""

    nbytes: int
    ours_s: float
    of_copy: float
    """How many times as long as reading the file and copying its values."""
    of_diffusers: float
    """How many times faster than diffusers' load_lora_weights."""


def goals(repeat: int = 5) -> list[Goal]:
    """How quickly LoRAs are switched, in both spellings of their files."""
    switches = {spelling: measure(spelling, repeat=repeat) for spelling in SPELLINGS}
    size = max(each.nbytes for each in switches.values()) / 1e6
    most = max(each.of_copy for each in switches.values())
    least = min(each.of_diffusers for each in switches.values())
    figures = ", ".join(f"{name} {each.ours_s * 1000:.0f} ms" for name, each in switches.items())
    return [
        Goal(
            "LoRA switch against its file's read + copy",
            f"≤ {MOST_OF_COPY:g} ×",
            f"{most:.2f} × (full SDXL U-Net, {size:.0f} MB: {figures})",
            most <= MOST_OF_COPY,
        ),
        Goal(
            "LoRA switch against load_lora_weights",
            f"≥ {LEAST_OF_DIFFUSERS:g} × faster",
            f"{least:.1f} ×",
            least >= LEAST_OF_DIFFUSERS,
        ),
    ]


def measure(spelling: Spelling = "peft", *, repeat: int = 5, unet_config: Mapping[str, Any] = SDXL_UNET) -> Switch:
    """Read and use a file, in turn with the other ways, so that what else the machine does is the same for all."""
    pipeline = _pipeline(unet_config)
    adapters = loras.Adapters()
    modules = loras.layers(pipeline)
    with tempfile.TemporaryDirectory() as scratch, torch.inference_mode():
        path = write(Path(scratch, "lora.safetensors"), pipeline.unet, rank=RANK, spelling=spelling)
        targets = [torch.empty_like(values) for values in load_file(path).values()]

        def copy() -> None:
            for target, values in zip(targets, load_file(path).values(), strict=True):
                target.copy_(values)

        def ours() -> None:
            adapters.use([(loras.read(path, pipeline, modules), 1.0)])

        def theirs() -> None:
            pipeline.load_lora_weights(scratch, weight_name=path.name, adapter_name="one")

        rounds = []
        # The first round's imports and memory do not come again.
        for number in range(repeat + 1):
            seconds = []
            for way in (copy, ours, theirs):
                seconds.append(_timed(way))
                adapters.use([])
            pipeline.unload_lora_weights()
            if number:
                rounds.append(seconds)
        return Switch(
            nbytes=path.stat().st_size,
            ours_s=statistics.median(ours for _, ours, _ in rounds),
            of_copy=statistics.median(ours / copy for copy, ours, _ in rounds),
            of_diffusers=statistics.median(theirs / ours for _, ours, theirs in rounds),
        )


def _timed(way: Callable[[], None]) -> float:
    started = time.perf_counter()
    way()
    return time.perf_counter() - started


def _pipeline(unet_config: Mapping[str, Any]) -> Any:
    """A pipeline whose U-Net's memory is asked for and never touched: weights are neither read nor multiplied here."""
    with torch.device("meta"):
        unet: Any = UNet2DConditionModel.from_config(dict(unet_config)).to(torch.float16)
    return StableDiffusionXLPipeline(
        vae=None,
        text_encoder=None,
        text_encoder_2=None,
        tokenizer=None,
        tokenizer_2=None,
        unet=unet.to_empty(device="cpu").eval(),
        scheduler=EulerDiscreteScheduler(),
    )
