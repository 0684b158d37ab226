"""Texts and product pictures as the model sees them: encoded one by one, once, and kept while the checkpoint stays.
Knows nothing about batches, steps or who is asking.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np
import torch

from inference.engine import loras
from inference.engine.batching import LoraKey
from inference.engine.checkpoint import LoadedCheckpoint
from inference.engine.counters import Counters
from inference.engine.families.family import TextEmbedding
from inference.engine.look import LookEmbedding
from inference.engine.loras import Adapters, Lora

if TYPE_CHECKING:
    from inference.engine.interface import Pixels

# A campaign's texts and products: a text takes 0.7 MB for SDXL, 8 MB for FLUX, a picture's latents 0.3 to 1 MB.
KEPT_TEXTS_BYTES = 512 * 2**20
KEPT_PICTURES_BYTES = 128 * 2**20
# A reference takes up to 130 KB.
KEPT_LOOKS_BYTES = 64 * 2**20
# A LoRA of rank 32 on SDXL takes 200 MB: those of a campaign stay.
KEPT_LORAS_BYTES = 2 * 2**30


class Sized(Protocol):
    """Something whose size in memory is known."""

    @property
    def nbytes(self) -> int: ...


Value = TypeVar("Value", bound=Sized)


@dataclass(frozen=True, eq=False)
class Texts:
    """An image's texts, equally long; negative is None where the family takes none."""

    positive: TextEmbedding
    negative: TextEmbedding | None

    @property
    def length(self) -> int:
        """Tokens of each: images of one pass must agree in it."""
        return self.positive.tokens.shape[1]


class Conditioning:
    """The encodings of one loaded checkpoint. None draws random numbers: what is kept equals what is made again."""

    def __init__(self, checkpoint: LoadedCheckpoint, counters: Counters | None = None) -> None:
        self._checkpoint = checkpoint
        self._counters = counters or Counters()
        self._texts: _Kept[TextEmbedding] = _Kept(KEPT_TEXTS_BYTES)
        self._latents: _Kept[torch.Tensor] = _Kept(KEPT_PICTURES_BYTES)
        self._loras: _Kept[Lora] = _Kept(KEPT_LORAS_BYTES)
        self._looks: _Kept[LookEmbedding] = _Kept(KEPT_LOOKS_BYTES)
        self._adapters = Adapters()
        self._acting: tuple[LoraKey, ...] = ()
        self._on_texts: tuple[LoraKey, ...] = ()

    def use_loras(self, keys: Sequence[LoraKey], files: Sequence[Path]) -> None:
        """Let these LoRAs act, in their order, and no others.

        :raises IncompatibleLoraError: one of them does not fit the checkpoint; none acts then.
        """
        if tuple(keys) == self._acting:
            return
        self._adapters.use([])
        self._acting = self._on_texts = ()
        pairs = [
            (key, self._loras.get(key.file, partial(self._read_lora, path)))
            for key, path in zip(keys, files, strict=True)
        ]
        self._adapters.use([(lora, key.weight) for key, lora in pairs])
        # What these change a text into is not what others would.
        self._on_texts = tuple(key for key, lora in pairs if lora.changes_texts)
        self._acting = tuple(keys)
        self._counters.lora_switches += bool(pairs)

    def _read_lora(self, path: Path) -> Lora:
        return loras.read(path, self._checkpoint.own, self._layers)

    @cached_property
    def _layers(self) -> Mapping[str, torch.nn.Module]:
        return loras.layers(self._checkpoint.own)

    def texts(self, prompt: str, negative_prompt: str, clip_skip: int) -> Texts:
        """The embeddings of an image's two texts, the shorter one lengthened by nothing; of one where that is all."""
        family = self._checkpoint.family
        positive = self._text("prompt", prompt, clip_skip, family.encode)
        if not family.takes_negative_prompt:
            return Texts(positive, None)
        negative = self._text("negative", negative_prompt, clip_skip, family.encode_negative)
        if positive.tokens.shape == negative.tokens.shape:
            return Texts(positive, negative)
        nothing = self._text("prompt", "", clip_skip, family.encode)
        length = max(positive.tokens.shape[1], negative.tokens.shape[1])
        return Texts(
            _lengthened(positive, nothing, length),
            # What a family takes for no negative text at all stays that at any length.
            _lengthened(negative, nothing if negative_prompt else negative, length),
        )

    def _text(
        self, kind: str, text: str, clip_skip: int, encode: Callable[[Any, str, int], TextEmbedding]
    ) -> TextEmbedding:
        def make() -> TextEmbedding:
            self._counters.text_encodings += 1
            return encode(self._checkpoint.own, text, clip_skip)

        return self._texts.get((kind, text, clip_skip, self._on_texts), make)

    def latents(self, image: Pixels) -> torch.Tensor:
        """Latents (1, C, H/8, W/8) of an image uint8 (H, W, 3).

        The mode of the VAE's posterior, not a sample as diffusers' pipelines take: a sample would use up the image's
        noise generator, and a product encoded once could not serve every seed.
        """
        digest = hashlib.sha256(image.tobytes()).digest()
        return self._latents.get((image.shape, digest), lambda: self._encode(_to_unit_range(image)))

    def masked_latents(self, image: Pixels, mask_image: Pixels) -> torch.Tensor:
        """Latents (1, C, H/8, W/8) of an image whose repainted pixels (mask 255) are middle grey, as inpainting
        U-Nets were trained to see it."""
        digest = hashlib.sha256(image.tobytes() + mask_image.tobytes()).digest()
        kept = torch.from_numpy(mask_image < 128)[None, None]
        return self._latents.get(("masked", image.shape, digest), lambda: self._encode(_to_unit_range(image) * kept))

    def look(self, folder: Path, picture: Pixels) -> LookEmbedding:
        """What the IP-Adapter of a folder sees in a reference uint8 (h, w, 3).

        :raises IncompatibleAdapterError, CorruptCheckpointError: see `look.read`.
        """
        adapter = self._checkpoint.look(folder)
        digest = hashlib.sha256(picture.tobytes()).digest()
        return self._looks.get((folder, picture.shape, digest), lambda: adapter.embed(picture))

    def _encode(self, pixels: torch.Tensor) -> torch.Tensor:
        self._counters.picture_encodings += 1
        vae: Any = self._checkpoint.own.vae
        mode = vae.encode(pixels.to(vae.device, vae.dtype)).latent_dist.mode()
        scaled: torch.Tensor = (mode - _shift(vae)) * vae.config.scaling_factor
        return scaled.to(self._checkpoint.family.denoiser(self._checkpoint.own).dtype)


def decode(vae: Any, latents: torch.Tensor) -> Pixels | None:
    """The picture of latents (C, H/8, W/8), uint8 (H, W, 3) RGB, decoded alone; None where it is not finite."""
    code = latents[None].to(vae.dtype) / vae.config.scaling_factor + _shift(vae)
    pixels = vae.decode(code, return_dict=False)[0][0]
    if not bool(torch.isfinite(pixels).all()):
        return None
    levels = ((pixels / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    picture: Pixels = levels.permute(1, 2, 0).contiguous().cpu().numpy()
    return picture


def _lengthened(text: TextEmbedding, nothing: TextEmbedding, length: int) -> TextEmbedding:
    """The text, followed by nothing until it has so many tokens."""
    if text.tokens.shape[1] == length:
        return text
    missing = (length - text.tokens.shape[1]) // nothing.tokens.shape[1]
    return TextEmbedding(torch.cat([text.tokens, *[nothing.tokens] * missing], dim=1), text.pooled)


def _shift(vae: Any) -> float:
    """What is taken from a code before it is scaled: 0 but in FLUX's."""
    return getattr(vae.config, "shift_factor", None) or 0.0


def _to_unit_range(image: Pixels) -> torch.Tensor:
    """uint8 (H, W, 3) as float32 (1, 3, H, W) in -1..1."""
    planes = np.ascontiguousarray(image.transpose(2, 0, 1))
    return torch.from_numpy(planes).to(torch.float32)[None] / 127.5 - 1


class _Kept(Generic[Value]):
    """The values used last, up to a number of bytes."""

    def __init__(self, nbytes: int) -> None:
        self._room = nbytes
        self._values: OrderedDict[Hashable, Value] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key]
        value = self._values[key] = make()
        self._room -= value.nbytes
        while self._room < 0 and len(self._values) > 1:
            self._room += self._values.popitem(last=False)[1].nbytes
        return value
