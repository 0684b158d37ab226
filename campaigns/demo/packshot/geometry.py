"""Meshes of packages: lathed, lofted and swept grids with normals and texture coordinates.

Knows nothing about materials, light or the renderer. Lengths are centimeters, z is up, the camera looks along +y.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
POLE = 1e-4  # a radius of exactly 0 has no tangent around the axis, hence no normal


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh: vertices, normals (N, 3), texture coordinates (N, 2) with v up, faces (M, 3)."""

    vertices: Floats
    normals: Floats
    uvs: Floats
    faces: npt.NDArray[np.uint32]

    def moved(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> "Mesh":
        """The mesh shifted by x, y, z centimeters."""
        return Mesh(self.vertices + np.array([x, y, z]), self.normals, self.uvs, self.faces)

    def turned(self, degrees: float, axis: str = "z") -> "Mesh":
        """The mesh rotated about an axis ("x", "y" or "z") through the origin, counter-clockwise."""
        matrix = rotation(degrees, axis)
        return Mesh(self.vertices @ matrix.T, self.normals @ matrix.T, self.uvs, self.faces)

    def projected(self, across: tuple[int, int], size: float) -> "Mesh":
        """The mesh with its texture cast straight through its middle: u, v along two axes (0, 1, 2), size cm wide."""
        middle = (self.vertices.max(axis=0) + self.vertices.min(axis=0)) / 2
        return Mesh(self.vertices, self.normals, (self.vertices - middle)[:, across] / size + 0.5, self.faces)


def rotation(degrees: float, axis: str) -> Floats:
    """The (3, 3) matrix that rotates about one axis."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = c
    matrix[first, second], matrix[second, first] = -s, s
    return matrix


def grid(points: Floats, v: Floats | None = None, *, closed: bool = True) -> Mesh:
    """A mesh over points (rows, columns, 3); u runs along columns, v (rows,) along rows, both 0..1.

    With closed, the last column repeats the first. Normals point to du x dv.
    """
    rows, columns = points.shape[:2]
    du = np.gradient(points, axis=1)
    if closed:
        du[:, 0] = du[:, -1] = (points[:, 1] - points[:, -2]) / 2
    normals = np.cross(du, np.gradient(points, axis=0))
    normals /= np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-12)
    heights = np.linspace(0, 1, rows) if v is None else v
    uvs = np.stack(np.broadcast_arrays(np.linspace(0, 1, columns)[None, :], heights[:, None]), axis=2)
    a = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)[None, :]).ravel()
    faces = np.concatenate([np.stack([a, a + 1, a + columns + 1], 1), np.stack([a, a + columns + 1, a + columns], 1)])
    return Mesh(points.reshape(-1, 3), normals.reshape(-1, 3), uvs.reshape(-1, 2), faces.astype(np.uint32))


def fillet(corners: Sequence[tuple[float, float, float]], steps: int = 10) -> Floats:
    """A polyline (N, 2) through corners (x, y, radius) with every inner corner rounded to its radius in cm."""
    path: list[Floats] = [np.array(corners[0][:2])]
    for before, here, after in zip(corners, corners[1:], corners[2:], strict=False):
        path.extend(_arc(np.array(before[:2]), np.array(here[:2]), np.array(after[:2]), here[2], steps))
    path.append(np.array(corners[-1][:2]))
    return np.array(path)


def _arc(before: Floats, here: Floats, after: Floats, radius: float, steps: int) -> list[Floats]:
    to_before, to_after = before - here, after - here
    lengths = float(np.linalg.norm(to_before)), float(np.linalg.norm(to_after))
    to_before, to_after = to_before / lengths[0], to_after / lengths[1]
    half = float(np.arccos(np.clip(to_before @ to_after, -1, 1))) / 2
    if radius <= 0 or abs(half - np.pi / 2) < 1e-4:
        return [here]
    reach = min(radius / float(np.tan(half)), 0.499 * lengths[0], 0.499 * lengths[1])
    radius = reach * float(np.tan(half))
    bisector = (to_before + to_after) / np.linalg.norm(to_before + to_after)
    center = here + bisector * radius / np.sin(half)
    start, end = here + to_before * reach - center, here + to_after * reach - center
    sweep = np.pi - 2 * half
    weights = np.linspace(0, 1, steps)
    return [center + (np.sin((1 - w) * sweep) * start + np.sin(w * sweep) * end) / np.sin(sweep) for w in weights]


def lathe(profile: Floats, segments: int = 192, v_span: tuple[float, float] | None = None) -> Mesh:
    """The profile (N, 2) of (radius, z), bottom to top on the outside, turned about z.

    The texture's middle faces the camera; v runs from 0 to 1 over v_span, two heights z (the profile's own span
    if None). A profile that runs down again makes the inside of a vessel.
    """
    angle = -np.pi / 2 + (np.linspace(0, 1, segments + 1) - 0.5) * 2 * np.pi
    radius = np.maximum(profile[:, 0], POLE)[:, None]
    z = np.broadcast_to(profile[:, 1][:, None], (len(profile), segments + 1))
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=2)
    return grid(points, _heights(profile[:, 1], v_span))


def _heights(z: Floats, v_span: tuple[float, float] | None) -> Floats:
    low, high = v_span or (float(z.min()), float(z.max()))
    clipped: Floats = np.clip((z - low) / (high - low), 0.0, 1.0)
    return clipped


def rounded_rectangle(width: float, depth: float, radius: float, steps: int = 16) -> Floats:
    """The outline (N, 2) of a rounded rectangle, counter-clockwise from the middle of its back, closed."""
    a, b = width / 2, depth / 2
    r = min(radius, a, b)
    points: list[tuple[float, float]] = [(0.0, b)]
    for cx, cy, start in [(-a + r, b - r, 90), (-a + r, -b + r, 180), (a - r, -b + r, 270), (a - r, b - r, 0)]:
        theta = np.radians(start + np.linspace(0, 90, steps))
        points.extend(zip(cx + r * np.cos(theta), cy + r * np.sin(theta), strict=True))
    points.append((0.0, b))
    return np.array(points)


def rounded_box(
    size: tuple[float, float], profile: Floats, radius: float, v_span: tuple[float, float] | None = None
) -> Mesh:
    """A box of (width, depth) cm and corner radius whose walls follow profile (N, 2) of (inset, z), bottom to top.

    u follows the perimeter by length: the front's middle is u = 0.5. The ends close to a line.
    """
    outline = rounded_rectangle(*size, radius)
    rings = []
    for inset, z in profile:
        shrunk = rounded_rectangle(
            max(size[0] - 2 * inset, POLE), max(size[1] - 2 * inset, POLE), max(radius - inset, POLE)
        )
        rings.append(np.column_stack([shrunk, np.full(len(shrunk), z)]))
    mesh = grid(np.array(rings), _heights(profile[:, 1], v_span))
    lengths = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(outline, axis=0), axis=1))])
    u = np.tile(lengths / lengths[-1], len(profile))
    return Mesh(mesh.vertices, mesh.normals, np.column_stack([u, mesh.uvs[:, 1]]), mesh.faces)


def sweep(path: Floats, section: Floats, up: tuple[float, float, float] = (0.0, 1.0, 0.0)) -> Mesh:
    """A closed section (N, 2), counter-clockwise, carried along a path (M, 3); up fixes the section's first axis."""
    tangents = np.gradient(path, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    side = np.array(up)[None, :] - tangents * (tangents @ np.array(up))[:, None]
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    other = np.cross(tangents, side)
    rings = path[:, None] + section[None, :, :1] * side[:, None] + section[None, :, 1:] * other[:, None]
    return grid(rings)


def circle(radius_x: float, radius_y: float | None = None, segments: int = 48) -> Floats:
    """A closed ellipse (N, 2), counter-clockwise."""
    theta = np.linspace(0, 2 * np.pi, segments + 1)
    return np.column_stack([radius_x * np.cos(theta), (radius_y or radius_x) * np.sin(theta)])


def smooth(points: Sequence[Sequence[float]], count: int = 80) -> Floats:
    """A Catmull-Rom curve (count, D) through the points, both ends included (centripetal form left out)."""
    p = np.asarray(points, dtype=np.float64)
    p = np.concatenate([[2 * p[0] - p[1]], p, [2 * p[-1] - p[-2]]])
    t = np.linspace(0, len(p) - 3 - 1e-9, count)
    i = t.astype(int)
    f = (t - i)[:, None]
    a, b, c, d = p[i], p[i + 1], p[i + 2], p[i + 3]
    curve: Floats = 0.5 * (2 * b + (c - a) * f + (2 * a - 5 * b + 4 * c - d) * f**2 + (3 * b - a - 3 * c + d) * f**3)
    return curve


def plate(
    width: float, height: float, *, center: tuple[float, float, float], toward: tuple[float, float, float]
) -> Mesh:
    """A flat rectangle that faces a point: a light panel."""
    middle = np.array(center, dtype=np.float64)
    normal = np.array(toward) - middle
    normal /= np.linalg.norm(normal)
    guide = np.array([0.0, 0.0, 1.0]) if abs(normal[2]) < 0.95 else np.array([0.0, 1.0, 0.0])
    right = np.cross(guide, normal)
    right /= np.linalg.norm(right)
    up = np.cross(normal, right)
    span = np.linspace(-0.5, 0.5, 2)
    points = middle + (span * width)[None, :, None] * right + (span * height)[:, None, None] * up
    return grid(points, closed=False)


def backdrop(half_width: float = 160.0, depth: float = 90.0, height: float = 160.0, bend: float = 45.0) -> Mesh:
    """A seamless sweep of paper: a floor at z = 0 that bends up into a wall behind the product."""
    profile = fillet([(-120.0, 0.0, 0.0), (depth, 0.0, bend), (depth, height, 0.0)], steps=48)
    x = np.linspace(-half_width, half_width, 2)
    y, z = (np.broadcast_to(c[:, None], (len(profile), 2)) for c in profile.T)
    return grid(np.stack([np.broadcast_to(x, y.shape), y, z], axis=2), closed=False)


def quad(corners: Floats) -> Mesh:
    """A flat face over four corners (4, 3), counter-clockwise seen from its front; the last two may coincide."""
    normal = np.cross(corners[2] - corners[0], corners[3] - corners[1])
    uvs = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    faces = np.array([[0, 1, 2], [0, 2, 3]], dtype=np.uint32)
    return Mesh(corners, np.tile(normal / np.linalg.norm(normal), (4, 1)), uvs, faces)


def front_of(mesh: Mesh, share: float) -> Mesh:
    """The part of a lathed sheet around its front: that share of the turn; the texture spans what is left."""
    u = (mesh.uvs[:, 0] - 0.5) / share + 0.5
    inside = (u >= -1e-9) & (u <= 1 + 1e-9)
    faces = mesh.faces[inside[mesh.faces].all(axis=1)]
    return Mesh(mesh.vertices, mesh.normals, np.column_stack([u, mesh.uvs[:, 1]]), faces)


def ribbed(mesh: Mesh, radius: float, z_span: tuple[float, float], count: int, depth: float = 0.012) -> Mesh:
    """The fine upright ribs of a cap, on what lies farther out than radius between two heights."""
    x, y, z = mesh.vertices.T
    reach, angle = np.hypot(x, y), np.arctan2(y, x)
    wall = (reach > radius) & (z > z_span[0]) & (z < z_span[1])
    scale = 1 + np.where(wall, depth * np.cos(angle * count), 0.0) / np.maximum(reach, 1e-6)
    tilt = np.where(wall, np.arctan(depth * count / radius) * np.sin(angle * count), 0.0)
    c, s = np.cos(tilt), np.sin(tilt)
    nx, ny, nz = mesh.normals.T
    normals = np.column_stack([c * nx - s * ny, s * nx + c * ny, nz])
    return Mesh(np.column_stack([x * scale, y * scale, z]), normals, mesh.uvs, mesh.faces)
