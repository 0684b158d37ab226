"""Printed artwork drawn with Pillow: labels, cartons, speckle and grain, as 8-bit sRGB pictures.

Knows nothing about shapes; a label's proportions come from whoever asks for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Color = str | tuple[int, int, int]
FONT_FOLDERS = [Path("/usr/share/fonts")]


@lru_cache(maxsize=256)
def font(name: str, size_px: int) -> ImageFont.FreeTypeFont:
    """The font file called name (without its ending) below one of FONT_FOLDERS.

    Raises FileNotFoundError, naming the packages to install, when it is nowhere.
    """
    for folder in FONT_FOLDERS:
        for ending in ("otf", "ttf"):
            for path in sorted(folder.rglob(f"{name}.{ending}")):
                return ImageFont.truetype(str(path), size_px)
    raise FileNotFoundError(f"Font {name} is missing: install the font packages that make_photos.py names.")


@dataclass(frozen=True)
class Line:
    """One centered line of type; y is its middle as a share of the label's height, size too; gap is letter-spacing."""

    text: str
    face: str
    y: float
    size: float
    color: Color
    gap: float = 0.0
    x: float = 0.5


class Sheet:
    """A label being drawn; all places and sizes are shares of its width (x) or height (y, sizes)."""

    def __init__(self, width_px: int, height_px: int, color: Color) -> None:
        self.image = Image.new("RGB", (width_px, height_px), color)
        self.draw = ImageDraw.Draw(self.image)
        self.width, self.height = width_px, height_px

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Pixels of a place given as shares."""
        return x * self.width, y * self.height

    def type(self, *lines: Line) -> None:
        """Set lines of type, each centered on its x and y."""
        for line in lines:
            face = font(line.face, max(4, round(line.size * self.height)))
            spacing = line.gap * line.size * self.height
            widths = [face.getlength(c) for c in line.text]
            x = line.x * self.width - (sum(widths) + spacing * (len(widths) - 1)) / 2
            if not spacing:
                self.draw.text(self.at(line.x, line.y), line.text, line.color, font=face, anchor="mm")
                continue
            for letter, width in zip(line.text, widths, strict=True):
                self.draw.text((x, line.y * self.height), letter, line.color, font=face, anchor="lm")
                x += width + spacing

    def rule(self, x: tuple[float, float], y: float, color: Color, weight: float = 0.004) -> None:
        """A horizontal line from x[0] to x[1]; weight is a share of the height."""
        half = weight * self.height / 2
        middle = y * self.height
        self.draw.rectangle([x[0] * self.width, middle - half, x[1] * self.width, middle + half], color)

    def box(self, x: tuple[float, float], y: tuple[float, float], color: Color) -> None:
        """A filled rectangle."""
        self.draw.rectangle([*self.at(x[0], y[0]), *self.at(x[1], y[1])], color)

    def frame(self, inset: float, color: Color, weight: float = 0.006) -> None:
        """A thin frame, inset by a share of the height on all four sides."""
        d = inset * self.height
        thickness = max(1, round(weight * self.height))
        self.draw.rectangle([d, d, self.width - d, self.height - d], outline=color, width=thickness)

    def disc(self, x: float, y: float, radius: float, color: Color) -> None:
        """A filled circle; radius is a share of the height."""
        cx, cy = self.at(x, y)
        r = radius * self.height
        self.draw.ellipse([cx - r, cy - r, cx + r, cy + r], color)

    def shape(self, points: Sequence[tuple[float, float]], color: Color) -> None:
        """A filled polygon over shares; drawn at four times the size and scaled down, so its edge is smooth."""
        xs, ys = zip(*(self.at(*p) for p in points), strict=True)
        left, top = int(min(xs)) - 2, int(min(ys)) - 2
        size = int(max(xs)) - left + 3, int(max(ys)) - top + 3
        factor = 4
        mask = Image.new("L", (size[0] * factor, size[1] * factor), 0)
        corners = [((x - left) * factor, (y - top) * factor) for x, y in zip(xs, ys, strict=True)]
        ImageDraw.Draw(mask).polygon(corners, 255)
        self.image.paste(color, (left, top), mask.resize(size, Image.Resampling.LANCZOS))

    def leaf(self, x: float, y: float, size: tuple[float, float], degrees: float, color: Color) -> None:
        """A pointed leaf from (x, y); size is its (length, width) as shares of the height, 0 degrees points right."""
        t = np.linspace(0, 1, 40)
        bulge = np.sin(np.pi * t**0.85) * size[1] / 2
        along = np.concatenate([t, t[::-1]]) * size[0]
        across = np.concatenate([bulge, -bulge[::-1]])
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        ratio = self.height / self.width
        outline = zip(
            (x + (along * c - across * s) * ratio).tolist(), (y - along * s - across * c).tolist(), strict=True
        )
        self.shape(list(outline), color)

    def pixels(self) -> npt.NDArray[np.uint8]:
        """The label as (height, width, 3) sRGB."""
        return np.asarray(self.image, dtype=np.uint8)


def as_pixels(values: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Values 0..255 as 8-bit pixels, clipped."""
    pixels: npt.NDArray[np.uint8] = np.clip(values, 0, 255).astype(np.uint8)
    return pixels


def noise(height_px: int, width_px: int, cell_px: float, seed: int) -> npt.NDArray[np.float64]:
    """Smooth noise (height, width), mean 0 and deviation 1, that repeats across its left and right edge."""
    rng = np.random.default_rng(seed)
    small = rng.normal(size=(max(2, round(height_px / cell_px)), max(2, round(width_px / cell_px))))
    tiled = np.concatenate([small[:, -1:], small, small[:, :1]], axis=1)
    step = width_px / small.shape[1]
    picture = Image.fromarray(tiled.astype(np.float32))
    wide = picture.resize((round(step * tiled.shape[1]), height_px), Image.Resampling.BICUBIC)
    field = np.asarray(wide, dtype=np.float64)[:, round(step) : round(step) + width_px]
    return np.asarray((field - field.mean()) / field.std())


def speckle(sheet: Sheet, color: Color, count: int, sizes_px: tuple[float, float], seed: int) -> None:
    """Scatter small irregular dots over a sheet: enamel or stoneware."""
    rng = np.random.default_rng(seed)
    for x, y, r in zip(rng.random(count), rng.random(count), rng.random(count) ** 4, strict=True):
        radius = sizes_px[0] + r * (sizes_px[1] - sizes_px[0])
        cx, cy = sheet.at(x, y)
        sheet.draw.ellipse([cx - radius, cy - radius * 0.9, cx + radius, cy + radius * 0.9], color)


def soften(sheet: Sheet, radius_px: float) -> None:
    """Blur a sheet a little, as print on paper is never razor-sharp."""
    sheet.image = sheet.image.filter(ImageFilter.GaussianBlur(radius_px))
    sheet.draw = ImageDraw.Draw(sheet.image)


def wood(height_px: int, width_px: int, seed: int) -> npt.NDArray[np.uint8]:
    """Beech-like grain running up the picture, (height, width, 3) sRGB."""
    bend = noise(height_px, width_px, 400, seed) * 30
    columns = np.arange(width_px)[None, :] + bend
    rings = 0.5 + 0.5 * np.sin(columns / 19.0 + noise(height_px, width_px, 300, seed + 1) * 1.5)
    fibers = _streaks(height_px, width_px, seed + 2)
    shade = 1 - 0.10 * rings**3 + 0.05 * fibers
    tone = np.array([214.0, 172.0, 122.0]) * shade[..., None] ** np.array([1.0, 1.25, 1.6])
    return as_pixels(tone)


def _streaks(height_px: int, width_px: int, seed: int) -> npt.NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.normal(size=(max(2, height_px // 60), width_px // 2)).astype(np.float32))
    field = np.asarray(small.resize((width_px, height_px), Image.Resampling.BICUBIC), dtype=np.float64)
    return np.asarray(field / field.std())
