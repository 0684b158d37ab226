"""How a LoRA's tensors are called, by whichever program wrote them: which layer, and which of its matrices.
Knows names, not shapes; whether a checkpoint has the layer is layers.py's to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from inference.lora_files.header import LoraFileError

Style: TypeAlias = Literal["kohya", "peft", "xlabs"]
Kind: TypeAlias = Literal["down", "up", "alpha"]

# The parts of a pipeline that a LoRA may change, by the names that begin its keys.
PARTS: Final = ("unet", "transformer", "text_encoder", "text_encoder_2")
# Every spelling of a layer's matrices where the layer is named as diffusers names it.
SPELLINGS: Final[Sequence[tuple[str, str]]] = (
    # Alphas stand behind the name of the matrix that they belong to.
    (r"_lora\.down\.weight\.alpha$", "_lora.alpha.weight"),
    (r"\.lora_linear_layer\.down\.weight\.alpha$", ".alpha"),
    (r"\.self_attn\.to_([qkv])_lora\.(down|up|alpha)\.weight$", r".self_attn.\1_proj.\2"),
    (r"\.self_attn\.to_out_lora\.(down|up|alpha)\.weight$", r".self_attn.out_proj.\1"),
    (r"\.processor\.(to_[qkv]|add_[qkv]_proj)_lora\.(down|up|alpha)\.weight$", r".\1.\2"),
    (r"\.processor\.to_out_lora\.(down|up|alpha)\.weight$", r".to_out.0.\1"),
    (r"\.lora_A(?:\.\w+)?\.weight$", ".down"),
    (r"\.lora_B(?:\.\w+)?\.weight$", ".up"),
    (r"\.(?:lora_linear_layer\.|lora\.|lora_)(down|up)\.weight$", r".\1"),
    (r"\.alpha$", ".alpha"),
)
_COMPILED: Final = tuple((re.compile(spelling), ours) for spelling, ours in SPELLINGS)
_KOHYA: Final = re.compile(r"(lora_(?:unet|te|te1|te2)_\w+)\.(?:lora_(down|up)\.weight|(alpha))")
# With the adapter's number at the end: 1 for the picture's half of a block, 2 for the text's.
_XLABS: Final = re.compile(
    r"(?:diffusion_model\.)?((?:double|single)_blocks\.\d+\.processor\.(?:qkv|proj)_lora[12]?)\.(down|up)\.weight"
)
_KINDS: Final[Mapping[str, Kind]] = {"down": "down", "up": "up", "alpha": "alpha"}
# What looks like a LoRA and multiplies otherwise.
OTHERS: Final[Mapping[str, str]] = {
    "hada_": "LoHa",
    "lokr_": "LoKr",
    "lora_mid": "LoCon with a third matrix",
    "oft_": "OFT",
    "dora_scale": "DoRA",
    "lora_magnitude_vector": "DoRA",
}


# The files of one trainer name the same layers: Stable Diffusion XL's have up to 2,400 keys.
@lru_cache(maxsize=8192)
def spelled(key: str) -> str:
    """A key that names its layer as diffusers does, as layer.kind; any other key as it is."""
    for spelling, ours in _COMPILED:
        key = spelling.sub(ours, key)
    return key


def style_of(names: Iterable[str]) -> Style:
    """The program whose spelling the first key has.

    :raises LoraFileError: none that is known; the key is named.
    """
    first = next(iter(sorted(names)))
    if first.startswith("lora_"):
        return "kohya"
    if _XLABS.fullmatch(first):
        return "xlabs"
    if first.partition(".")[0] in PARTS:
        return "peft"
    raise LoraFileError(
        f"has a tensor {first}, which is in no known spelling of LoRAs: Kohya’s, PEFT’s and diffusers’, XLabs’. "
        "Choose the LoRA’s .safetensors file, or convert it to one of them."
    )


def layer_and_kind(key: str, style: Style) -> tuple[str, Kind]:
    """The layer as the style names it, and the matrix, of one tensor.

    :raises LoraFileError: it is none of a plain LoRA's; the key is named.
    """
    for sign, name in OTHERS.items():
        if sign in key:
            raise LoraFileError(f"is a {name} ({key}); only plain LoRAs with down, up and alpha can be used.")
    if style == "peft":
        layer, _, kind = spelled(key).rpartition(".")
        if kind in _KINDS and layer.partition(".")[0] in PARTS:
            # Text encoders had a "text_model" before transformers 5.6; files name it on.
            return layer.replace(".text_model.", ".", 1), _KINDS[kind]
    elif match := (_KOHYA if style == "kohya" else _XLABS).fullmatch(key):
        return match[1], _KINDS[next(kind for kind in match.groups()[1:] if kind)]
    raise LoraFileError(f"has a tensor {key}, which is no part of a plain LoRA. Choose another file.")
