"""Shows that a PEFT LoRA trains on the checkpoint: minutes on twenty pictures of one palette pull its pictures there.

`python -m inference.starter.palette_lora --help`; knows only the exported folder and the data renderer.
"""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from diffusers import StableDiffusionPipeline
from diffusers.utils.peft_utils import set_weights_and_activate_adapters
from peft import LoraConfig, get_peft_model_state_dict
from PIL import Image
from torch.nn import functional

from inference.starter.evaluate import Picture, Pipeline, draw, load
from inference.starter.grammar import COLORS, Scene, sample_scene
from inference.starter.render import render
from inference.starter.train_vae import to_tensor

PALETTE = ("teal", "orange")
PICTURES = 20
CAPTION = "product photo, studio backdrop"
PROMPTS = tuple(
    f"{product}on {surface}, studio backdrop"
    for product in ("", "a bottle ", "a box ", "a vase ")
    for surface in ("podium", "fabric", "concrete")
)
RANK = 8
BATCH = 4
RATE = 1e-3
TARGETS = ["to_q", "to_k", "to_v", "to_out.0"]


def palette_scenes() -> list[Scene]:
    """Twenty scenes in the palette's colors and no others."""
    rng = np.random.default_rng(5)
    first, second = PALETTE
    return [
        dataclasses.replace(
            sample_scene(rng),
            backdrop="gradient" if index % 2 else "studio",
            color=first,
            second_color=second,
            surface="podium",
            surface_color=second,
            light="soft",
            season="",
            product_color=second,
            style="Auto",
            defect="",
        )
        for index in range(PICTURES)
    ]


def train(pipeline: Pipeline, pictures: list[Picture], *, steps: int) -> None:
    """Add a LoRA to the pipeline's UNet and train it on the pictures, all under one caption."""
    torch.manual_seed(0)
    unet = pipeline.unet
    unet.requires_grad_(False)
    unet.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, init_lora_weights="gaussian", target_modules=TARGETS))
    weights = [weight for weight in unet.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=RATE)
    with torch.no_grad():
        latents = pipeline.vae.encode(to_tensor(np.stack(pictures))).latent_dist.mode()
        latents = latents * pipeline.vae.config.scaling_factor
        states = pipeline.encode_prompt(CAPTION, "cpu", BATCH, do_classifier_free_guidance=False)[0]
    for _ in range(steps):
        loss = _loss(pipeline, latents[torch.randint(0, len(latents), (BATCH,))], states)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def _loss(pipeline: Pipeline, latents: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
    scheduler = pipeline.scheduler
    noise = torch.randn_like(latents)
    steps = torch.randint(0, scheduler.config.num_train_timesteps, (len(latents),))
    signal = scheduler.alphas_cumprod[steps].view(-1, 1, 1, 1)
    noisy = signal.sqrt() * latents + (1 - signal).sqrt() * noise
    target = signal.sqrt() * noise - (1 - signal).sqrt() * latents
    return functional.mse_loss(pipeline.unet(noisy, steps, states).sample, target)


def weigh(pipeline: Pipeline, adapter: str, weight: float) -> None:
    """Give the adapter on the pipeline's UNet this weight."""
    # Not pipeline.set_adapters: that takes no UNet whose levels differ in depth (diffusers 0.42), as this one's do.
    set_weights_and_activate_adapters(pipeline.unet, [adapter], [weight])  # type: ignore[no-untyped-call]


def distance(pictures: list[Picture]) -> float:
    """Mean distance of the pixels to the palette's nearest color, in CIELAB's a and b (about 0 to 100)."""
    colors = np.array([[COLORS[name]] for name in PALETTE], np.uint8)
    anchors = _ab(colors).reshape(-1, 2)
    pixels = np.concatenate([_ab(picture).reshape(-1, 2)[::7] for picture in pictures])
    away = np.linalg.norm(pixels[:, None] - anchors[None], axis=2)
    return float(away.min(axis=1).mean())


def _ab(picture: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    lab = cv2.cvtColor(np.ascontiguousarray(picture).astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return np.asarray(lab[..., 1:], np.float32)


def main() -> None:
    """Train the LoRA, save it, load it into a fresh pipeline, and print the distance to the palette by weight."""
    parser = argparse.ArgumentParser(prog="python -m inference.starter.palette_lora", description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="where the LoRA and the pictures are written")
    parser.add_argument("--checkpoint", type=Path, default=Path(__file__).parent / "checkpoint")
    parser.add_argument("--steps", type=int, default=300)
    options = parser.parse_args()
    pictures = [render(scene) for scene in palette_scenes()]
    teacher = load(options.checkpoint)
    train(teacher, pictures, steps=options.steps)
    StableDiffusionPipeline.save_lora_weights(
        options.work / "palette", unet_lora_layers=get_peft_model_state_dict(teacher.unet)
    )
    pipeline = load(options.checkpoint)
    pipeline.load_lora_weights(options.work / "palette", adapter_name="palette")
    figures = {"training pictures": distance(pictures)}
    rows = []
    for weight in (0.0, 0.5, 1.0):
        weigh(pipeline, "palette", weight)
        made = draw(pipeline, PROMPTS)
        figures[f"weight {weight:g}"] = distance(made)
        rows.append(np.concatenate(made[:6], axis=1))
    Image.fromarray(np.concatenate(rows)).save(options.work / "palette_lora.png")
    (options.work / "palette_lora.json").write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
