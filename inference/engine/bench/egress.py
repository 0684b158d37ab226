"""What a finished picture costs before it is stored: lossless master, thumbnail and hash, against Pillow's defaults.
Knows nothing about storage.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from inference.engine.bench.goal import Goal
from inference.product_lock import encode_master

if TYPE_CHECKING:
    import numpy.typing as npt

    from inference.engine.interface import Pixels

    Floats = npt.NDArray[np.float64]

SIDE_PX = 1024
PICTURES = 4
LEAST_RATIO = 2.5
# As gallery.renditions draws it.
THUMB_PX = 400
THUMB_QUALITY = 80
# Amplitudes fall with frequency in photos (Field 1987), and the finest detail is noise: of a sensor, or of a model.
FALL = 1.8
GRAIN = 1.5


def goals(pictures: Sequence[Pixels] | None = None) -> list[Goal]:
    """How much less CPU time ours takes than Pillow's default way, over the same pictures in turn."""
    shown = pictures or [picture(seed) for seed in range(PICTURES)]
    megapixels = sum(each.shape[0] * each.shape[1] for each in shown) / 1e6
    theirs, ours = cpu_s([plainly, quickly], shown)
    return [
        Goal(
            "CPU time of Pillow's default master, thumbnail and hash ÷ ours",
            f"≥ {LEAST_RATIO:g}",
            f"{theirs / ours:.2f} ({theirs / megapixels * 1000:.0f} and {ours / megapixels * 1000:.0f} ms a megapixel)",
            theirs / ours >= LEAST_RATIO,
        )
    ]


def cpu_s(ways: Sequence[Callable[[Pixels], object]], pictures: Sequence[Pixels]) -> list[float]:
    """CPU seconds of each way over all pictures, taken in turn picture by picture."""
    seconds = [0.0] * len(ways)
    for way in ways:
        way(pictures[0])
    for each in pictures:
        for number, way in enumerate(ways):
            started = time.process_time()
            way(each)
            seconds[number] += time.process_time() - started
    return seconds


def quickly(pixels: Pixels) -> str:
    """Ours, from one array in memory; returns the master's hash."""
    master = encode_master(pixels, icc_profile=None)
    thumbnail(pixels)
    return hashlib.sha256(master).hexdigest()


def thumbnail(pixels: Pixels) -> bytes:
    """WebP, at most 400 px on the longer side: the bytes that the studio stores beside the master."""
    image = Image.fromarray(pixels)
    factor = min(1.0, THUMB_PX / max(image.size))
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    stream = io.BytesIO()
    image.resize(size, Image.Resampling.LANCZOS).save(stream, "WEBP", quality=THUMB_QUALITY, method=2)
    return stream.getvalue()


def plainly(pixels: Pixels) -> str:
    """Pillow with every default: save, thumbnail, save."""
    image = Image.fromarray(pixels)
    master, small = io.BytesIO(), io.BytesIO()
    image.save(master, "PNG")
    image.thumbnail((THUMB_PX, THUMB_PX))
    image.save(small, "WEBP")
    return hashlib.sha256(master.getvalue()).hexdigest()


def picture(seed: int, side_px: int = SIDE_PX) -> Pixels:
    """A picture as hard to compress as a photo, uint8 (side, side, 3): a random scene with grain."""
    rng = np.random.default_rng(seed)
    light = 45 * _field(rng, side_px)
    channels = [light + 12 * _field(rng, side_px) + GRAIN * rng.standard_normal(light.shape) for _ in range(3)]
    pixels: Pixels = (128 + np.stack(channels, axis=-1)).clip(0, 255).astype(np.uint8)
    return pixels


def _field(rng: np.random.Generator, side_px: int) -> Floats:
    """Values of mean 0 and deviation 1 whose amplitude falls with frequency, float64 (side, side)."""
    frequency = np.hypot(np.fft.fftfreq(side_px)[:, None], np.fft.rfftfreq(side_px)[None])
    frequency[0, 0] = 1
    spectrum = np.fft.rfft2(rng.standard_normal((side_px, side_px))) / frequency**FALL
    values: Floats = np.fft.irfft2(spectrum, (side_px, side_px))
    values -= values.mean()
    values /= values.std()
    return values
