"""What a family of checkpoints must provide to the engine.
Knows nothing about devices, batching or any one family.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from inference.engine.interface import CorruptCheckpointError


@dataclass(frozen=True, eq=False)
class TextEmbedding:
    """One text as its encoders see it: tokens (1, tokens, width) and, for SDXL, pooled (1, width)."""

    tokens: torch.Tensor
    pooled: torch.Tensor | None = None


@dataclass(frozen=True)
class CheckpointFiles:
    """A checkpoint's folder and how it is read; the VAE is float32 on every device, since SDXL's overflows float16."""

    folder: Path
    in_channels: int
    dtype: torch.dtype

    def pipeline(self, text_to_image: Any, inpainting: Any, **parts: Any) -> Any:
        """A pipeline of the class for the U-Net's channels, of the folder's files and the parts given."""
        return (inpainting if self.in_channels == 9 else text_to_image).from_pretrained(
            self.folder,
            local_files_only=True,
            use_safetensors=True,
            variant=self._variant("unet", "diffusion_pytorch_model"),
            dtype={"vae": torch.float32, "default": self.dtype},
            **parts,
        )

    def text_encoder(self, cls: Any, part: str) -> Any:
        """A text encoder; transformers would make up weights that the file lacks, so those are asked for by name.

        Raises CorruptCheckpointError where the tokenizer or a weight is missing.
        """
        tokenizer = self.folder / part.replace("text_encoder", "tokenizer")
        if not any((tokenizer / name).is_file() for name in ("tokenizer.json", "vocab.json")):
            raise CorruptCheckpointError(f"The tokenizer {tokenizer} is missing. Copy the checkpoint again.")
        model, report = cls.from_pretrained(
            self.folder / part,
            local_files_only=True,
            use_safetensors=True,
            variant=self._variant(part, "model"),
            dtype=self.dtype,
            output_loading_info=True,
        )
        if missing := sorted(report["missing_keys"]):
            raise CorruptCheckpointError(
                f"{self.folder / part} lacks the weight {missing[0]}. Copy the checkpoint again."
            )
        return model

    def _variant(self, part: str, stem: str) -> str | None:
        """The half-precision files where a checkpoint was downloaded without the full ones."""
        names = [path.name for path in (self.folder / part).glob(f"{stem}*.safetensors")]
        return "fp16" if names and all(".fp16" in name for name in names) else None


class Family(Protocol):
    """One architecture: how its pipelines are loaded, share their parts, read text and take it."""

    def load(self, files: CheckpointFiles) -> Any:
        """The checkpoint's own pipeline (diffusers): text-to-image for 4 input channels, inpainting for 9."""
        ...

    def inpainting(self, pipeline: Any) -> Any:
        """An inpainting pipeline on the very parts of a pipeline: no weight is held twice."""
        ...

    def encode(self, pipeline: Any, text: str) -> TextEmbedding:
        """One text, encoded alone, so that its bytes do not depend on a neighbour."""
        ...

    def encode_negative(self, pipeline: Any, text: str) -> TextEmbedding:
        """One negative text; the empty one is what the family was trained to take for it."""
        ...

    def text_arguments(self, positive: Sequence[TextEmbedding], negative: Sequence[TextEmbedding]) -> Mapping[str, Any]:
        """The pipeline's arguments that carry a batch of texts."""
        ...
