"""LoRAs and a checkpoint for them as bytes, made without torch: names and shapes are real, the numbers are few."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

Arrays = dict[str, npt.NDArray[np.float32]]
DTYPES = {"<f4": "F32", "<f2": "F16", "<f8": "F64", "<i8": "I64"}
WIDTH = 8
TEXT_WIDTH = 12
ATTENTION = "down_blocks.0.attentions.0.transformer_blocks.0"
LAYERS = {
    f"{ATTENTION}.attn1.to_q": (WIDTH, WIDTH),
    f"{ATTENTION}.attn2.to_k": (WIDTH, TEXT_WIDTH),
    "down_blocks.0.resnets.0.conv1": (WIDTH, WIDTH, 3, 3),
    "down_blocks.0.resnets.1.conv1": (WIDTH, WIDTH, 3, 3),
}
TEXT_LAYER = "text_model.encoder.layers.0.self_attn.q_proj"


def safetensors(arrays: Mapping[str, npt.NDArray[np.generic]], metadata: Mapping[str, str] | None = None) -> bytes:
    """A file as the format says (safetensors, "Format")."""
    table: dict[str, object] = {"__metadata__": dict(metadata)} if metadata is not None else {}
    data = b""
    for name, array in arrays.items():
        offsets = [len(data), len(data) + array.nbytes]
        table[name] = {"dtype": DTYPES[array.dtype.str], "shape": list(array.shape), "data_offsets": offsets}
        data += array.tobytes()
    return with_header(json.dumps(table).encode(), data)


def with_header(header: bytes, data: bytes = b"") -> bytes:
    """A file with just this header in front of its data."""
    return struct.pack("<Q", len(header)) + header + data


def checkpoint(folder: Path, *, width: int = WIDTH) -> Path:
    """A Stable Diffusion checkpoint as far as it can be told without loading it."""
    for name, text in (
        ("model_index.json", '{"_class_name": "StableDiffusionPipeline"}'),
        ("unet/config.json", '{"in_channels": 4, "sample_size": 32}'),
        ("vae/config.json", '{"block_out_channels": [8, 8, 8, 8]}'),
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    weights = {f"{name}.weight": np.zeros((width, *shape[1:]), np.float16) for name, shape in LAYERS.items()}
    (folder / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(safetensors(weights))
    texts = {
        f"{TEXT_LAYER}.weight": np.zeros((TEXT_WIDTH, TEXT_WIDTH), np.float16),
        "text_model.embeddings.token_embedding.weight": np.zeros((50, TEXT_WIDTH), np.float16),
    }
    (folder / "text_encoder").mkdir(exist_ok=True)
    (folder / "text_encoder" / "model.safetensors").write_bytes(safetensors(texts))
    return folder


def kohya(*, rank: int = 2, seed: int = 0) -> Arrays:
    """The tensors of a LoRA for it, as Kohya's trainer names them."""
    rng = np.random.default_rng(seed)
    layers = {f"lora_unet_{name.replace('.', '_')}": shape for name, shape in LAYERS.items()}
    layers[f"lora_te_{TEXT_LAYER.replace('.', '_')}"] = (TEXT_WIDTH, TEXT_WIDTH)
    arrays: Arrays = {}
    for name, (out, *rest) in layers.items():
        ones = [1] * (len(rest) - 1)
        arrays[f"{name}.lora_down.weight"] = rng.standard_normal((rank, *rest)).astype(np.float32)
        arrays[f"{name}.lora_up.weight"] = rng.standard_normal((out, rank, *ones)).astype(np.float32)
        arrays[f"{name}.alpha"] = np.array(1, np.float32)
    return arrays
