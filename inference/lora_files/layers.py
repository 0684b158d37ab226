"""The layers of a checkpoint that a LoRA can change, with the shapes of their weights, from the headers of its files.
Reads no weights; what a LoRA does with a layer it does not know.

Every name is flat: a part, a point, and the layer's path with underscores ("unet.mid_block_attentions_0_proj_in"), as
Kohya's trainer flattens them, so that all spellings meet there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from inference.catalog import single_file
from inference.catalog.sources import CheckpointSource, FileStamp, stamp
from inference.lora_files.keys import PARTS, Style

Shape = tuple[int, ...]
WEIGHT: Final = ".weight"
# Tables of vectors, which are looked up rather than multiplied with.
_TABLES: Final = re.compile(r"(?:_embedding|\bshared|embed_tokens|relative_attention_bias)\.weight$")
_KOHYA_PARTS: Final[Mapping[str, str]] = {
    "lora_te_": "text_encoder",
    "lora_te1_": "text_encoder",
    "lora_te2_": "text_encoder_2",
}
# Where a single file keeps its parts; open_clip's text encoders name their layers in a way of their own.
_FILE_PARTS: Final[Sequence[tuple[str, str]]] = (
    ("model.diffusion_model.", "unet"),
    ("cond_stage_model.transformer.text_model.", "text_encoder"),
    ("conditioner.embedders.0.transformer.text_model.", "text_encoder"),
)
_OPEN_CLIP: Final[Mapping[str, str]] = {
    "cond_stage_model.model.": "text_encoder",
    "conditioner.embedders.1.model.": "text_encoder_2",
}
_OPEN_CLIP_LAYERS: Final[Mapping[str, tuple[str, ...]]] = {
    "attn.in_proj_weight": ("self_attn_q_proj", "self_attn_k_proj", "self_attn_v_proj"),
    "attn.out_proj.weight": ("self_attn_out_proj",),
    "mlp.c_fc.weight": ("mlp_fc1",),
    "mlp.c_proj.weight": ("mlp_fc2",),
}
_FIRST_DOWN: Final = re.compile(r"model\.diffusion_model\.input_blocks\.(\d+)\.0\.op\.weight")
# The original U-Nets' names for what diffusers calls otherwise.
_SGM_LAYERS: Final[Mapping[str, str]] = {
    "input_blocks_0_0": "conv_in",
    "out_2": "conv_out",
    "time_embed_0": "time_embedding_linear_1",
    "time_embed_2": "time_embedding_linear_2",
    "label_emb_0_0": "add_embedding_linear_1",
    "label_emb_0_2": "add_embedding_linear_2",
}
_SGM_BLOCK: Final = re.compile(r"(input_blocks|middle_block|output_blocks)_(\d+)_(?:(\d+)_)?(\w+)")
_SGM_INNER: Final[Mapping[str, str]] = {
    "in_layers_2": "conv1",
    "out_layers_3": "conv2",
    "emb_layers_1": "time_emb_proj",
    "skip_connection": "conv_shortcut",
}
# Layers that diffusers' reader of Kohya's names takes for others.
_MISREAD: Final = re.compile(r"output_blocks_\d+_1_conv|add_embedding_linear_[12]")
_MIDDLE: Final = ("resnets_0", "attentions_0", "resnets_1")
# FLUX.1's blocks as its makers name them, and the layers of diffusers that lie side by side in each.
_FLUX_BLOCK: Final = re.compile(r"(double|single)_blocks_(\d+)_(\w+)")
_FLUX_LAYERS: Final[Mapping[str, tuple[str, ...]]] = {
    "double img_attn_qkv": ("attn_to_q", "attn_to_k", "attn_to_v"),
    "double img_attn_proj": ("attn_to_out_0",),
    "double img_mlp_0": ("ff_net_0_proj",),
    "double img_mlp_2": ("ff_net_2",),
    "double img_mod_lin": ("norm1_linear",),
    "double txt_attn_qkv": ("attn_add_q_proj", "attn_add_k_proj", "attn_add_v_proj"),
    "double txt_attn_proj": ("attn_to_add_out",),
    "double txt_mlp_0": ("ff_context_net_0_proj",),
    "double txt_mlp_2": ("ff_context_net_2",),
    "double txt_mod_lin": ("norm1_context_linear",),
    "single linear1": ("attn_to_q", "attn_to_k", "attn_to_v", "proj_mlp"),
    "single linear2": ("proj_out",),
    "single modulation_lin": ("norm_linear",),
    "double processor_qkv_lora1": ("attn_to_q", "attn_to_k", "attn_to_v"),
    "double processor_proj_lora1": ("attn_to_out_0",),
    "double processor_qkv_lora2": ("attn_add_q_proj", "attn_add_k_proj", "attn_add_v_proj"),
    "double processor_proj_lora2": ("attn_to_add_out",),
    "single processor_qkv_lora": ("attn_to_q", "attn_to_k", "attn_to_v"),
    "single processor_proj_lora": ("proj_out",),
}
_FLUX_PARTS: Final[Mapping[str, str]] = {
    "double": "transformer.transformer_blocks",
    "single": "transformer.single_transformer_blocks",
}


@dataclass(frozen=True)
class CheckpointLayers:
    """Flat name → shape of the weight; `layers_per_block` is a U-Net's, 0 where there is none."""

    shapes: Mapping[str, Shape]
    layers_per_block: int

    def shape_of(self, layer: str, style: Style) -> Shape | None:
        """The weight's shape of a layer as a LoRA's style names it; None where the checkpoint has no such layer."""
        names = self._names(layer, style)
        shapes = [self.shapes[name] for name in names if name in self.shapes]
        if len(shapes) < len(names) or len({shape[1:] for shape in shapes}) != 1:
            return None
        return (sum(shape[0] for shape in shapes), *shapes[0][1:])

    def _names(self, layer: str, style: Style) -> tuple[str, ...]:
        """The flat names of a layer; several where it is made of those, side by side."""
        if style == "peft":
            part, _, path = layer.partition(".")
            return (f"{part}.{path.replace('.', '_')}",)
        for prefix, part in _KOHYA_PARTS.items():
            if layer.startswith(prefix):
                return (f"{part}.{layer.removeprefix(prefix).removeprefix('text_model_')}",)
        path = layer.removeprefix("lora_unet_").replace(".", "_")
        if match := _FLUX_BLOCK.fullmatch(path):
            kind, number, inner = match.groups()
            return tuple(f"{_FLUX_PARTS[kind]}_{number}_{each}" for each in _FLUX_LAYERS.get(f"{kind} {inner}", ("",)))
        return ("",) if _MISREAD.fullmatch(path) else (f"unet.{_from_sgm(path, self.layers_per_block)}",)


def of(source: CheckpointSource) -> CheckpointLayers:
    """The layers of an installed checkpoint; kept in memory until its files change.

    :raises inference.catalog.sources.CheckpointMissingError: it has no files.
    :raises inference.catalog.single_file.SingleFileError: one of them cannot be read.
    """
    return _of(source, stamp(source))


@lru_cache(maxsize=16)
def _of(source: CheckpointSource, stamped: tuple[FileStamp, ...]) -> CheckpointLayers:
    if source.file is not None:
        return _of_file(source.file)
    shapes = dict(_of_folder(source.folder))
    resnets = [name for name in shapes if re.match(r"unet\.down_blocks_0_resnets_\d+_conv1$", name)]
    return CheckpointLayers(shapes, layers_per_block=len(resnets))


def _of_folder(folder: Path) -> Iterator[tuple[str, Shape]]:
    for part in PARTS:
        for file in sorted((folder / part).glob(f"*{single_file.SUFFIX}")):
            for key, shape in single_file.shapes(file).items():
                if _is_layer(key, shape):
                    path = key.removesuffix(WEIGHT).removeprefix("text_model.")
                    yield f"{part}.{path.replace('.', '_')}", shape


def _is_layer(key: str, shape: Shape) -> bool:
    return len(shape) in (2, 4) and key.endswith(WEIGHT) and not _TABLES.search(key)


def _of_file(file: Path) -> CheckpointLayers:
    read = single_file.shapes(file)
    downs = [int(match[1]) for key in read if (match := _FIRST_DOWN.fullmatch(key))]
    layers_per_block = min(downs, default=1) - 1
    shapes: dict[str, Shape] = {}
    for key, shape in read.items():
        shapes |= dict.fromkeys(_names_in_file(key, shape, layers_per_block), shape)
        if key.endswith("in_proj_weight"):
            third = (shape[0] // 3, *shape[1:])
            shapes |= dict.fromkeys(_names_in_file(key, shape, layers_per_block), third)
    return CheckpointLayers(shapes, layers_per_block)


def _names_in_file(key: str, shape: Shape, layers_per_block: int) -> Iterator[str]:
    for prefix, part in _FILE_PARTS:
        if key.startswith(prefix) and _is_layer(key, shape):
            path = key.removeprefix(prefix).removesuffix(WEIGHT).replace(".", "_")
            yield f"{part}.{_from_sgm(path, layers_per_block) if part == 'unet' else path}"
    for prefix, part in _OPEN_CLIP.items():
        if match := re.fullmatch(rf"{re.escape(prefix)}transformer\.resblocks\.(\d+)\.(.+)", key):
            for inner in _OPEN_CLIP_LAYERS.get(match[2], ()):
                yield f"{part}.encoder_layers_{match[1]}_{inner}"


def _from_sgm(path: str, layers_per_block: int) -> str:
    """A U-Net's flat path with diffusers' names, from those of the original program; other paths as they are."""
    if path in _SGM_LAYERS:
        return _SGM_LAYERS[path]
    match = _SGM_BLOCK.fullmatch(path)
    if match is None:
        return path
    where, first, second, inner = match.groups()
    rest = _SGM_INNER.get(inner, inner)
    if where == "middle_block":
        # Its layers have one number; what looks like a second one is the layer's own.
        rest = _SGM_INNER.get(f"{second}_{inner}" if second else inner, rest)
        return f"mid_block_{_MIDDLE[int(first)]}_{rest}" if int(first) < len(_MIDDLE) else path
    is_down = where == "input_blocks"
    block, layer = divmod(int(first) - (1 if is_down else 0), layers_per_block + 1)
    side = "down_blocks" if is_down else "up_blocks"
    if inner == "op":
        return f"{side}_{block}_downsamplers_0_conv"
    if inner == "conv":
        return f"{side}_{block}_upsamplers_0_conv"
    return f"{side}_{block}_{'attentions' if second == '1' else 'resnets'}_{layer}_{rest}"
