"""Measures what the checkpoint draws: adherence, guidance, negative prompts, product photos, nearest training picture.

`python -m inference.starter.evaluate --help`; writes figures.json and figures.md. Knows no training state.
"""

import argparse
import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusionInpaintPipeline, StableDiffusionPipeline
from PIL import Image

from inference import product_lock
from inference.references import Placement
from inference.starter.classifier import GRAY, HEADS, SEED, Classifier, hits, probability, train_classifier, words_in
from inference.starter.dataset import shards
from inference.starter.grammar import BACKDROPS, Scene, caption, sample_scene
from inference.starter.render import render

STEPS = 16
GUIDANCE = 4.0
GUIDANCES = (1.0, 4.0, 8.0)
SIZE = 256
NEAREST_SIDE = 16
NEGATIVES = ("forest", "night city", "sunset", "brick wall", "mountains", "neon", "blue sky", "kitchen")
PLACEMENT = Placement(scale=0.7, anchor="bottom")
Picture = npt.NDArray[np.uint8]
# A StableDiffusionPipeline: type checkers see no call on it.
Pipeline = Any


@dataclass(frozen=True)
class Score:
    """How often a head's word was found: in pictures made by the checkpoint, and in real renders of the same scenes."""

    head: str
    generated: float
    rendered: float

    @property
    def ratio(self) -> float:
        """Adherence as a share of the classifier's own accuracy."""
        return self.generated / max(self.rendered, 1e-6)


def load(folder: Path, kind: Any = StableDiffusionPipeline) -> Pipeline:
    """Load the exported folder in float32 with DPM++ 2M, its default in the studio."""
    pipeline: Pipeline = kind.from_pretrained(folder, local_files_only=True)
    pipeline.scheduler = DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config)  # type: ignore[no-untyped-call]
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def draw(
    pipeline: Pipeline, prompts: Sequence[str], *, steps: int = STEPS, guidance: float = GUIDANCE, **more: Any
) -> list[Picture]:
    """Draw one 256-pixel picture per prompt in batches of four, each from its own generator, seeds counting from 0.

    Further arguments go to the pipeline; lists among them hold one value per prompt.
    """
    pictures: list[Picture] = []
    for start in range(0, len(prompts), 4):
        part = slice(start, start + 4)
        result = pipeline(
            list(prompts[part]),
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=[torch.Generator().manual_seed(start + index) for index in range(len(prompts[part]))],
            height=SIZE,
            width=SIZE,
            output_type="np",
            **{name: value[part] if isinstance(value, list) else value for name, value in more.items()},
        )
        pictures += [(picture * 255 + 0.5).astype(np.uint8) for picture in result.images]
    return pictures


def full_caption(scene: Scene) -> str:
    """Caption the scene so that every scored word is in it: the longest of a few dozen tries."""
    rng = np.random.default_rng(scene.seed)
    return max((caption(scene, rng) for _ in range(24)), key=lambda words: (words.count(","), len(words)))


def held_out(count: int) -> list[Scene]:
    """Scenes whose backdrop, surface and product were never together in a training picture."""
    rng = np.random.default_rng(SEED + 1)
    return [sample_scene(rng, held_out=True) for _ in range(count)]


def adherence(network: Classifier, made: list[Picture], scenes: list[Scene]) -> list[Score]:
    """Score what was asked against what the classifier finds, beside real renders of the same scenes."""
    generated = hits(network, made, scenes).mean(axis=0)
    rendered = hits(network, [render(scene) for scene in scenes], scenes).mean(axis=0)
    return [Score(h, float(g), float(r)) for h, g, r in zip(HEADS, generated, rendered, strict=True)]


def by_guidance(pipeline: Pipeline, network: Classifier, *, prompts: int) -> dict[str, float]:
    """Guidance → mean share of backdrop, surface and color found, over the same held-out prompts and seeds."""
    scenes = held_out(prompts)
    words = [full_caption(scene) for scene in scenes]
    return {
        f"{guidance:g}": float(hits(network, draw(pipeline, words, guidance=guidance), scenes)[:, :3].mean())
        for guidance in GUIDANCES
    }


def by_negative(pipeline: Pipeline, network: Classifier, *, seeds: int) -> dict[str, dict[str, float]]:
    """Backdrop → how likely it is found in pictures that ask for it, without and with it as the negative prompt."""
    found = {}
    for word in NEGATIVES:
        prompts = [f"on wooden table, {BACKDROPS[word][0]}"] * seeds
        plain, moved = (
            probability(
                network, draw(pipeline, prompts, negative_prompt=[negative] * seeds), head="backdrop", word=word
            )
            for negative in ("", BACKDROPS[word][0])
        )
        found[word] = {"without": plain, "with": moved}
    return found


def around_photos(pipeline: Pipeline, network: Classifier, photos: Path, *, each: int) -> tuple[float, list[Picture]]:
    """Share of the asked backdrops found in what was painted around the products of a products.csv, and the pictures.

    The product and its bounding box are grayed out before the classifier looks.
    """
    frames = [_frame(photos / row["photo"], photos / row["mask"]) for row in _with_masks(photos / "products.csv")]
    jobs = [(frame, word) for index, frame in enumerate(frames) for word in _backdrops(index * each, each)]
    made = draw(
        pipeline,
        [f"on wooden table, {BACKDROPS[word][0].format(c='teal', d='orange')}, soft light" for _, word in jobs],
        image=[Image.fromarray(frame.image) for frame, _ in jobs],
        mask_image=[Image.fromarray(frame.mask_image) for frame, _ in jobs],
        strength=1.0,
    )
    hidden = [_without_product(picture, frame.mask_image) for picture, (frame, _) in zip(made, jobs, strict=True)]
    found = words_in(network, hidden, head="backdrop")
    return float(np.mean([word == asked for word, (_, asked) in zip(found, jobs, strict=True)])), made


def _with_masks(products: Path) -> list[dict[str, str]]:
    with products.open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["mask"]]


def _backdrops(start: int, count: int) -> list[str]:
    words = list(BACKDROPS)
    return [words[(start + index) % len(words)] for index in range(count)]


def _frame(photo: Path, mask: Path) -> product_lock.PaintFrame:
    reference = product_lock.reference(photo.read_bytes(), mask.read_bytes())
    placed = product_lock.place(reference, placement=PLACEMENT, width=4 * SIZE, height=4 * SIZE)
    return product_lock.paint_frame(placed, size=(SIZE, SIZE))


def _without_product(picture: Picture, mask_image: Picture) -> Picture:
    rows, columns = np.nonzero(mask_image < GRAY)
    hidden = picture.copy()
    hidden[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = GRAY
    return hidden


def nearest(made: list[Picture], data: Path) -> dict[str, float]:
    """Distance (0 to 255, RMS at 16 x 16) to the nearest training picture: of the made, and of fresh renders beside.

    A checkpoint that repeats its training pictures comes much nearer to them than fresh renders do.
    """
    known = np.concatenate(
        [_tiny(list(shard.load_pictures())) for shard in shards(data) if "256x256" in shard.pictures.name]
    )
    rng = np.random.default_rng(SEED + 2)
    fresh = [render(sample_scene(rng)) for _ in made]
    distances = {name: _distances(_tiny(pictures), known) for name, pictures in (("made", made), ("fresh", fresh))}
    return {
        f"{name} {label}": float(value)
        for name, values in distances.items()
        for label, value in (("least", values.min()), ("median", np.median(values)))
    }


def _tiny(pictures: list[Picture]) -> npt.NDArray[np.float32]:
    side = (NEAREST_SIDE, NEAREST_SIDE)
    small = [cv2.resize(np.ascontiguousarray(p), side, interpolation=cv2.INTER_AREA) for p in pictures]
    return np.stack(small).reshape(len(pictures), -1).astype(np.float32)


def _distances(pictures: npt.NDArray[np.float32], known: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.array([np.sqrt(((known - picture) ** 2).mean(axis=1)).min() for picture in pictures], np.float32)


def table(scores: list[Score]) -> str:
    """Write the scores as a Markdown table."""
    rows = [f"| {s.head} | {s.generated:.2f} | {s.rendered:.2f} | {s.ratio:.2f} |" for s in scores]
    return "\n".join(
        ["| word | found in its pictures | found in renders | ratio |", "| --- | --- | --- | --- |", *rows]
    )


def main() -> None:
    """Train or load the classifier, measure the checkpoint and write the figures; prints them as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m inference.starter.evaluate", description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder of the training; the classifier is kept there")
    parser.add_argument("--checkpoint", type=Path, default=Path(__file__).parent / "checkpoint")
    parser.add_argument("--photos", type=Path, help="folder with products.csv, photos and masks to paint around")
    parser.add_argument("--pictures", type=int, default=12_000, help="renders that the classifier is trained on")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--quick", action="store_true", help="adherence only")
    options = parser.parse_args()
    network = train_classifier(options.work / "classifier.pt", pictures=options.pictures, epochs=options.epochs)
    pipeline = load(options.checkpoint)
    scenes = held_out(options.prompts)
    made = draw(pipeline, [full_caption(scene) for scene in scenes])
    scores = adherence(network, made, scenes)
    figures: dict[str, Any] = {"adherence": [vars(score) for score in scores]}
    if not options.quick:
        figures["nearest"] = nearest(made, options.work / "data")
        figures["guidance"] = by_guidance(pipeline, network, prompts=60)
        figures["negative"] = by_negative(pipeline, network, seeds=8)
    if options.photos:
        painter = load(options.checkpoint, StableDiffusionInpaintPipeline)
        figures["backdrop around photos"], painted = around_photos(painter, network, options.photos, each=6)
        Image.fromarray(np.concatenate(painted[:6], axis=1)).save(options.work / "around_photos.png")
    (options.work / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    print(table(scores))
    print(json.dumps({key: value for key, value in figures.items() if key != "adherence"}, indent=1))


if __name__ == "__main__":
    main()
