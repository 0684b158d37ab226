"""Shows how a training goes: its loss curve, and a grid of samples at the end of a slice. Knows no training step."""

import json
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from inference.starter.models import Preset

CURVE_SIZE = (960, 480)
MARGIN = 60
INK, PAPER = (40, 40, 40), 250
SAMPLES = (
    "on marble, teal background, soft light",
    "on wooden table, sunset sky, warm light",
    "on grass, blue sky",
    "on sand, beach, bright light",
    "a red mug on wooden table, living room",
    "a green bottle on concrete, night city",
    "on snow, mountains, cool light",
    "a yellow box on podium, purple studio backdrop",
)


def draw_curve(log: Path, target: Path, *, measure: str) -> None:
    """Draw a measure of a training's log over its samples into a PNG, lowest and highest value at the axis."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    if len(lines) < 2:
        return
    x = np.array([line["samples"] for line in lines], float)
    y = np.array([line[measure] for line in lines], float)
    width, height = CURVE_SIZE
    across = MARGIN + x / x.max() * (width - 2 * MARGIN)
    down = MARGIN + (y.max() - y) / max(float(np.ptp(y)), 1e-9) * (height - 2 * MARGIN)
    canvas = np.full((height, width, 3), PAPER, np.uint8)
    cv2.polylines(canvas, [np.stack([across, down], axis=1).astype(np.int32)], False, INK, 1, cv2.LINE_AA)
    notes = (
        (f"{y.max():.3f}", (6, MARGIN)),
        (f"{y.min():.3f}", (6, height - MARGIN)),
        (f"{measure} over {int(x.max()):,} samples", (MARGIN, height - 20)),
    )
    for text, corner in notes:
        cv2.putText(canvas, text, corner, cv2.FONT_HERSHEY_SIMPLEX, 0.45, INK, 1, cv2.LINE_AA)
    Image.fromarray(canvas).save(target)


def draw_samples(work: Path, preset: Preset, target: Path, *, side: int) -> None:
    """Draw the same eight prompts with the averaged weights, side x side pixels each, into a PNG."""
    # The pipelines take many seconds to import, which only the end of a slice should pay.
    from inference.starter.export import pipeline

    drawn = pipeline(work, preset)(
        list(SAMPLES),
        num_inference_steps=20,
        guidance_scale=4.0,
        height=side,
        width=side,
        generator=[torch.Generator().manual_seed(seed) for seed in range(len(SAMPLES))],
    ).images
    half = len(drawn) // 2
    rows = [np.concatenate([np.asarray(picture) for picture in part], axis=1) for part in (drawn[:half], drawn[half:])]
    Image.fromarray(np.concatenate(rows)).save(target)
