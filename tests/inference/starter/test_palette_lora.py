"""A LoRA on the checkpoint: it trains, it is saved as others load it, and the distance to a palette is one."""

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from peft import get_peft_model_state_dict

from inference.starter import palette_lora
from inference.starter.evaluate import load
from inference.starter.grammar import COLORS
from inference.starter.render import render


def plain(color: tuple[int, int, int]):
    return np.full((32, 32, 3), color, np.uint8)


@torch.no_grad()
def awake(folder):
    """The checkpoint with noise on its weights: after a moment's training most of its branches still give nothing."""
    pipeline = load(folder)
    noise = torch.Generator().manual_seed(0)
    for weight in pipeline.unet.parameters():
        weight += 0.05 * torch.randn(weight.shape, generator=noise)
    return pipeline


@torch.no_grad()
def painted(pipeline) -> torch.Tensor:
    """One step of the UNet, unrounded: what next to no training can move."""
    states = pipeline.encode_prompt("on podium", "cpu", 1, do_classifier_free_guidance=False)[0]
    return pipeline.unet(torch.ones(1, 4, 16, 16), 500, states).sample


def test_the_distance_is_nothing_for_the_palette_and_grows_with_other_colors():
    inside = [plain(COLORS[name]) for name in palette_lora.PALETTE]
    assert palette_lora.distance(inside) < 0.01
    assert palette_lora.distance([plain(COLORS["purple"])]) > 20


def test_the_pictures_show_the_palette_alone():
    scenes = palette_lora.palette_scenes()
    assert len(scenes) == palette_lora.PICTURES
    assert {(scene.color, scene.product_color) for scene in scenes} == {palette_lora.PALETTE}
    assert palette_lora.distance([render(scene) for scene in scenes[:2]]) < palette_lora.distance(
        [plain((255, 0, 255))]
    )


def test_a_trained_lora_is_saved_and_its_weight_decides_how_much_it_changes(checkpoint, tmp_path):
    teacher = awake(checkpoint)
    palette_lora.train(teacher, [render(scene) for scene in palette_lora.palette_scenes()[:4]], steps=8)
    StableDiffusionPipeline.save_lora_weights(tmp_path, unet_lora_layers=get_peft_model_state_dict(teacher.unet))
    pipeline = awake(checkpoint)
    before = painted(pipeline)
    pipeline.load_lora_weights(tmp_path, adapter_name="palette")
    moved = []
    for weight in (0.0, 0.5, 1.0):
        palette_lora.weigh(pipeline, "palette", weight)
        moved.append(float((painted(pipeline) - before).abs().mean()))
    assert moved[0] == 0 < moved[1] < moved[2]
