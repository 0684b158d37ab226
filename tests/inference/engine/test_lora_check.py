"""The check of a LoRA's file says yes where the engine does, and no where the engine does: layer by layer."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from inference.engine import loras
from inference.engine.interface import IncompatibleLoraError
from inference.lora_files import layers
from inference.lora_files.check import check
from inference.lora_files.header import LoraFileError
from tests.inference.engine import lora_files

RANK = 2
State = dict[str, torch.Tensor]
# FLUX.1's single blocks are too small here for what diffusers expects of them.
FLUX_KOHYA = {
    "double_blocks_0_img_attn_qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "double_blocks_0_txt_attn_qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "double_blocks_0_img_attn_proj": ("attn.to_out.0",),
    "double_blocks_0_img_mlp_0": ("ff.net.0.proj",),
    "double_blocks_0_txt_mlp_2": ("ff_context.net.2",),
    "double_blocks_0_img_mod_lin": ("norm1.linear",),
}


def matrices(weight: Any, *, out: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    ones = [1] * (weight.dim() - 2)
    return torch.ones(RANK, *weight.shape[1:]), torch.ones(out or weight.shape[0], RANK, *ones)


def kohya(name: str, weight: Any, *, has_second_encoder: bool) -> State:
    part, _, path = name.partition(".")
    prefix = {"unet": "lora_unet_", "text_encoder_2": "lora_te2_"}.get(
        part, "lora_te1_" if has_second_encoder else "lora_te_"
    )
    if part.startswith("text") and not path.startswith("text_"):
        path = f"text_model.{path}"
    key = prefix + path.replace(".", "_")
    down, up = matrices(weight)
    return {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up, f"{key}.alpha": torch.tensor(1.0)}


def peft(name: str, weight: Any) -> State:
    down, up = matrices(weight)
    return {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up}


def each_layer(pipeline: Any) -> Iterator[tuple[str, State]]:
    """A LoRA of one layer for every layer of every shape of name, in both spellings."""
    seen = set()
    blocks: Mapping[str, Any] = loras.layers(pipeline)
    for name, module in blocks.items():
        # Blocks of the same kind are named alike.
        if (kind := re.sub(r"(blocks|layers)\.\d+", r"\1", name)) in seen:
            continue
        seen.add(kind)
        yield name, peft(name, module.weight)
        if hasattr(pipeline, "unet"):
            yield name, kohya(name, module.weight, has_second_encoder=hasattr(pipeline, "text_encoder_2"))
    if not hasattr(pipeline, "unet"):
        for key, parts in FLUX_KOHYA.items():
            weights = [blocks[f"transformer.transformer_blocks.0.{part}"].weight for part in parts]
            down, up = matrices(weights[0], out=sum(weight.shape[0] for weight in weights))
            yield key, {f"lora_unet_{key}.lora_down.weight": down, f"lora_unet_{key}.lora_up.weight": up}


def verdicts(path: Path, pipeline: Any, source: Any) -> tuple[bool, bool]:
    """Whether the engine takes a file, and whether the check does."""
    engine = checked = True
    try:
        loras.read(path, pipeline, loras.layers(pipeline))
    except IncompatibleLoraError:
        engine = False
    try:
        check(path, {"it": source})
    except LoraFileError:
        checked = False
    return engine, checked


@pytest.mark.parametrize("family", ["sd", "sdxl", "flux"])
def test_engine_and_check_agree_on_every_layer(family, request, tmp_path):
    source = request.getfixturevalue(family)
    pipeline = lora_files.pipeline_of(source.folder)
    path = tmp_path / "one.safetensors"
    taken = 0
    for name, state in each_layer(pipeline):
        save_file(state, path)
        engine, checked = verdicts(path, pipeline, source)
        assert engine == checked, (name, sorted(state))
        taken += engine
        # The same a little wider fits nowhere.
        down = next(key for key in state if "down" in key or "lora_A" in key)
        save_file({**state, down: torch.ones(RANK, state[down].shape[1] + 1, *state[down].shape[2:])}, path)
        assert verdicts(path, pipeline, source) == (False, False), name
    assert taken > 20


@pytest.mark.parametrize("family", ["sd", "sdxl", "flux"])
def test_the_layers_that_a_checkpoints_files_name_are_those_of_its_pipeline(family, request):
    source = request.getfixturevalue(family)
    modules: Mapping[str, Any] = loras.layers(lora_files.pipeline_of(source.folder))
    real = {
        f"{name.partition('.')[0]}.{name.partition('.')[2].removeprefix('text_model.').replace('.', '_')}": tuple(
            module.weight.shape
        )
        for name, module in modules.items()
    }
    assert layers.of(source).shapes == real


def test_the_layers_of_a_text_encoder_that_are_no_attention_act_too(sd, tmp_path):
    """Kohya's trainer names an alpha for each of them, which stands behind the name of the matrix after renaming."""
    pipeline = lora_files.pipeline_of(sd.folder)
    module = pipeline.text_encoder.encoder.layers[0].mlp.fc1
    path = tmp_path / "mlp.safetensors"
    save_file(kohya("text_encoder.encoder.layers.0.mlp.fc1", module.weight, has_second_encoder=False), path)
    [layer] = loras.read(path, pipeline, loras.layers(pipeline)).layers
    assert layer.module is module
    assert layer.scale == 1.0 / RANK
