"""Kitchen: an enamel mug, a jar of jam and a tea tin.

Knows nothing about how they are photographed.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from campaigns.demo.packshot.geometry import circle, fillet, front_of, lathe, ribbed, rounded_box, smooth, sweep
from campaigns.demo.packshot.labels import Line, Sheet, as_pixels, noise, soften, speckle
from campaigns.demo.packshot.scene import Part, glass, lacquer, metal, paint

Pixels = npt.NDArray[np.uint8]
MUSTARD = "#ecb640"


def enamel_mug() -> list[Part]:
    """An enamel mug, 8.4 cm wide and 8 cm tall: mustard outside with a print, speckled white inside, dark rim."""
    outside = fillet(
        [(0, 0.12, 0), (3.3, 0.12, 0.1), (3.45, 0.0, 0.08), (3.75, 0.0, 0.5), (4.1, 1.2, 1.2), (4.12, 7.72, 0)]
    )
    inside = fillet([(4.04, 7.72, 0), (4.02, 1.2, 1.2), (3.6, 0.25, 0.6), (0, 0.22, 0)])
    t = np.linspace(0.9, 2 * np.pi + 0.9, 33)
    rim = lathe(np.column_stack([4.13 + 0.14 * np.sin(t), 7.78 - 0.14 * np.cos(t)]))
    bow = smooth(
        [(4.0, 0, 6.6), (5.0, 0, 6.75), (6.0, 0, 6.3), (6.35, 0, 4.9), (5.85, 0, 3.4), (4.9, 0, 2.35), (4.0, 0, 1.95)]
    )
    handle = sweep(bow, circle(0.52, 0.24))
    turn = -24
    return [
        Part(lathe(outside, v_span=(0.0, 7.72)), lacquer(_mug_art(), 0.04)),
        Part(lathe(inside), lacquer(_speckled("#f3efe4"), 0.04)),
        Part(rim, lacquer("#23303f", 0.05)),
        Part(handle.turned(turn), lacquer(MUSTARD, 0.04)),
    ]


def _speckled(color: str) -> Pixels:
    sheet = Sheet(1800, 900, color)
    speckle(sheet, "#8b8578", 260, (0.8, 3.0), seed=4)
    return sheet.pixels()


def _mug_art() -> Pixels:
    sheet = Sheet(3000, 890, MUSTARD)
    speckle(sheet, "#cf9526", 300, (0.7, 2.6), seed=9)
    _badge(sheet, (0.5, 0.42), 0.25)
    sheet.type(
        Line("FJELLHEIM", "LeagueSpartan-Bold", 0.755, 0.07, "#fffaf0", 0.22),
        Line("camp enamel, made to be dented", "EBGaramond12-Italic", 0.84, 0.056, "#fffaf0", 0.02),
    )
    return sheet.pixels()


def _badge(sheet: Sheet, at: tuple[float, float], radius: float) -> None:
    """A round picture of a peak over a lake under a red sun."""
    side = round(2 * radius * sheet.height)
    view = Sheet(side, side, "#f7ddb0")
    night, snow = "#23303f", "#fdf3dc"
    view.disc(0.67, 0.3, 0.11, "#d2583a")
    view.shape([(0.62, 0.72), (0.78, 0.48), (1.02, 0.72)], "#51617a")
    view.shape([(0.02, 0.72), (0.36, 0.22), (0.72, 0.72)], night)
    view.shape([(0.36, 0.22), (0.455, 0.352), (0.41, 0.335), (0.375, 0.40), (0.335, 0.345), (0.268, 0.355)], snow)
    wave = np.linspace(0, 1, 60)
    for level, color in [(0.66, "#4d7068"), (0.76, "#3a5a55"), (0.87, "#2b4644")]:
        crest = [(float(x), level + 0.016 * float(np.sin(x * 13 + level * 40))) for x in wave]
        view.shape([*crest, (1.0, 1.0), (0.0, 1.0)], color)
    factor = 4
    mask = Image.new("L", (side * factor, side * factor), 0)
    ImageDraw.Draw(mask).ellipse([0, 0, side * factor - 1, side * factor - 1], 255)
    left, top = (round(c - side / 2) for c in sheet.at(*at))
    sheet.image.paste(view.image, (left, top), mask.resize((side, side), Image.Resampling.LANCZOS))


def jam_jar() -> list[Part]:
    """A 340 g jar of raspberry jam, 7 cm wide: glass over jam, paper label, printed twist-off lid."""
    shell = fillet(
        [
            (0, 0.35, 0),
            (2.4, 0.3, 0.4),
            (2.8, 0.0, 0.15),
            (3.1, 0.0, 0.35),
            (3.5, 0.9, 0.6),
            (3.5, 7.6, 1.0),
            (2.95, 8.9, 0.5),
            (2.95, 9.9, 0.0),
        ]
    )
    jam = fillet(
        [
            (0, 0.75, 0),
            (2.7, 0.75, 0.5),
            (3.22, 1.4, 0.5),
            (3.22, 7.5, 0.9),
            (2.75, 8.5, 0.3),
            (2.7, 8.62, 0.08),
            (0, 8.55, 0),
        ]
    )
    lid = fillet(
        [
            (3.1, 8.95, 0),
            (3.22, 8.9, 0.06),
            (3.28, 9.05, 0.06),
            (3.26, 10.1, 0.25),
            (2.9, 10.18, 0.1),
            (2.75, 10.08, 0.1),
            (0, 10.08, 0),
        ]
    )
    label = lathe(np.column_stack([np.full(40, 3.52), np.linspace(1.7, 6.8, 40)]))
    return [
        Part(lathe(shell), glass("#fdfdfb")),
        Part(lathe(jam), lacquer(_jam(), 0.12)),
        Part(front_of(label, 0.60), paint(_jam_label(), 0.65)),
        Part(ribbed(lathe(lid, 360), 3.2, (8.9, 9.95), 60), paint("#f2ead8", 0.3, clearcoat=0.6)),
    ]


def _jam() -> Pixels:
    lumps = noise(800, 2000, 70, 1) + 0.6 * noise(800, 2000, 28, 2)
    base = np.array([150.0, 14.0, 30.0]) + lumps[..., None] * np.array([30.0, 7.0, 9.0])
    sheet = Sheet(2000, 800, "#000000")
    rng = np.random.default_rng(5)
    for x, y in rng.random((520, 2)):
        cx, cy = sheet.at(x, y)
        sheet.draw.ellipse([cx - 5, cy - 3.4, cx + 5, cy + 3.4], "#ffffff")
    soften(sheet, 1.2)
    seeds = np.asarray(sheet.image, dtype=np.float64)[..., :1] / 255
    return as_pixels(base * (1 - 0.75 * seeds) + seeds * np.array([150.0, 78.0, 40.0]))


def _jam_label() -> Pixels:
    sheet = Sheet(1760, 678, "#fbf6ea")
    rose, leaf, ink = "#a8203e", "#587a4b", "#3a2a2a"
    sheet.frame(0.045, rose, 0.008)
    sheet.frame(0.07, rose, 0.003)
    for x, y in [(-0.034, 0.155), (0.034, 0.155), (0.0, 0.185)]:
        for turn in (50, 90, 130):
            sheet.leaf(0.5 + x, y, (0.075, 0.045), turn, leaf)
        _berry(sheet, 0.5 + x, y + 0.008, rose)
    sheet.type(
        Line("Brambledown", "LobsterTwo-Bold", 0.405, 0.175, ink),
        Line("RASPBERRY", "LeagueSpartan-Bold", 0.58, 0.125, rose, 0.1),
        Line("extra jam, stirred in copper pans", "EBGaramond12-Italic", 0.715, 0.08, ink),
        Line("63 G OF FRUIT PER 100 G   ·   340 G", "LeagueSpartan-SemiBold", 0.855, 0.045, ink, 0.1),
    )
    sheet.rule((0.38, 0.62), 0.79, rose, 0.005)
    return sheet.pixels()


def _berry(sheet: Sheet, x: float, y: float, color: str) -> None:
    ratio = sheet.height / sheet.width
    for row, count in enumerate((4, 4, 3, 2, 1)):
        for index in range(count):
            place = x + (index - (count - 1) / 2) * 0.021 * ratio
            sheet.disc(place, y + row * 0.017, 0.0125, color)
            sheet.disc(place - 0.001, y + row * 0.017 - 0.004, 0.0045, "#d8687e")


def tea_tin() -> list[Part]:
    """A square tea tin, 7.6 cm wide and 12.6 cm tall, with printed walls, a fitted lid and a neck seam."""
    body = fillet(
        [(3.8, 0.0, 0), (0.18, 0.0, 0.12), (0.0, 0.2, 0.12), (0.0, 9.75, 0.05), (0.12, 9.85, 0.05), (0.12, 10.0, 0)]
    )
    lid = fillet(
        [
            (0.06, 9.92, 0),
            (-0.05, 9.92, 0.04),
            (-0.05, 12.1, 0.16),
            (0.2, 12.35, 0.12),
            (0.42, 12.35, 0.06),
            (0.5, 12.27, 0.05),
            (3.8, 12.27, 0),
        ]
    )
    turn = 28
    return [
        Part(rounded_box((7.6, 7.6), body, 0.75, (0.0, 9.85)).turned(turn), paint(_tea_art(), 0.32, clearcoat=0.5)),
        Part(rounded_box((7.6, 7.6), lid, 0.75, (9.92, 12.35)).turned(turn), metal("#c9a05a", 0.22)),
    ]


def _tea_art() -> Pixels:
    sheet = Sheet(3480, 1182, "#14424a")
    cream, gold = "#f6ead0", "#d8b06a"
    for middle in (0.0, 0.25, 0.5, 0.75, 1.0):
        _tea_panel(sheet, middle, front=middle == 0.5, colors=(cream, gold))
    return sheet.pixels()


def _tea_panel(sheet: Sheet, middle: float, *, front: bool, colors: tuple[str, str]) -> None:
    cream, gold = colors
    ratio = sheet.height / sheet.width
    for seed, (x, y) in enumerate([(-0.2, 0.16), (0.2, 0.12), (-0.24, 0.84), (0.18, 0.88), (0.0, 0.93), (-0.05, 0.1)]):
        _jasmine(sheet, (middle + x * ratio, y), 0.062 + 0.012 * (seed % 3), seed * 23.0, colors)
    if front:
        half = 0.27 * ratio
        sheet.box((middle - half, middle + half), (0.27, 0.76), cream)
        d = 0.012 * ratio
        for y in (0.285, 0.745):
            sheet.rule((middle - half + d, middle + half - d), y, gold, 0.004)
        sheet.type(
            Line("PAPER LANTERN", "LeagueSpartan-Bold", 0.345, 0.034, "#14424a", 0.14),
            Line("Jasmine", "EBGaramond12-Italic", 0.455, 0.135, "#14424a"),
            Line("GREEN TEA", "LeagueSpartan-Bold", 0.575, 0.05, "#b9853a", 0.26),
            Line("first spring leaves,", "EBGaramond12-Regular", 0.647, 0.036, "#14424a"),
            Line("scented three nights  ·  100 g", "EBGaramond12-Regular", 0.69, 0.036, "#14424a"),
        )
        return
    sheet.type(
        Line("Jasmine", "EBGaramond12-Italic", 0.46, 0.13, gold, x=middle),
        Line("GREEN TEA", "LeagueSpartan-Bold", 0.56, 0.045, cream, 0.26, x=middle),
    )


def _jasmine(sheet: Sheet, at: tuple[float, float], size: float, turn: float, colors: tuple[str, str]) -> None:
    for index in range(3):
        sheet.leaf(at[0], at[1], (size * 2.1, size * 0.62), turn + 36 + index * 115, "#2f6f68")
    for index in range(5):
        sheet.leaf(at[0], at[1], (size * 1.15, size * 0.75), turn + index * 72, colors[0])
    sheet.disc(at[0], at[1], size * 0.16, colors[1])
