"""Whether a file is a LoRA that can be used here: made as the format says, of numbers, for a checkpoint that is there.
Knows files and checkpoints' layers; who gave the file, and what it is called, it does not know.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from inference.catalog.entry import Family
from inference.catalog.single_file import SingleFileError
from inference.catalog.sources import CheckpointMissingError, CheckpointSource
from inference.lora_files import header as headers
from inference.lora_files import layers, metadata, values
from inference.lora_files.header import Header, LoraFileError, Tensor
from inference.lora_files.keys import Kind, Style, layer_and_kind, style_of
from inference.lora_files.layers import CheckpointLayers

FLOATS: Final = ("F64", "F32", "F16", "BF16")
# What the width of a LoRA's second attention tells of the model that it was made for.
TEXT_WIDTHS: Final[Mapping[int, str]] = {
    768: "Stable Diffusion 1.5",
    1024: "Stable Diffusion 2",
    2048: "Stable Diffusion XL",
}
_PART_NAMES: Final[Sequence[tuple[str, str]]] = (
    ("lora_te2_", "text_encoder_2"),
    ("text_encoder_2.", "text_encoder_2"),
    ("lora_te", "text_encoder"),
    ("text_encoder.", "text_encoder"),
)


@dataclass(frozen=True, kw_only=True)
class LoraFacts:
    """What a LoRA's file is. `ranks` are the least and the greatest of its layers; `fits` are slugs of checkpoints."""

    style: Style
    family: Family
    parts: tuple[str, ...]
    layers: int
    ranks: tuple[int, int]
    fits: tuple[str, ...]
    trigger_words: str


@dataclass(frozen=True)
class _Layer:
    """One layer of a LoRA, as its file names it, and its matrices with their tensors' names."""

    name: str
    tensors: Mapping[Kind, tuple[str, Tensor]]

    @property
    def rank(self) -> int:
        return self.tensors["down"][1].shape[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the weight that it is added to: (outputs, inputs, …)."""
        return (self.tensors["up"][1].shape[0], *self.tensors["down"][1].shape[1:])


def check(path: Path, installed: Mapping[str, CheckpointSource]) -> LoraFacts:
    """Read a LoRA's file and find the checkpoints that it fits.

    :param installed: the checkpoints that take LoRAs, by the names that people know them by.
    :raises LoraFileError: it is damaged, no plain LoRA, or fits none of them; the tensor is named.
    :raises OSError: it cannot be read.
    """
    header = headers.read(path)
    style, found = _layers(header)
    _check_noted(header)
    fits, misfits = [], {}
    for name, source in installed.items():
        known = _layers_of(source)
        if known is not None and (misfit := _misfit(found, style, known)):
            misfits[name] = misfit
        elif known is not None:
            fits.append(source)
    if not fits:
        raise LoraFileError(_fits_none(found, misfits))
    # Last, since it reads the whole file.
    values.check(path, header)
    ranks = [layer.rank for layer in found]
    return LoraFacts(
        style=style,
        family=fits[0].family,
        parts=tuple(sorted({_part(layer.name, fits[0].family) for layer in found})),
        layers=len(found),
        ranks=(min(ranks), max(ranks)),
        fits=tuple(source.slug for source in fits),
        trigger_words=metadata.trigger_words(header.metadata),
    )


def _layers(header: Header) -> tuple[Style, tuple[_Layer, ...]]:
    """The LoRA's layers, each with down and up and perhaps its alpha."""
    style = style_of(header.tensors)
    found: dict[str, dict[Kind, tuple[str, Tensor]]] = {}
    for key, tensor in header.tensors.items():
        name, kind = layer_and_kind(key, style)
        if kind in found.setdefault(name, {}):
            raise LoraFileError(f"has {found[name][kind][0]} and {key} for the same matrix. Get it again.")
        found[name][kind] = (key, tensor)
    made = tuple(_Layer(name, tensors) for name, tensors in found.items())
    for layer in made:
        _check_plain(layer)
    return style, made


def _check_plain(layer: _Layer) -> None:
    for kind, other in (("down", "up"), ("up", "down")):
        if kind not in layer.tensors:
            key = next(iter(layer.tensors.values()))[0]
            missing = f"no matrix “{kind}”" if other in layer.tensors else "neither “down” nor “up”"
            raise LoraFileError(f"has {key}, and {missing} to go with it. Get it again.")
    [down_key, down], [up_key, up] = layer.tensors["down"], layer.tensors["up"]
    if "alpha" in layer.tensors and any(side != 1 for side in layer.tensors["alpha"][1].shape):
        raise LoraFileError(f"has more than one number at {layer.tensors['alpha'][0]}. Get it again.")
    for key, tensor in ((down_key, down), (up_key, up)):
        if tensor.dtype not in FLOATS or len(tensor.shape) not in (2, 4):
            raise LoraFileError(f"has {key} as {tensor.dtype} of {list(tensor.shape)}, which is no LoRA’s matrix.")
    is_whole = len(up.shape) == len(down.shape) and all(side == 1 for side in up.shape[2:])
    if not is_whole or up.shape[1] != down.shape[0]:
        raise LoraFileError(
            f"has {down_key} of {list(down.shape)} and {up_key} of {list(up.shape)}, which have no rank in common. "
            "Get it again."
        )


def _check_noted(header: Header) -> None:
    """The alphas that PEFT notes beside the weights are read with them."""
    try:
        noted = json.loads(header.metadata.get("lora_adapter_metadata", "{}"))
    except (ValueError, RecursionError):
        noted = None
    patterns = [value for key, value in noted.items() if key.endswith(".alpha_pattern")] if _is_table(noted) else []
    alphas = [value for key, value in noted.items() if key.endswith(".lora_alpha")] if _is_table(noted) else []
    if _is_table(noted) and any(value for key, value in noted.items() if key.endswith(".use_rslora")):
        raise LoraFileError(
            "was trained with rank-stabilized scaling (rsLoRA), which is not read here. Train it without."
        )
    is_sound = _is_table(noted) and all(pattern is None or _is_table(pattern) for pattern in patterns)
    if is_sound:
        alphas += [alpha for pattern in patterns if pattern for alpha in pattern.values()]
    if not is_sound or not all(_is_alpha(alpha) for alpha in alphas):
        raise LoraFileError("has notes about its alphas (lora_adapter_metadata) that cannot be read. Get it again.")


def _is_table(values: Any) -> bool:
    return isinstance(values, dict)


def _is_alpha(value: Any) -> bool:
    return value is None or (type(value) in (int, float) and abs(value) <= values.HALF_MAX)


def _layers_of(source: CheckpointSource) -> CheckpointLayers | None:
    """The layers of a checkpoint; None where it cannot be told, as of one that is made by its first render."""
    try:
        return layers.of(source)
    except (CheckpointMissingError, SingleFileError):
        return None


def _misfit(found: Sequence[_Layer], style: Style, known: CheckpointLayers) -> tuple[int, str] | None:
    """How many layers do not fit a checkpoint, and what is wrong with the first of them."""
    wrong = [
        (layer, shape)
        for layer in found
        if (shape := known.shape_of(layer.name, style)) is None or shape != layer.shape
    ]
    if not wrong:
        return None
    layer, shape = min(wrong, key=lambda each: each[0].name)
    key = layer.tensors["down"][0]
    what = (
        "which has no such layer"
        if shape is None
        else f"whose layer is {list(shape)} where it needs {list(layer.shape)}"
    )
    return len(wrong), f"{what} ({key})"


def _fits_none(found: Sequence[_Layer], misfits: Mapping[str, tuple[int, str]]) -> str:
    made_for = _made_for(found)
    told = f"was made for {made_for}, and" if made_for else "was made for another model:"
    if not misfits:
        return f"{told} no model that takes LoRAs is installed here. Install the model, then upload it again."
    nearest = min(misfits, key=lambda name: misfits[name][0])
    return (
        f"{told} fits none of the models that are installed here. The nearest is {nearest}, {misfits[nearest][1]}. "
        "Install the model that it was trained on, then upload it again."
    )


def _made_for(found: Sequence[_Layer]) -> str:
    for layer in found:
        if layer.name.replace(".", "_").endswith("attn2_to_k"):
            return TEXT_WIDTHS.get(layer.shape[1], "")
    is_flux = any("single_blocks" in layer.name or "single_transformer_blocks" in layer.name for layer in found)
    return "FLUX.1" if is_flux else ""


def _part(layer: str, family: Family) -> str:
    for prefix, part in _PART_NAMES:
        if layer.startswith(prefix):
            return part
    return "transformer" if family == "flux" else "unet"
