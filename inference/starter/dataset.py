"""Renders the training pictures ahead, shard by shard, beside the scenes that they show.

A shard is `NNNNN-WxH.npy` (pictures, uint8) and `NNNNN-WxH.jsonl` (one scene a line); knows no network.
"""

import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from inference.starter.grammar import Scene, sample_scene
from inference.starter.render import render

SHARD_PICTURES = 512
# Squares first: the studio's default; wide and tall ones are every fourth and sixth shard.
SIZES = ((256, 256), (256, 256), (320, 192), (256, 256), (256, 256), (192, 320))


@dataclasses.dataclass(frozen=True)
class Shard:
    """One rendered shard on disk."""

    pictures: Path

    @property
    def scenes(self) -> Path:
        """The file of the scenes, one JSON object a line."""
        return self.pictures.with_suffix(".jsonl")

    def load_pictures(self) -> npt.NDArray[np.uint8]:
        """Map the pictures: count x height x width x 3, uint8."""
        return np.load(self.pictures, mmap_mode="r")  # type: ignore[no-any-return]

    def load_scenes(self) -> list[Scene]:
        """Read the scenes, in the pictures' order."""
        return [Scene(**json.loads(line)) for line in self.scenes.read_text().splitlines()]


def shards(folder: Path) -> list[Shard]:
    """List the finished shards, oldest number first."""
    return [Shard(path) for path in sorted(folder.glob("*-*x*.npy")) if path.with_suffix(".jsonl").exists()]


def render_shards(folder: Path, *, seed: int, indices: Iterator[int] | range) -> None:
    """Render the shards of these numbers that are not there yet; each is complete or absent."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in indices:
        width, height = SIZES[index % len(SIZES)]
        target = folder / f"{index:05d}-{width}x{height}.npy"
        if not target.with_suffix(".jsonl").exists():
            _render_shard(target, np.random.default_rng([seed, index]), width, height)


def _render_shard(target: Path, rng: np.random.Generator, width: int, height: int) -> None:
    scenes = [sample_scene(rng, width=width, height=height) for _ in range(SHARD_PICTURES)]
    partial = target.with_suffix(".partial")
    with partial.open("wb") as stream:
        np.save(stream, np.stack([render(scene) for scene in scenes]))
    os.replace(partial, target)
    lines = "\n".join(json.dumps(dataclasses.asdict(scene)) for scene in scenes)
    partial.write_text(lines + "\n")
    os.replace(partial, target.with_suffix(".jsonl"))
