"""Measures what the checkpoint draws, by a classifier trained only on freshly rendered pictures of another seed.

`python -m inference.starter.evaluate --help`; writes a Markdown table beside the figures. Knows no training state.
"""

import argparse
import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline
from torch import nn

from inference.starter.grammar import (
    BACKDROPS,
    COLORED_BACKDROPS,
    COLORS,
    PRODUCTS,
    STYLES,
    SURFACES,
    Scene,
    caption,
    sample_scene,
)
from inference.starter.render import render

SIDE = 96
# A StableDiffusionPipeline: type checkers see no call on it.
Pipeline = Any
HEADS: dict[str, tuple[str, ...]] = {
    "backdrop": tuple(BACKDROPS),
    "surface": tuple(SURFACES),
    "color": ("", *COLORS),
    "product": tuple(PRODUCTS),
    "product_color": ("", *COLORS),
    "style": tuple(STYLES),
}
SEED = 990_001


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


class Classifier(nn.Module):
    """A small convolutional network with one linear head per kind of word; input count x 3 x SIDE x SIDE in 0..1."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 32, 64, 128, 192)
        blocks = [
            nn.Sequential(nn.Conv2d(a, b, 3, stride=2, padding=1), nn.BatchNorm2d(b), nn.ReLU())
            for a, b in pairwise(widths)
        ]
        # A 3 x 3 grid stays, since a surface is told from a backdrop by where it lies.
        self.body = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Dropout(0.2))
        self.heads = nn.ModuleDict({name: nn.Linear(widths[-1] * 9, len(words)) for name, words in HEADS.items()})

    def forward(self, pictures: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return logits by head."""
        features = self.body(pictures)
        return {name: head(features) for name, head in self.heads.items()}


def labels(scene: Scene) -> list[int]:
    """Return the scene's label for every head; a color that the backdrop does not show is "no color"."""
    color = scene.color if scene.backdrop in COLORED_BACKDROPS[:3] else ""
    product_color = scene.product_color if scene.product else ""
    words = (scene.backdrop, scene.surface, color, scene.product, product_color, scene.style)
    return [HEADS[head].index(word) for head, word in zip(HEADS, words, strict=True)]


def shrink(pictures: list[npt.NDArray[np.uint8]]) -> torch.Tensor:
    """Turn pictures into count x 3 x SIDE x SIDE float32 in 0..1."""
    small = np.stack([cv2.resize(p, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for p in pictures])
    return torch.from_numpy(small).permute(0, 3, 1, 2).float() / 255


def train_classifier(file: Path, *, pictures: int, epochs: int) -> Classifier:
    """Load the classifier from the file, or train it on so many fresh renders and save it there."""
    network = Classifier()
    if file.exists():
        network.load_state_dict(torch.load(file, weights_only=True))
        return network.eval()
    rng = np.random.default_rng(SEED)
    scenes = [sample_scene(rng) for _ in range(pictures)]
    images, targets = shrink([render(scene) for scene in scenes]), torch.tensor([labels(scene) for scene in scenes])
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=epochs * (pictures // 64) + 1)
    for _ in range(epochs):
        for chosen in torch.split(torch.randperm(pictures), 64)[: pictures // 64]:
            batch = hide_middle(images[chosen].flip(3) if rng.random() < 0.5 else images[chosen], rng)
            logits = network(batch)
            loss = sum(nn.functional.cross_entropy(logits[h], targets[chosen, i]) for i, h in enumerate(HEADS))
            optimizer.zero_grad()
            torch.as_tensor(loss).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    torch.save(network.state_dict(), file)
    return network.eval()


def hide_middle(pictures: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Gray out an upright box in a third of the pictures, so that inpainted ones can be judged without the product."""
    pictures = pictures.clone()
    for picture in pictures:
        if rng.random() < 0.33:
            height, width = int(rng.uniform(0.3, 0.7) * SIDE), int(rng.uniform(0.2, 0.6) * SIDE)
            y, x = int(rng.uniform(0.15, 0.95) * (SIDE - height)), int(rng.uniform(0.1, 0.9) * (SIDE - width))
            picture[:, y : y + height, x : x + width] = 0.5
    return pictures


@torch.no_grad()
def hits(network: Classifier, pictures: list[npt.NDArray[np.uint8]], scenes: list[Scene]) -> npt.NDArray[np.bool_]:
    """Return count x heads: whether the classifier finds what the scene says."""
    logits = network(shrink(pictures))
    found = torch.stack([logits[head].argmax(1) for head in HEADS], dim=1)
    return (found == torch.tensor([labels(scene) for scene in scenes])).numpy()


def draw(
    pipeline: Pipeline, prompts: list[str], *, steps: int, guidance: float, seed: int = 0
) -> list[npt.NDArray[np.uint8]]:
    """Draw one 256-pixel picture per prompt in batches of four, each from its own generator."""
    pictures: list[npt.NDArray[np.uint8]] = []
    for start in range(0, len(prompts), 4):
        part = prompts[start : start + 4]
        generators = [torch.Generator().manual_seed(seed + start + index) for index in range(len(part))]
        result = pipeline(
            part,
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=generators,
            height=256,
            width=256,
            output_type="np",
        )
        pictures += [(picture * 255 + 0.5).astype(np.uint8) for picture in result.images]
    return pictures


def load(folder: Path) -> Pipeline:
    """Load the exported folder in float32 with DPM++ 2M, its default in the studio."""
    pipeline: Pipeline = StableDiffusionPipeline.from_pretrained(  # type: ignore[no-untyped-call]
        folder, local_files_only=True
    )
    pipeline.scheduler = DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config)  # type: ignore[no-untyped-call]
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def score(pipeline: Pipeline, network: Classifier, *, prompts: int, guidance: float) -> list[Score]:
    """Score held-out combinations: what was asked against what the classifier finds, beside real renders."""
    rng = np.random.default_rng(SEED + 1)
    scenes = [sample_scene(rng, held_out=True) for _ in range(prompts)]
    made = draw(pipeline, [full_caption(scene) for scene in scenes], steps=16, guidance=guidance)
    generated = hits(network, made, scenes).mean(axis=0)
    rendered = hits(network, [render(scene) for scene in scenes], scenes).mean(axis=0)
    return [Score(h, float(g), float(r)) for h, g, r in zip(HEADS, generated, rendered, strict=True)]


def full_caption(scene: Scene) -> str:
    """Caption the scene so that every scored word is in it: the longest of a few dozen tries."""
    rng = np.random.default_rng(scene.seed)
    return max((caption(scene, rng) for _ in range(24)), key=lambda words: (words.count(","), len(words)))


def table(scores: list[Score]) -> str:
    """Write the scores as a Markdown table."""
    rows = [f"| {s.head} | {s.generated:.2f} | {s.rendered:.2f} | {s.ratio:.2f} |" for s in scores]
    return "\n".join(
        ["| word | found in its pictures | found in renders | ratio |", "| --- | --- | --- | --- |", *rows]
    )


def main() -> None:
    """Train or load the classifier, score the checkpoint and write adherence.md and adherence.json."""
    parser = argparse.ArgumentParser(prog="python -m inference.starter.evaluate", description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, default=Path(__file__).parent / "checkpoint")
    parser.add_argument("--pictures", type=int, default=12_000, help="renders the classifier is trained on")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--guidance", type=float, default=4.0)
    options = parser.parse_args()
    network = train_classifier(options.work / "classifier.pt", pictures=options.pictures, epochs=options.epochs)
    scores = score(load(options.checkpoint), network, prompts=options.prompts, guidance=options.guidance)
    (options.work / "adherence.json").write_text(json.dumps([vars(s) for s in scores], indent=1))
    (options.work / "adherence.md").write_text(table(scores) + "\n")
    print(table(scores))


if __name__ == "__main__":
    main()
