"""Paints skies, mountains, forests, beaches, deserts and gardens.

Every painter takes the scene, a generator and the frame and returns float32 RGB in 0..1.
"""

import cv2
import numpy as np

from inference.starter.canvas import Frame, blur, disc, mix, vertical
from inference.starter.grammar import Scene
from inference.starter.textures import Image, Rng, noise, ramp, rgb


def _clouds(image: Image, rng: Rng, frame: Frame, color: Image, cover: float) -> Image:
    field = noise(rng, frame.height, frame.width, "cloud", zoom=frame.unit / 256 * float(rng.uniform(0.6, 1.1)))
    rows = np.linspace(1, 0.35, frame.height, dtype=np.float32)[:, None]
    amount = np.clip((field - 1 + cover) * 2.8, 0, 1) * rows
    shaded = mix(color * 0.86, color, np.clip(field * 1.4 - 0.5, 0, 1))
    return mix(image, shaded, amount.astype(np.float32))


def sunset(scene: Scene, rng: Rng, frame: Frame) -> Image:
    """Paint a sunset sky, with hills in half of them."""
    palettes = (
        [(58, 52, 112), (172, 86, 128), (246, 128, 84), (255, 206, 122)],
        [(40, 60, 120), (128, 92, 150), (238, 130, 110), (255, 190, 110)],
        [(112, 60, 96), (226, 92, 72), (252, 160, 64), (255, 224, 140)],
    )
    image = vertical(frame, [rgb(*c) for c in palettes[int(rng.integers(3))]], frame.edge)
    image = _clouds(image, rng, frame, rgb(250, 150, 130), float(rng.uniform(0.25, 0.5)))
    x, y = rng.uniform(0.15, 0.85) * frame.width, frame.edge * rng.uniform(0.55, 0.97)
    image = mix(image, rgb(255, 214, 140), 0.8 * disc(frame, x, y, 0.16 * frame.unit))
    image = mix(image, rgb(255, 250, 224), np.clip(disc(frame, x, y, 0.05 * frame.unit) * 2.5 - 0.8, 0, 1))
    if rng.random() < 0.5:
        image = _ridge(image, rng, frame, frame.edge * rng.uniform(0.86, 0.95), 0.05, rgb(86, 44, 78))
    return image


def blue_sky(scene: Scene, rng: Rng, frame: Frame) -> Image:
    """Paint a blue sky with clouds."""
    tops = [(46, 112, 204), (70, 140, 224), (34, 96, 186)]
    image = vertical(frame, [rgb(*tops[int(rng.integers(3))]), rgb(120, 182, 240), rgb(206, 232, 250)], frame.edge)
    return _clouds(image, rng, frame, rgb(255, 255, 255), float(rng.uniform(0.2, 0.6)))


def _ridge(image: Image, rng: Rng, frame: Frame, level: float, height: float, color: Image) -> Image:
    line = noise(rng, 8, frame.width, "cloud", zoom=frame.unit / 200)[3] - 0.5
    detail = noise(rng, 8, frame.width, "fine", zoom=1)[3] - 0.5
    tops = level - (line * 2 + detail * 0.12) * height * frame.unit
    rows = np.arange(frame.height, dtype=np.float32)[:, None]
    return mix(image, color, np.clip(rows - tops[None], 0, 1).astype(np.float32))


def mountains(scene: Scene, rng: Rng, frame: Frame) -> Image:
    """Paint snowy peaks behind layered ridges."""
    dusk = rng.random() < 0.3
    top, low = (rgb(92, 92, 160), rgb(250, 186, 156)) if dusk else (rgb(88, 150, 220), rgb(216, 232, 244))
    far, near = (rgb(150, 120, 166), rgb(52, 48, 92)) if dusk else (rgb(150, 178, 208), rgb(44, 74, 82))
    image = _clouds(vertical(frame, [top, low], frame.edge), rng, frame, rgb(255, 250, 246), 0.3)
    image = _peaks(image, rng, frame, far)
    for layer in range(3):
        part = (layer + 1) / 3
        level = frame.edge * (0.66 + 0.26 * part)
        image = _ridge(image, rng, frame, level, 0.13 - 0.025 * layer, far * (1 - part) + near * part)
        image = mix(
            image,
            low,
            0.10
            * np.clip((np.arange(frame.height) - level) / 40, 0, 1).astype(np.float32)[:, None]
            * np.ones(frame.width, np.float32),
        )
    return image


def _peaks(image: Image, rng: Rng, frame: Frame, color: Image) -> Image:
    for _ in range(int(rng.integers(2, 5))):
        x, y = rng.uniform(0, 1) * frame.width, frame.edge * rng.uniform(0.22, 0.5)
        half = rng.uniform(0.25, 0.45) * frame.width
        ridge = np.array([[x, y], [x + half, frame.edge], [x - half, frame.edge]])
        cv2.fillPoly(image, [ridge.astype(np.int32)], (color * 1.02).tolist(), cv2.LINE_AA)
        shade = np.array(
            [[x, y], [x + half, frame.edge], [x + half * 0.1, frame.edge], [x - half * 0.08, y + 0.3 * half]]
        )
        cv2.fillPoly(image, [shade.astype(np.int32)], (color * 0.84).tolist(), cv2.LINE_AA)
        cap = half * 0.3
        snow = [
            [x, y],
            [x + cap, y + (frame.edge - y) * 0.3],
            [x + cap * 0.4, y + (frame.edge - y) * 0.22],
            [x, y + (frame.edge - y) * 0.36],
            [x - cap * 0.5, y + (frame.edge - y) * 0.2],
            [x - cap, y + (frame.edge - y) * 0.3],
        ]
        cv2.fillPoly(image, [np.array(snow, np.int32)], (0.96, 0.97, 1.0), cv2.LINE_AA)
    return image


def forest(scene: Scene, rng: Rng, frame: Frame) -> Image:
    """Paint trunks and foliage against the light."""
    deep = rng.random() < 0.4
    stops = (
        [rgb(18, 44, 30), rgb(44, 86, 46), rgb(108, 146, 84)]
        if deep
        else [rgb(58, 108, 52), rgb(116, 162, 80), rgb(196, 214, 140)]
    )
    image = vertical(frame, stops, frame.edge)
    image = mix(
        image,
        rgb(236, 240, 190),
        0.6 * disc(frame, rng.uniform(0.2, 0.8) * frame.width, 0.45 * frame.edge, 0.22 * frame.unit),
    )
    for layer in range(3):
        tone = rgb(112, 112, 80) * (1 - layer / 3) + rgb(40, 32, 24) * (layer / 3)
        for _ in range(int(rng.integers(4, 8))):
            x, wide = rng.uniform(0, frame.width), (0.012 + 0.016 * layer) * frame.unit * rng.uniform(0.7, 1.4)
            corners = [[x - wide * 0.7, 0], [x + wide * 0.7, 0], [x + wide, frame.edge + 4], [x - wide, frame.edge + 4]]
            cv2.fillPoly(image, [np.array(corners, np.int32)], tone.tolist(), cv2.LINE_AA)
    return _foliage(image, rng, frame)


def _foliage(image: Image, rng: Rng, frame: Frame) -> Image:
    leaves = noise(rng, frame.height, frame.width, "fine", zoom=2)
    crown = np.clip(1.1 - np.linspace(0, 2.4, frame.height, dtype=np.float32), 0, 1)[:, None]
    image = mix(
        image,
        ramp(leaves, [rgb(20, 54, 24), rgb(62, 112, 40), rgb(168, 198, 84)]),
        np.clip((leaves - 0.36) * 4, 0, 1) * crown,
    )
    bushes = np.clip((np.arange(frame.height, dtype=np.float32) - frame.edge * 0.78) / (0.12 * frame.unit), 0, 1)[
        :, None
    ]
    amount = np.clip((noise(rng, frame.height, frame.width, "soft", zoom=0.6) + bushes - 0.9) * 4, 0, 1)
    return mix(image, ramp(leaves, [rgb(24, 62, 28), rgb(60, 110, 44), rgb(120, 162, 70)]), amount.astype(np.float32))


def beach(scene: Scene, rng: Rng, frame: Frame) -> Image:
    """Paint sea and sky, with a palm in some."""
    sea = frame.edge * rng.uniform(0.5, 0.7)
    image = vertical(frame, [rgb(74, 152, 224), rgb(196, 228, 246)], sea)
    image = _clouds(image, rng, frame, rgb(255, 255, 255), float(rng.uniform(0.15, 0.45)))
    rows = (np.arange(frame.height, dtype=np.float32) - sea) / max(frame.edge - sea, 1)
    water = np.repeat(
        ramp(rows, [rgb(22, 110, 170), rgb(36, 164, 190), rgb(130, 220, 214)])[:, None], frame.width, axis=1
    )
    foam = (
        np.clip((noise(rng, frame.height, frame.width, "streak", zoom=0.8) - 0.74) * 5, 0, 1)
        * np.clip(rows, 0, 1)[:, None]
    )
    water = mix(water, rgb(250, 252, 252), foam.astype(np.float32))
    image = mix(image, water, np.clip(rows * 40, 0, 1)[:, None] * np.ones(frame.width, np.float32))
    return _palm(image, rng, frame) if rng.random() < 0.45 else image


def _palm(image: Image, rng: Rng, frame: Frame) -> Image:
    side = 1 if rng.random() < 0.5 else -1
    root = np.array([frame.width * (0.5 - side * rng.uniform(0.34, 0.48)), frame.edge + 2.0])
    top = root + np.array([side * 0.1, -rng.uniform(0.5, 0.66)]) * frame.unit
    cv2.line(
        image,
        root.astype(int).tolist(),
        top.astype(int).tolist(),
        (0.36, 0.26, 0.18),
        max(2, round(frame.unit / 60)),
        cv2.LINE_AA,
    )
    for angle in np.linspace(-2.9, 0.4, 8) + rng.normal(0, 0.1, 8):
        reach = rng.uniform(0.18, 0.26) * frame.unit
        t = np.linspace(0, 1, 8)[:, None]
        droop = np.array([0, 0.55]) * reach * t**2
        spine = top + np.array([np.cos(angle), np.sin(angle)]) * reach * t + droop
        width = np.sin(np.pi * np.clip(t, 0.05, 1)) * 0.028 * frame.unit
        blade = np.concatenate([spine - [0, 1] * width, (spine + [0, 1] * width)[::-1]])
        cv2.fillPoly(image, [blade.astype(np.int32)], (rgb(46, 112, 52) * rng.uniform(0.8, 1.2)).tolist(), cv2.LINE_AA)
    return image


def starry_night(scene: Scene, rng: Rng, frame: Frame) -> Image:
    """Paint a night sky with stars and a band of mist."""
    tints = [
        (rgb(8, 12, 36), rgb(28, 44, 104)),
        (rgb(14, 10, 40), rgb(72, 44, 120)),
        (rgb(6, 18, 40), rgb(24, 74, 106)),
    ]
    top, low = tints[int(rng.integers(3))]
    image = vertical(frame, [top, low], frame.edge)
    ys, xs = np.mgrid[0 : frame.height, 0 : frame.width].astype(np.float32) / frame.unit
    band = np.exp(-(((xs - 0.5) * rng.choice([-1, 1]) + (ys - 0.35)) ** 2) / 0.03).astype(np.float32)
    image = mix(image, rgb(150, 130, 214), 0.45 * band * noise(rng, frame.height, frame.width, "cloud", zoom=0.6))
    chance = rng.random((frame.height, frame.width))
    stars = np.where(chance > 0.9965, rng.random((frame.height, frame.width)), 0).astype(np.float32)
    big = cv2.GaussianBlur((chance > 0.9994).astype(np.float32) * 6, (0, 0), 1.1)
    image = np.minimum(image + (cv2.GaussianBlur(stars * 2.2, (0, 0), 0.6) + big)[..., None], 1)
    return _ridge(image, rng, frame, frame.edge * 0.93, 0.07, rgb(10, 12, 28)) if rng.random() < 0.6 else image


def desert(scene: Scene, rng: Rng, frame: Frame) -> Image:
    """Paint dunes under a pale sky."""
    image = vertical(frame, [rgb(104, 168, 220), rgb(250, 220, 176)], frame.edge)
    for layer in range(4):
        level = frame.edge * (0.55 + 0.13 * layer)
        color = rgb(240, 196, 138) * (1 - layer / 4) + rgb(196, 118, 62) * (layer / 4)
        image = _ridge(image, rng, frame, level, 0.10, color)
        image = _ridge(image, rng, frame, level + 0.05 * frame.unit, 0.09, color * 0.86)
    return blur(image, 0.8)


def garden(scene: Scene, rng: Rng, frame: Frame) -> Image:
    """Paint greenery with flowers."""
    leaves = noise(rng, frame.height, frame.width, "fine", zoom=2.2)
    image = ramp(leaves, [rgb(40, 86, 38), rgb(92, 146, 64), rgb(176, 206, 110)])
    image = mix(image, vertical(frame, [rgb(214, 232, 220), rgb(130, 176, 90), rgb(84, 136, 60)], frame.edge), 0.5)
    colors = [(244, 120, 160), (250, 210, 80), (255, 250, 246), (176, 110, 210), (236, 70, 70), (255, 160, 90)]
    chosen = [colors[int(i)] for i in rng.choice(6, 3, replace=False)]
    for _ in range(int(rng.integers(30, 70))):
        y = frame.edge * rng.uniform(0.3, 1.05)
        radius = frame.unit * rng.uniform(0.012, 0.03) * (0.5 + y / frame.edge)
        color = rgb(*chosen[int(rng.integers(3))]) * float(rng.uniform(0.85, 1.05))
        _flower(image, rng, (rng.uniform(0, frame.width), y), radius, color)
    return np.clip(image, 0, 1)


def _flower(image: Image, rng: Rng, spot: tuple[float, float], radius: float, color: Image) -> None:
    for angle in np.arange(5) * 2 * np.pi / 5 + rng.uniform(0, 1):
        petal = (int(spot[0] + np.cos(angle) * radius * 0.6), int(spot[1] + np.sin(angle) * radius * 0.6))
        cv2.circle(image, petal, max(1, int(radius * 0.55)), color.tolist(), -1, cv2.LINE_AA)
    cv2.circle(image, (int(spot[0]), int(spot[1])), max(1, int(radius * 0.35)), (0.98, 0.8, 0.3), -1, cv2.LINE_AA)
