"""Writes the averaged weights as a plain diffusers folder that any Stable Diffusion pipeline loads.

Knows no training; half-precision safetensors, no safety checker and no feature extractor.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline

from inference.starter.latents import load_vae
from inference.starter.loop import load_state
from inference.starter.models import Preset
from inference.starter.train_unet import Networks, build


def load_networks(work: Path, preset: Preset) -> Networks:
    """Load the averaged weights of the training in this folder; raises FileNotFoundError before the first save."""
    networks = build(work, preset)
    state = load_state(work / "unet.pt")
    for name, part in networks.parts().items():
        part.load_state_dict(state["shadows"][name])
        part.eval()
    return networks


def pipeline(work: Path, preset: Preset) -> Any:
    """Put the pipeline together from the training state, in float32."""
    networks = load_networks(work, preset)
    return StableDiffusionPipeline(  # type: ignore[no-untyped-call]
        vae=load_vae(work, preset),
        text_encoder=networks.text_encoder,
        tokenizer=networks.tokenizer,
        unet=networks.unet,
        scheduler=networks.scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def export(work: Path, preset: Preset, folder: Path) -> None:
    """Write the pipeline to the folder, which is replaced as a whole."""
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    pipeline(work, preset).to(torch.float16).save_pretrained(fresh, safe_serialization=True)
    _load_in_single_precision(fresh / "text_encoder" / "config.json")
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


def _load_in_single_precision(file: Path) -> None:
    """Name float32 in the text encoder's settings: transformers loads what they name, diffusers always float32."""
    settings = json.loads(file.read_text())
    file.write_text(json.dumps(settings | {"dtype": "float32"}, indent=2) + "\n")
