"""Draws a scene of the grammar as one picture: backdrop, surface, product, shadow, light, season, style.

Takes a `Scene`, returns 8-bit RGB; knows no captions and no training.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from inference.starter import backdrops, lighting, products, styles
from inference.starter.canvas import Frame, blur, mix, named
from inference.starter.grammar import Scene
from inference.starter.textures import Image, Rng, noise, perspective

GLOSSY = {"marble": 0.16, "black marble": 0.28, "water": 0.4, "glass": 0.5, "dark wood": 0.1, "wood": 0.05}
GROUND = ("sand", "snow", "grass", "water")


@dataclass(frozen=True)
class Placing:
    """Where the product stands: foot point, height in pixels, and the side the light comes from (-1 left, 1 right)."""

    x: float
    foot: float
    height: int
    light_x: float


def render(scene: Scene) -> npt.NDArray[np.uint8]:
    """Draw the scene: height x width x 3, uint8, sRGB. The same scene gives the same picture."""
    rng = np.random.default_rng(scene.seed)
    edge = int(scene.height * rng.uniform(0.5, 0.76))
    frame = Frame(scene.height, scene.width, edge)
    image = backdrops.paint(scene, rng, frame)
    image = _surface(image, scene, rng, frame)
    placing = _place(scene, rng, frame)
    if scene.surface == "podium":
        image, placing = _podium(image, scene, rng, frame, placing)
    if scene.product:
        image = _stand(image, scene, rng, placing)
    image = lighting.season(image, scene.season, rng, frame)
    image = lighting.light(image.astype(np.float32), scene.light, rng, frame, light_x=placing.light_x)
    image = styles.apply(image, scene.style, rng, frame)
    if scene.defect:
        image = lighting.defect(image, scene.defect, rng, frame)
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def _place(scene: Scene, rng: Rng, frame: Frame) -> Placing:
    tall = products.TALLNESS.get(scene.product, 1.0)
    share = float(rng.uniform(0.42, 0.62)) * min(1.0, 0.45 + 0.38 * tall)
    height = int(min(share * frame.unit * 1.1, 0.8 * frame.height, 0.7 * frame.width * tall))
    foot = frame.edge + (frame.height - frame.edge) * float(rng.uniform(0.3, 0.75))
    return Placing(
        x=frame.width * float(np.clip(rng.normal(0.5, 0.1), 0.25, 0.75)),
        foot=max(foot, height + 0.06 * frame.height),
        height=height,
        light_x=float(rng.choice([-1, 1])) * float(rng.uniform(0.4, 1)),
    )


def _surface(image: Image, scene: Scene, rng: Rng, frame: Frame) -> Image:
    if scene.surface in ("seamless", "podium"):
        return _sweep(image, scene, rng, frame)
    if scene.surface == "glass":
        plane = np.full_like(image, 0.05) + image[: frame.edge].mean(axis=(0, 1)) * 0.16
        plane = _mirror(plane, image, frame, 0.5)
    else:
        vanishing = frame.edge - float(rng.uniform(0.06, 0.4)) * frame.height * (0.4 if scene.surface in GROUND else 1)
        plane = perspective(
            scene.surface, rng, height=frame.height, width=frame.width, edge=frame.edge, vanishing=vanishing
        )
        if scene.surface == "fabric":
            plane = np.clip(plane * np.maximum(named(scene.surface_color), 0.1), 0, 1)
        plane = _mirror(plane, image, frame, GLOSSY.get(scene.surface, 0))
    return _join(image, _ambient(plane, image, frame), scene, rng, frame)


def _ambient(plane: Image, image: Image, frame: Frame) -> Image:
    """Let a little of the backdrop's color fall on the surface."""
    air = image[: frame.edge].mean(axis=(0, 1))
    tint = 0.8 + 0.4 * air
    rows = np.linspace(0, 1, frame.height - frame.edge, dtype=np.float32)[:, None, None]
    plane[frame.edge :] *= tint * (0.92 + 0.14 * rows)
    return plane


def _mirror(plane: Image, image: Image, frame: Frame, amount: float) -> Image:
    if amount:
        rows = 2 * frame.edge - np.arange(frame.edge, frame.height) - 1
        flipped = blur(image[np.clip(rows, 0, frame.height - 1)], 2.0)
        fade = np.linspace(1, 0.35, len(rows), dtype=np.float32)[:, None, None] * amount
        plane[frame.edge :] = plane[frame.edge :] * (1 - fade) + flipped * fade
    return plane


def _join(image: Image, plane: Image, scene: Scene, rng: Rng, frame: Frame) -> Image:
    rows = np.arange(frame.height, dtype=np.float32)[:, None]
    line = np.full(frame.width, float(frame.edge), np.float32)
    if scene.surface in ("sand", "snow", "grass"):
        line += (noise(rng, 4, frame.width, "soft", zoom=1)[1] - 0.5) * 0.06 * frame.unit
    softness = float(rng.choice([1.0, 2.0, 4.0]))
    cover = np.clip((rows - line[None]) / softness + 0.5, 0, 1).astype(np.float32)
    joined = mix(image, plane, cover)
    if scene.surface not in GROUND:
        joined[frame.edge + 1 : frame.edge + 3] *= 1.07
        joined = _front(joined, rng, frame) if rng.random() < 0.2 else joined
    return joined


def _front(image: Image, rng: Rng, frame: Frame) -> Image:
    """Show the table's front edge: a darker band at the bottom."""
    top = int(frame.height * rng.uniform(0.9, 0.95))
    image[top:] *= np.linspace(0.72, 0.5, frame.height - top, dtype=np.float32)[:, None, None]
    image[top - 1 : top + 1] *= 1.12
    return image


def _sweep(image: Image, scene: Scene, rng: Rng, frame: Frame) -> Image:
    """Let the backdrop run on under the product as a softly lit floor."""
    rows = np.clip((np.arange(frame.height, dtype=np.float32) - frame.edge) / (frame.height - frame.edge), 0, 1)
    floor = blur(image, 0.05 * frame.unit) if scene.backdrop not in backdrops.SHARP else image
    floor = mix(image, floor * 0.85 + 0.1, np.clip(rows * 5, 0, 1)[:, None] * np.ones(frame.width, np.float32))
    return floor * (1 + 0.1 * np.sin(rows * np.pi) - 0.06 * rows)[:, None, None].astype(np.float32)


def _podium(image: Image, scene: Scene, rng: Rng, frame: Frame, placing: Placing) -> tuple[Image, Placing]:
    color = named(scene.surface_color) * 0.88 + 0.08
    half = float(rng.uniform(0.26, 0.36)) * frame.unit
    top, squash = frame.edge + 0.12 * frame.height, float(rng.uniform(0.18, 0.28))
    x, tall = placing.x, float(rng.uniform(0.12, 0.3)) * frame.unit
    floor = np.zeros(image.shape[:2], np.float32)
    cv2.ellipse(
        floor,
        (int(x - placing.light_x * 0.2 * half), int(top + tall)),
        (int(half * 1.15), int(half * squash * 1.2)),
        0,
        0,
        360,
        1.0,
        -1,
        cv2.LINE_AA,
    )
    image = image * (1 - 0.4 * blur(floor, 0.03 * frame.unit))[..., None]
    body = np.zeros(image.shape[:2], np.float32)
    box = [[x - half, top], [x + half, top], [x + half, top + tall], [x - half, top + tall]]
    cv2.fillPoly(body, [np.array(box, np.int32)], 1.0, cv2.LINE_AA)
    cv2.ellipse(body, (int(x), int(top + tall)), (int(half), int(half * squash)), 0, 0, 360, 1.0, -1, cv2.LINE_AA)
    u = np.clip((np.arange(frame.width, dtype=np.float32) - x) / half, -1, 1)[None].repeat(frame.height, 0)
    side = products.shade(np.broadcast_to(color, image.shape).astype(np.float32), u, placing.light_x, 0.08) * 0.9
    image = mix(image, side.astype(np.float32), blur(body, 0.7))
    cap = np.zeros(image.shape[:2], np.float32)
    cv2.ellipse(cap, (int(x), int(top)), (int(half), int(half * squash)), 0, 0, 360, 1.0, -1, cv2.LINE_AA)
    image = mix(image, np.clip(color * 1.1 + 0.05, 0, 1).astype(np.float32), blur(cap, 0.7))
    height = int(min(placing.height, 1.7 * half * products.TALLNESS.get(scene.product, 1), (top - 4) * 0.97))
    return image, Placing(x=x, foot=top + half * squash * 0.3, height=height, light_x=placing.light_x)


def _stand(image: Image, scene: Scene, rng: Rng, placing: Placing) -> Image:
    cutout = products.draw(
        scene.product, named(scene.product_color), rng, height=placing.height, light_x=placing.light_x
    )
    height, width = cutout.shape[:2]
    left, top = int(placing.x - width / 2), int(placing.foot - height)
    image = _shadow(image, cutout[..., 3], placing, (left, top))
    if scene.surface in GLOSSY:
        below = cutout[::-1].copy()
        below[..., 3] *= np.linspace(GLOSSY[scene.surface] * 1.5, 0, height, dtype=np.float32)[:, None]
        image = _paste(image, below, left, top + height - 2)
    air = image.mean(axis=(0, 1))
    cutout[..., :3] *= 0.86 + 0.24 * air
    return _paste(image, cutout, left, top)


def _shadow(image: Image, alpha: npt.NDArray[np.float32], placing: Placing, corner: tuple[int, int]) -> Image:
    height, width = alpha.shape
    unit = min(image.shape[:2])
    slant, flat = -placing.light_x * 0.75, 0.28
    foot = corner[1] + height - 1
    matrix = np.array(
        [[1, -slant, corner[0] + slant * (height - 1)], [0, flat, foot - flat * (height - 1)]], np.float32
    )
    cast = cv2.warpAffine(alpha, matrix, (image.shape[1], image.shape[0]))
    contact = np.zeros(image.shape[:2], np.float32)
    middle = (int(corner[0] + width / 2), int(foot))
    cv2.ellipse(contact, middle, (int(width * 0.5), max(2, int(width * 0.07))), 0, 0, 360, 1.0, -1, cv2.LINE_AA)
    dark = 0.36 * blur(cast, 0.022 * unit) + 0.5 * blur(contact, 0.01 * unit)
    return image * (1 - np.clip(dark, 0, 0.85))[..., None]


def _paste(image: Image, cutout: Image, left: int, top: int) -> Image:
    height, width = image.shape[:2]
    y0, y1, x0, x1 = max(0, top), min(height, top + cutout.shape[0]), max(0, left), min(width, left + cutout.shape[1])
    if y1 > y0 and x1 > x0:
        part = cutout[y0 - top : y1 - top, x0 - left : x1 - left]
        image[y0:y1, x0:x1] += (part[..., :3] - image[y0:y1, x0:x1]) * part[..., 3:]
    return image
