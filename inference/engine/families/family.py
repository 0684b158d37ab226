"""What a family of checkpoints must provide to the engine.
Knows nothing about devices, batching or any one family.
"""

# diffusers leaves many of its functions untyped.
# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

from inference.engine.batching import BatchKey
from inference.engine.control import Residuals
from inference.engine.interface import CorruptCheckpointError
from inference.requests import RenderTask

TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "spiece.model")


@dataclass(frozen=True, eq=False)
class TextEmbedding:
    """One text as its encoders see it: tokens (1, tokens, width) and, where the family has one, pooled (1, width)."""

    tokens: torch.Tensor
    pooled: torch.Tensor | None = None

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return self.tokens.nbytes + (0 if self.pooled is None else self.pooled.nbytes)


@dataclass(frozen=True, eq=False)
class Pictures:
    """What a batch paints over, encoded: latents (n, C, H/8, W/8) and masks (n, 1, H, W), 1.0 where it is painted.

    `masked` are the latents of the pictures with grey in place of what is painted: only checkpoints made for
    inpainting see them.
    """

    image: torch.Tensor
    masks: torch.Tensor | None = None
    masked: torch.Tensor | None = None


@dataclass(frozen=True)
class CheckpointFiles:
    """A checkpoint's folder and how it is read; the VAE is float32 on every device, since SDXL's overflows float16.

    `file` holds all its weights where they are not in the folder.
    """

    folder: Path
    is_inpainting: bool
    dtype: torch.dtype
    file: Path | None = None

    def pipeline(self, cls: Any, *, denoiser: str, **parts: Any) -> Any:
        """A pipeline of the class, of the checkpoint's files and the parts given."""
        if self.file is not None:
            return self._of_single_file(cls, self.file, parts)
        return cls.from_pretrained(
            self.folder,
            local_files_only=True,
            use_safetensors=True,
            variant=self._variant(denoiser, "diffusion_pytorch_model"),
            dtype={"vae": torch.float32, "default": self.dtype},
            **parts,
        )

    def text_encoder(self, cls: Any, part: str) -> Any:
        """A text encoder; transformers would make up weights that the file lacks, so those are asked for by name.

        None where the checkpoint is a single file, which is read as a whole.
        Raises CorruptCheckpointError where the tokenizer or a weight is missing.
        """
        tokenizer = self.folder / part.replace("text_encoder", "tokenizer")
        if not any((tokenizer / name).is_file() for name in TOKENIZER_FILES):
            raise CorruptCheckpointError(f"The tokenizer {tokenizer} is missing. Copy the checkpoint again.")
        if self.file is not None:
            return None
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

    def _of_single_file(self, cls: Any, file: Path, parts: Mapping[str, Any]) -> Any:
        where = {"config": str(self.folder), "local_files_only": True}
        # Made by itself, because the folder may be that of a checkpoint that was not made for inpainting.
        unet = UNet2DConditionModel.from_single_file(
            str(file), subfolder="unet", dtype=self.dtype, in_channels=9 if self.is_inpainting else 4, **where
        )
        vae = AutoencoderKL.from_single_file(str(file), subfolder="vae", dtype=torch.float32, **where)
        given = {name: part for name, part in parts.items() if not name.startswith("text_encoder")}
        return cls.from_single_file(str(file), dtype=self.dtype, unet=unet, vae=vae, **given, **where)

    def _variant(self, part: str, stem: str) -> str | None:
        """The half-precision files where a checkpoint was downloaded without the full ones."""
        names = [path.name for path in (self.folder / part).glob(f"{stem}*.safetensors")]
        return "fp16" if names and all(".fp16" in name for name in names) else None


class Family(Protocol):
    """One architecture: how its pipelines are loaded, share their parts, read text and take it."""

    @property
    def gpu_dtype(self) -> torch.dtype:
        """What the weights are computed in on a GPU."""
        ...

    @property
    def takes_negative_prompt(self) -> bool:
        """Whether a negative text steers it; else it is not even encoded."""
        ...

    def load(self, files: CheckpointFiles) -> Any:
        """The checkpoint's own pipeline (diffusers): text-to-image, or inpainting where it was made for that."""
        ...

    def pipeline(self, own: Any, task: RenderTask) -> Any:
        """The pipeline of a task on the very parts of the checkpoint's own: no weight is held twice."""
        ...

    def denoiser(self, pipeline: Any) -> Any:
        """The U-Net or transformer of a pipeline."""
        ...

    def scheduler(self, name: str, checkpoint_config: Mapping[str, Any]) -> Any:
        """A fresh scheduler of the interface's name, on the checkpoint's own noise schedule."""
        ...

    def encode(self, pipeline: Any, text: str, clip_skip: int) -> TextEmbedding:
        """One text, encoded alone, so that its bytes do not depend on a neighbour.

        Where there is a CLIP encoder whose tokens are used, without its last `clip_skip` layers; long texts are longer.
        """
        ...

    def encode_negative(self, pipeline: Any, text: str, clip_skip: int) -> TextEmbedding:
        """One negative text; the empty one is what the family was trained to take for it.

        :raises ValueError: the family takes none.
        """
        ...

    def text_arguments(self, positive: Sequence[TextEmbedding], negative: Sequence[TextEmbedding]) -> Mapping[str, Any]:
        """The pipeline's arguments that carry a batch of texts; negative is empty where the family takes none."""
        ...

    def picture_arguments(self, pipeline: Any, key: BatchKey, pictures: Pictures | None) -> Mapping[str, Any]:
        """The pipeline's arguments that carry the size and what is painted over."""
        ...

    @property
    def control_as_latents(self) -> bool:
        """Whether its ControlNets see a map through the VAE, not as pixels."""
        ...

    def load_control(self, folder: Path, dtype: torch.dtype) -> Any:
        """A ControlNet (diffusers) from its folder."""
        ...

    def residuals(self, controlnet: Any, maps: torch.Tensor) -> Residuals:
        """How a ControlNet steers the denoiser, given a batch of maps.

        maps: pixels (n, 3, H, W) in 0..1, or latents (n, C, H/8, W/8).
        """
        ...

    def unpack(self, pipeline: Any, latents: torch.Tensor, key: BatchKey) -> torch.Tensor:
        """A pipeline's latents as the VAE takes them: (n, C, H/8, W/8)."""
        ...
