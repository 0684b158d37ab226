"""Draws simple products with shape, gloss and label as cut-outs.

A cut-out is float32 RGBA in 0..1, straight alpha, its foot in the last row; knows no scene around it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from inference.starter.textures import Field, Image, Rng, rgb

TALLNESS = {
    "bottle": 2.9,
    "mug": 0.95,
    "box": 1.15,
    "jar": 0.95,
    "shoe": 0.52,
    "bag": 1.25,
    "can": 1.8,
    "tube": 2.4,
    "candle": 1.1,
    "vase": 1.6,
}


@dataclass(frozen=True)
class Lathe:
    """A turned body: profile points (height from the top, half width) in 0..1 and colored bands (from, to, color)."""

    profile: tuple[tuple[float, float], ...]
    bands: tuple[tuple[float, float, Image], ...]
    gloss: float
    bend: float = 0.06
    rounding: float = 0.0


def draw(product: str, color: Image, rng: Rng, *, height: int, light_x: float) -> Image:
    """Draw the product `height` pixels tall, lit from the left (light_x = -1) to the right (1)."""
    width = max(6, round(height / (TALLNESS[product] * float(rng.uniform(0.9, 1.12)))))
    color = np.clip(color + rng.normal(0, 0.02, 3), 0.03, 0.97).astype(np.float32)
    big = MAKERS[product](color, rng, (height * 2, width * 2), light_x)
    return _shrink(big, width, height)


def _shrink(big: Image, width: int, height: int) -> Image:
    premultiplied = np.concatenate([big[..., :3] * big[..., 3:], big[..., 3:]], axis=2)
    small: Image = cv2.resize(premultiplied, (width, height), interpolation=cv2.INTER_AREA)
    small[..., :3] /= np.maximum(small[..., 3:], 1e-3)
    return np.clip(small, 0, 1).astype(np.float32)


def _turned(lathe: Lathe, size: tuple[int, int], light_x: float) -> Image:
    height, width = size
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    x = (xs + 0.5 - width / 2) / (width / 2)
    heights, halves = _outline(lathe)
    bulge = lathe.bend * width / height * np.sqrt(np.maximum(1 - x**2, 0))
    t = (ys / (height - 1)) - bulge + lathe.bend * width / height
    half = np.interp(t - lathe.bend * width / height, heights, halves, left=0, right=0).astype(np.float32)
    u = np.clip(x / np.maximum(half, 1e-3), -1, 1)
    inside = np.clip((half - np.abs(x)) * width / 2, 0, 1) * (t <= 1 + lathe.bend * width / height)
    paint = np.zeros((height, width, 3), np.float32)
    for start, end, color in lathe.bands:
        paint[(t >= start) & (t <= end + 0.08)] = color
    return np.dstack([shade(paint, u, light_x, lathe.gloss), inside]).astype(np.float32)


def _outline(lathe: Lathe) -> tuple[Field, Field]:
    points, halves = zip(*lathe.profile, strict=True)
    heights = np.linspace(0, 1, 129, dtype=np.float32)
    outline = np.interp(heights, points, halves).astype(np.float32)
    if lathe.rounding:
        outline = cv2.GaussianBlur(
            outline[:, None],
            (1, 2 * int(lathe.rounding * 256) + 1),
            0.1,
            sigmaY=lathe.rounding * 128,
            borderType=cv2.BORDER_REPLICATE,
        )[:, 0]
    return heights, outline


def shade(paint: Image, u: Field, light_x: float, gloss: float) -> Image:
    """Shade a round body: u runs from -1 to 1 across it."""
    depth = np.sqrt(np.maximum(1 - u**2, 0))
    diffuse = 0.5 + 0.56 * np.clip(u * light_x * 0.75 + depth * 0.72, 0, 1)
    streak = np.exp(-((u - 0.55 * light_x) ** 2) / 0.012) * gloss
    edge = np.exp(-((u + 0.86 * light_x) ** 2) / 0.006) * gloss * 0.45
    return np.asarray(np.clip(paint * diffuse[..., None] + (streak + edge)[..., None] * 0.7, 0, 1), dtype=np.float32)


def _label(image: Image, rng: Rng, box: tuple[float, float, float, float], ink: Image) -> Image:
    """Print lines and a mark within box (left, top, right, bottom) in shares of the picture."""
    height, width = image.shape[:2]
    left, top, right, bottom = (int(v * s) for v, s in zip(box, (width, height, width, height), strict=True))
    layer = np.zeros(image.shape[:2], np.float32)
    middle, tall = (left + right) // 2, bottom - top
    if rng.random() < 0.6:
        cv2.circle(layer, (middle, top + int(tall * 0.3)), max(2, int(tall * 0.16)), 1.0, -1, cv2.LINE_AA)
    for row, wide in ((0.58, 0.4), (0.72, 0.3), (0.84, 0.36)):
        reach = int((right - left) * wide * rng.uniform(0.7, 1.1))
        y = top + int(tall * row)
        cv2.line(layer, (middle - reach, y), (middle + reach, y), 1.0, max(1, int(tall * 0.05)), cv2.LINE_AA)
    image[..., :3] += (ink * 0.9 - image[..., :3]) * (0.85 * layer * image[..., 3])[..., None]
    return image


def _ink(rng: Rng, color: Image) -> Image:
    return color * 0.45 if rng.random() < 0.5 else rgb(50, 46, 52)


def _bottle(color: Image, rng: Rng, size: tuple[int, int], light_x: float) -> Image:
    cap = rgb(240, 238, 232) if rng.random() < 0.5 else rgb(44, 42, 46)
    neck, shoulder = float(rng.uniform(0.26, 0.42)), float(rng.uniform(0.26, 0.36))
    paper = rgb(248, 244, 234) if color.mean() < 0.75 else color * 0.55
    profile = (
        (0, neck * 1.1),
        (0.1, neck * 1.1),
        (0.105, neck),
        (0.18, neck),
        (shoulder, 0.96),
        (0.93, 0.98),
        (1, 0.86),
    )
    bands = ((-1.0, 0.1, cap), (0.1, 1.0, color), (0.5, 0.72, paper), (0.81, 1.0, color))
    body = _turned(Lathe(profile, bands, float(rng.uniform(0.4, 0.8))), size, light_x)
    return _label(body, rng, (0.22, 0.5, 0.78, 0.78), _ink(rng, color))


def _can(color: Image, rng: Rng, size: tuple[int, int], light_x: float) -> Image:
    metal = rgb(204, 208, 214)
    stripe = rgb(250, 248, 244) if rng.random() < 0.6 else color * 0.6
    profile = ((0, 0.8), (0.02, 0.84), (0.08, 0.99), (0.93, 0.99), (1, 0.82))
    bands = ((-1.0, 0.05, metal), (0.05, 0.95, color), (0.62, 0.66, stripe), (0.745, 1.0, color), (0.955, 1.2, metal))
    body = _turned(Lathe(profile, bands, 0.75, 0.1), size, light_x)
    _ellipse_top(body, 0.8, metal * 0.9, 0.05)
    return _label(body, rng, (0.2, 0.2, 0.8, 0.6), stripe)


def _ellipse_top(body: Image, half: float, color: Image, drop: float) -> None:
    width = body.shape[1]
    tall = max(2, int(drop * width))
    layer = np.zeros(body.shape[:2], np.float32)
    cv2.ellipse(layer, (width // 2, tall), (int(half * width / 2), tall), 0, 0, 360, 1.0, -1, cv2.LINE_AA)
    body[..., :3] += (color - body[..., :3]) * layer[..., None]
    body[..., 3] = np.maximum(body[..., 3], layer)


def _jar(color: Image, rng: Rng, size: tuple[int, int], light_x: float) -> Image:
    lids = [rgb(240, 238, 234), rgb(36, 34, 38), rgb(206, 170, 96), rgb(176, 128, 84)]
    lid = lids[int(rng.integers(4))]
    profile = ((0, 0.9), (0.28, 0.92), (0.285, 0.84), (0.32, 0.84), (0.38, 0.98), (0.9, 0.98), (1, 0.88))
    bands = ((-1.0, 0.29, lid), (0.29, 1.2, color))
    body = _turned(Lathe(profile, bands, float(rng.uniform(0.3, 0.7)), 0.11), size, light_x)
    _ellipse_top(body, 0.88, np.clip(lid * 1.12, 0, 1), 0.055)
    return _label(body, rng, (0.2, 0.5, 0.8, 0.86), rgb(250, 248, 244) if color.mean() < 0.55 else color * 0.35)


def _mug(color: Image, rng: Rng, size: tuple[int, int], light_x: float) -> Image:
    height, width = size
    wide = int(width * 0.76)
    taper = float(rng.uniform(0.8, 0.98))
    lathe = Lathe(
        ((0, 0.98), (0.86, 0.98 * taper), (0.96, 0.9 * taper), (1, 0.8 * taper)),
        ((-1.0, 1.2, color),),
        float(rng.uniform(0.3, 0.65)),
        0.12,
    )
    cup = _turned(lathe, (height, wide), light_x)
    _ellipse_top(cup, 0.96, np.clip(color * 1.1, 0, 1), 0.085)
    _ellipse_top(cup, 0.86, rgb(92, 58, 36) if rng.random() < 0.6 else color * 0.55, 0.075)
    image = np.zeros((height, width, 4), np.float32)
    cv2.ellipse(
        image,
        (wide - 6, int(height * 0.47)),
        (int(width * 0.2), int(height * 0.25)),
        0,
        0,
        360,
        (*(color * 0.8).tolist(), 1.0),
        max(3, int(width * 0.075)),
        cv2.LINE_AA,
    )
    part = image[:, :wide]
    image[:, :wide] = np.where(cup[..., 3:] > 0.5, cup, part)
    return np.ascontiguousarray(image[:, ::-1]) if rng.random() < 0.4 else image


def _tube(color: Image, rng: Rng, size: tuple[int, int], light_x: float) -> Image:
    cap = rgb(246, 244, 240) if rng.random() < 0.6 else color * 0.5
    profile = ((0, 0.98), (0.05, 0.98), (0.5, 0.94), (0.8, 0.84), (0.83, 0.62), (0.835, 0.6), (1, 0.58))
    bands = ((-1.0, 0.045, color * 0.85), (0.05, 0.83, color), (0.83, 1.2, cap))
    body = _turned(Lathe(profile, bands, 0.5, 0.02), size, light_x)
    return _label(body, rng, (0.22, 0.25, 0.78, 0.62), rgb(250, 248, 244) if color.mean() < 0.6 else color * 0.4)


def _candle(color: Image, rng: Rng, size: tuple[int, int], light_x: float) -> Image:
    height, width = size
    lathe = Lathe(((0, 0.0), (0.26, 0.0), (0.265, 0.95), (0.95, 0.95), (1, 0.88)), ((-1.0, 1.2, color),), 0.55, 0.1)
    body = _turned(lathe, size, light_x)
    wax = np.clip(color * 0.5 + 0.5, 0, 1)
    cv2.ellipse(
        body,
        (width // 2, int(height * 0.29)),
        (int(width * 0.46), int(width * 0.06)),
        0,
        0,
        360,
        (*wax.tolist(), 1.0),
        -1,
        cv2.LINE_AA,
    )
    cv2.line(
        body,
        (width // 2, int(height * 0.18)),
        (width // 2, int(height * 0.29)),
        (0.15, 0.12, 0.1, 1.0),
        max(2, width // 60),
        cv2.LINE_AA,
    )
    for scale, glow in ((1.0, (1.0, 0.66, 0.2, 1.0)), (0.6, (1.0, 0.95, 0.7, 1.0))):
        cv2.ellipse(
            body,
            (width // 2, int(height * 0.125)),
            (int(width * 0.05 * scale) + 1, int(height * 0.1 * scale)),
            0,
            0,
            360,
            glow,
            -1,
            cv2.LINE_AA,
        )
    return _label(body, rng, (0.24, 0.48, 0.76, 0.84), rgb(250, 246, 238) if color.mean() < 0.6 else color * 0.4)


def _vase(color: Image, rng: Rng, size: tuple[int, int], light_x: float) -> Image:
    neck, belly = float(rng.uniform(0.3, 0.5)), float(rng.uniform(0.5, 0.68))
    profile = ((0, neck * 1.25), (0.06, neck * 1.05), (0.2, neck), (0.36, 0.72), (belly, 0.98), (0.85, 0.7), (1, 0.5))
    bands = [(-1.0, 1.2, color)]
    if rng.random() < 0.5:
        bands += [(0.5, 0.54, np.clip(color * 1.35, 0, 1)), (0.625, 1.2, color)]
    body = _turned(Lathe(profile, tuple(bands), float(rng.uniform(0.2, 0.6)), 0.08, 0.045), size, light_x)
    _ellipse_top(body, neck * 1.2, color * 0.4, 0.03)
    return body


def _box(color: Image, rng: Rng, size: tuple[int, int], light_x: float) -> Image:
    height, width = size
    image = np.zeros((height, width, 4), np.float32)
    split, lid = rng.uniform(0.55, 0.72) * width, rng.uniform(0.08, 0.16) * height
    foot, back = height - 1 - 0.05 * height, rng.uniform(0.4, 0.55) * width
    front = [[2, lid], [split, lid * 1.35], [split, height - 2], [2, foot]]
    side = [[split, lid * 1.35], [width - 3, lid * 0.8], [width - 3, foot - lid * 0.4], [split, height - 2]]
    top = [[2, lid], [split, lid * 1.35], [width - 3, lid * 0.8], [back, 2]]
    tones = (1.0, 0.72, 1.16) if light_x < 0 else (0.8, 1.0, 1.16)
    for corners, tone in zip((front, side, top), tones, strict=True):
        fill = np.clip(color * tone + (0.03 if tone > 1 else 0), 0, 1)
        cv2.fillPoly(image, [np.array(corners, np.int32)], (*fill.tolist(), 1.0), cv2.LINE_AA)
    if rng.random() < 0.4:
        band = [
            [2, lid + 0.16 * height],
            [split, lid * 1.35 + 0.165 * height],
            [split, lid * 1.35 + 0.24 * height],
            [2, lid + 0.235 * height],
        ]
        cv2.fillPoly(image, [np.array(band, np.int32)], (*np.clip(color * 0.5 + 0.45, 0, 1).tolist(), 1.0), cv2.LINE_AA)
    ink = rgb(250, 248, 244) if color.mean() < 0.6 else color * 0.4
    image = _label(image, rng, (0.08, 0.36, split / width - 0.06, 0.85), ink)
    return np.ascontiguousarray(image[:, ::-1]) if rng.random() < 0.5 else image


def _bag(color: Image, rng: Rng, size: tuple[int, int], light_x: float) -> Image:
    height, width = size
    image = np.zeros((height, width, 4), np.float32)
    grip = (*np.clip(color * 0.62, 0, 1).tolist(), 1.0)
    reach = int(width * rng.uniform(0.18, 0.26))
    for shift in (0.0, 0.04):
        cv2.ellipse(
            image,
            (width // 2, int(height * (0.34 - shift))),
            (reach, int(height * 0.28)),
            0,
            180,
            360,
            grip,
            max(3, width // 22),
            cv2.LINE_AA,
        )
    lean = rng.uniform(0.02, 0.12) * width
    corners = [[lean, height * 0.32], [width - lean, height * 0.32], [width - 2, height - 2], [1, height - 2]]
    mask = np.zeros((height, width), np.float32)
    cv2.fillPoly(mask, [np.array(corners, np.int32)], 1.0, cv2.LINE_AA)
    u = np.linspace(-1, 1, width, dtype=np.float32)[None].repeat(height, 0) * 0.75
    folds = 1 - 0.1 * np.abs(np.sin(u * 4 + np.linspace(0, 1.5, height, dtype=np.float32)[:, None]))
    body = shade(np.broadcast_to(color, (height, width, 3)).astype(np.float32), u, light_x, 0.1) * folds[..., None]
    image[..., :3] += (body - image[..., :3]) * mask[..., None]
    image[..., 3] = np.maximum(image[..., 3], mask)
    return _label(image, rng, (0.25, 0.48, 0.75, 0.86), rgb(250, 248, 244) if color.mean() < 0.6 else color * 0.4)


def _shoe(color: Image, rng: Rng, size: tuple[int, int], light_x: float) -> Image:
    height, width = size

    def shape(points: list[tuple[float, float]]) -> list[np.ndarray]:
        return [np.array([(x * width, y * height) for x, y in points], np.int32)]

    image = np.zeros((height, width, 4), np.float32)
    upper = [
        (0.04, 0.3),
        (0.08, 0.08),
        (0.3, 0.1),
        (0.36, 0.2),
        (0.52, 0.4),
        (0.7, 0.5),
        (0.88, 0.58),
        (0.96, 0.72),
        (0.96, 0.84),
        (0.03, 0.84),
    ]
    cv2.fillPoly(image, shape(upper), (*color.tolist(), 1.0), cv2.LINE_AA)
    toe = [(0.74, 0.52), (0.88, 0.58), (0.96, 0.72), (0.96, 0.84), (0.76, 0.84)]
    cv2.fillPoly(image, shape(toe), (*np.clip(color * 0.8 + 0.16, 0, 1).tolist(), 1.0), cv2.LINE_AA)
    cv2.fillPoly(
        image,
        shape([(0.04, 0.3), (0.08, 0.08), (0.16, 0.09), (0.14, 0.6), (0.04, 0.7)]),
        (*(color * 0.7).tolist(), 1.0),
        cv2.LINE_AA,
    )
    cv2.fillPoly(
        image, shape([(0.08, 0.08), (0.3, 0.1), (0.27, 0.2), (0.1, 0.18)]), (*(color * 0.35).tolist(), 1.0), cv2.LINE_AA
    )
    pale = (0.97, 0.97, 0.95, 1.0) if color.mean() < 0.8 else (0.25, 0.25, 0.28, 1.0)
    for x in (0.36, 0.43, 0.5, 0.57):
        start, end = (
            (int(x * width), int((x - 0.06) * height * 1.15)),
            (int((x - 0.07) * width), int((x + 0.16) * height)),
        )
        cv2.line(image, start, end, pale, max(2, height // 40), cv2.LINE_AA)
    if rng.random() < 0.6:
        cv2.fillPoly(image, shape([(0.3, 0.8), (0.4, 0.5), (0.46, 0.52), (0.37, 0.8)]), pale, cv2.LINE_AA)
    soles = (0.96, 0.95, 0.92, 1.0) if rng.random() < 0.75 else (0.2, 0.2, 0.22, 1.0)
    cv2.fillPoly(
        image,
        shape([(0.02, 0.8), (0.97, 0.8), (0.985, 0.9), (0.95, 0.99), (0.04, 0.99), (0.01, 0.9)]),
        soles,
        cv2.LINE_AA,
    )
    image[..., :3] *= np.linspace(1.06, 0.84, height, dtype=np.float32)[:, None, None]
    return np.ascontiguousarray(image[:, ::-1]) if rng.random() < 0.5 else image


Maker = Callable[[Image, Rng, tuple[int, int], float], Image]
MAKERS: dict[str, Maker] = {
    "bottle": _bottle,
    "mug": _mug,
    "box": _box,
    "jar": _jar,
    "shoe": _shoe,
    "bag": _bag,
    "can": _can,
    "tube": _tube,
    "candle": _candle,
    "vase": _vase,
}
