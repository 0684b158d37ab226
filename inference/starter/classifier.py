"""Tells what a picture shows, having learned from freshly rendered pictures of another seed than the training's.

Knows scenes and pixels; knows neither checkpoints nor training pictures.
"""

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from inference.starter.grammar import (
    BACKDROPS,
    COLORED_BACKDROPS,
    COLORS,
    PRODUCTS,
    STYLES,
    SURFACES,
    Scene,
    sample_scene,
)
from inference.starter.render import render

SIDE = 96
SEED = 990_001
GRAY = 128
HEADS: dict[str, tuple[str, ...]] = {
    "backdrop": tuple(BACKDROPS),
    "surface": tuple(SURFACES),
    "color": ("", *COLORS),
    "product": tuple(PRODUCTS),
    "product_color": ("", *COLORS),
    "style": tuple(STYLES),
}


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
            picture[:, y : y + height, x : x + width] = GRAY / 255
    return pictures


@torch.no_grad()
def hits(network: Classifier, pictures: list[npt.NDArray[np.uint8]], scenes: list[Scene]) -> npt.NDArray[np.bool_]:
    """Return count x heads: whether the classifier finds what the scene says."""
    logits = network(shrink(pictures))
    found = torch.stack([logits[head].argmax(1) for head in HEADS], dim=1)
    return (found == torch.tensor([labels(scene) for scene in scenes])).numpy()


@torch.no_grad()
def probability(network: Classifier, pictures: list[npt.NDArray[np.uint8]], *, head: str, word: str) -> float:
    """Return how likely the classifier finds this word in the pictures, on average."""
    share = network(shrink(pictures))[head].softmax(1)[:, HEADS[head].index(word)]
    return float(share.mean())


@torch.no_grad()
def words_in(network: Classifier, pictures: list[npt.NDArray[np.uint8]], *, head: str) -> list[str]:
    """Return the word of this head that the classifier finds in each picture."""
    return [HEADS[head][int(index)] for index in network(shrink(pictures))[head].argmax(1)]
