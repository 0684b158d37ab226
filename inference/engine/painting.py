"""One image on the command line: from options and files to a batch of one, and the picture into a file.
Knows nothing about the catalogue's prices, queues or workspaces.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from inference import enlarging, tiling
from inference.catalog.sources import CheckpointSource
from inference.engine import passes
from inference.engine.batching import BatchKey, LoraKey
from inference.engine.interface import Addons, EngineInput, InputError, Progress, check_batch
from inference.requests import MOST_LARGER_PX, RenderTask, Size, model_size
from inference.tiling import Grid

if TYPE_CHECKING:
    from inference.engine.interface import Pixels, RenderEngine

SUFFIX = ".png"
REPAINTED = 128
SCHEDULER = "DPM++ 2M Karras"


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to paint; width and height in pixels, None for the picture's own, or else the model's native size.

    With a `factor` the picture is made so many times as large, in tiles.
    """

    prompt: str
    negative_prompt: str
    seed: int
    width: int | None
    height: int | None
    num_inference_steps: int
    guidance_scale: float
    strength: float
    scheduler: str | None
    clip_skip: int
    loras: tuple[tuple[Path, float], ...]
    image: Path | None
    mask_image: Path | None
    out: Path
    factor: int | None = None


@dataclass(frozen=True, eq=False)
class Tiled:
    """An enlarged picture, uint8 (h, w, 3), and where the tiles lie that are painted over it."""

    image: Pixels
    grid: Grid


@dataclass(frozen=True, eq=False)
class Prepared:
    """Inputs of one key, checked: one, or the tiles of one picture."""

    source: CheckpointSource
    key: BatchKey
    inputs: tuple[EngineInput, ...]
    addons: Addons
    out: Path
    tiled: Tiled | None = None


def prepare(order: Order, source: CheckpointSource) -> Prepared:
    """Read and check everything that is needed, before anything is loaded or written.

    A picture is brought to the model's nearest shape: scaled to cover it and cut in the middle, never stretched.

    :raises InputError: it cannot be painted; the sentence says what to change.
    """
    _check_out(order.out)
    _check_family(order, source)
    image, mask_image = _opened(order.image, "RGB"), _opened(order.mask_image, "L")
    if mask_image is not None and image is None:
        raise InputError("A mask says what of a picture is repainted. Give the picture, too: --image.")
    if mask_image is not None and image is not None and mask_image.size != image.size:
        raise InputError(
            f"The mask is {mask_image.width} x {mask_image.height}, the picture {image.width} x {image.height}. "
            "Make them the same size."
        )
    if missing := [path for path, _ in order.loras if not path.is_file()]:
        raise InputError(f"There is no LoRA file {missing[0]}. Correct its path.")
    addons = Addons(loras=tuple(path for path, weight in order.loras if weight))
    if order.factor is not None:
        return _prepare_tiles(order, source, order.factor, image, addons)
    key = _key(order, source, _size(order, source, image), _task(image, mask_image))
    each = EngineInput(
        prompt=order.prompt,
        negative_prompt=order.negative_prompt,
        seed=order.seed,
        image=_fitted(image, key),
        mask_image=_fitted(mask_image, key),
    )
    check_batch(key, [each], source=source, addons=addons, batch_size=1)
    return Prepared(source, key, (each,), addons, order.out)


def _prepare_tiles(
    order: Order, source: CheckpointSource, factor: int, image: Image.Image | None, addons: Addons
) -> Prepared:
    if image is None:
        raise InputError("Only a picture can be made larger. Give it: --image.")
    if order.mask_image is not None or order.width is not None or order.height is not None:
        raise InputError("A picture is made larger as a whole, by --upscale alone. Leave mask, width and height out.")
    width, height = factor * image.width, factor * image.height
    if width * height > MOST_LARGER_PX:
        raise InputError(f"It would have {width} x {height} pixels, too many at once. Enlarge it less.")
    grid = tiling.grid((width, height), tiling.tile_size(source.sizes, (width, height)))
    enlarged = enlarging.enlarged(np.asarray(image), width=width, height=height)
    key = _key(order, source, grid.tile, "img2img")
    inputs = tuple(
        EngineInput(
            prompt=order.prompt,
            negative_prompt=order.negative_prompt,
            seed=tiling.tile_seed(order.seed, number),
            image=tile,
        )
        for number, tile in enumerate(enlarging.cut(enlarged, grid))
    )
    check_batch(key, inputs[:1], source=source, addons=addons, batch_size=1)
    return Prepared(source, key, inputs, addons, order.out, Tiled(enlarged, grid))


def paint(prepared: Prepared, engine: RenderEngine, on_progress: Callable[[Progress], None]) -> Size:
    """Paint it and write the file, whole or not at all; what a mask keeps has the picture's own pixels.

    :raises EngineError: see RenderEngine.run.
    :raises OSError: the file cannot be written.
    """
    painted = passes.run(
        engine,
        prepared.key,
        prepared.inputs,
        source=prepared.source,
        addons=prepared.addons,
        batch_size=1,
        on_progress=on_progress,
        should_stop=lambda: False,
    )
    pictures = [picture for _, picture in painted]
    tiled, [each, *_] = prepared.tiled, prepared.inputs
    picture = pictures[0] if tiled is None else enlarging.joined(tiled.image, pictures, tiled.grid)
    image, mask_image = each.image, each.mask_image
    if image is not None and mask_image is not None:
        picture = np.where(mask_image[..., None] >= REPAINTED, picture, image)
    _write(prepared.out, picture)
    return picture.shape[1], picture.shape[0]


def _check_out(out: Path) -> None:
    if out.suffix.lower() != SUFFIX:
        raise InputError(f"{out.name} would be no PNG. Give a name that ends with {SUFFIX}.")
    if out.is_dir() or not out.parent.is_dir():
        raise InputError(f"{out} cannot be written: its folder is not there, or it is one. Give another path.")
    if not os.access(out.parent, os.W_OK):
        raise InputError(f"The folder {out.parent} may not be written to. Give another path.")


def _check_family(order: Order, source: CheckpointSource) -> None:
    if source.family != "flux":
        return
    if order.negative_prompt:
        raise InputError("FLUX.1 takes no negative prompt. Leave it out.")
    if order.scheduler is not None:
        raise InputError("FLUX.1 has one scheduler of its own. Leave --scheduler out.")


def _opened(path: Path | None, mode: str) -> Image.Image | None:
    if path is None:
        return None
    try:
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image).convert(mode)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} cannot be read as a picture ({error}). Give a PNG or JPEG.") from error


def _size(order: Order, source: CheckpointSource, image: Image.Image | None) -> Size:
    """The model's size whose shape is nearest to what was asked for."""
    native = source.native_size_px
    width, height = (native, native) if image is None else image.size
    return model_size(source.sizes, width=order.width or width, height=order.height or height)


def _task(image: Image.Image | None, mask_image: Image.Image | None) -> RenderTask:
    if image is None:
        return "text2img"
    return "img2img" if mask_image is None else "inpaint"


def _key(order: Order, source: CheckpointSource, size: Size, task: RenderTask) -> BatchKey:
    return BatchKey(
        checkpoint=source.slug,
        task=task,
        width=size[0],
        height=size[1],
        num_inference_steps=order.num_inference_steps,
        guidance_scale=order.guidance_scale,
        strength=1.0 if task == "text2img" else order.strength,
        scheduler=order.scheduler or SCHEDULER,
        clip_skip=order.clip_skip,
        loras=_lora_keys(order.loras),
    )


def _lora_keys(loras: Sequence[tuple[Path, float]]) -> tuple[LoraKey, ...]:
    # A weight of 0 does nothing.
    return tuple(LoraKey(file=str(path.resolve()), weight=weight) for path, weight in loras if weight)


def _fitted(image: Image.Image | None, key: BatchKey) -> Pixels | None:
    """The middle of the picture at the key's size, uint8 (H, W, 3) or (H, W)."""
    if image is None:
        return None
    fitted = ImageOps.fit(image, (key.width, key.height), Image.Resampling.LANCZOS)
    return np.asarray(fitted).copy()


def _write(out: Path, picture: Pixels) -> None:
    descriptor, draft = tempfile.mkstemp(dir=out.parent, prefix=f".{out.stem}-", suffix=SUFFIX)
    try:
        with os.fdopen(descriptor, "wb") as file:
            Image.fromarray(picture).save(file, format="PNG")
        Path(draft).chmod(0o644)
        Path(draft).replace(out)
    finally:
        Path(draft).unlink(missing_ok=True)
