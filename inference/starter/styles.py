"""Turns a rendered scene into one of the studio's thirteen styles.

Pictures are float32 RGB in 0..1; knows nothing of what they show.
"""

from collections.abc import Callable

import cv2
import numpy as np

from inference.starter.canvas import Frame, blur, disc, mix
from inference.starter.textures import Field, Image, Rng, noise, rgb

Style = Callable[[Image, Rng, Frame], Image]


def apply(image: Image, name: str, rng: Rng, frame: Frame) -> Image:
    """Return the picture in the style, clipped to 0..1; "Auto" and unknown names leave it as it is."""
    image = np.clip(image, 0, 1).astype(np.float32)
    return np.clip(STYLES[name](image, rng, frame), 0, 1).astype(np.float32) if name in STYLES else image


def _luma(image: Image) -> Field:
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)


def _vivid(image: Image, by: float) -> Image:
    return np.clip(_luma(image)[..., None] * (1 - by) + image * by, 0, 1).astype(np.float32)


def _contrast(image: Image, by: float) -> Image:
    return np.clip((image - 0.5) * by + 0.5, 0, 1).astype(np.float32)


def _smooth(image: Image, rounds: int = 2) -> Image:
    for _ in range(rounds):
        image = cv2.bilateralFilter(image, 7, 0.16, 5)
    return image.astype(np.float32)


def _outline(image: Image, *, strength: float, width: float) -> Field:
    """Find edges: 1 where a line is to be drawn."""
    flat = blur(image, 0.8 + width)
    dx = np.abs(cv2.Sobel(flat, cv2.CV_32F, 1, 0)).max(axis=2)
    dy = np.abs(cv2.Sobel(flat, cv2.CV_32F, 0, 1)).max(axis=2)
    return np.asarray(np.clip((dx + dy) * strength - 0.35, 0, 1), dtype=np.float32)


def _levels(image: Image, steps: int) -> Image:
    value = image.max(axis=2, keepdims=True)
    soft = value * steps
    stepped = (np.floor(soft) + np.clip((soft % 1 - 0.5) * 6 + 0.5, 0, 1)) / steps
    return np.asarray(np.clip(image * (stepped / np.maximum(value, 1e-3)), 0, 1), dtype=np.float32)


def _japanese_anime(image: Image, rng: Rng, frame: Frame) -> Image:
    flat = _levels(_vivid(_smooth(image, 2), 1.35), 5)
    flat = mix(flat, rgb(60, 30, 70), _outline(image, strength=1.7, width=0.2) * 0.85)
    return flat * 0.92 + 0.07


def _anime_3d(image: Image, rng: Rng, frame: Frame) -> Image:
    soft = _vivid(_smooth(image, 2), 1.45) ** 0.85
    bloom = blur(np.clip(soft - 0.6, 0, 1), 0.03 * frame.unit) * 1.3
    rim = _outline(image, strength=0.9, width=1.2)[..., None]
    return soft * rgb(258, 246, 255) + bloom * rgb(255, 215, 245) + rim * rgb(255, 205, 235) * 0.25


def _model_3d(image: Image, rng: Rng, frame: Frame) -> Image:
    clay = _smooth(blur(image, 1.4), 1) * 0.72 + 0.24
    relief = _luma(blur(image, 2.0)) - _luma(blur(image, 7.0))
    return _vivid(clay, 0.8) + relief[..., None] * 0.9


def _movie(image: Image, rng: Rng, frame: Frame) -> Image:
    tone = _luma(image)[..., None]
    graded = _contrast(image, 1.22) * 0.86 + (1 - tone) * rgb(-8, 24, 34) + tone * rgb(34, 10, -30)
    vignette = disc(frame, frame.width / 2, frame.height / 2, 0.48 * frame.unit)[..., None]
    streak = blur(np.clip(graded - 0.82, 0, 1), 1.0)
    flare = cv2.blur(streak, (int(frame.unit * 0.5) | 1, 1)) * rgb(140, 190, 255) * 1.4
    return np.asarray(graded * (0.4 + 0.66 * vignette) + flare, dtype=np.float32)


def _comic(image: Image, rng: Rng, frame: Frame) -> Image:
    flat = _levels(_vivid(_contrast(_smooth(image, 2), 1.2), 1.4), 4)
    ys, xs = np.mgrid[0 : frame.height, 0 : frame.width].astype(np.float32)
    pitch = frame.unit / 42
    dots = 0.5 + 0.25 * (np.cos((xs + ys) * np.pi * 2 / pitch / 1.414) + np.cos((xs - ys) * np.pi * 2 / pitch / 1.414))
    ink = np.clip((dots - 0.25 - _luma(flat)) * 5, 0, 1) * 0.45
    flat = mix(flat, rgb(30, 20, 50), ink.astype(np.float32))
    return mix(flat, rgb(10, 8, 14), np.clip(_outline(image, strength=3.0, width=0.8) * 1.6, 0, 1))


def _cyberpunk(image: Image, rng: Rng, frame: Frame) -> Image:
    tone = _luma(image)[..., None]
    graded = image * 0.45 + tone * (rgb(30, 190, 235) * 0.4) + (1 - tone) * rgb(64, 0, 92) * 0.55
    edges = _outline(image, strength=2.0, width=0.6)
    glow = blur(edges, 0.012 * frame.unit)
    rows = np.linspace(0, 1, frame.height, dtype=np.float32)[:, None, None]
    neon = rgb(255, 30, 170) * (1 - rows) + rgb(30, 230, 255) * rows
    lines = np.ones((frame.height, 1, 1), np.float32)
    lines[::4] = 0.86
    return (graded + (edges * 0.55 + glow * 0.8)[..., None] * neon) * lines


def _fantasy(image: Image, rng: Rng, frame: Frame) -> Image:
    dream = mix(image, blur(image, 0.03 * frame.unit), 0.4) * 0.9
    mist = (
        noise(rng, frame.height, frame.width, "cloud", zoom=0.7)
        * np.linspace(0.15, 0.6, frame.height, dtype=np.float32)[:, None]
    )
    dream = mix(dream * rgb(236, 220, 262), rgb(206, 166, 250), mist * 0.7)
    glow = disc(frame, frame.width * rng.uniform(0.3, 0.7), 0.3 * frame.height, 0.3 * frame.unit)
    sparks = np.zeros(image.shape[:2], np.float32)
    for _ in range(40):
        spot = (int(rng.uniform(0, frame.width)), int(rng.uniform(0, frame.height)))
        cv2.circle(sparks, spot, max(1, int(frame.unit * rng.uniform(0.002, 0.008))), 1.0, -1, cv2.LINE_AA)
    lights = np.clip(blur(sparks, 0.8) + blur(sparks, 3.5) * 3, 0, 1)
    return np.asarray(dream + rgb(255, 214, 150) * (0.28 * glow + lights * 0.95)[..., None], dtype=np.float32)


def _oil_painting(image: Image, rng: Rng, frame: Frame) -> Image:
    flow = (noise(rng, frame.height, frame.width, "soft", zoom=0.7) * 2 * np.pi * 1.5).astype(np.float32)
    ys, xs = np.mgrid[0 : frame.height, 0 : frame.width].astype(np.float32)
    bristle = cv2.resize(rng.random((frame.height // 2, frame.width // 2), np.float32), (frame.width, frame.height))
    smeared, relief = image, bristle
    for step in (1.0, 2.0, 3.0):
        dx, dy = np.cos(flow) * step, np.sin(flow) * step
        ahead, behind = (xs + dx, ys + dy), (xs - dx, ys - dy)
        smeared = (
            cv2.remap(smeared, *ahead, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
            + cv2.remap(smeared, *behind, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        ) / 2
        relief = (
            cv2.remap(relief, *ahead, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
            + cv2.remap(relief, *behind, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        ) / 2
    median = cv2.medianBlur((np.clip(smeared, 0, 1) * 255).astype(np.uint8), 5).astype(np.float32) / 255
    ridge = (relief - 0.5) * 1.5
    painted = _vivid(_contrast(median, 1.1), 1.22) * (1 + ridge[..., None] * 0.55) * rgb(258, 248, 226)
    return np.asarray(painted, dtype=np.float32)


def _colored_pencil(image: Image, rng: Rng, frame: Frame) -> Image:
    strokes = noise(rng, frame.width, frame.height, "streak", zoom=0.8).T
    matrix = cv2.getRotationMatrix2D((frame.width / 2, frame.height / 2), float(rng.choice([-35, 35])), 1.5)
    strokes = cv2.warpAffine(
        np.ascontiguousarray(strokes), matrix, (frame.width, frame.height), borderMode=cv2.BORDER_REFLECT
    )
    cover = np.clip(1.15 - _luma(image) * 0.85 + (strokes - 0.5) * 1.5, 0.06, 1)
    paper = rgb(252, 249, 240)
    drawn = mix(
        np.broadcast_to(paper, image.shape).astype(np.float32),
        _vivid(_smooth(image, 1), 1.3) * 0.92,
        cover.astype(np.float32),
    )
    return mix(drawn, rgb(66, 54, 60), _outline(image, strength=1.9, width=0.2) * 0.75)


def _pixel_art(image: Image, rng: Rng, frame: Frame) -> Image:
    block = 8 if rng.random() < 0.5 else 4
    small = cv2.resize(
        _contrast(_vivid(image, 1.3), 1.12), (frame.width // block, frame.height // block), interpolation=cv2.INTER_AREA
    )
    small = np.round(small * 6) / 6
    return cv2.resize(small.astype(np.float32), (frame.width, frame.height), interpolation=cv2.INTER_NEAREST).astype(
        np.float32
    )


def _realistic(image: Image, rng: Rng, frame: Frame) -> Image:
    vignette = disc(frame, frame.width / 2, frame.height / 2, 0.75 * frame.unit)[..., None]
    grain = rng.normal(0, 0.012, image.shape[:2])[..., None]
    return _contrast(_vivid(image, 0.92), 1.08) * (0.82 + 0.2 * vignette) + grain


def _watercolor(image: Image, rng: Rng, frame: Frame) -> Image:
    ys, xs = np.mgrid[0 : frame.height, 0 : frame.width].astype(np.float32)
    reach = 0.022 * frame.unit
    dx = (noise(rng, frame.height, frame.width, "soft", zoom=0.4) - 0.5) * 2 * reach
    dy = (noise(rng, frame.height, frame.width, "soft", zoom=0.4) - 0.5) * 2 * reach
    bled = cv2.remap(_smooth(image, 1), xs + dx, ys + dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    wash = _levels(bled, 5) * 0.62 + 0.4
    pool = noise(rng, frame.height, frame.width, "cloud", zoom=0.5)
    wash = wash * (0.86 + 0.24 * pool[..., None]) - _outline(bled, strength=0.8, width=0.4)[..., None] * 0.22
    margin = np.minimum.reduce([xs, ys, frame.width - 1 - xs, frame.height - 1 - ys]) / frame.unit
    ragged = np.clip((margin + (pool - 0.5) * 0.09 - 0.045) * 26, 0, 1)
    grain = (noise(rng, frame.height, frame.width, "fine") - 0.5)[..., None] * 0.07
    return (
        mix(
            np.broadcast_to(rgb(252, 250, 244), image.shape).astype(np.float32),
            wash.astype(np.float32),
            ragged.astype(np.float32),
        )
        + grain
    )


STYLES: dict[str, Style] = {
    "3D Anime": _anime_3d,
    "3D Model": _model_3d,
    "Japanese Anime": _japanese_anime,
    "Movie": _movie,
    "Comic": _comic,
    "Cyberpunk": _cyberpunk,
    "Fantasy": _fantasy,
    "Oil Painting": _oil_painting,
    "Colored Pencil": _colored_pencil,
    "Pixel Art": _pixel_art,
    "Realistic": _realistic,
    "Watercolor": _watercolor,
}
