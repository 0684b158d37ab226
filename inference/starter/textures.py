"""Noise fields and surface tiles, made once per process and cut up many times.

Arrays are float32 RGB in 0..1 unless said otherwise; knows nothing of scenes or captions.
"""

from functools import cache
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Field = npt.NDArray[Any]
Image = npt.NDArray[Any]
Rng = np.random.Generator

SIDE = 512


def rgb(*values: float) -> Image:
    """Return an 8-bit color as a float32 (3,) array in 0..1."""
    return np.asarray(values, dtype=np.float32) / 255


def fractal(rng: Rng, slope: float, *, side: int = SIDE, stretch: float = 1.0) -> Field:
    """Make a tileable side x side field in 0..1 whose amplitude falls with frequency^-slope; stretched along x."""
    fx = np.fft.rfftfreq(side) * stretch
    fy = np.fft.fftfreq(side)[:, None]
    radius = np.sqrt(fx**2 + fy**2)
    radius[0, 0] = 1
    spectrum = np.exp(2j * np.pi * rng.random(radius.shape)) * radius**-slope
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, s=(side, side))
    low, high = np.percentile(field, (1, 99))
    return np.asarray(np.clip((field - low) / (high - low), 0, 1), dtype=np.float32)


@cache
def _bank(kind: str) -> list[Field]:
    rng = np.random.default_rng(7)
    slope, stretch = {"cloud": (2.0, 1.6), "soft": (2.4, 1.0), "fine": (0.9, 1.0), "streak": (1.5, 12.0)}[kind]
    return [fractal(rng, slope, stretch=stretch) for _ in range(6)]


def noise(rng: Rng, height: int, width: int, kind: str = "cloud", *, zoom: float = 1.0) -> Field:
    """Cut a height x width field in 0..1 from the bank of that kind; zoom > 1 makes its features larger."""
    field = _bank(kind)[int(rng.integers(6))]
    if rng.random() < 0.5:
        field = field[:, ::-1]
    h, w = min(SIDE, max(2, round(height / zoom))), min(SIDE, max(2, round(width / zoom)))
    y, x = int(rng.integers(SIDE - h + 1)), int(rng.integers(SIDE - w + 1))
    return cv2.resize(np.ascontiguousarray(field[y : y + h, x : x + w]), (width, height)).astype(np.float32)


def ramp(field: Field, stops: list[Image]) -> Image:
    """Color a field in 0..1 by evenly spaced (3,) stops."""
    table = np.stack(stops)
    position = np.clip(field, 0, 1) * (len(stops) - 1)
    low = np.minimum(position.astype(np.int32), len(stops) - 2)
    part = (position - low)[..., None]
    return np.asarray((table[low] * (1 - part) + table[low + 1] * part), dtype=np.float32)


def _wood(rng: Rng, dark: bool) -> Image:
    palettes = (
        [[(92, 54, 32), (70, 40, 24), (48, 28, 18)], [(78, 52, 40), (56, 36, 28), (36, 24, 20)]]
        if dark
        else [
            [(214, 164, 108), (186, 130, 78), (150, 98, 54)],
            [(196, 140, 90), (164, 108, 62), (126, 78, 42)],
            [(232, 200, 154), (210, 172, 122), (178, 138, 92)],
        ]
    )
    stops = [rgb(*c) for c in palettes[int(rng.integers(len(palettes)))]]
    planks = int(rng.integers(4, 8))
    tile = np.zeros((SIDE, SIDE, 3), np.float32)
    edges = np.linspace(0, SIDE, planks + 1).astype(int)
    for top, bottom in pairwise(edges):
        grain = fractal(rng, 1.5, stretch=14)[top:bottom]
        rings = 0.5 + 0.5 * np.sin(fractal(rng, 2.2, stretch=5)[top:bottom] * 26)
        tone = float(rng.uniform(-0.14, 0.14))
        tile[top:bottom] = ramp(0.6 * grain + 0.32 * rings.astype(np.float32) + tone, stops)
        tile[top : top + 3] *= 0.55
    return tile


def _marble(rng: Rng, dark: bool) -> Image:
    warp = fractal(rng, 2.2) * 2 + fractal(rng, 1.5) * 0.5
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / SIDE
    angle = float(rng.uniform(0.4, 1.2))
    line = np.abs(np.sin((x * np.cos(angle) + y * np.sin(angle)) * np.pi * 3 + warp * 4.5))
    veins = np.clip(1 - line * 5, 0, 1) ** 1.5 * (0.35 + 0.65 * fractal(rng, 2))
    fine = np.clip(1 - np.abs(fractal(rng, 1.8) - 0.5) * 22, 0, 1) * 0.3
    mist = fractal(rng, 2.2)
    base, shade, vein = (
        (rgb(30, 30, 34), rgb(52, 52, 58), rgb(206, 196, 178))
        if dark
        else (rgb(247, 246, 244), rgb(220, 220, 222), rgb(120, 120, 128))
    )
    tile = ramp(mist, [base, base, shade])
    amount = np.clip(veins + fine, 0, 1)[..., None] * (0.75 if dark else 0.8)
    return np.asarray((tile * (1 - amount) + vein * amount), dtype=np.float32)


def _sand(rng: Rng) -> Image:
    y = np.mgrid[0:SIDE, 0:SIDE][0].astype(np.float32) / SIDE
    ripple = 0.5 + 0.5 * np.sin(y * np.pi * 2 * 14 + fractal(rng, 2.2) * 14)
    field = 0.45 * ripple + 0.35 * fractal(rng, 1.8) + 0.2 * fractal(rng, 0.4)
    return ramp(field.astype(np.float32), [rgb(186, 144, 96), rgb(222, 186, 136), rgb(244, 220, 178)])


def _snow(rng: Rng) -> Image:
    field = 0.7 * fractal(rng, 2.1) + 0.3 * fractal(rng, 0.8)
    tile = ramp(field, [rgb(184, 204, 232), rgb(228, 238, 250), rgb(252, 253, 255)])
    sparkle = (rng.random((SIDE, SIDE)) > 0.996).astype(np.float32)
    return np.minimum(tile + cv2.GaussianBlur(sparkle, (0, 0), 0.8)[..., None], 1).astype(np.float32)


def _grass(rng: Rng) -> Image:
    tile = ramp(fractal(rng, 1.2), [rgb(34, 84, 30), rgb(58, 118, 40), rgb(92, 150, 54)])
    canvas = np.ascontiguousarray(tile)
    for x, y, length, lean, tone in zip(
        rng.integers(0, SIDE, 5000),
        rng.integers(0, SIDE, 5000),
        rng.integers(6, 18, 5000),
        rng.normal(0, 4, 5000),
        rng.random(5000),
        strict=True,
    ):
        color = rgb(40, 92, 30) * (1 - tone) + rgb(158, 204, 86) * tone
        cv2.line(canvas, (int(x), int(y)), (int(x + lean), int(y - length)), color.tolist(), 1, cv2.LINE_AA)
    return canvas


def _water(rng: Rng) -> Image:
    waves = fractal(rng, 1.7, stretch=0.35)
    glints = np.clip(1 - np.abs(fractal(rng, 1.7, stretch=0.4) - 0.5) * 9, 0, 1) ** 2
    tile = ramp(waves, [rgb(24, 92, 132), rgb(58, 146, 178), rgb(132, 204, 216)])
    return np.asarray(np.minimum(tile + 0.42 * glints[..., None], 1), dtype=np.float32)


def _concrete(rng: Rng) -> Image:
    field = 0.6 * fractal(rng, 1.8) + 0.4 * fractal(rng, 0.7)
    tile = ramp(field, [rgb(122, 122, 122), rgb(158, 157, 154), rgb(190, 188, 184)])
    for _ in range(60):
        spot = (int(rng.integers(SIDE)), int(rng.integers(SIDE)))
        cv2.circle(tile, spot, int(rng.integers(1, 4)), (0.4, 0.4, 0.4), -1, cv2.LINE_AA)
    return tile


def _stone(rng: Rng) -> Image:
    field = fractal(rng, 1.5)
    light = np.clip(0.5 + (field - np.roll(field, (3, 3), (0, 1))) * 5, 0, 1)
    tile = ramp(fractal(rng, 1.9), [rgb(92, 90, 88), rgb(128, 124, 118), rgb(168, 162, 152)])
    return np.clip(tile * (0.55 + 0.8 * light[..., None]), 0, 1).astype(np.float32)


def _fabric(rng: Rng) -> Image:
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / SIDE
    folds = 0.5 + 0.5 * np.sin((x + 0.35 * y) * np.pi * 2 * 3 + fractal(rng, 2.4) * 9)
    weave = 0.5 + 0.25 * np.sin(x * np.pi * 2 * 128) + 0.25 * np.sin(y * np.pi * 2 * 128)
    field = np.clip(0.62 * folds + 0.25 * fractal(rng, 2) + 0.13 * weave, 0, 1).astype(np.float32)
    return np.repeat((0.45 + 0.6 * field)[..., None], 3, axis=2)


@cache
def tile(kind: str, variant: int) -> npt.NDArray[np.uint8]:
    """Return a 512 x 512 x 3 tile of a surface; fabric is gray, to be tinted. Unknown kinds raise KeyError."""
    rng = np.random.default_rng([variant, len(kind), ord(kind[0])])
    makers = {
        "wood": lambda: _wood(rng, dark=False),
        "dark wood": lambda: _wood(rng, dark=True),
        "marble": lambda: _marble(rng, dark=False),
        "black marble": lambda: _marble(rng, dark=True),
        "sand": lambda: _sand(rng),
        "snow": lambda: _snow(rng),
        "grass": lambda: _grass(rng),
        "water": lambda: _water(rng),
        "concrete": lambda: _concrete(rng),
        "stone": lambda: _stone(rng),
        "fabric": lambda: _fabric(rng),
    }
    return (np.clip(makers[kind](), 0, 1) * 255).astype(np.uint8)


VARIANTS = 5


def perspective(kind: str, rng: Rng, *, height: int, width: int, edge: float, vanishing: float) -> Image:
    """Lay a tile as a plane below row `edge`, vanishing at row `vanishing` (< edge). Rows above edge are undefined."""
    source = tile(kind, int(rng.integers(VARIANTS)))
    far = cv2.GaussianBlur(source, (0, 0), 3)
    scale = float(rng.uniform(0.8, 1.5)) * 256 / min(width, height) * (edge - vanishing + 0.35 * height) * 1.3
    rows = np.maximum(np.arange(height, dtype=np.float32) - vanishing, 2)[:, None]
    columns = np.arange(width, dtype=np.float32)[None] - width * float(rng.uniform(0.3, 0.7))
    turn = float(rng.choice([0.0, 0.0, 0.5, -0.4, 1.5708]))
    u, v = columns * scale / rows, scale * height * 0.45 / rows
    map_x = u * np.cos(turn) - v * np.sin(turn) + float(rng.uniform(0, SIDE))
    map_y = u * np.sin(turn) + v * np.cos(turn) + float(rng.uniform(0, SIDE))
    maps = (map_x.astype(np.float32), map_y.astype(np.float32))
    near = cv2.remap(source, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    blurred = cv2.remap(far, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    depth = np.clip((rows - rows[-1]) / (edge - vanishing - rows[-1] - 1), 0, 1)[..., None].astype(np.float32)
    return np.asarray(((near * (1 - depth) + blurred * depth) / 255), dtype=np.float32)
