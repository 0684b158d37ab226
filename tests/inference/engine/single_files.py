"""Checkpoints as one file, in the layout that the original programs of Stable Diffusion 1.5 and XL write."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

State = dict[str, torch.Tensor]
Renames = Sequence[tuple[str, str]]

# A diffusers name by pattern, to the original one.
UNET: Renames = (
    (r"^time_embedding\.linear_1", "time_embed.0"),
    (r"^time_embedding\.linear_2", "time_embed.2"),
    (r"^add_embedding\.linear_1", "label_emb.0.0"),
    (r"^add_embedding\.linear_2", "label_emb.0.2"),
    (r"^conv_in", "input_blocks.0.0"),
    (r"^conv_norm_out", "out.0"),
    (r"^conv_out", "out.2"),
    (r"^mid_block\.attentions\.0", "middle_block.1"),
    (r"^mid_block\.resnets\.0", "middle_block.0"),
    (r"^mid_block\.resnets\.1", "middle_block.2"),
)
RESNET: Renames = (
    (r"\.norm1\.", ".in_layers.0."),
    (r"\.conv1\.", ".in_layers.2."),
    (r"\.norm2\.", ".out_layers.0."),
    (r"\.conv2\.", ".out_layers.3."),
    (r"\.time_emb_proj\.", ".emb_layers.1."),
    (r"\.conv_shortcut\.", ".skip_connection."),
)
VAE: Renames = (
    (r"\.conv_norm_out\.", ".norm_out."),
    (r"\.conv_shortcut\.", ".nin_shortcut."),
    (r"\.mid_block\.attentions\.0\.group_norm\.", ".mid.attn_1.norm."),
    (r"\.mid_block\.attentions\.0\.to_([qkv])\.", r".mid.attn_1.\1."),
    (r"\.mid_block\.attentions\.0\.to_out\.0\.", ".mid.attn_1.proj_out."),
    (r"\.mid_block\.resnets\.0\.", ".mid.block_1."),
    (r"\.mid_block\.resnets\.1\.", ".mid.block_2."),
    (r"\.down_blocks\.(\d+)\.resnets\.(\d+)\.", r".down.\1.block.\2."),
    (r"\.down_blocks\.(\d+)\.downsamplers\.0\.", r".down.\1.downsample."),
)
OPEN_CLIP: Renames = (
    (r"^text_model\.embeddings\.token_embedding\.weight", "token_embedding.weight"),
    (r"^text_model\.embeddings\.position_embedding\.weight", "positional_embedding"),
    (r"^text_model\.final_layer_norm", "ln_final"),
    (r"^text_model\.encoder\.layers\.", "transformer.resblocks."),
    (r"\.self_attn\.", ".attn."),
    (r"\.layer_norm([12])\.", r".ln_\1."),
    (r"\.mlp\.fc1\.", ".mlp.c_fc."),
    (r"\.mlp\.fc2\.", ".mlp.c_proj."),
)


def write(path: Path, pipeline: Any) -> Path:
    """All of a pipeline's weights in one file."""
    state = {f"model.diffusion_model.{name}": values for name, values in _unet(pipeline.unet)}
    state |= {f"first_stage_model.{name}": values for name, values in _vae(pipeline.vae)}
    if hasattr(pipeline, "text_encoder_2"):
        state |= _clip(pipeline.text_encoder, "conditioner.embedders.0.transformer.text_model.")
        state |= {f"conditioner.embedders.1.model.{name}": each for name, each in _open_clip(pipeline.text_encoder_2)}
    else:
        state |= _clip(pipeline.text_encoder, "cond_stage_model.transformer.text_model.")
    save_file({name: values.contiguous() for name, values in state.items()}, path)
    return path


def _unet(unet: Any) -> Iterator[tuple[str, torch.Tensor]]:
    layers = unet.config.layers_per_block + 1

    def block(found: re.Match[str]) -> str:
        way, number, part, layer = found[1], int(found[2]), found[3], int(found[4])
        if way == "down" and part == "downsamplers":
            return f"input_blocks.{layers * (number + 1)}.0.op."
        if way == "down":
            return f"input_blocks.{layers * number + layer + 1}.{int(part == 'attentions')}."
        if part == "upsamplers":
            after = 2 if hasattr(unet.up_blocks[number], "attentions") else 1
            return f"output_blocks.{layers * number + layers - 1}.{after}.conv."
        return f"output_blocks.{layers * number + layer}.{int(part == 'attentions')}."

    for name, values in unet.state_dict().items():
        renamed = re.sub(r"^(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)\.(?:conv\.(?=weight|bias))?", block, name)
        yield _renamed(renamed, (*UNET, *(RESNET if ".resnets." in name else ()))), values


def _vae(vae: Any) -> Iterator[tuple[str, torch.Tensor]]:
    last = len(vae.config.block_out_channels) - 1
    for name, values in vae.state_dict().items():
        renamed = re.sub(
            r"\.up_blocks\.(\d+)\.(?:resnets\.(\d+)|(upsamplers)\.0)\.",
            lambda found: f".up.{last - int(found[1])}." + ("upsample." if found[3] else f"block.{found[2]}."),
            name,
        )
        renamed = _renamed(renamed, VAE)
        is_matrix = ".attn_1." in renamed and renamed.endswith("weight") and ".norm." not in renamed
        yield renamed, values[..., None, None] if is_matrix else values


def _clip(encoder: Any, prefix: str) -> State:
    # Since transformers 5.6 the text model is the model itself; before, it was an attribute.
    return {prefix + name.removeprefix("text_model."): each for name, each in encoder.state_dict().items()}


def _open_clip(encoder: Any) -> Iterator[tuple[str, torch.Tensor]]:
    state = encoder.state_dict()
    for name, values in state.items():
        if name == "text_projection.weight":
            yield "text_projection", values.T
        elif ".q_proj." in name:
            joined = torch.cat([state[name.replace(".q_proj.", f".{each}_proj.")] for each in "qkv"])
            yield _renamed(name, OPEN_CLIP).replace(".q_proj.", ".in_proj_"), joined
        elif not re.search(r"\.[kv]_proj\.", name):
            yield _renamed(name, OPEN_CLIP), values


def _renamed(name: str, renames: Renames) -> str:
    for pattern, new in renames:
        name = re.sub(pattern, new, name)
    return name
