"""ControlNets on every family and task: stronger with their scale, only in their steps; on SD and SDXL, from a text,
equal to diffusers' own pipelines."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    ControlNetModel,
    EulerDiscreteScheduler,
    FluxControlNetModel,
    StableDiffusionControlNetPipeline,
    StableDiffusionXLControlNetPipeline,
)

from inference.catalog.sources import CheckpointSource
from inference.engine.batching import BatchKey, ControlKey
from inference.engine.interface import Addons, CorruptCheckpointError, InputError
from tests.inference.engine import lora_files
from tests.inference.engine.batches import difference, input_for, key_for, run, sha256

CONTROL = ControlKey(kind="canny", scale=1.0, start=0.0, end=1.0)


def _controlnet(source: CheckpointSource, folder: Path) -> Path:
    """A ControlNet with random weights, its last layers too, which training begins with at nothing."""
    pipeline = lora_files.pipeline_of(source.folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if source.family == "flux":
            config = {**pipeline.transformer.config, "in_channels": 64}
            sizes = ("num_layers", "num_single_layers", "attention_head_dim", "num_attention_heads", "axes_dims_rope")
            inputs = ("in_channels", "joint_attention_dim", "pooled_projection_dim", "guidance_embeds")
            model: Any = FluxControlNetModel(**{name: config[name] for name in (*sizes, *inputs)})
            last = [*model.controlnet_blocks, *model.controlnet_single_blocks, model.controlnet_x_embedder]
        else:
            plain = type(pipeline.unet).from_config({**pipeline.unet.config, "in_channels": 4})
            model = ControlNetModel.from_unet(plain, conditioning_embedding_out_channels=(8, 8, 8, 16))
            last = [*model.controlnet_down_blocks, model.controlnet_mid_block, model.controlnet_cond_embedding.conv_out]
        for layer in last:
            torch.nn.init.normal_(layer.weight, std=0.3)
        if source.family != "flux":
            # diffusers' first values hardly pass a map on: these keep its size from layer to layer.
            for layer in model.controlnet_cond_embedding.modules():
                if isinstance(layer, torch.nn.Conv2d):
                    torch.nn.init.kaiming_normal_(layer.weight)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def controls(tmp_path_factory):
    """A ControlNet's folder for a checkpoint, made once."""
    made: dict[str, Path] = {}

    def folder(source: CheckpointSource) -> Path:
        if source.slug not in made:
            made[source.slug] = _controlnet(source, tmp_path_factory.mktemp("control") / source.slug)
        return made[source.slug]

    return folder


def edges(key: BatchKey, number: int = 0) -> Any:
    """White lines on black, elsewhere for each number."""
    picture = np.zeros((key.height, key.width, 3), dtype=np.uint8)
    picture[8 + 8 * number :: 24] = picture[:, 8 + 8 * number :: 24] = 255
    return picture


def steered(key: BatchKey, control: ControlKey | None, number: int = 1) -> tuple[BatchKey, Any]:
    """A key and an input under a control, or without any."""
    each = dataclasses.replace(input_for(key, number), control_image=None if control is None else edges(key))
    return dataclasses.replace(key, control=control), each


def paint(engine: Any, source: CheckpointSource, folder: Path, key: BatchKey, control: ControlKey | None) -> Any:
    key, each = steered(key, control)
    addons = Addons(control=folder if control else None)
    [picture] = run(engine, source, key, [each], addons=addons, batch_size=1)
    return picture


@pytest.mark.parametrize(
    ("family", "cls"), [("sd", StableDiffusionControlNetPipeline), ("sdxl", StableDiffusionXLControlNetPipeline)]
)
def test_a_controlled_picture_is_the_one_that_diffusers_paints(request, engine, controls, family, cls):
    source = request.getfixturevalue(family)
    key = key_for(source, task="text2img", steps=4, scheduler="Euler")
    control = dataclasses.replace(CONTROL, scale=0.8, end=0.5)
    ours = paint(engine, source, controls(source), key, control)
    base = lora_files.pipeline_of(source.folder)
    extra = {"requires_safety_checker": False} if family == "sd" else {"add_watermarker": False}
    pipeline = cls(**base.components, controlnet=ControlNetModel.from_pretrained(controls(source)), **extra)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = EulerDiscreteScheduler.from_config(pipeline.scheduler.config)
    each = input_for(key, 1)
    theirs = pipeline(
        each.prompt,
        negative_prompt=each.negative_prompt,
        image=torch.from_numpy(edges(key)).permute(2, 0, 1)[None] / 255,
        num_inference_steps=4,
        guidance_scale=5.0,
        controlnet_conditioning_scale=0.8,
        control_guidance_end=0.5,
        generator=torch.Generator().manual_seed(each.seed),
        output_type="np",
    ).images[0]
    assert np.abs(ours.astype(int) - (theirs * 255).round().astype(int)).max() <= 1


@pytest.mark.parametrize("task", ["text2img", "img2img", "inpaint"])
def test_every_task_follows_a_map_the_more_the_stronger_and_forgets_it_after(engine, checkpoint, controls, task):
    key = key_for(checkpoint, task="inpaint", steps=3)
    if task != "inpaint":
        key = dataclasses.replace(key, task=task, strength=0.7 if task == "img2img" else 1.0)
    each = input_for(key_for(checkpoint, task="inpaint"), 1)
    inputs = {"text2img": (None, None), "img2img": (each.image, None), "inpaint": (each.image, each.mask_image)}
    image, mask_image = inputs[task]
    each = dataclasses.replace(each, image=image, mask_image=mask_image)

    def painted(scale: float | None) -> Any:
        control = None if scale is None else dataclasses.replace(CONTROL, scale=scale)
        batch = dataclasses.replace(key, control=control)
        mapped = dataclasses.replace(each, control_image=None if control is None else edges(batch))
        addons = Addons(control=controls(checkpoint) if control else None)
        [picture] = run(engine, checkpoint, batch, [mapped], addons=addons, batch_size=1)
        return picture

    plain = painted(None)
    near, far = (difference(painted(scale), plain) for scale in (0.1, 1.0))
    assert 0 < near < far
    assert sha256(painted(None)) == sha256(plain)


def test_a_control_acts_in_its_share_of_the_steps_alone(engine, sd, controls, monkeypatch):
    calls = []
    forward = ControlNetModel.forward

    def counted(self, *arguments, **named):
        calls.append(1)
        return forward(self, *arguments, **named)

    monkeypatch.setattr(ControlNetModel, "forward", counted)
    key = key_for(sd, task="text2img", steps=4)
    for start, end, times in ((0.0, 1.0, 4), (0.0, 0.5, 2), (0.5, 1.0, 2), (0.25, 0.5, 1)):
        calls.clear()
        paint(engine, sd, controls(sd), key, dataclasses.replace(CONTROL, start=start, end=end))
        assert len(calls) == times


@pytest.mark.parametrize("name", ["sd", "sdxl", "flux"])
def test_maps_of_one_batch_do_not_mix(request, engine, controls, name):
    source = request.getfixturevalue(name)
    key = key_for(source, task="text2img", steps=2, control=CONTROL)
    inputs = [dataclasses.replace(input_for(key, number), control_image=edges(key, number)) for number in range(3)]
    addons = Addons(control=controls(source))
    together = run(engine, source, key, inputs, addons=addons)
    for each, picture in zip(inputs, together, strict=True):
        [alone] = run(engine, source, key, [each], addons=addons)
        assert sha256(alone) == sha256(picture)
    [other] = run(engine, source, key, [dataclasses.replace(inputs[0], control_image=edges(key, 1))], addons=addons)
    assert difference(other, together[0]) > 0.1


def test_a_map_of_another_size_and_a_missing_controlnet_are_refused(engine, sd, controls, tmp_path):
    key, each = steered(key_for(sd, task="text2img"), CONTROL)
    for wrong in (each.control_image[:8], None):
        with pytest.raises(InputError, match="bring it to the key's size"):
            run(engine, sd, key, [dataclasses.replace(each, control_image=wrong)], addons=Addons(control=controls(sd)))
    with pytest.raises(InputError, match="needs its ControlNet's folder"):
        run(engine, sd, key, [each])
    with pytest.raises(CorruptCheckpointError, match=r"The ControlNet in .* cannot be loaded"):
        run(engine, sd, key, [each], addons=Addons(control=tmp_path))
