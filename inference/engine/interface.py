"""What every engine takes, reports, gives and raises, so that callers can name it without loading torch.
Knows nothing about any engine's inside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from inference.catalog.entry import LCM_STEPS, SCHEDULERS, SIZE_STEP_PX, Family
from inference.catalog.sources import CheckpointSource
from inference.engine.batching import BatchKey

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    # uint8, (H, W, 3) RGB or (H, W).
    Pixels: TypeAlias = npt.NDArray[np.uint8]

Phase = Literal["load", "encode", "step", "decode"]
# More often is not seen, and on a GPU each preview waits for the device.
PREVIEWS_A_PASS = 8
# Whose checkpoints take up the look of a reference picture (IP-Adapter).
LOOK_FAMILIES: frozenset[Family] = frozenset(("sd", "sdxl"))


@dataclass(frozen=True)
class Progress:
    """How far a batch is: `step` of `steps` done in this phase, 0 when the phase begins.

    Now and then `previews` has one small picture for each input, in order: uint8 (h, w, 3) RGB, h and w an eighth of
    the key's. They approximate what is there so far, noise included.
    """

    phase: Phase
    step: int
    steps: int
    previews: tuple[Pixels, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, kw_only=True, eq=False)
class EngineInput:
    """One image of a batch, at the key's width x height.

    image is uint8 (H, W, 3) RGB and mask_image uint8 (H, W), 255 where it is repainted; both None for text-to-image,
    the mask None for image-to-image. control_image is the map that a ControlNet follows, uint8 (H, W, 3); look_image
    the picture whose look is taken up, uint8 (h, w, 3) of any size.
    """

    prompt: str
    negative_prompt: str
    seed: int
    image: Pixels | None = None
    mask_image: Pixels | None = None
    control_image: Pixels | None = None
    look_image: Pixels | None = None


@dataclass(frozen=True, kw_only=True)
class Addons:
    """Files beside the checkpoint that a batch needs: its LoRAs in the key's order, ControlNet, IP-Adapter."""

    loras: tuple[Path, ...] = ()
    control: Path | None = None
    look: Path | None = None


NO_ADDONS = Addons()


class EngineError(Exception):
    """A batch that could not be rendered; `retryable` says whether the same batch may succeed later."""

    retryable = False


class OutOfMemoryError_(EngineError):
    """The device had not enough memory for this batch.

    `fits` is the batch size that it has memory for, 0 where not even one image fits, None where nobody can tell: a
    CPU's memory is shared with whatever else runs. The engine never takes a smaller one by itself: the padded size is
    part of the recipe and decides the bytes.
    """

    def __init__(self, message: str, fits: int | None = None) -> None:
        super().__init__(message)
        self.fits = fits
        self.retryable = fits != 0


class NotFiniteError(EngineError):
    """Some latents or pictures came out as NaN or infinite; `indexes` are the inputs concerned."""

    def __init__(self, message: str, indexes: tuple[int, ...]) -> None:
        super().__init__(message)
        self.indexes = indexes


class CorruptCheckpointError(EngineError):
    """A checkpoint's files are missing, damaged or do not fit together."""


class IncompatibleLoraError(EngineError):
    """A LoRA's file is damaged, or made for another model; the sentence names what does not fit."""


class IncompatibleAdapterError(EngineError):
    """An IP-Adapter's folder lacks a part, or it was made for another model; the sentence names what does not fit."""


class InputError(EngineError, ValueError):
    """The inputs do not fit the key: a fault of the caller, raised before anything runs."""


class Stopped(EngineError):
    """should_stop() became true; nothing of this batch that was not yet handed over will come."""


class RenderEngine(Protocol):
    """Renders batches; one per process, because it may hold a device."""

    @property
    def device_class(self) -> str:
        """The kind of device, equal where equal recipes give equal bytes: "cpu", "cuda-sm90"."""
        ...

    @property
    def loaded(self) -> str | None:
        """The slug of the checkpoint in memory, or None."""
        ...

    def run(
        self,
        key: BatchKey,
        inputs: Sequence[EngineInput],
        *,
        source: CheckpointSource,
        addons: Addons = NO_ADDONS,
        batch_size: int,
        on_progress: Callable[[Progress], None],
        should_stop: Callable[[], bool],
    ) -> Iterator[tuple[int, Pixels]]:
        """Render up to batch_size inputs in one denoising pass, padded to batch_size.

        Yields (index of the input, uint8 (H, W, 3) RGB), each as soon as it is decoded; work happens while the iterator
        is drawn. `addons` are the files of what the key names beside the checkpoint. Images whose texts differ in
        length by windows of the text encoder are painted in passes of their own.

        Raises InputError at once, and while drawn: CorruptCheckpointError, IncompatibleLoraError,
        IncompatibleAdapterError, OutOfMemoryError_, Stopped (should_stop is asked between steps), NotFiniteError (after
        every sound picture was handed over). Pictures that come out as no numbers in half precision are painted once
        more in float32, after the others.
        """
        ...

    def versions(self) -> dict[str, str]:
        """Name to version of everything outside the recipe that may change the bytes."""
        ...


def has_preview(step: int, steps: int) -> bool:
    """Whether previews are due after a step (1 to steps); never after the last, whose picture comes next."""
    return step < steps and step % -(-steps // PREVIEWS_A_PASS) == 0


def check_batch(
    key: BatchKey, inputs: Sequence[EngineInput], *, source: CheckpointSource, addons: Addons, batch_size: int
) -> None:
    """Refuse what no engine can render in one pass. Raises InputError."""
    if len(addons.loras) != len(key.loras):
        raise InputError(f"The batch names {len(key.loras)} LoRAs, and {len(addons.loras)} files. Pass one for each.")
    if not 1 <= len(inputs) <= batch_size:
        raise InputError(f"A batch of {batch_size} takes 1 to {batch_size} inputs, not {len(inputs)}. Split them.")
    if key.checkpoint != source.slug:
        raise InputError(
            f'The batch asks for "{key.checkpoint}", the source is "{source.slug}". Pass the right source.'
        )
    step_px = SIZE_STEP_PX[source.family]
    if key.width % step_px or key.height % step_px:
        raise InputError(f"{key.width} x {key.height} cannot be painted. Take multiples of {step_px} px.")
    if key.scheduler not in SCHEDULERS:
        raise InputError(f'There is no scheduler "{key.scheduler}". Choose one of: {", ".join(SCHEDULERS)}.')
    if key.scheduler == "LCM" and key.num_inference_steps > LCM_STEPS:
        raise InputError(f"LCM paints in at most {LCM_STEPS} steps, 4 to 8 are usual. Ask for fewer.")
    if key.denoising_steps < 1:
        raise InputError("The steps times the strength leave no step to paint in. Raise one of them.")
    if (key.control is None) != (addons.control is None):
        raise InputError("A control needs its ControlNet's folder, and no other batch does. Pass both or neither.")
    if (key.look_scale is None) != (addons.look is None):
        raise InputError("A look needs its IP-Adapter's folder, and no other batch does. Pass both or neither.")
    if key.look_scale is not None and source.family not in LOOK_FAMILIES:
        raise InputError(
            "FLUX.1 takes up no picture's look. Choose a Stable Diffusion model, or leave the picture out."
        )
    for index, each in enumerate(inputs):
        _check_input(key, each, index)
        _check_references(key, each, index)


def _check_input(key: BatchKey, each: EngineInput, index: int) -> None:
    shapes = [None if pixels is None else pixels.shape for pixels in (each.image, each.mask_image)]
    wanted: list[tuple[int, ...] | None] = [(key.height, key.width, 3), (key.height, key.width)]
    if key.task != "inpaint":
        wanted = [wanted[0] if key.task == "img2img" else None, None]
    if shapes != wanted:
        raise InputError(
            f"Input {index} has image and mask_image of shapes {shapes[0]} and {shapes[1]}; a {key.task} batch of "
            f"{key.width} x {key.height} takes {wanted[0]} and {wanted[1]}."
        )


def _check_references(key: BatchKey, each: EngineInput, index: int) -> None:
    map_shape = None if each.control_image is None else each.control_image.shape
    if map_shape != (None if key.control is None else (key.height, key.width, 3)):
        raise InputError(f"Input {index} has a map of shape {map_shape}; bring it to the key's size, or leave it out.")
    look = each.look_image
    if (look is None) != (key.look_scale is None):
        raise InputError(f"Input {index} must have a look where the key has a scale for it, and no other. Pass both.")
    if look is not None and (look.ndim != 3 or look.shape[2] != 3 or not look.size):
        raise InputError(f"Input {index} has a look of shape {look.shape}; pass an RGB picture, (h, w, 3).")
    for pixels in (each.image, each.mask_image, each.control_image, each.look_image):
        if pixels is not None and pixels.dtype != "uint8":
            raise InputError(f"Input {index} has pixels of type {pixels.dtype}; convert them to uint8.")
