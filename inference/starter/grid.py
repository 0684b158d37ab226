"""Draws the grid of prompts and styles by which the checkpoint is judged by eye.

`python -m inference.starter.grid --out grid.png`; knows only the exported folder.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from inference.starter.evaluate import draw, load
from inference.starter.grammar import STYLES

PROMPTS = (
    "on marble, teal background, soft light",
    "on wooden table, sunset sky, soft light",
    "a red mug on wooden table, living room, window light",
    "a green bottle on sand, beach, bright light",
    "a white shoe on concrete, night city, dramatic light",
    "on snow, mountains, cool light",
)


def main() -> None:
    """Draw PROMPTS down and the styles across, and save one picture."""
    parser = argparse.ArgumentParser(prog="python -m inference.starter.grid", description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=Path(__file__).parent / "checkpoint")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--styles", nargs="*", default=list(STYLES))
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--guidance", type=float, default=4.0)
    options = parser.parse_args()
    words = [STYLES[style][0] if STYLES[style] else "" for style in options.styles]
    prompts = [", ".join(part for part in (prompt, word) if part) for prompt in PROMPTS for word in words]
    pictures = draw(load(options.checkpoint), prompts, steps=options.steps, guidance=options.guidance)
    across = len(words)
    rows = [np.concatenate(pictures[start : start + across], axis=1) for start in range(0, len(pictures), across)]
    Image.fromarray(np.concatenate(rows)).save(options.out)


if __name__ == "__main__":
    main()
