"""Drinks: a soda can, an oat drink carton and a bottle of olive oil.

Knows nothing about how they are photographed.
"""

import numpy as np
import numpy.typing as npt

from campaigns.demo.packshot.geometry import Mesh, circle, fillet, front_of, lathe, quad, ribbed, rounded_box, sweep
from campaigns.demo.packshot.labels import Line, Sheet
from campaigns.demo.packshot.scene import Part, glass, metal, paint

Pixels = npt.NDArray[np.uint8]


def soda_can() -> list[Part]:
    """A slim 330 ml can, 6.6 cm wide and 11.6 cm tall, with a printed body and a bare top."""
    body = fillet([(3.02, 0.62, 0), (3.3, 1.15, 0.6), (3.3, 10.0, 0.8), (2.72, 11.25, 0.3), (2.72, 11.32, 0)])
    foot = fillet([(0, 0.9, 0), (2.0, 0.55, 0.4), (2.35, 0.0, 0.12), (2.55, 0.0, 0.15), (3.02, 0.62, 0)])
    top = fillet(
        [
            (2.72, 11.3, 0),
            (2.84, 11.34, 0.05),
            (2.84, 11.55, 0.09),
            (2.64, 11.55, 0.08),
            (2.52, 11.0, 0.12),
            (2.3, 11.0, 0.1),
            (2.26, 11.12, 0.06),
            (0, 11.12, 0),
        ]
    )
    ring = np.array([[x, y] for x, y in circle(0.62, 0.95)])
    path = np.column_stack([ring[:, 0], ring[:, 1] - 0.35, np.full(len(ring), 11.24)])
    tab = sweep(path, circle(0.2, 0.06), up=(0, 0, 1))
    bare = metal("#dfe1e2", 0.16)
    return [
        Part(lathe(body, v_span=(0.62, 11.3)), paint(_soda_art(), 0.28, clearcoat=0.7)),
        Part(lathe(foot), bare),
        Part(lathe(top), bare),
        Part(tab.turned(20), bare),
    ]


def _soda_art() -> Pixels:
    sheet = Sheet(2600, 1340, "#f5c73d")
    orange, cream, green = "#ef8a2c", "#fff6e0", "#2f5d50"
    for middle in (0.5, 0.0, 1.0):
        _slice(sheet, (middle, 0.46), 0.30, (orange, cream, "#f9b233"))
    for x, y, r in [(0.285, 0.2, 0.085), (0.72, 0.78, 0.1), (0.245, 0.83, 0.065), (0.765, 0.16, 0.06)]:
        _slice(sheet, (x, y), r, (green, cream, "#8fb98a"))
    sheet.box((0.0, 1.0), (0.945, 1.0), green)
    sheet.box((0.0, 1.0), (0.0, 0.05), green)
    sheet.disc(0.5, 0.46, 0.205, cream)
    sheet.type(
        Line("sunnu", "LobsterTwo-Bold", 0.44, 0.15, green),
        Line("YUZU SODA", "LeagueSpartan-Bold", 0.545, 0.04, orange, 0.16),
        Line("SPARKLING · REAL PEEL", "LeagueSpartan-SemiBold", 0.83, 0.036, green, 0.1),
    )
    return sheet.pixels()


def _slice(sheet: Sheet, at: tuple[float, float], radius: float, colors: tuple[str, str, str]) -> None:
    rind, pith, flesh = colors
    ratio = sheet.height / sheet.width
    ring = np.linspace(0, 2 * np.pi, 90)

    def around(r: float, angles: np.ndarray) -> list[tuple[float, float]]:
        return [(at[0] + r * float(np.cos(t)) * ratio, at[1] + r * float(np.sin(t))) for t in angles]

    sheet.shape(around(radius, ring), rind)
    sheet.shape(around(radius * 0.93, ring), pith)
    for index in range(10):
        middle = index * np.pi / 5
        arc = middle + np.linspace(-0.27, 0.27, 12)
        sheet.shape(around(radius * 0.86, arc) + around(radius * 0.14, np.array([middle])), flesh)


def oat_carton() -> list[Part]:
    """A one-liter carton with a gable top and a screw cap, 7.2 cm square and 24.6 cm tall."""
    wall, roof, turn = 19.0, 23.2, 27
    body = fillet([(3.6, 0.06, 0), (0.1, 0.0, 0.08), (0.0, 0.2, 0.1), (0.0, wall, 0)])
    board = paint("#f6efdf", 0.42, clearcoat=0.25)
    cap = lathe(fillet([(1.62, -0.1, 0), (1.62, 0.32, 0.05), (1.5, 0.36, 0.05), (1.5, 1.75, 0.18), (0, 1.78, 0)]), 240)
    slope = float(np.degrees(np.arctan2(roof - wall, 3.45)))
    seat = ribbed(cap, 1.45, (0.4, 1.65), 56).turned(180).turned(90 - slope, "x")
    return [
        Part(rounded_box((7.2, 7.2), body, 0.16, (0.0, wall)).turned(turn), paint(_oat_art(), 0.42, clearcoat=0.25)),
        *(Part(mesh.turned(turn), board) for mesh in _gable(3.585, wall, roof)),
        Part(seat.moved(0, -1.92, wall + 2.0).turned(turn), paint("#1f3f6b", 0.3)),
    ]


def _gable(a: float, wall: float, roof: float) -> list[Mesh]:
    """Front and back roof, the folded-in sides and the fin, of a carton of half width a."""
    ridge, fold, lip = 0.13, 2.6, roof + 1.4
    parts = []
    for turn in (0, 180):
        front = [(-a, -a, wall), (a, -a, wall), (a, -ridge, roof), (-a, -ridge, roof)]
        near = [(a, -a, wall), (a - fold, 0.0, roof), (a - fold, 0.0, roof), (a, -ridge, roof)]
        inner = [(a, -a, wall), (a, a, wall), (a - fold, 0.0, roof), (a - fold, 0.0, roof)]
        far = [(a, a, wall), (a, ridge, roof), (a - fold, 0.0, roof), (a - fold, 0.0, roof)]
        parts += [quad(np.array(face)).turned(turn) for face in (front, inner, near, far)]
    profile = fillet([(ridge, roof - 0.1, 0), (0.0, roof + 0.02, 0.02), (0.0, lip, 0.06), (ridge, lip, 0)])
    parts.append(rounded_box((2 * a, 2 * ridge), profile, 0.05))
    return parts


def _oat_art() -> Pixels:
    sheet = Sheet(3400, 2250, "#f6efdf")
    blue, oat, clay = "#1f3f6b", "#e9b44c", "#d9693f"
    x = np.linspace(0, 1, 400)
    for level, swing, phase, color in [(0.60, 0.030, 0.4, oat), (0.70, 0.036, 2.0, clay), (0.80, 0.030, 4.2, blue)]:
        crest = [(float(s), level + swing * float(np.sin(8 * np.pi * s + phase))) for s in x]
        sheet.shape([*crest, (1.0, 1.0), (0.0, 1.0)], color)
    for middle in (0.0, 0.25, 0.5, 0.75, 1.0):
        if middle in (0.0, 0.5, 1.0):
            sheet.type(
                Line("havreby", "LeagueSpartan-Black", 0.215, 0.088, blue, x=middle),
                Line("oat drink", "LobsterTwo-Italic", 0.315, 0.082, clay, x=middle),
                Line("MADE TO FOAM", "LeagueSpartan-Bold", 0.395, 0.025, blue, 0.2, x=middle),
                Line("1 L", "LeagueSpartan-Black", 0.92, 0.05, "#f6efdf", x=middle),
            )
            sheet.disc(middle, 0.505, 0.062, oat)
            _ear(sheet, (middle, 0.56), blue)
        else:
            sheet.type(
                Line("Oats, water,", "LeagueSpartan-Bold", 0.2, 0.033, blue, x=middle),
                Line("a pinch of sea salt.", "LeagueSpartan-Bold", 0.24, 0.033, blue, x=middle),
                Line("And that is all.", "LobsterTwo-Italic", 0.295, 0.042, clay, x=middle),
                Line("shake well · keep cool", "LeagueSpartan-SemiBold", 0.92, 0.022, "#f6efdf", 0.06, x=middle),
            )
    return sheet.pixels()


def _ear(sheet: Sheet, at: tuple[float, float], color: str) -> None:
    ratio = sheet.height / sheet.width
    sheet.shape([(at[0] + s * 0.002 * ratio, at[1] - h) for s, h in [(-1, 0), (1, 0), (1, 0.1), (-1, 0.1)]], color)
    for index in range(4):
        for side in (-1, 1):
            sheet.leaf(at[0], at[1] - 0.025 - 0.021 * index, (0.036, 0.016), 90 - side * 38, color)
    sheet.leaf(at[0], at[1] - 0.095, (0.034, 0.016), 90, color)


def olive_oil() -> list[Part]:
    """A half-liter bottle of green glass, 6.4 cm wide and 27 cm tall, with a paper label and a black cap."""
    shell = fillet(
        [
            (0, 0.5, 0),
            (2.3, 0.3, 0.4),
            (2.7, 0.0, 0.2),
            (3.2, 0.25, 0.4),
            (3.2, 16.2, 2.2),
            (1.45, 20.4, 1.8),
            (1.32, 24.6, 0),
        ]
    )
    capsule = fillet(
        [
            (1.40, 22.0, 0),
            (1.43, 22.02, 0.02),
            (1.43, 26.3, 0.06),
            (1.60, 26.32, 0.04),
            (1.62, 27.6, 0.22),
            (0, 27.65, 0),
        ]
    )
    seal = lathe(fillet([(1.45, 22.5, 0), (1.45, 23.0, 0)]))
    label = lathe(np.column_stack([np.full(60, 3.215), np.linspace(3.0, 14.2, 60)]))
    return [
        Part(lathe(shell), glass("#a9b06a", inside=1.48)),
        Part(front_of(label, 0.5), paint(_oil_label(), 0.6)),
        Part(lathe(capsule), paint("#16181a", 0.38)),
        Part(seal, metal("#d3a954", 0.25)),
    ]


def _oil_label() -> Pixels:
    sheet = Sheet(1300, 1448, "#f5efdf")
    green, ink, gold = "#50622f", "#26291f", "#b98a35"
    sheet.frame(0.03, gold, 0.004)
    sheet.frame(0.04, green, 0.0018)
    _branch(sheet, (0.5, 0.27), (green, "#2f3a1f"))
    sheet.type(
        Line("Tre Cicale", "LobsterTwo-Italic", 0.46, 0.125, ink),
        Line("OLIO EXTRA VERGINE", "LeagueSpartan-Bold", 0.575, 0.036, green, 0.16),
        Line("DI OLIVA", "LeagueSpartan-Bold", 0.622, 0.036, green, 0.16),
        Line("cold pressed from the hill groves,", "EBGaramond12-Italic", 0.725, 0.043, ink),
        Line("first harvest of the year", "EBGaramond12-Italic", 0.77, 0.043, ink),
        Line("500 ML", "LeagueSpartan-Bold", 0.885, 0.034, gold, 0.2),
    )
    sheet.rule((0.4, 0.6), 0.672, gold, 0.003)
    sheet.rule((0.4, 0.6), 0.832, gold, 0.003)
    return sheet.pixels()


def _branch(sheet: Sheet, at: tuple[float, float], colors: tuple[str, str]) -> None:
    for index in range(-4, 5):
        x = at[0] + index * 0.055
        y = at[1] - 0.03 + 0.0035 * index * index
        for side in (-1, 1):
            sheet.leaf(x, y, (0.085, 0.022), side * 62 - index * 3, colors[0])
    t = np.linspace(-1, 1, 40)
    spine = [(at[0] + 0.25 * float(s), at[1] - 0.03 + 0.058 * float(s * s)) for s in t]
    sheet.shape(spine + [(x, y + 0.004) for x, y in reversed(spine)], colors[1])
    for x, y in [(-0.1, 0.028), (0.03, 0.035), (0.13, 0.045)]:
        sheet.disc(at[0] + x, at[1] + y, 0.022, colors[1])
        sheet.disc(at[0] + x - 0.006, at[1] + y - 0.007, 0.006, "#7d8a52")
