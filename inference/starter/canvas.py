"""The picture's frame and the few operations that every painter uses.

Pictures are float32 RGB in 0..1; knows nothing of scenes.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from inference.starter.grammar import COLORS
from inference.starter.textures import Field, Image, Rng, ramp, rgb


@dataclass(frozen=True)
class Frame:
    """The picture's size and the row where the surface begins, in pixels."""

    height: int
    width: int
    edge: int

    @property
    def unit(self) -> float:
        """The shorter side, the measure of everything drawn."""
        return float(min(self.height, self.width))


def blur(image: Image, sigma: float) -> Image:
    """Blur by a Gaussian of sigma pixels."""
    return cv2.GaussianBlur(image, (0, 0), max(sigma, 0.3)).astype(np.float32)


def vertical(frame: Frame, stops: list[Image], end: float | None = None) -> Image:
    """Make a gradient from the top to row `end`, by default the bottom."""
    rows = np.linspace(0, frame.height / (end or frame.height), frame.height, dtype=np.float32)
    return np.repeat(ramp(rows, stops)[:, None], frame.width, axis=1)


def disc(frame: Frame, x: float, y: float, radius: float) -> Field:
    """Return a soft round glow, 1 in its middle."""
    ys, xs = np.mgrid[0 : frame.height, 0 : frame.width].astype(np.float32)
    return np.asarray(np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * radius**2)), dtype=np.float32)


def mix(below: Image, above: Image, amount: Field | float) -> Image:
    """Lay one picture or color over another by an amount in 0..1."""
    share = amount[..., None] if isinstance(amount, np.ndarray) else amount
    return (below * (1 - share) + above * share).astype(np.float32)


def jitter(rng: Rng, color: Image, by: float = 0.03) -> Image:
    """Move a color a little."""
    return np.clip(color + rng.normal(0, by, 3), 0.02, 1).astype(np.float32)


def named(name: str) -> Image:
    """Return a named color as a (3,) array in 0..1."""
    return rgb(*COLORS[name])
