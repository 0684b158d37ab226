"""Checkpoints that come as one file: they paint what the same weights paint from a folder, or are refused in words."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModelWithProjection

from inference import catalog
from inference.catalog import sources
from inference.engine.interface import CorruptCheckpointError
from tests.inference.engine import lora_files, single_files
from tests.inference.engine.batches import input_for, key_for, run, sha256


@pytest.fixture(scope="module")
def sdxl_two_widths(sdxl, tmp_path_factory):
    """Stable Diffusion XL whose encoders differ in width: by it diffusers tells them apart in a single file."""
    pipeline = lora_files.pipeline_of(sdxl.folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = pipeline.text_encoder_2.config
        config.hidden_size, config.intermediate_size = 48, 96
        pipeline.text_encoder_2 = CLIPTextModelWithProjection(config).eval()
        pipeline.unet = UNet2DConditionModel.from_config({**pipeline.unet.config, "cross_attention_dim": 80}).eval()
    folder = tmp_path_factory.mktemp("two-widths") / "sdxl"
    pipeline.save_pretrained(folder)
    return sources.read_source(folder, slug="sdxl")


def configs_of(folder: Path, to: Path) -> Path:
    """The folder without its weights."""
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns("*.safetensors"))
    return to


@pytest.mark.parametrize("name", ["sd", "sd_inpainting", "sdxl_two_widths"])
def test_a_single_file_paints_what_its_folder_paints(request, engine, tmp_path, name):
    folder = request.getfixturevalue(name)
    file = single_files.write(tmp_path / "one.safetensors", lora_files.pipeline_of(folder.folder))
    configs = configs_of(folder.folder, tmp_path / "configs")
    source = sources.read_source(file, slug=folder.slug, config_folder=configs)
    assert source == dataclasses.replace(folder, folder=configs, file=file)
    for task in ("text2img", "inpaint"):
        key = key_for(folder, task=task)
        [from_folder] = run(engine, folder, key, [input_for(key, 1)], batch_size=1)
        [from_file] = run(engine, source, key, [input_for(key, 1)], batch_size=1)
        assert sha256(from_file) == sha256(from_folder)


def test_one_made_for_inpainting_takes_the_configs_of_its_base(engine, sd, sd_inpainting, tmp_path):
    file = single_files.write(tmp_path / "one.safetensors", lora_files.pipeline_of(sd_inpainting.folder))
    source = sources.read_source(file, slug="sd-inpainting", config_folder=sd.folder)
    assert source.is_inpainting
    key = key_for(sd_inpainting)
    [from_folder] = run(engine, sd_inpainting, key, [input_for(key, 1)], batch_size=1)
    [from_file] = run(engine, source, key, [input_for(key, 1)], batch_size=1)
    assert sha256(from_file) == sha256(from_folder)


@pytest.mark.parametrize(
    "weight",
    [
        "model.diffusion_model.out.2.weight",
        "first_stage_model.decoder.conv_in.weight",
        "cond_stage_model.transformer.text_model.final_layer_norm.weight",
    ],
)
def test_a_file_that_lacks_a_weight_is_never_painted_with(engine, sd, tmp_path, weight):
    file = single_files.write(tmp_path / "one.safetensors", lora_files.pipeline_of(sd.folder))
    state = load_file(file)
    del state[weight]
    save_file(state, file)
    source = sources.read_source(file, slug="one", config_folder=sd.folder)
    key = key_for(source)
    with pytest.raises(CorruptCheckpointError, match=r"one\.safetensors .*opy the (file|checkpoint) again\.$"):
        run(engine, source, key, [input_for(key, 0)])


def test_the_fingerprint_of_a_file_follows_its_bytes_and_the_configs_alone(sd, tmp_path):
    file = single_files.write(tmp_path / "one.safetensors", lora_files.pipeline_of(sd.folder))
    folder = Path(shutil.copytree(sd.folder, tmp_path / "configs"))
    source = sources.read_source(file, slug="one", config_folder=folder)
    before = sources.fingerprint(source)
    (folder / "unet/diffusion_pytorch_model.safetensors").unlink()
    assert sources.fingerprint(source) == before
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    changed = sources.fingerprint(source)
    (folder / "scheduler/scheduler_config.json").write_text("{}")
    assert len({before, changed, sources.fingerprint(source)}) == 3
    file.unlink()
    with pytest.raises(sources.CheckpointMissingError, match=r"one\.safetensors holds no checkpoint"):
        sources.fingerprint(source)


def test_a_file_beside_the_folders_is_found_by_its_entry(sd, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    shutil.copytree(sd.folder, tmp_path / "checkpoints/base")
    file = single_files.write(tmp_path / "checkpoints/sd-1-5.safetensors", lora_files.pipeline_of(sd.folder))
    entry = dataclasses.replace(catalog.entry("sd-1-5"), config_folder="base")
    source = sources.resolve(entry, overrides={}, data_dir=tmp_path)
    assert (source.file, source.folder) == (file, tmp_path / "checkpoints/base")
    with pytest.raises(sources.CheckpointMissingError, match="Name such a folder in the entry's config_folder"):
        sources.resolve(catalog.entry("sd-1-5"), overrides={}, data_dir=tmp_path)


def header(path: Path, shapes: dict[str, tuple[int, ...]]) -> Path:
    state: dict[str, Any] = {name: torch.zeros(shape, dtype=torch.uint8) for name, shape in shapes.items()}
    save_file(state, path)
    return path


FIRST = "model.diffusion_model.input_blocks.0.0.weight"


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ({"lora_unet_down.lora_up.weight": (2, 2)}, "is a LoRA, not a checkpoint"),
        ({"double_blocks.0.img_attn.norm.scale": (2,)}, r"is a FLUX\.1 transformer without its text encoders"),
        ({FIRST: (4, 4, 3, 3), "conditioner.embedders.0.model.ln_final.weight": (2,)}, "is a Stable Diffusion XL ref"),
        ({FIRST: (4, 4, 3, 3)}, "holds a U-Net without its text encoder"),
        ({"model.diffusion_model.joint_blocks.0.x": (2,)}, "is a Stable Diffusion 3"),
        ({"weights": (2,)}, r"is no Stable Diffusion 1\.5, 2 or XL checkpoint"),
        ({FIRST: (4, 8, 3, 3), "cond_stage_model.x": (2,)}, "with 8 input channels; only 4 and 9 can run"),
        (
            {FIRST: (4, 4, 3, 3), "conditioner.embedders.1.model.x": (2,)},
            "is of the family sdxl, and its config_folder",
        ),
    ],
)
def test_a_file_of_another_kind_is_refused_by_its_header(sd, tmp_path, shapes, words):
    file = header(tmp_path / "one.safetensors", shapes)
    with pytest.raises(sources.CheckpointUnreadableError, match=words) as caught:
        sources.read_source(file, slug="one", config_folder=sd.folder)
    assert "one.safetensors" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\xff" * 20, b"\x02\0\0\0\0\0\0\0[]", b"\x09\0\0\0\0\0\0\0{"])
def test_a_file_that_is_no_safetensors_is_refused(sd, tmp_path, content):
    file = tmp_path / "one.safetensors"
    file.write_bytes(content)
    with pytest.raises(sources.CheckpointUnreadableError, match="is damaged, or no safetensors file"):
        sources.read_source(file, slug="one", config_folder=sd.folder)
