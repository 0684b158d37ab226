"""A plan of thousands of images through the engine, against a loop that takes them one by one, sorted.
Knows nothing about queues: in which order images come is order.py's to say.
"""

# diffusers leaves many of its functions untyped.
# mypy: allow-untyped-calls

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionInpaintPipeline
from PIL import Image

from inference.catalog.sources import CheckpointSource, read_source
from inference.engine import tiny
from inference.engine.batching import BatchKey, LoraKey
from inference.engine.bench import loras, order
from inference.engine.bench.goal import Goal
from inference.engine.counters import Counters
from inference.engine.engine import Engine
from inference.engine.interface import Addons, EngineInput

if TYPE_CHECKING:
    from inference.engine.interface import Pixels

IMAGES = 2000
CHECKPOINTS = ("one", "two")
SIZES = ((64, 64), (80, 48), (48, 80))
LORAS = 6
PRODUCTS = 8
SCENES = ("on marble", "on sand", "in a kitchen", "by the sea", "at night", "on a red table", "in snow")
NEGATIVE = "blurry"
STEPS = 4
GUIDANCE = 5.0
BATCH_SIZE = 8
NATIVE_PX = 64
LEAST_RATIO = 3.5


@dataclass(frozen=True)
class Cell:
    """One image of the plan: what it is painted with, on and around."""

    checkpoint: str
    lora: str
    size: tuple[int, int]
    product: int
    scene: str


@dataclass(frozen=True)
class Ground:
    """The tiny checkpoints and LoRA files that a plan is painted with."""

    sources: dict[str, CheckpointSource]
    loras: dict[str, Path]


def plan(images: int = IMAGES) -> list[Cell]:
    """So many images in a campaign's order: product by product, and what is costly to change changes at every image."""
    axes = itertools.product(range(PRODUCTS), SCENES, SIZES, range(LORAS), CHECKPOINTS)
    cells = [Cell(checkpoint, f"lora{lora}", size, product, scene) for product, scene, size, lora, checkpoint in axes]
    if not len(CHECKPOINTS) * LORAS <= images <= len(cells):
        raise ValueError(f"A plan has {len(CHECKPOINTS) * LORAS} to {len(cells)} images, not {images}.")
    return cells[:images]


def ground(folder: Path) -> Ground:
    """Two tiny Stable Diffusion checkpoints and six LoRAs for either, written into a folder."""
    sources = {}
    for seed, slug in enumerate(CHECKPOINTS):
        tiny.build_sd(folder / slug, seed=seed, native_size_px=NATIVE_PX)
        sources[slug] = read_source(folder / slug, slug=slug)
    unet = _plain(sources[CHECKPOINTS[0]]).unet
    names = [f"lora{number}" for number in range(LORAS)]
    files = {
        name: loras.write(folder / f"{name}.safetensors", unet, rank=4, seed=seed) for seed, name in enumerate(names)
    }
    return Ground(sources, files)


def goals(folder: Path, *, images: int = IMAGES, every: int = 5) -> list[Goal]:
    """Whether the counters are minimal and how much less time a worker needs; the loop paints every so-many-th image.

    What the loop pays once for a checkpoint or a LoRA counts once, and each image as often as it stands for others.
    """
    found = ground(folder)
    cells = plan(images)
    # What is imported and compiled at first is paid by neither side.
    paint(found, cells[:BATCH_SIZE], Engine(device="cpu"))
    looped(found, cells[:2], every=1)
    engine = Engine(device="cpu")
    ours_s = paint(found, cells, engine)
    theirs_s = looped(found, cells, every=every)
    counted, least = engine.counters, minimal(cells)
    ratio = theirs_s / ours_s
    what = ", ".join(f"{each.name.replace('_', ' ')} {getattr(counted, each.name)}" for each in fields(counted))
    return [
        Goal(f"planner's counters on {images} images", "each the least possible", what, counted == least),
        Goal(
            "worker time of a sorted one-image-per-task loop ÷ the planner's",
            f"≥ {LEAST_RATIO:g}",
            f"{ratio:.2f} ({theirs_s:.0f} s, {ours_s:.0f} s, tiny checkpoints, {STEPS} steps, batches of {BATCH_SIZE})",
            ratio >= LEAST_RATIO,
        ),
    ]


def minimal(cells: Sequence[Cell]) -> Counters:
    """The least that any order can do: each distinct thing once, as few passes as its images fill."""
    keys = [_key(cell) for cell in cells]
    return Counters(
        checkpoint_loads=len({cell.checkpoint for cell in cells}),
        lora_switches=len({(cell.checkpoint, cell.lora) for cell in cells}),
        # A negative text is read by each checkpoint, too.
        text_encodings=len({(cell.checkpoint, text) for cell in cells for text in (cell.scene, NEGATIVE)}),
        picture_encodings=len({(cell.checkpoint, cell.product, cell.size) for cell in cells}),
        passes=sum(-(-keys.count(key) // BATCH_SIZE) for key in set(keys)),
        decoded=len(cells),
    )


def paint(found: Ground, cells: Sequence[Cell], engine: Engine) -> float:
    """Seconds that the engine takes for a plan."""
    keys = [_key(cell) for cell in cells]
    started = time.perf_counter()
    for batch in order.batches(keys, BATCH_SIZE):
        first = cells[batch[0]]
        pictures = engine.run(
            keys[batch[0]],
            [_input(cells[index], seed=index) for index in batch],
            source=found.sources[first.checkpoint],
            addons=Addons(loras=(found.loras[first.lora],)),
            batch_size=BATCH_SIZE,
            on_progress=lambda _: None,
            should_stop=lambda: False,
        )
        if len(list(pictures)) != len(batch):
            raise RuntimeError("The engine left images out.")
    return time.perf_counter() - started


def looped(found: Ground, cells: Sequence[Cell], *, every: int) -> float:
    """Seconds that plain diffusers takes, image by image, sorted by checkpoint and LoRA, which stay while they last."""
    seconds = 0.0
    ordered = [cells[index] for index in order.order([_key(cell) for cell in cells])]
    for checkpoint, of_checkpoint in itertools.groupby(ordered, key=lambda cell: cell.checkpoint):
        pipeline, taken = _timed(partial(_plain, found.sources[checkpoint]))
        seconds += taken
        for name, of_lora in itertools.groupby(of_checkpoint, key=lambda cell: cell.lora):
            seconds += _timed(partial(_use, pipeline, found.loras[name]))[1]
            group = list(of_lora)
            sample = group[::every]
            seconds += sum(_timed(partial(_paint_one, pipeline, cell))[1] for cell in sample) / len(sample) * len(group)
    return seconds


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    result = work()
    return result, time.perf_counter() - started


def _plain(source: CheckpointSource) -> Any:
    pipeline = StableDiffusionInpaintPipeline.from_pretrained(
        source.folder, local_files_only=True, safety_checker=None, requires_safety_checker=False
    )
    pipeline.scheduler = EulerDiscreteScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _use(pipeline: Any, path: Path) -> None:
    pipeline.unload_lora_weights()
    pipeline.load_lora_weights(str(path.parent), weight_name=path.name)


def _paint_one(pipeline: Any, cell: Cell) -> None:
    image, mask_image = _product(cell)
    pipeline(
        prompt=cell.scene,
        negative_prompt=NEGATIVE,
        image=Image.fromarray(image),
        mask_image=Image.fromarray(mask_image),
        width=cell.size[0],
        height=cell.size[1],
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE,
        strength=1.0,
        generator=torch.Generator().manual_seed(0),
    )


def _key(cell: Cell) -> BatchKey:
    return BatchKey(
        checkpoint=cell.checkpoint,
        task="inpaint",
        width=cell.size[0],
        height=cell.size[1],
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE,
        strength=1.0,
        scheduler="Euler",
        loras=(LoraKey(file=cell.lora, weight=1.0),),
    )


def _input(cell: Cell, *, seed: int) -> EngineInput:
    image, mask_image = _product(cell)
    return EngineInput(prompt=cell.scene, negative_prompt=NEGATIVE, seed=seed, image=image, mask_image=mask_image)


def _product(cell: Cell) -> tuple[Pixels, Pixels]:
    """A product's picture at the cell's size, and its mask: white is repainted."""
    width, height = cell.size
    rng = np.random.default_rng(cell.product)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    mask_image = np.full((height, width), 255, dtype=np.uint8)
    mask_image[height // 4 : -height // 4, width // 4 : -width // 4] = 0
    return image, mask_image
