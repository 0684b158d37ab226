"""Paints rooms, the city at night and lights out of focus.

Every painter takes the scene, a generator and the frame and returns float32 RGB in 0..1.
"""

import cv2
import numpy as np

from inference.starter.canvas import Frame, blur, disc, mix, named, vertical
from inference.starter.grammar import Scene
from inference.starter.textures import Image, Rng, rgb


def night_city(scene: Scene, rng: Rng, frame: Frame) -> Image:
    """Paint lit towers at night with lights out of focus."""
    image = vertical(frame, [rgb(12, 14, 38), rgb(32, 34, 84), rgb(98, 62, 118)], frame.edge)
    for layer, tone in enumerate((rgb(40, 42, 84), rgb(24, 26, 58), rgb(12, 14, 34))):
        x = -10.0
        while x < frame.width:
            wide = rng.uniform(0.06, 0.15) * frame.unit
            top = frame.edge * rng.uniform(0.25 + 0.15 * layer, 0.6 + 0.12 * layer)
            image[int(top) :, max(0, int(x)) : max(0, int(x + wide))] = tone
            _windows(image, rng, frame, (x, top, wide))
            x += wide * rng.uniform(0.9, 1.3)
    return _lights(image, rng, frame, int(rng.integers(8, 26)), WARM_LIGHTS)


def _windows(image: Image, rng: Rng, frame: Frame, tower: tuple[float, float, float]) -> None:
    x, top, wide = tower
    step = max(4, round(frame.unit / 52))
    size = max(1, step // 2)
    for row in range(int(top) + step, min(frame.edge + step, frame.height - size), step):
        for column in range(max(0, int(x) + size), min(frame.width - size, int(x + wide) - size), step):
            if rng.random() < 0.36:
                color = rgb(255, 214, 130) if rng.random() < 0.75 else rgb(150, 214, 255)
                image[row : row + size, column : column + size] = color * float(rng.uniform(0.55, 1))


WARM_LIGHTS = [(255, 190, 92), (255, 226, 160), (255, 130, 84), (255, 96, 140), (110, 196, 255)]


def _lights(image: Image, rng: Rng, frame: Frame, count: int, colors: list[tuple[int, int, int]]) -> Image:
    layer = np.zeros_like(image)
    for _ in range(count):
        spot = (int(rng.uniform(0, frame.width)), int(rng.uniform(0.05, 1.0) * frame.edge))
        radius = int(rng.uniform(0.015, 0.07) * frame.unit)
        color = rgb(*colors[int(rng.integers(len(colors)))]) * float(rng.uniform(0.25, 0.75))
        disk = np.zeros(image.shape[:2], np.float32)
        x0, x1, y0, y1 = (
            max(0, spot[0] - radius - 1),
            spot[0] + radius + 2,
            max(0, spot[1] - radius - 1),
            spot[1] + radius + 2,
        )
        cv2.circle(disk[y0:y1, x0:x1], (spot[0] - x0, spot[1] - y0), radius, 1.0, -1, cv2.LINE_AA)
        cv2.circle(disk[y0:y1, x0:x1], (spot[0] - x0, spot[1] - y0), radius, 1.35, 1, cv2.LINE_AA)
        layer[y0:y1, x0:x1] = np.maximum(layer[y0:y1, x0:x1], disk[y0:y1, x0:x1, None] * color)
    return np.asarray((1 - (1 - image) * (1 - np.clip(layer, 0, 1))), dtype=np.float32)


def bokeh(scene: Scene, rng: Rng, frame: Frame) -> Image:
    """Paint lights out of focus in the scene's color."""
    color = named(scene.color)
    base = vertical(frame, [color * 0.28 + 0.02, color * 0.55 + 0.04])
    tints = [tuple(np.clip((color + rng.normal(0.12, 0.1, 3)) * 255, 30, 255).astype(int).tolist()) for _ in range(4)]
    return _lights(base, rng, frame, int(rng.integers(26, 60)), [*tints, (255, 236, 200)])


def interior(scene: Scene, rng: Rng, frame: Frame) -> Image:
    """Paint a living room with window, picture, plant, sofa and lamp."""
    walls = [(232, 222, 206), (206, 214, 204), (222, 206, 196), (196, 208, 220), (240, 236, 228)]
    image = mix(
        vertical(frame, [rgb(*walls[int(rng.integers(5))])] * 2),
        rgb(255, 248, 230),
        0.25 * disc(frame, frame.width * 0.3, 0, 0.6 * frame.unit),
    )
    _window_pane(image, rng, frame, rng.uniform(0.02, 0.2) if rng.random() < 0.5 else rng.uniform(0.6, 0.72))
    x, y = rng.uniform(0.35, 0.6) * frame.width, frame.edge * rng.uniform(0.2, 0.45)
    size = frame.unit * rng.uniform(0.14, 0.22)
    cv2.rectangle(image, (int(x), int(y)), (int(x + size), int(y + size * 1.25)), (0.3, 0.24, 0.2), -1)
    cv2.rectangle(
        image,
        (int(x + 3), int(y + 3)),
        (int(x + size - 3), int(y + size * 1.25 - 3)),
        rng.uniform(0.4, 0.95, 3).tolist(),
        -1,
    )
    _plant(image, rng, frame, (frame.width * rng.uniform(0.05, 0.95), float(frame.edge)))
    sofa = rgb(*[(120, 134, 150), (176, 120, 96), (126, 142, 112), (200, 186, 166)][int(rng.integers(4))])
    left, top = int(frame.width * rng.uniform(-0.1, 0.6)), int(frame.edge * rng.uniform(0.74, 0.84))
    cv2.rectangle(image, (left, top), (left + int(0.5 * frame.width), frame.height), sofa.tolist(), -1)
    cv2.rectangle(image, (left, top), (left + int(0.5 * frame.width), top + 4), (sofa * 1.12).tolist(), -1)
    return _lamp(image, rng, frame)


def _window_pane(image: Image, rng: Rng, frame: Frame, left: float) -> None:
    x0, x1 = int(left * frame.width), int((left + rng.uniform(0.26, 0.36)) * frame.width)
    y0, y1 = int(frame.edge * rng.uniform(0.02, 0.15)), int(frame.edge * rng.uniform(0.6, 0.75))
    image[y0:y1, x0:x1] = np.linspace(rgb(214, 234, 250), rgb(236, 246, 232), max(y1 - y0, 1))[:, None]
    white = (0.98, 0.98, 0.97)
    cv2.rectangle(image, (x0, y0), (x1, y1), white, max(2, int(frame.unit / 50)))
    cv2.line(image, ((x0 + x1) // 2, y0), ((x0 + x1) // 2, y1), white, max(2, int(frame.unit / 80)))
    cv2.line(image, (x0, (y0 + y1) // 2), (x1, (y0 + y1) // 2), white, max(2, int(frame.unit / 80)))


def _plant(image: Image, rng: Rng, frame: Frame, foot: tuple[float, float]) -> None:
    for angle in np.linspace(-2.6, -0.5, 9) + rng.normal(0, 0.12, 9):
        reach = frame.unit * rng.uniform(0.14, 0.28)
        center = (int(foot[0] + np.cos(angle) * reach * 0.6), int(foot[1] + np.sin(angle) * reach * 0.75))
        axes = (int(reach * 0.42), max(2, int(reach * 0.12)))
        color = (rgb(62, 122, 66) * rng.uniform(0.75, 1.25)).tolist()
        cv2.ellipse(image, center, axes, float(np.degrees(angle)), 0, 360, color, -1, cv2.LINE_AA)


def _lamp(image: Image, rng: Rng, frame: Frame) -> Image:
    x, y = rng.uniform(0.1, 0.9) * frame.width, frame.edge * rng.uniform(0.15, 0.5)
    size = 0.05 * frame.unit
    shade = np.array(
        [[x - size, y + size], [x + size, y + size], [x + size * 0.6, y - size * 0.6], [x - size * 0.6, y - size * 0.6]]
    )
    cv2.fillPoly(image, [shade.astype(np.int32)], (1.0, 0.9, 0.66), cv2.LINE_AA)
    return mix(image, rgb(255, 222, 160), 0.55 * disc(frame, x, y, 0.13 * frame.unit))


def kitchen(scene: Scene, rng: Rng, frame: Frame) -> Image:
    """Paint a kitchen with tiles, cabinets and a shelf."""
    image = vertical(frame, [rgb(240, 238, 234), rgb(226, 222, 216)])
    step = max(6, int(frame.unit * rng.uniform(0.05, 0.08)))
    image[::step] *= 0.9
    image[:, ::step] *= 0.9
    cabinet = rgb(
        *[(96, 120, 116), (236, 232, 224), (66, 84, 110), (188, 150, 110), (150, 168, 146)][int(rng.integers(5))]
    )
    bottom = int(frame.edge * rng.uniform(0.28, 0.4))
    image[:bottom] = cabinet
    wide = int(frame.width / rng.integers(3, 6))
    for x in range(0, frame.width, wide):
        cv2.rectangle(image, (x + 3, -5), (x + wide - 3, bottom - 4), (cabinet * 0.88).tolist(), 2)
        cv2.circle(image, (x + wide - 9, bottom - 12), 2, (0.85, 0.7, 0.4), -1, cv2.LINE_AA)
    shelf = int(frame.edge * rng.uniform(0.72, 0.8))
    image[shelf : shelf + 4] = rgb(176, 132, 88)
    for _ in range(int(rng.integers(4, 9))):
        x, tall, wide = (
            int(rng.uniform(0, frame.width)),
            int(frame.unit * rng.uniform(0.06, 0.17)),
            int(frame.unit * rng.uniform(0.03, 0.08)),
        )
        image[shelf - tall : shelf, x : x + wide] = (
            rng.uniform(0.3, 0.95, 3) * np.linspace(0.85, 1.05, min(wide, frame.width - x))[:, None]
        )
    return _lamp(image, rng, frame)


def neon(scene: Scene, rng: Rng, frame: Frame) -> Image:
    """Paint neon tubes and their glow on a dark wall."""
    image = vertical(frame, [rgb(18, 10, 38), rgb(44, 18, 70)], frame.edge)
    colors = [rgb(255, 40, 160), rgb(40, 220, 255), rgb(150, 70, 255), rgb(255, 120, 60)]
    layer = np.zeros_like(image)
    for index in rng.choice(4, int(rng.integers(2, 4)), replace=False):
        middle = (int(rng.uniform(0.15, 0.85) * frame.width), int(rng.uniform(0.15, 0.7) * frame.edge))
        size, thick = frame.unit * rng.uniform(0.1, 0.34), max(2, int(frame.unit / 70))
        shape = rng.random()
        if shape < 0.4:
            cv2.circle(layer, middle, int(size), colors[index].tolist(), thick, cv2.LINE_AA)
        else:
            angle = float(rng.choice([0.0, 1.5708, 0.6, -0.6]))
            reach = np.array([np.cos(angle), np.sin(angle)]) * size * 1.6
            ends = [(np.array(middle) + sign * reach).astype(int).tolist() for sign in (-1, 1)]
            cv2.line(layer, ends[0], ends[1], colors[index].tolist(), thick, cv2.LINE_AA)
    glow = blur(layer, 0.02 * frame.unit) * 1.3 + blur(layer, 0.09 * frame.unit) * 2.4
    return np.asarray(np.clip(image + layer + layer.mean(axis=2, keepdims=True) * 0.6 + glow, 0, 1), dtype=np.float32)
