"""What a photographed product consists of: its parts, its materials and how it is shot.

Materials are the renderer's own descriptions; this module knows nothing about light or cameras' inner workings.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from campaigns.demo.packshot.geometry import Mesh

Bsdf = dict[str, Any]
Pixels = npt.NDArray[np.uint8]
Color = str | tuple[int, int, int]


@dataclass(frozen=True)
class Part:
    """A mesh with its material."""

    mesh: Mesh
    bsdf: Bsdf


@dataclass(frozen=True)
class Shot:
    """How a product is photographed: lengths in cm, colors linear RGB 0..1, size in pixels.

    look_at is the height the camera aims at; distance and elevation_deg place it; frame_cm is the width of the
    picture at the product. cutout: no backdrop, transparent photo.
    """

    frame_cm: float
    look_at: float
    backdrop: tuple[float, float, float] = (0.75, 0.73, 0.70)
    elevation_deg: float = 9.0
    distance: float = 95.0
    size: tuple[int, int] = (1200, 1200)
    cutout: bool = False
    key: float = 1.0
    fill: float = 1.0
    rims: float = 1.0
    aperture_cm: float = 0.12
    aim_x: float = 0.0
    light_x: float = -1.0


@dataclass(frozen=True)
class Product:
    """A product of the demo campaign; with_mask: its exact mask is written beside the photo."""

    sku: str
    title: str
    build: Callable[[], list[Part]]
    shot: Shot
    with_mask: bool = True


def linear(color: Color) -> list[float]:
    """Linear RGB of an 8-bit sRGB color ("#rrggbb" or three numbers), by the sRGB transfer function."""
    values = tuple(int(color[i : i + 2], 16) for i in (1, 3, 5)) if isinstance(color, str) else color
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in values)]


def _rgb(color: Color) -> dict[str, Any]:
    return {"type": "rgb", "value": linear(color)}


def picture(pixels: Pixels, *, raw: bool = False) -> dict[str, Any]:
    """A texture from (height, width, 3) or (height, width) 8-bit pixels, row 0 at v = 1; raw: not a color."""
    return {"type": "bitmap", "pixels": pixels, "raw": raw, "wrap_mode": "clamp"}


def _base(color: Color | Pixels) -> dict[str, Any]:
    return picture(color) if isinstance(color, np.ndarray) else _rgb(color)


def paint(color: Color | Pixels, roughness: float = 0.35, *, clearcoat: float = 0.0, specular: float = 0.5) -> Bsdf:
    """Painted, printed or molded surface; roughness 0 is a mirror's gloss, 1 is chalk."""
    material = {
        "type": "principled",
        "base_color": _base(color),
        "roughness": roughness,
        "specular": specular,
        "clearcoat": clearcoat,
        "clearcoat_gloss": 0.95,
    }
    return {"type": "twosided", "bsdf": material}


def lacquer(color: Color | Pixels, roughness: float = 0.05) -> Bsdf:
    """A colored ground under clear varnish or glaze."""
    return {
        "type": "twosided",
        "bsdf": {
            "type": "roughplastic",
            "diffuse_reflectance": _base(color),
            "alpha": roughness,
            "distribution": "ggx",
            "nonlinear": True,
        },
    }


def chalk(color: Color | Pixels) -> Bsdf:
    """A surface without any gloss: wax, paper, unglazed clay."""
    return {"type": "twosided", "bsdf": {"type": "diffuse", "reflectance": _base(color)}}


def metal(color: Color | Pixels = "#e8e8e6", roughness: float = 0.18) -> Bsdf:
    """Bare or printed metal."""
    return {
        "type": "twosided",
        "bsdf": {"type": "principled", "base_color": _base(color), "metallic": 1.0, "roughness": roughness},
    }


def glass(tint: Color = "#ffffff", *, inside: float = 1.5, outside: float = 1.0) -> Bsdf:
    """Clear or tinted glass; the tint is what one crossing of the surface lets through."""
    return {"type": "dielectric", "int_ior": inside, "ext_ior": outside, "specular_transmittance": _rgb(tint)}
