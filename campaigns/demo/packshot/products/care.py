"""Care and home: a tube of hand cream, a pump bottle of hand wash, a candle in glass and a wooden stacking toy.

Knows nothing about how they are photographed.
"""

import numpy as np
import numpy.typing as npt

from campaigns.demo.packshot.geometry import Mesh, circle, fillet, front_of, grid, lathe, ribbed, smooth, sweep
from campaigns.demo.packshot.labels import Line, Sheet, as_pixels, wood
from campaigns.demo.packshot.scene import Part, chalk, glass, lacquer, paint

Pixels = npt.NDArray[np.uint8]


def hand_cream() -> list[Part]:
    """A 75 ml tube that stands on its cap, 14.6 cm tall: round at the cap, crimped flat at the top."""
    cap = fillet([(0, 0.0, 0), (1.72, 0.0, 0.1), (1.85, 0.15, 0.1), (1.95, 1.9, 0.08), (1.7, 2.0, 0.05), (1.3, 2.0, 0)])
    return [
        Part(ribbed(lathe(cap, 360), 1.8, (0.25, 1.75), 64), paint("#f7f2e8", 0.35)),
        Part(_tube(2.15, 1.98, 14.6).turned(-14), paint(_cream_art(), 0.36, clearcoat=0.2)),
    ]


def _tube(radius: float, low: float, high: float) -> Mesh:
    """A tube from a round shoulder to a flat crimp; its girth stays about the same all the way up."""
    z = np.concatenate(
        [np.linspace(low, low + 0.45, 8), np.linspace(low + 0.5, high - 1.0, 90), np.linspace(high - 0.99, high, 60)]
    )
    shoulder = np.clip((z - low) / 0.45, 0, 1)
    rise = np.clip((z - low - 0.45) / (high - 1.0 - low - 0.45), 0, 1)
    depth = radius * np.maximum(1 - rise**1.25, 0.035)
    depth = depth + np.where(z > high - 0.95, 0.018 * np.sin((z - high) * 2 * np.pi / 0.13), 0.0)
    width = radius + (radius * np.pi / 2 - radius) * np.sin(rise * np.pi / 2) ** 1.2
    inset = 0.72 + 0.28 * np.sqrt(1 - (1 - shoulder) ** 2)
    angle = -np.pi / 2 + (np.linspace(0, 1, 193) - 0.5) * 2 * np.pi
    x = (width * inset)[:, None] * np.cos(angle)
    y = (depth * inset)[:, None] * np.sin(angle)
    points = np.stack([x, y, np.broadcast_to(z[:, None], x.shape)], axis=2)
    return grid(points, np.clip((z - low) / (high - low), 0, 1))


def _cream_art() -> Pixels:
    sheet = Sheet(1700, 1590, "#e7ad97")
    ink, cream = "#3c4a3a", "#fbf3ea"
    sheet.type(
        Line("MOSSGAARD", "LeagueSpartan-Bold", 0.235, 0.032, ink, 0.22),
        Line("hand cream", "EBGaramond12-Italic", 0.335, 0.072, ink),
        Line("oat & elderflower", "EBGaramond12-Regular", 0.402, 0.041, ink),
        Line("75 ML", "LeagueSpartan-Bold", 0.925, 0.027, cream, 0.2),
    )
    sheet.rule((0.465, 0.535), 0.28, ink, 0.0025)
    _sprig(sheet, (0.5, 0.86), (ink, cream))
    sheet.box((0, 1), (0.0, 0.078), "#dd9f88")
    return sheet.pixels()


def _sprig(sheet: Sheet, at: tuple[float, float], colors: tuple[str, str]) -> None:
    """An elderflower sprig: a stem with three pairs of leaves under an umbel of small blossoms."""
    ratio = sheet.height / sheet.width
    sheet.shape(
        [(at[0] + s * 0.002 * ratio, at[1] - h) for s, h in [(-1, 0), (1, 0), (1, 0.27), (-1, 0.27)]], colors[0]
    )
    for index in range(3):
        for side in (-1, 1):
            sheet.leaf(at[0], at[1] - 0.02 - 0.058 * index, (0.095 - 0.015 * index, 0.034), 90 - side * 52, colors[0])
    for index in range(9):
        angle = np.radians(90 + (index - 4) * 19)
        reach = 0.115 if index % 2 else 0.15
        x, y = at[0] + reach * float(np.cos(angle)) * ratio, at[1] - 0.22 - reach * 0.75 * float(np.sin(angle))
        stem = [(at[0] - 0.001, at[1] - 0.2), (at[0] + 0.001, at[1] - 0.2), (x + 0.001, y), (x - 0.001, y)]
        sheet.shape(stem, colors[0])
        for petal in range(5):
            turn = np.radians(petal * 72 + index * 20)
            dx, dy = 0.011 * float(np.cos(turn)) * ratio, 0.011 * float(np.sin(turn))
            sheet.disc(x + dx, y + dy, 0.0085, colors[1])
        sheet.disc(x, y, 0.0048, "#e2b24a")


def hand_wash() -> list[Part]:
    """A 300 ml pump bottle of amber glass, 6.6 cm wide and 19 cm tall, with a label and a black pump."""
    shell = fillet(
        [
            (0, 0.45, 0),
            (2.5, 0.3, 0.4),
            (2.85, 0.0, 0.2),
            (3.3, 0.2, 0.4),
            (3.3, 11.6, 1.5),
            (1.5, 13.0, 0.5),
            (1.45, 13.6, 0),
        ]
    )
    collar = fillet(
        [
            (1.40, 13.0, 0),
            (1.72, 13.02, 0.04),
            (1.72, 14.7, 0.12),
            (1.0, 14.85, 0.1),
            (0.95, 15.3, 0.1),
            (0.0, 15.35, 0),
        ]
    )
    stem = lathe(fillet([(0.42, 15.2, 0), (0.42, 16.9, 0)]))
    head = fillet([(0, 16.75, 0), (0.95, 16.75, 0.1), (1.0, 17.75, 0.2), (0, 17.95, 0)])
    spout = smooth([(0.2, 0, 17.3), (1.6, 0, 17.42), (3.0, 0, 17.4), (3.65, 0, 17.15), (3.85, 0, 16.75)], 60)
    black, turn = paint("#1b1c1e", 0.33), -32
    label = lathe(np.column_stack([np.full(60, 3.312), np.linspace(2.2, 10.0, 60)]))
    return [
        Part(lathe(shell), glass("#c98a45", inside=1.47)),
        Part(front_of(label, 0.47), paint(_wash_label(), 0.62)),
        Part(ribbed(lathe(collar, 360), 1.7, (13.1, 14.5), 72), black),
        Part(stem, paint("#2a2b2e", 0.25)),
        Part(lathe(head), black),
        Part(sweep(spout, circle(0.42, 0.34), up=(0, 1, 0)).turned(turn), black),
        Part(lathe(fillet([(0.16, 1.0, 0), (0.16, 13.5, 0)]), 48), paint("#efe9dc", 0.4)),
    ]


def _wash_label() -> Pixels:
    sheet = Sheet(1240, 992, "#f4efe6")
    ink, sage = "#2c2f2b", "#7f9077"
    sheet.box((0, 1), (0.86, 1.0), sage)
    for turn in (58, 90, 122):
        sheet.leaf(0.5, 0.265, (0.15, 0.05), turn, sage)
    sheet.type(
        Line("aven", "LeagueSpartan-SemiBold", 0.385, 0.2, ink, 0.03),
        Line("HAND WASH", "LeagueSpartan-Bold", 0.545, 0.058, ink, 0.26),
        Line("sage, cedar & sea salt", "EBGaramond12-Italic", 0.67, 0.075, ink),
        Line("300 ML", "LeagueSpartan-Bold", 0.935, 0.045, "#f4efe6", 0.2),
    )
    sheet.rule((0.42, 0.58), 0.605, sage, 0.005)
    return sheet.pixels()


def candle() -> list[Part]:
    """A candle in a clear tumbler, 8 cm wide and 9 cm tall: cream wax, cotton wick, paper label."""
    tumbler = fillet(
        [
            (0, 0.02, 0),
            (3.6, 0.0, 0.3),
            (4.0, 0.5, 0.5),
            (4.0, 9.0, 0.12),
            (3.75, 9.0, 0.12),
            (3.75, 1.1, 0.5),
            (0, 1.05, 0),
        ]
    )
    wax = fillet(
        [
            (0, 1.08, 0),
            (3.2, 1.09, 0.4),
            (3.73, 1.62, 0.4),
            (3.73, 6.85, 0.05),
            (3.5, 6.76, 0.2),
            (0.4, 6.7, 0.3),
            (0.12, 6.82, 0),
        ]
    )
    wick = smooth([(0, 0, 6.6), (0, 0, 7.3), (0.05, 0, 7.8), (0.16, 0, 8.05)], 30)
    label = lathe(np.column_stack([np.full(40, 4.012), np.linspace(1.75, 5.75, 40)]))
    return [
        Part(lathe(tumbler, 256), glass("#fcfdfc")),
        Part(lathe(wax, 256), chalk("#fbf1dd")),
        Part(sweep(wick, circle(0.1, 0.1, 16)), paint("#e9e2d2", 0.9)),
        Part(front_of(label, 0.36), paint(_candle_label(), 0.7)),
    ]


def _candle_label() -> Pixels:
    sheet = Sheet(1130, 500, "#39423c")
    cream, gold = "#f3ead8", "#d9b36b"
    sheet.frame(0.06, gold, 0.008)
    sheet.type(
        Line("NOCTUELLE", "LeagueSpartan-Bold", 0.24, 0.09, gold, 0.3),
        Line("Fig & Cedar", "EBGaramond12-Italic", 0.5, 0.27, cream),
        Line("SCENTED CANDLE  ·  45 HOURS", "LeagueSpartan-SemiBold", 0.775, 0.066, cream, 0.18),
    )
    return sheet.pixels()


def stacker() -> list[Part]:
    """A stacking toy, 11 cm wide and 15.5 cm tall: a beech foot, five painted rings and a beech ball on top."""
    foot = fillet([(0, 0.0, 0), (5.3, 0.0, 0.3), (5.5, 0.5, 0.5), (5.3, 1.3, 0.4), (0, 1.35, 0)])
    grain = wood(900, 1800, seed=3)
    parts = [Part(lathe(foot).projected((1, 0), 13.0), lacquer(grain, 0.25))]
    colors = ["#c9573c", "#e5a83b", "#7f9b76", "#5f8ca6", "#e3a79a"]
    z = 1.34
    for index, color in enumerate(colors):
        outer, height = 4.95 - 0.58 * index, 2.15 - 0.1 * index
        shift = [(0.10, 0.0), (-0.08, 0.05), (0.09, -0.04), (-0.05, 0.06), (0.07, 0.0)][index]
        parts.append(
            Part(_ring(outer, 0.9, height).moved(shift[0], shift[1], z), lacquer(_painted(color, index), 0.22))
        )
        z += height - 0.01
    pole = lathe(fillet([(0.85, 1.0, 0), (0.85, z + 0.4, 0)]))
    t = np.linspace(-1.3, np.pi / 2, 50)
    ball = lathe(np.column_stack([1.75 * np.cos(t), z + 1.62 + 1.7 * np.sin(t)]))
    return [
        *parts,
        Part(pole, lacquer(grain, 0.25)),
        Part(ball.projected((0, 2), 9.0), lacquer(wood(900, 900, seed=8), 0.25)),
    ]


def _ring(outer: float, inner: float, height: float) -> Mesh:
    """A ring with a full, softly squared section."""
    t = np.linspace(-np.pi / 2, 1.5 * np.pi, 97)
    c, s = np.cos(t), np.sin(t)
    r = (outer + inner) / 2 + (outer - inner) / 2 * np.sign(c) * np.abs(c) ** 0.62
    return lathe(np.column_stack([r, height / 2 * (1 + np.sign(s) * np.abs(s) ** 0.62)]), 256)


def _painted(color: str, seed: int) -> Pixels:
    """Thin paint: the grain under it shows a little."""
    tone = tuple(int(color[i : i + 2], 16) for i in (1, 3, 5))
    plain = np.empty((400, 1800, 3), dtype=np.float64)
    plain[:] = tone
    grain = wood(400, 1800, seed=20 + seed).astype(np.float64)
    return as_pixels(plain * (0.78 + 0.22 * grain / grain.mean(axis=(0, 1))))
