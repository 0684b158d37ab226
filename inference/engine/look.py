"""An IP-Adapter beside a U-Net: the look of a reference picture, seen by a CLIP image encoder, joins what a text says.
Knows nothing about batches or where references come from.

The adapter brings an attention of its own to every layer that reads the text (Ye et al. 2023, equation 5). Its layers
are put in place for a pass and taken out again: the U-Net's own stay as they were, to the bit.
"""

# diffusers and transformers leave many of their functions untyped.
# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from diffusers.models.embeddings import ImageProjection
from PIL import Image
from safetensors import SafetensorError, safe_open
from transformers import CLIPVisionModelWithProjection

from inference.engine.interface import CorruptCheckpointError, IncompatibleAdapterError

if TYPE_CHECKING:
    from inference.engine.interface import Pixels

ENCODER = "image_encoder"
FILES = "ip-adapter*.safetensors"
PARTS = ("image_proj", "ip_adapter")
# What CLIP's pictures were normalized with (Radford et al. 2021, openai/CLIP).
MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)

# Tensors of an adapter's file by part, and there by name.
State = Mapping[str, Mapping[str, torch.Tensor]]


@dataclass(frozen=True, eq=False)
class LookEmbedding:
    """A reference as the U-Net's attention sees it, and what it sees for none: (1, 1, tokens, width) both."""

    positive: torch.Tensor
    negative: torch.Tensor

    @property
    def nbytes(self) -> int:
        """What both take in memory."""
        return self.positive.nbytes + self.negative.nbytes


@dataclass(frozen=True, eq=False)
class LookAdapter:
    """An IP-Adapter that fits a U-Net: its image encoder, its projection to tokens, its attention by layer's name."""

    encoder: Any
    projection: Any
    processors: Mapping[str, Any]

    def embed(self, picture: Pixels) -> LookEmbedding:
        """What is seen of a picture uint8 (h, w, 3), looked at alone: so its bytes do not depend on a neighbor."""
        pixels = _prepared(picture, self.encoder.config.image_size).to(self.encoder.device, self.encoder.dtype)
        if isinstance(self.projection.image_projection_layers[0], ImageProjection):
            positive = self.encoder(pixels).image_embeds
            negative = torch.zeros_like(positive)
        else:
            # The finer kinds ("plus") read every patch, from the last layer but one.
            positive, negative = (
                self.encoder(each, output_hidden_states=True).hidden_states[-2]
                for each in (pixels, torch.zeros_like(pixels))
            )
        # One reference for an image, in the second dimension.
        [seen], [unseen] = (self.projection([each[:, None]]) for each in (positive, negative))
        return LookEmbedding(seen, unseen)

    def to(self, device: torch.device, dtype: torch.dtype) -> None:
        """Bring all of it there."""
        for part in (self.encoder, self.projection, *self.processors.values()):
            if isinstance(part, torch.nn.Module):
                part.to(device, dtype)


@contextmanager
def acting(unet: Any, adapter: LookAdapter, looks: Sequence[LookEmbedding], scale: float) -> Iterator[None]:
    """Have each image of a batch take up the look of its own reference, this strongly."""
    for processor in adapter.processors.values():
        if hasattr(processor, "scale"):
            processor.scale = [scale]
    seen = torch.cat([*(each.negative for each in looks), *(each.positive for each in looks)])

    def show(_module: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        # Where nothing guides it, each image is there once, with its prompt.
        embeds = {"image_embeds": [seen[-len(arguments[0]) :]]}
        return arguments, {**named, "added_cond_kwargs": {**(named.get("added_cond_kwargs") or {}), **embeds}}

    before = _placed(unet)
    # By a hook, because diffusers' pipelines show all references of a batch to each of its images. And projected
    # already, once and alone, where they would do it in every step.
    hook = unet.register_forward_pre_hook(show, with_kwargs=True)
    try:
        _place(unet, (adapter.processors, torch.nn.Identity(), "ip_image_proj"))
        yield
    finally:
        hook.remove()
        _place(unet, before)


def read(folder: Path, unet: Any) -> LookAdapter:
    """The IP-Adapter of a folder, on the U-Net's device and in its precision.

    :raises IncompatibleAdapterError: the folder lacks a part, or the adapter was made for another model.
    :raises CorruptCheckpointError: a file cannot be read.
    """
    path = _file(folder)
    state = _state(path)
    _refuse_foreign(path, state, unet)
    encoder = _encoder(folder, unet)
    before = _placed(unet)
    try:
        # With less memory, diffusers would leave without values what a file lacks.
        unet._load_ip_adapter_weights([state], low_cpu_mem_usage=False)
        processors, projection, _ = _placed(unet)
    # What the projection is made of is known by its weights alone: whatever diffusers says of those it cannot place.
    except (KeyError, IndexError, RuntimeError, ValueError) as error:
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise IncompatibleAdapterError(f"The IP-Adapter {path.name} is of a kind that cannot be used: {reason}.") from (
            error
        )
    finally:
        _place(unet, before)
    adapter = LookAdapter(encoder, projection, processors)
    _refuse_foreign_encoder(path, adapter)
    return adapter


def _file(folder: Path) -> Path:
    found = sorted(folder.glob(FILES))
    if len(found) != 1:
        what = "holds no" if not found else "holds more than one"
        raise IncompatibleAdapterError(f"{folder} {what} {FILES}. Put there the one adapter to use.")
    if not (folder / ENCODER / "config.json").is_file():
        raise IncompatibleAdapterError(
            f"{folder} lacks the folder {ENCODER}. Put there the image encoder that the adapter was trained with."
        )
    return found[0]


def _state(path: Path) -> State:
    state: dict[str, dict[str, torch.Tensor]] = {part: {} for part in PARTS}
    try:
        with safe_open(path, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118  # it is no mapping
                part, _, name = key.partition(".")
                if part in state:
                    state[part][name] = file.get_tensor(key)
    except (OSError, SafetensorError) as error:
        raise CorruptCheckpointError(f"The IP-Adapter {path} cannot be read: {error}. Copy it again.") from error
    if missing := [part for part in PARTS if not state[part]]:
        raise IncompatibleAdapterError(f"{path.name} is no IP-Adapter: it has no {missing[0]}. Choose another file.")
    return state


def _refuse_foreign(path: Path, state: State, unet: Any) -> None:
    """Refuse an adapter whose attention is not that of the U-Net, or that sees faces by another network."""
    if any(name.startswith("perceiver_resampler.") or "_lora." in name for part in PARTS for name in state[part]):
        raise IncompatibleAdapterError(
            f"The IP-Adapter {path.name} looks at faces through another network. Choose one that sees whole pictures."
        )
    wanted = _attention_shapes(unet)
    found = {name: tuple(values.shape) for name, values in state["ip_adapter"].items()}
    if wanted != found:
        name = min(
            (each for each in wanted.keys() | found.keys() if wanted.get(each) != found.get(each)),
            key=lambda each: (int(each.partition(".")[0]), each) if each[0].isdigit() else (0, each),
        )
        raise IncompatibleAdapterError(
            f"The IP-Adapter {path.name} was made for another model: its {name} is {found.get(name, 'missing')}, "
            f"here it would be {wanted.get(name, 'none')}. Choose the model that it was trained on."
        )


def _attention_shapes(unet: Any) -> dict[str, tuple[int, ...]]:
    """Shapes of an adapter's matrices by name: its layers have odd numbers, in the U-Net's own order."""
    reading_texts = [name for name in unet.attn_processors if name.endswith("attn2.processor")]
    layers = [unet.get_submodule(name.removesuffix(".processor")) for name in reading_texts]
    return {
        f"{2 * number + 1}.to_{kind}_ip.weight": tuple(getattr(layer, f"to_{kind}").weight.shape)
        for number, layer in enumerate(layers)
        for kind in "kv"
    }


def _encoder(folder: Path, unet: Any) -> Any:
    cls: Any = CLIPVisionModelWithProjection
    try:
        encoder, report = cls.from_pretrained(
            folder / ENCODER, local_files_only=True, use_safetensors=True, dtype=unet.dtype, output_loading_info=True
        )
        missing = sorted(report["missing_keys"])
    # As with checkpoints: whatever error the reader of a damaged file has.
    except Exception as error:
        reason = str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
        raise CorruptCheckpointError(
            f"The image encoder in {folder / ENCODER} cannot be loaded: {reason}. Copy the folder again."
        ) from error
    if missing:
        # transformers would make them up.
        raise CorruptCheckpointError(f"{folder / ENCODER} lacks the weight {missing[0]}. Copy the folder again.")
    return encoder.eval().to(unet.device)


def _refuse_foreign_encoder(path: Path, adapter: LookAdapter) -> None:
    """Refuse an adapter that takes other embeddings than its image encoder makes, by trying."""
    side = adapter.encoder.config.image_size
    try:
        adapter.embed(np.zeros((side, side, 3), dtype=np.uint8))
    except RuntimeError as error:
        raise IncompatibleAdapterError(
            f"The IP-Adapter {path.name} was trained with another image encoder than the one in {ENCODER}. "
            "Put its own there."
        ) from error


def _placed(unet: Any) -> tuple[Mapping[str, Any], Any, Any]:
    processors = {
        # The projection of the finer kinds has attention of its own, which stays in it.
        name: each
        for name, each in unet.attn_processors.items()
        if not name.startswith("encoder_hid_proj.")
    }
    return processors, unet.encoder_hid_proj, unet.config.encoder_hid_dim_type


def _place(unet: Any, parts: tuple[Mapping[str, Any], Any, Any]) -> None:
    processors, projection, kind = parts
    # First, so that the attention is the U-Net's own alone.
    unet.encoder_hid_proj = None
    unet.set_attn_processor(dict(processors))
    unet.encoder_hid_proj = projection
    unet.config.encoder_hid_dim_type = kind


def _prepared(picture: Pixels, side: int) -> torch.Tensor:
    """float32 (1, 3, side, side) as CLIP sees it: the shorter edge brought to `side`, the middle cut out."""
    image = Image.fromarray(picture)
    shorter = min(image.size)
    width, height = (int(side * each / shorter) for each in image.size)
    left, top = (width - side) // 2, (height - side) // 2
    square = image.resize((width, height), Image.Resampling.BICUBIC).crop((left, top, left + side, top + side))
    pixels = torch.from_numpy(np.array(square)).permute(2, 0, 1).to(torch.float32)[None] / 255
    mean, deviation = (torch.tensor(each)[None, :, None, None] for each in (MEAN, DEVIATION))
    return (pixels - mean) / deviation
