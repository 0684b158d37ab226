"""The photo studio: paper sweep, softboxes and camera, rendered with Mitsuba 3 into a photo and its exact mask.

Knows nothing about which products there are.
"""

import importlib
from collections.abc import Sequence
from typing import Any

import mitsuba as mi
import numpy as np
import numpy.typing as npt
from PIL import Image as Picture

from campaigns.demo.packshot.geometry import Mesh, backdrop, plate
from campaigns.demo.packshot.scene import Bsdf, Part, Shot

Image = npt.NDArray[np.float32]
PASS_SAMPLES = 16  # samples rendered at once: bounds the memory of a wavefront
GUIDE_SAMPLES = 8  # albedo and normals converge sooner than light
COVERAGE_SAMPLES = 32
PAPER_SCALE = 0.25  # away from the product there is only smooth paper
MAX_DEPTH = 14
MARGIN = 0.05  # around the product, as a share of the picture's width: what touches it is rendered at full size
Window = tuple[int, int, int, int]  # left, top, width, height in pixels


def choose_variant() -> str:
    """Pick the fastest renderer that this machine has; returns its name."""
    try:
        mi.set_variant("llvm_ad_rgb")
        return "llvm_ad_rgb"
    except ImportError:
        mi.set_variant("scalar_rgb")
        return "scalar_rgb"


def photograph(parts: Sequence[Part], shot: Shot, *, samples: int, scale: float = 1.0) -> tuple[Image, Image]:
    """Render a product: (denoised linear RGB (H, W, 3), coverage of the product (H, W) 0..1).

    For a cut-out the color is premultiplied by the coverage. scale shrinks the picture for a preview. Only the
    product's surroundings are rendered at full size, the paper beyond them at PAPER_SCALE of it.
    """
    window = _around(parts, shot, scale)
    left, top, width, height = window
    place = np.s_[top : top + height, left : left + width]
    size = round(shot.size[1] * scale), round(shot.size[0] * scale)
    color, coverage = np.zeros((*size, 3), np.float32), np.zeros(size, np.float32)
    coverage[place] = _coverage(parts, _camera(shot, scale, alpha=True, window=window), COVERAGE_SAMPLES)
    scene = mi.load_dict({"type": "scene", **_lights(shot), **_sweep(shot), **_shapes(parts)})
    color[place] = _rendered(scene, _camera(shot, scale, window=window), samples)
    if shot.cutout:
        return color, coverage
    paper = _enlarged(_rendered(scene, _camera(shot, scale * PAPER_SCALE), 2 * samples), size)
    weight = _feathered(size, window)
    return color * weight + paper * (1 - weight), coverage


def _around(parts: Sequence[Part], shot: Shot, scale: float) -> Window:
    """The window that holds the product and its margin, found on a small picture."""
    coverage = _coverage(parts, _camera(shot, scale * PAPER_SCALE, alpha=True), COVERAGE_SAMPLES)
    height, width = coverage.shape
    rows, columns = np.flatnonzero(coverage.any(axis=1)), np.flatnonzero(coverage.any(axis=0))
    margin = round(MARGIN * width) + 1
    left, top = max(0, int(columns[0]) - margin), max(0, int(rows[0]) - margin)
    right, bottom = min(width, int(columns[-1]) + margin + 1), min(height, int(rows[-1]) + margin + 1)
    enlarge = round(1 / PAPER_SCALE)
    return left * enlarge, top * enlarge, (right - left) * enlarge, (bottom - top) * enlarge


def _feathered(shape: tuple[int, ...], window: Window) -> Image:
    """How much the window counts, (H, W, 1): 1 inside, falling to 0 at its edge over most of the margin."""
    left, top, width, height = window
    reach = 0.8 * MARGIN * shape[1]
    y, x = np.arange(shape[0])[:, None] + 0.5, np.arange(shape[1])[None, :] + 0.5
    inside = np.minimum(np.minimum(x - left, left + width - x), np.minimum(y - top, top + height - y))
    weight: Image = np.clip(inside / reach, 0, 1).astype(np.float32)[..., None]
    return weight


def _enlarged(image: Image, shape: tuple[int, ...]) -> Image:
    size = shape[1], shape[0]
    # A denoiser sees only half of the neighbors at the rim of a picture and leaves noise there.
    image = np.pad(image[3:-3, 3:-3], ((3, 3), (3, 3), (0, 0)), mode="edge")
    planes = [Picture.fromarray(image[..., c]).resize(size, Picture.Resampling.BICUBIC) for c in range(3)]
    return np.stack([np.asarray(plane, dtype=np.float32) for plane in planes], axis=2)


def _rendered(scene: Any, camera: dict[str, Any], samples: int) -> Image:
    """What a camera sees, denoised."""
    sensor = mi.load_dict(camera)
    path = mi.load_dict({"type": "path", "max_depth": MAX_DEPTH, "hide_emitters": True})
    surfaces = mi.load_dict({"type": "aov", "aovs": "albedo:albedo,nn:sh_normal"})
    color = _accumulate(scene, sensor, path, samples)[..., :3]
    guides = _accumulate(scene, sensor, surfaces, min(samples, GUIDE_SAMPLES))[..., -6:]
    return _denoised(color, guides[..., :3], guides[..., 3:])


def _accumulate(scene: Any, sensor: Any, integrator: Any, samples: int) -> Image:
    """The mean of as many passes as samples needs, none of them brighter than a lamp."""
    passes = max(1, samples // PASS_SAMPLES)
    images = (
        np.array(mi.render(scene, sensor=sensor, integrator=integrator, spp=min(samples, PASS_SAMPLES), seed=seed))
        for seed in range(passes)
    )
    # A lone sample that finds a lamp through two layers of glass would stay as a firefly.
    total: Image = sum(np.minimum(image, 12.0) for image in images) / np.float32(passes)
    return total


def _coverage(parts: Sequence[Part], camera: dict[str, Any], samples: int) -> Image:
    """The share of each pixel that the product covers: the alpha of the product alone, in the dark, in matt black."""
    black = {"type": "twosided", "bsdf": {"type": "diffuse", "reflectance": {"type": "rgb", "value": 0.0}}}
    scene = mi.load_dict({"type": "scene", **_shapes([Part(part.mesh, black) for part in parts])})
    flat = mi.load_dict({"type": "path", "max_depth": 2})
    alpha = _accumulate(scene, mi.load_dict(camera), flat, samples)[..., 3]
    return np.clip(alpha, 0, 1)


def _denoised(color: Image, albedo: Image, normal: Image) -> Image:
    guides = {"albedo": np.ascontiguousarray(np.clip(albedo, 0, 1)), "normal": np.ascontiguousarray(normal)}
    result: Image = importlib.import_module("pyoidn").denoise(np.ascontiguousarray(color), hdr=True, **guides)
    return result


def _mesh(mesh: Mesh, bsdf: Bsdf, *, emitter: dict[str, Any] | None = None) -> Any:
    props = mi.Properties()
    props["bsdf"] = mi.load_dict(_with_bitmaps(bsdf))
    if emitter is not None:
        props["emitter"] = mi.load_dict(_with_bitmaps(emitter))
    counts = len(mesh.vertices), len(mesh.faces)
    shape = mi.Mesh("part", *counts, props, has_vertex_normals=True, has_vertex_texcoords=True)
    params = mi.traverse(shape)
    params["vertex_positions"] = mesh.vertices.astype(np.float32).ravel()
    params["vertex_normals"] = mesh.normals.astype(np.float32).ravel()
    params["vertex_texcoords"] = mesh.uvs.astype(np.float32).ravel()
    params["faces"] = mesh.faces.astype(np.uint32).ravel()
    params.update()
    return shape


def _with_bitmaps(node: Any) -> Any:
    """A material description with its pixel arrays as the renderer's bitmaps."""
    if not isinstance(node, dict):
        return node
    built = {key: _with_bitmaps(value) for key, value in node.items() if key != "pixels"}
    if "pixels" in node:
        built["bitmap"] = mi.Bitmap(np.array(node["pixels"][::-1], order="C"))
    return built


def _shapes(parts: Sequence[Part]) -> dict[str, Any]:
    return {f"part{index}": _mesh(part.mesh, part.bsdf) for index, part in enumerate(parts)}


def _sweep(shot: Shot) -> dict[str, Any]:
    if shot.cutout:
        return {}
    color = {"type": "rgb", "value": list(shot.backdrop)}
    paper = {"type": "twosided", "bsdf": {"type": "diffuse", "reflectance": color}}
    return {"sweep": _mesh(backdrop(), paper)}


def _camera(shot: Shot, scale: float, *, alpha: bool = False, window: Window | None = None) -> dict[str, Any]:
    elevation = np.radians(shot.elevation_deg)
    target = [shot.aim_x, 0.0, shot.look_at]
    origin = [shot.aim_x, -shot.distance * np.cos(elevation), shot.look_at + shot.distance * np.sin(elevation)]
    width, height = (round(side * scale) for side in shot.size)
    left, top, inner_width, inner_height = window or (0, 0, width, height)
    return {
        "type": "thinlens",
        "fov": float(np.degrees(2 * np.arctan(shot.frame_cm / 2 / shot.distance))),
        "fov_axis": "x",
        "aperture_radius": shot.aperture_cm,
        "focus_distance": shot.distance * 0.985,
        "to_world": mi.ScalarTransform4f().look_at(origin=origin, target=target, up=[0, 0, 1]),
        "film": {
            "type": "hdrfilm",
            "width": width,
            "height": height,
            "crop_offset_x": left,
            "crop_offset_y": top,
            "crop_width": inner_width,
            "crop_height": inner_height,
            "pixel_format": "rgba" if alpha else "rgb",
            "rfilter": {"type": "box"},
        },
        "sampler": {"type": "independent"},
    }


def _lights(shot: Shot) -> dict[str, Any]:
    """A key softbox, a weaker fill, one overhead and two strips that draw the edges of glossy shapes."""
    # A wall reflects what lies below the horizon to a camera that looks down: without a floor the panels hang lower.
    side, low = shot.light_x, -28.0 if shot.cutout else 0.0
    middle = (0.0, 0.0, shot.look_at + low)
    panels = [
        (plate(52, 88, center=(58 * side, -50, 46 + low), toward=(0, 0, 30 + low)), 6.0 * shot.key),
        (plate(60, 80, center=(-78 * side, -44, 38 + low), toward=middle), 1.3 * shot.fill),
        (plate(90, 60, center=(0, 12, 100), toward=(0.0, 6.0, 0.0)), 2.2),
        (plate(16, 90, center=(-56 * side, 30, 42 + low), toward=middle), 8.0 * shot.rims),
        (plate(16, 90, center=(56 * side, 36, 42 + low), toward=middle), 7.0 * shot.rims),
    ]
    dark = {"type": "diffuse", "reflectance": {"type": "rgb", "value": 0.02}}
    ambient = {"type": "rgb", "value": 0.28 if shot.cutout else 0.24}
    lights: dict[str, Any] = {"room": {"type": "constant", "radiance": ambient}}
    for index, (mesh, strength) in enumerate(panels):
        radiance = {"type": "bitmap", "pixels": _falloff() * np.float32(strength), "raw": True, "wrap_mode": "clamp"}
        lights[f"panel{index}"] = _mesh(mesh, dark, emitter={"type": "area", "radiance": radiance})
    return lights


def _falloff() -> Image:
    """A softbox's diffuser (64, 64, 3): bright in its middle, half as bright at its hem."""
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    edge = np.clip(1.25 - np.maximum(abs(x), abs(y)), 0, 0.25) / 0.25
    glow = (1.0 - 0.45 * (x**2 + y**2) / 2) * edge
    return np.repeat(glow[..., None], 3, axis=2).astype(np.float32)
