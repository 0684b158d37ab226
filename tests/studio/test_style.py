"""The design system holds its promises: every component is on the style page, every pair of colors can be read."""

import re
from itertools import product
from math import cos, radians, sin
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders

PAGE_CLASS = re.compile(r'class="([^"]*)"')
# What is put behind text, and what text is set in.
SURFACES = ("bg", "panel", "sunk", "raised")
SOFT = ("act-soft", "ok-soft", "warn-soft", "no-soft")
TEXT = ("ink", "ink-2", "ink-3", "act", "ok", "warn", "no")
FILLED = {"on-act": ("act", "act-strong"), "on-ok": ("ok",), "on-warn": ("warn",), "on-no": ("no",)}
# WCAG 1.4.11: all that one sees of a field, and the ring around what has the focus.
EDGES = (*product(("line-control", "act"), ("bg", "panel", "raised")),)
# Decoration, and what lies over pictures of any color.
FREE = {"stage", "scrim", "veil", "line", "line-strong", "on-scrim", "pencil-ok", "pencil-no", "pencil-shade"}

READ = [
    *product(TEXT, SURFACES),
    *product(("ink", "ink-2"), SOFT),
    *((text, fill) for text, fills in FILLED.items() for fill in fills),
    *((state, f"{state}-soft") for state in ("act", "ok", "warn", "no")),
    ("bg", "ink"),
]


def stylesheet(name: str) -> str:
    text = Path(str(finders.find(f"studio/css/{name}.css"))).read_text()
    return re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)


def colors(theme: str) -> dict[str, tuple[float, float, float]]:
    """Each token that is one opaque color, as (lightness, chroma, hue) in OKLCh."""
    found = {}
    for name, value in re.findall(r"--([\w-]+): (light-dark\(.*?\)\)|oklch\(.*?\));", stylesheet("tokens")):
        shades = [
            (float(shade[0]), float(shade[1]), float(shade[2]))
            for shade in re.findall(r"oklch\(([\d.]+) ([\d.]+) ([\d.]+)", value)
        ]
        found[name] = shades[-1] if theme == "dark" else shades[0]
    return found


def luminance(shade: tuple[float, float, float]) -> float:
    """WCAG's relative luminance. OKLab to linear sRGB as in CSS Color 4, clipped to what a screen can show."""
    lightness, chroma, hue = shade
    a, b = chroma * cos(radians(hue)), chroma * sin(radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    red = 4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short
    green = -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short
    blue = -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short
    clipped = [min(1.0, max(0.0, part)) for part in (red, green, blue)]
    return 0.2126 * clipped[0] + 0.7152 * clipped[1] + 0.0722 * clipped[2]


def contrast(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_the_computation_agrees_with_known_contrasts():
    assert contrast((0, 0, 0), (1, 0, 0)) == pytest.approx(21, abs=0.01)
    # #767676 on white, the lightest grey that WCAG lets text have there.
    assert contrast((0.5650, 0, 0), (1, 0, 0)) == pytest.approx(4.54, abs=0.03)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("text", "behind"), READ, ids="-on-".join)
def test_text_can_be_read_on_what_is_behind_it(text, behind, theme):
    shades = colors(theme)
    assert contrast(shades[text], shades[behind]) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("edge", "behind"), EDGES, ids="-on-".join)
def test_edges_of_fields_and_the_focus_ring_stand_out(edge, behind, theme):
    shades = colors(theme)
    assert contrast(shades[edge], shades[behind]) >= 3


def test_every_color_token_is_in_a_pair_or_known_to_carry_no_text():
    paired = {name for pair in (*READ, *EDGES) for name in pair}
    assert set(colors("light")) == paired | FREE


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_greys_carry_no_tint(theme):
    tinted = {"act", "ok", "warn", "no", "pencil"}
    greys = {
        name: shade for name, shade in colors(theme).items() if not tinted & set(name.split("-")) or name[:2] == "on"
    }
    greys.pop("pencil-shade", None)
    assert len(greys) > 15
    assert all(chroma == 0 for _, chroma, _ in greys.values())


def test_stylesheets_take_every_color_from_a_token():
    for name in ("base", "components"):
        assert not re.search(r"#[0-9a-f]{3,8}\b|rgba?\(|hsla?\(|oklch\(", stylesheet(name)), name


def test_every_component_class_is_shown_on_the_style_page(browser):
    selectors = re.findall(r"([^{}]+)\{", stylesheet("components"))
    wanted = {name for selector in selectors for name in re.findall(r"\.([a-z][\w-]*)", selector)}
    assert len(wanted) > 60
    page = browser("viewer").get("/style/").content.decode()
    shown = {name for classes in PAGE_CLASS.findall(page) for name in classes.split()}
    assert not wanted - shown - {"over"}, "only a dragged file brings .over about"
