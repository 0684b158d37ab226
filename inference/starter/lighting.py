"""Lays light and season over a finished scene.

Pictures are float32 RGB in 0..1; knows neither what stands in the scene nor its style.
"""

from collections.abc import Callable

import cv2
import numpy as np

from inference.starter.canvas import Frame, blur, disc, mix
from inference.starter.textures import Image, Rng, noise, rgb

Effect = Callable[[Image, Rng, Frame], Image]


def light(image: Image, name: str, rng: Rng, frame: Frame, *, light_x: float) -> Image:
    """Light the picture as its light word asks; light_x is the side it comes from, -1 left, 1 right."""
    if name == "dramatic":
        glow = disc(frame, frame.width * (0.5 + 0.25 * light_x), 0.4 * frame.height, 0.42 * frame.unit)
        dark = np.clip(image, 0, 1) ** 1.35
        return dark * (0.26 + 0.95 * glow[..., None])
    if name == "rim":
        glow = disc(frame, frame.width * (0.5 + 0.3 * light_x), 0.12 * frame.height, 0.4 * frame.unit)
        return np.clip(image * 0.72, 0, 1) + rgb(255, 236, 206) * (0.5 * glow[..., None])
    if name == "spotlight":
        return _spotlight(image, rng, frame)
    if name == "window":
        return _window(image, rng, frame, light_x)
    return TINTS[name](image, rng, frame) if name in TINTS else image


def _soft(image: Image, rng: Rng, frame: Frame) -> Image:
    return mix(image, blur(image, 0.02 * frame.unit), 0.22) * 0.9 + 0.085


def _warm(image: Image, rng: Rng, frame: Frame) -> Image:
    glow = disc(frame, rng.uniform(0, 1) * frame.width, 0.1 * frame.height, 0.6 * frame.unit)
    return image * rgb(275, 238, 188) + rgb(255, 176, 72) * (0.17 * glow[..., None])


def _cool(image: Image, rng: Rng, frame: Frame) -> Image:
    return image * rgb(206, 234, 272) + rgb(6, 14, 30)


def _bright(image: Image, rng: Rng, frame: Frame) -> Image:
    return np.clip(image, 0, 1) ** 0.78 * 1.06 + 0.02


TINTS: dict[str, Effect] = {"soft": _soft, "warm": _warm, "cool": _cool, "bright": _bright}


def _spotlight(image: Image, rng: Rng, frame: Frame) -> Image:
    x, top = frame.width * rng.uniform(0.42, 0.58), frame.width * rng.uniform(0.3, 0.7)
    beam = np.zeros(image.shape[:2], np.float32)
    reach = 0.3 * frame.unit
    corners = [[top - 4, -4], [top + 4, -4], [x + reach, frame.height * 0.86], [x - reach, frame.height * 0.86]]
    cv2.fillPoly(beam, [np.array(corners, np.int32)], 1.0, cv2.LINE_AA)
    pool = (int(x), int(frame.height * 0.85))
    cv2.ellipse(beam, pool, (int(reach), int(reach * 0.3)), 0, 0, 360, 1.0, -1, cv2.LINE_AA)
    beam = blur(beam, 0.035 * frame.unit)
    return np.asarray(image * (0.34 + 0.78 * beam[..., None]) + 0.07 * beam[..., None], dtype=np.float32)


def _window(image: Image, rng: Rng, frame: Frame, light_x: float) -> Image:
    panes = np.zeros(image.shape[:2], np.float32)
    left, top = frame.width * rng.uniform(0.05, 0.35), frame.height * rng.uniform(0.0, 0.3)
    wide, tall, skew = 0.2 * frame.unit, 0.3 * frame.unit, -light_x * 0.35
    for column in range(2):
        for row in range(2):
            x, y = left + column * wide * 1.12, top + row * tall * 1.08
            corners = np.array([[x, y], [x + wide, y], [x + wide, y + tall], [x, y + tall]])
            corners[:, 0] += (corners[:, 1] - top) * skew
            corners[:, 1] += (corners[:, 0] - left) * 0.2
            cv2.fillPoly(panes, [corners.astype(np.int32)], 1.0, cv2.LINE_AA)
    panes = blur(panes, 0.012 * frame.unit)[..., None]
    return np.asarray(image * (0.72 + 0.46 * panes) + rgb(255, 232, 186) * (0.10 * panes), dtype=np.float32)


def season(image: Image, name: str, rng: Rng, frame: Frame) -> Image:
    """Strew what the season word asks over the picture: petals, leaves, flakes, lights."""
    return SEASONS[name](image, rng, frame) if name else image


def _strew(
    image: Image, rng: Rng, frame: Frame, colors: list[tuple[int, int, int]], shape: tuple[float, float]
) -> Image:
    layer = np.ascontiguousarray(image)
    for _ in range(int(rng.integers(22, 46))):
        near = rng.random() ** 2
        x, y = rng.uniform(0, frame.width), rng.uniform(0, frame.height)
        if rng.random() < 0.45:
            y = rng.uniform(frame.edge, frame.height)
        size = frame.unit * (0.012 + 0.022 * near)
        color = rgb(*colors[int(rng.integers(len(colors)))]) * float(rng.uniform(0.85, 1.08))
        axes = (max(1, int(size * shape[0])), max(1, int(size * shape[1])))
        cv2.ellipse(layer, (int(x), int(y)), axes, float(rng.uniform(0, 180)), 0, 360, color.tolist(), -1, cv2.LINE_AA)
    return np.asarray(np.clip(layer, 0, 1), dtype=np.float32)


def _spring(image: Image, rng: Rng, frame: Frame) -> Image:
    image = _branch(image, rng, frame, [(255, 190, 210), (255, 220, 230), (250, 160, 190)])
    return _strew(image, rng, frame, [(255, 192, 212), (255, 224, 232)], (1, 0.6))


def _branch(image: Image, rng: Rng, frame: Frame, colors: list[tuple[int, int, int]]) -> Image:
    side = int(rng.integers(2))
    start = np.array([side * frame.width, rng.uniform(0, 0.15) * frame.height])
    aim = np.array([(1 - 2 * side) * rng.uniform(0.35, 0.6) * frame.width, rng.uniform(0.02, 0.2) * frame.height])
    layer = np.ascontiguousarray(image)
    cv2.line(
        layer,
        start.astype(int).tolist(),
        (start + aim).astype(int).tolist(),
        (0.34, 0.22, 0.17),
        max(2, int(frame.unit / 80)),
        cv2.LINE_AA,
    )
    for _ in range(26):
        spot = start + aim * rng.uniform(0, 1) + rng.normal(0, 0.03, 2) * frame.unit
        color = rgb(*colors[int(rng.integers(len(colors)))])
        cv2.circle(
            layer,
            spot.astype(int).tolist(),
            max(2, int(frame.unit * rng.uniform(0.012, 0.026))),
            color.tolist(),
            -1,
            cv2.LINE_AA,
        )
    return layer


def _summer(image: Image, rng: Rng, frame: Frame) -> Image:
    x = frame.width * float(rng.choice([0.05, 0.95]))
    sun = disc(frame, x, 0, 0.34 * frame.unit)[..., None]
    vivid = image.mean(axis=2, keepdims=True) * -0.22 + image * 1.22
    image = _branch(np.clip(vivid, 0, 1).astype(np.float32), rng, frame, [(94, 170, 60), (130, 196, 74), (64, 134, 50)])
    return 1 - (1 - np.clip(image, 0, 1)) * (1 - 0.75 * sun * rgb(255, 232, 160))


def _autumn(image: Image, rng: Rng, frame: Frame) -> Image:
    colors = [(214, 98, 32), (232, 150, 40), (180, 54, 34), (240, 190, 70)]
    return _strew(_branch(image * rgb(262, 240, 214), rng, frame, colors), rng, frame, colors, (1.2, 0.65))


def _winter(image: Image, rng: Rng, frame: Frame) -> Image:
    flakes = np.zeros(image.shape[:2], np.float32)
    for _ in range(int(rng.integers(50, 110))):
        spot = (int(rng.uniform(0, frame.width)), int(rng.uniform(0, frame.height)))
        cv2.circle(
            flakes,
            spot,
            max(1, int(frame.unit * rng.uniform(0.003, 0.011))),
            float(rng.uniform(0.6, 1)),
            -1,
            cv2.LINE_AA,
        )
    return mix(image * rgb(222, 236, 262), rgb(255, 255, 255), blur(flakes, 0.8) * 0.92)


def _christmas(image: Image, rng: Rng, frame: Frame) -> Image:
    glow = np.zeros_like(image)
    colors = [rgb(255, 206, 110), rgb(255, 70, 60), rgb(90, 220, 110), rgb(255, 206, 110)]
    for row in range(2):
        xs = np.linspace(0, frame.width, 13)
        ys = (
            frame.height * (0.07 + 0.13 * row)
            + np.sin(xs / frame.width * np.pi * 3 + rng.uniform(0, 6)) * 0.05 * frame.unit
        )
        points = np.stack([xs, ys], 1).astype(np.int32)
        cv2.polylines(image, [points], False, (0.12, 0.22, 0.14), max(1, int(frame.unit / 160)), cv2.LINE_AA)
        for index, point in enumerate(points):
            cv2.circle(
                glow, point.tolist(), max(2, int(frame.unit / 58)), colors[(index + row) % 4].tolist(), -1, cv2.LINE_AA
            )
    lights = np.maximum(glow, blur(glow, 0.02 * frame.unit) * 1.5)
    image = 1 - (1 - np.clip(image, 0, 1)) * (1 - np.clip(lights, 0, 1))
    return _strew(image.astype(np.float32), rng, frame, [(206, 44, 40), (28, 96, 52), (226, 184, 84)], (0.9, 0.9))


SEASONS: dict[str, Effect] = {
    "spring": _spring,
    "summer": _summer,
    "autumn": _autumn,
    "winter": _winter,
    "christmas": _christmas,
}


def defect(image: Image, name: str, rng: Rng, frame: Frame) -> Image:
    """Spoil the picture as the defect's words say, so that negative prompts mean something; noise fields in 0..1."""
    if name == "blur":
        return blur(image, 0.018 * frame.unit)
    if name == "noise":
        return (
            image
            + (noise(rng, frame.height, frame.width, "fine") - 0.5)[..., None] * 0.3
            + rng.normal(0, 0.07, image.shape)
        )
    canvas = np.ascontiguousarray(np.clip(image, 0, 1) * 255, dtype=np.uint8)
    for _ in range(int(rng.integers(1, 4))):
        spot = (int(rng.uniform(0, 0.4) * frame.width), int(rng.uniform(0.15, 0.95) * frame.height))
        tone = float(rng.choice([12, 248]))
        letters = "".join(chr(int(c)) for c in rng.integers(65, 91, int(rng.integers(5, 11))))
        cv2.putText(
            canvas,
            letters,
            spot,
            cv2.FONT_HERSHEY_DUPLEX,
            frame.unit / 256 * float(rng.uniform(0.7, 1.4)),
            (tone,) * 3,
            2,
            cv2.LINE_AA,
        )
    return canvas.astype(np.float32) / 255
