"""LoRAs beside a checkpoint's weights: read from their file, taken in and out without touching the weights.
Knows nothing about where files come from, batches or pictures.

A LoRA adds up(down(x)) * alpha / rank to what a layer makes of x (Hu et al. 2021, equation 3). It is added by a hook on
the layer: taking one in costs reading its file, taking it out nothing, and the weights stay as they were to the bit.
"""

# diffusers and transformers leave many of their functions untyped.
# mypy: allow-untyped-calls

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch.nn import functional

from inference.engine.interface import IncompatibleLoraError
from inference.lora_files.keys import PARTS, spelled

KEYS_TOLD = 3


@dataclass(frozen=True, eq=False)
class Layer:
    """What a LoRA adds to one layer: down (rank, …), up (…, rank), and what their product is multiplied by."""

    module: torch.nn.Module
    down: torch.Tensor
    up: torch.Tensor
    scale: float


@dataclass(frozen=True, eq=False)
class Lora:
    """A LoRA that fits a checkpoint."""

    layers: tuple[Layer, ...]
    changes_texts: bool

    @property
    def nbytes(self) -> int:
        """What its matrices take in memory."""
        return sum(layer.down.nbytes + layer.up.nbytes for layer in self.layers)


def layers(pipeline: Any) -> Mapping[str, torch.nn.Module]:
    """The layers of a pipeline that a LoRA can change, by part and path."""
    return dict(_modules(pipeline))


def read(path: Path, pipeline: Any, modules: Mapping[str, torch.nn.Module]) -> Lora:
    """A LoRA's file, matched to the layers of a pipeline (the checkpoint's own) and on their devices.

    :param modules: what `layers` found there, which takes as long as a small file.
    :raises IncompatibleLoraError: it is damaged, or changes what the checkpoint has not; the first keys are named.
    """
    try:
        with safe_open(path, framework="pt") as file:
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # it is no mapping
            noted = json.loads((file.metadata() or {}).get("lora_adapter_metadata", "{}"))
        # Renames the blocks of Kohya's, XLabs' and the original checkpoints' styles.
        renamed, alphas = _renamed(pipeline, state)
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise IncompatibleLoraError(f"The LoRA {path.name} cannot be read: {str(error).strip()}") from error
    matrices: dict[str, dict[str, torch.Tensor]] = {}
    for key, values in {**renamed, **alphas}.items():
        name, _, kind = spelled(key).rpartition(".")
        matrices.setdefault(name, {})[kind] = torch.as_tensor(values)
    matched = {name: _match(modules, name) for name in matrices}
    if foreign := sorted(name for name, module in matched.items() if module is None):
        raise IncompatibleLoraError(
            f"The LoRA {path.name} was made for another model: this one has no {_listed(foreign)}. "
            "Choose the model that it was trained on."
        )
    for name, kinds in matrices.items():
        if (alpha := _noted_alpha(noted, name)) is not None:
            kinds.setdefault("alpha", torch.tensor(alpha))
    found = tuple(_layer(path, name, matched[name], kinds) for name, kinds in matrices.items())
    return Lora(found, changes_texts=any(name.startswith("text_encoder") for name in matrices))


class Adapters:
    """The LoRAs that act on a checkpoint now."""

    def __init__(self) -> None:
        self._hooks: list[torch.utils.hooks.RemovableHandle] = []

    def use(self, loras: Sequence[tuple[Lora, float]]) -> None:
        """Let these act, each at its weight, and no others."""
        for hook in self._hooks:
            hook.remove()
        self._hooks = [
            layer.module.register_forward_hook(partial(_add, layer, weight * layer.scale))
            for lora, weight in loras
            for layer in lora.layers
        ]


def _add(
    layer: Layer, scale: float, module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor
) -> torch.Tensor:
    x = inputs[0]
    # The layer may compute in higher precision for a while.
    down, up = layer.down.to(x.dtype), layer.up.to(x.dtype)
    if isinstance(module, torch.nn.Conv2d):
        hidden = functional.conv2d(x, down, None, module.stride, module.padding, module.dilation)
        return output + functional.conv2d(hidden, up) * scale
    return output + functional.linear(functional.linear(x, down), up) * scale


def _renamed(pipeline: Any, state: dict[str, torch.Tensor]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Keys as diffusers writes them, and the alphas that it keeps beside."""
    unet = getattr(pipeline, "unet", None)
    if unet is None:
        renamed, alphas = pipeline.lora_state_dict(state, return_alphas=True)
    else:
        renamed, alphas = pipeline.lora_state_dict(state, unet_config=unet.config)
    return renamed, alphas or {}


def _noted_alpha(noted: Mapping[str, Any], name: str) -> float | None:
    """A layer's alpha as PEFT notes it beside the weights, under the part's name; None where it does not."""
    part, _, path = name.partition(".")
    alpha = noted.get(f"{part}.lora_alpha")
    return (noted.get(f"{part}.alpha_pattern") or {}).get(path, alpha)


def _modules(pipeline: Any) -> Iterator[tuple[str, torch.nn.Module]]:
    for part in PARTS:
        root = getattr(pipeline, part, None)
        if root is not None:
            for name, module in root.named_modules():
                if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d)):
                    yield f"{part}.{name}", module


def _match(modules: Mapping[str, torch.nn.Module], name: str) -> torch.nn.Module | None:
    # Text encoders had a "text_model" before transformers 5.6; files name it on.
    return modules.get(name) or modules.get(name.replace(".text_model.", ".", 1))


def _layer(path: Path, name: str, module: torch.nn.Module | None, kinds: Mapping[str, torch.Tensor]) -> Layer:
    if module is None or not {"down", "up"} <= kinds.keys() <= {"down", "up", "alpha"}:
        raise IncompatibleLoraError(
            f"The LoRA {path.name} has {_listed(sorted(kinds))} for {name}; only plain LoRAs can be used, with "
            "down, up and alpha."
        )
    weight: Any = module.weight
    down, up = kinds["down"], kinds["up"]
    rank = down.shape[0]
    if not rank or (up.shape[0], *down.shape[1:]) != tuple(weight.shape) or up.shape[1] != rank:
        raise IncompatibleLoraError(
            f"The LoRA {path.name} does not fit {name}: {tuple(down.shape)} and {tuple(up.shape)} for a layer of "
            f"{tuple(weight.shape)}. Choose the model that it was trained on."
        )
    if not (_is_finite(down) and _is_finite(up)):
        raise IncompatibleLoraError(f"The LoRA {path.name} has values at {name} that are no numbers. Get it again.")
    alpha = float(kinds["alpha"]) if "alpha" in kinds else float(rank)
    down, up = (matrix.to(weight.device, weight.dtype) for matrix in (down, up))
    return Layer(module, down, up, alpha / rank)


def _is_finite(matrix: torch.Tensor) -> bool:
    # A tenth of the time of torch.isfinite in half precision: NaN is both the least and the greatest value.
    return all(math.isfinite(each) for each in matrix.aminmax())


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - KEYS_TOLD} more" if len(names) > KEYS_TOLD else ""
    return ", ".join(names[:KEYS_TOLD]) + more
