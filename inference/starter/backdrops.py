"""Paints what is behind the product: studio walls here, outdoor and indoor views by their own modules.

Every painter takes the scene, a generator and the frame and returns float32 RGB in 0..1; knows no surfaces or styles.
"""

from collections.abc import Callable

import cv2
import numpy as np

from inference.starter.canvas import Frame, blur, disc, jitter, named, vertical
from inference.starter.grammar import Scene
from inference.starter.landscapes import beach, blue_sky, desert, forest, garden, mountains, starry_night, sunset
from inference.starter.rooms import bokeh, interior, kitchen, neon, night_city
from inference.starter.textures import Image, Rng, noise, ramp, rgb

Painter = Callable[[Scene, Rng, Frame], Image]


def paint(scene: Scene, rng: Rng, frame: Frame) -> Image:
    """Paint the scene's backdrop over the whole frame, with a lens blur that differs from picture to picture."""
    image = PAINTERS[scene.backdrop](scene, rng, frame)
    if scene.backdrop in SHARP:
        return image
    return blur(image, float(rng.choice([0.006, 0.01, 0.016])) * frame.unit)


def _plain(scene: Scene, rng: Rng, frame: Frame) -> Image:
    color = jitter(rng, named(scene.color), 0.015)
    light = disc(frame, rng.uniform(0.2, 0.8) * frame.width, rng.uniform(0.1, 0.6) * frame.height, 0.6 * frame.unit)
    strength = float(rng.uniform(0, 0.22))
    return np.clip(color * (1 - strength * 0.6) + (color * 0.6 + 0.12) * strength * light[..., None], 0, 1)


def _gradient(scene: Scene, rng: Rng, frame: Frame) -> Image:
    ys, xs = np.mgrid[0 : frame.height, 0 : frame.width].astype(np.float32)
    angle = float(rng.choice([0.0, 0.0, 0.6, -0.6, 1.5708]))
    field = np.cos(angle) * ys / frame.edge + np.sin(angle) * (xs / frame.width - 0.5)
    return ramp(np.clip(field, 0, 1), [named(scene.color), named(scene.second_color)])


def _studio(scene: Scene, rng: Rng, frame: Frame) -> Image:
    color = jitter(rng, named(scene.color), 0.015)
    glow = disc(frame, rng.uniform(0.35, 0.65) * frame.width, 0.45 * frame.height, rng.uniform(0.32, 0.5) * frame.unit)
    return np.clip(color * (0.42 + 0.68 * glow[..., None]) + 0.1 * glow[..., None], 0, 1)


def _leaf_shadows(scene: Scene, rng: Rng, frame: Frame) -> Image:
    image = _plain(scene, rng, frame)
    shadow = np.zeros(image.shape[:2], np.float32)
    for _ in range(int(rng.integers(2, 4))):
        root = np.array([rng.choice([-0.1, 1.1]) * frame.width, rng.uniform(0, 0.7) * frame.edge])
        aim = float(np.arctan2(frame.edge * 0.4 - root[1], frame.width / 2 - root[0]) + rng.normal(0, 0.3))
        for step in np.linspace(0.15, 1, 12):
            joint = root + np.array([np.cos(aim), np.sin(aim)]) * step * 0.8 * frame.unit
            for turn in (0.7, -0.7):
                tip = joint + np.array([np.cos(aim + turn), np.sin(aim + turn)]) * 0.26 * frame.unit * (1.15 - step)
                middle = ((joint + tip) / 2).astype(int).tolist()
                length = float(np.linalg.norm(tip - joint) / 2)
                cv2.ellipse(
                    shadow,
                    middle,
                    (int(length) + 1, max(1, int(length * 0.17))),
                    float(np.degrees(aim + turn)),
                    0,
                    360,
                    1.0,
                    -1,
                    cv2.LINE_AA,
                )
    soft = cv2.GaussianBlur(shadow, (0, 0), frame.unit * float(rng.uniform(0.006, 0.014)))
    return np.asarray((image * (1 - float(rng.uniform(0.3, 0.45)) * soft[..., None])), dtype=np.float32)


def _brick(scene: Scene, rng: Rng, frame: Frame) -> Image:
    tall, wide = max(6, int(frame.unit * rng.uniform(0.05, 0.075))), max(14, int(frame.unit * rng.uniform(0.13, 0.19)))
    base = rgb(*[(166, 78, 58), (150, 84, 66), (182, 98, 70), (128, 62, 50)][int(rng.integers(4))])
    image = vertical(frame, [rgb(196, 184, 172)] * 2)
    for row, y in enumerate(range(0, frame.height, tall)):
        for x in range(-(wide // 2) * (row % 2), frame.width, wide):
            color = np.clip(base * rng.uniform(0.78, 1.18) + rng.normal(0, 0.015, 3), 0, 1)
            image[y + 1 : y + tall - 1, max(0, x + 1) : max(0, x + wide - 1)] = color
    grit = noise(rng, frame.height, frame.width, "fine")
    light = disc(frame, rng.uniform(0, 1) * frame.width, 0.2 * frame.height, 0.7 * frame.unit)
    return np.clip(blur(image, 0.6) * (0.82 + 0.3 * grit + 0.25 * light - 0.1)[..., None], 0, 1)


PAINTERS: dict[str, Painter] = {
    "plain": _plain,
    "gradient": _gradient,
    "studio": _studio,
    "sunset": sunset,
    "blue sky": blue_sky,
    "night city": night_city,
    "forest": forest,
    "mountains": mountains,
    "beach": beach,
    "bokeh": bokeh,
    "interior": interior,
    "kitchen": kitchen,
    "starry night": starry_night,
    "desert": desert,
    "garden": garden,
    "brick wall": _brick,
    "leaf shadows": _leaf_shadows,
    "neon": neon,
}


SHARP = ("plain", "gradient", "studio", "bokeh", "starry night", "leaf shadows", "brick wall")
