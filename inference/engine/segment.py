"""Find the product in a photo without being told where it is, and say honestly how sure that is.
Knows pixels only: nothing of files, checkpoints and who asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]
Levels: TypeAlias = NDArray[np.float32]
Where: TypeAlias = NDArray[np.bool_]
T = TypeVar("T", bound=np.generic)

ALPHA_FROM = 128
WORK_PX = 1200  # a longer photo is searched at this size; the lengths below are pixels of it
SMALL_PX = 400  # a shorter one at this size, enlarged no more than twice
EDGE_LAB = 0.7  # CIELAB per pixel: plain grounds with their JPEG noise stay below, most of white on white is above
NOISE_TIMES = 6.0  # an edge also exceeds the ground's own median gradient this many times
RINGING = 0.15  # JPEG rings, mostly in its coarser color: below this share of the strongest edge within RINGING_PX,
RINGING_PX = 16  # a block of subsampled color,
RINGING_LAB = 1.0  # and hardly lighter or darker than the ground, an edge is none
SHARP_PX = 5  # edges wider than twice this are soft shadows
SEAL_PX = (16, 8, 2)  # gaps in a weak outline that are closed: first wide, then as narrow as the ground allows
GROUND_LAB = 1.2  # a pocket or a hole shows the ground when nearly all of it differs by no more from the ground's model
STRICTER = 1.25  # the second threshold at which an outline should hold
PLAIN_SHARE = 0.4  # a ground is plain when it holds this much of the border and its model explains this much of it
EDGE_BAND_PX = 6  # the true outline lies this deep inside the first one at most
BAR_LEVELS = 6.0  # a letterbox bar varies by less along a row, its end is a step of twice as much
BUSY_PX = 320  # GrabCut's size: it only guesses
BUSY_CONFIDENCE = 0.4  # never above, however clear the guess


class MaskNotFoundError(ValueError):
    """Nothing stands out from its surroundings; the sentence says what to do."""


@dataclass(frozen=True, eq=False)
class FoundMask:
    """mask uint8 (H, W), 255 on the product and 0 elsewhere; confidence 0..1; what found it."""

    mask: Pixels
    confidence: float
    source: Literal["alpha", "opencv"]


@dataclass(frozen=True, eq=False)
class _Ground:
    """What lies around the product: where it is, and how far every pixel is from its smooth model (CIELAB)."""

    where: Where
    off_light: Levels
    off_hue: Levels


def find_mask(image: Pixels) -> FoundMask:
    """Find the product in uint8 (H, W, 3) RGB or (H, W, 4) straight RGBA.

    A real alpha channel decides alone (>= 128: soft shadows stay outside). Otherwise the ground is what can be reached
    from the photo's border without crossing a sharp edge: soft shadows have none, a white product on white has a weak
    one. Where the border is no plain ground, GrabCut guesses, with low confidence.
    Raises MaskNotFoundError when nothing stands out.
    """
    if image.shape[2] == 4 and int(image[..., 3].min()) < ALPHA_FROM:
        return _from_alpha(image[..., 3])
    height, width = image.shape[:2]
    factor = float(np.clip(SMALL_PX / max(height, width), 1, 2)) * min(1.0, WORK_PX / max(height, width))
    small = cv2.resize(
        image[..., :3],
        (max(1, round(width * factor)), max(1, round(height * factor))),
        interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR,
    )
    share, confidence = _inside_bars(np.asarray(small, np.uint8))
    mask = cv2.resize(share, (width, height), interpolation=cv2.INTER_LINEAR) >= 0.5
    if not mask.any():
        raise _not_found()
    return FoundMask(np.where(mask, np.uint8(255), np.uint8(0)), round(confidence, 3), "opencv")


def _inside_bars(rgb: Pixels) -> tuple[Levels, float]:
    """Search the picture between letterbox bars: those would pass for a plain ground around everything."""
    gray = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.float32)
    top, bottom = _bars(gray)
    left, right = _bars(np.ascontiguousarray(gray[top:bottom].T))
    inner = np.ascontiguousarray(rgb[top:bottom, left:right])
    lab = np.asarray(cv2.cvtColor(inner.astype(np.float32) / 255, cv2.COLOR_RGB2Lab), np.float32)
    found = _on_plain_ground(lab)
    share, confidence = _on_busy_ground(inner) if found is None else found
    whole = np.zeros(rgb.shape[:2], np.float32)
    whole[top:bottom, left:right] = share
    return whole, confidence


def _bars(gray: Levels) -> tuple[int, int]:
    """First row after and first row of the one-colored bars at top and bottom; (0, height) where there are none."""
    height, width = gray.shape
    mean = gray.mean(axis=1)
    flat = np.einsum("ij,ij->i", gray, gray) / width - mean * mean < BAR_LEVELS**2
    if flat.all() or not (flat[0] or flat[-1]):
        return 0, height
    step = cv2.absdiff(gray[1:], gray[:-1]) > 2 * BAR_LEVELS
    ends = np.concatenate([[False], step.mean(axis=1) > 0.8, [False]])
    top, bottom = int(np.argmin(flat)), height - int(np.argmin(flat[::-1]))
    # A mixed row or two lie between a bar and the picture in a scaled JPEG.
    return (
        top if ends[max(0, top - 2) : top + 3].any() else 0,
        bottom if ends[max(0, bottom - 2) : bottom + 3].any() else height,
    )


def _not_found() -> MaskNotFoundError:
    return MaskNotFoundError(
        "Nothing stands out from the photo's background; upload a mask that is white on the product."
    )


def _from_alpha(alpha: Pixels) -> FoundMask:
    mask = np.where(alpha >= ALPHA_FROM, np.uint8(255), np.uint8(0))
    if not mask.any():
        raise MaskNotFoundError("The photo is transparent everywhere; upload one that shows the product.")
    return FoundMask(mask, 1.0, "alpha")


def _on_plain_ground(lab: Levels) -> tuple[Levels, float] | None:
    """Share of product (h, w) and confidence, or None where the border is no plain ground."""
    unit = max(lab.shape[:2]) / WORK_PX
    gradient = _gradient(lab)
    sharp = _disk(max(3, round(SHARP_PX * unit)))
    ridge = np.asarray(cv2.morphologyEx(gradient, cv2.MORPH_TOPHAT, sharp), np.float32)
    least = max(EDGE_LAB, NOISE_TIMES * float(np.median(_border(gradient))))
    first = _longest_on_border(~_sealed(ridge >= least, SEAL_PX[0] * unit))
    if float(_border(first).mean()) < PLAIN_SHARE:
        return None
    ground = _ground(lab, first)
    if _plain(ground) < PLAIN_SHARE:
        return None
    ringing = _ringing(ridge, ground)
    edges = (ridge >= least) & ~ringing
    around = _reached(edges, ground, unit)
    if around.all():
        raise _not_found()
    share = _refined(lab, ~around, unit)
    # An outline that holds only at one threshold is none: weak edges leak, noise closes where nothing is.
    stable = _overlap(~around, ~_reached((ridge >= STRICTER * least) & ~ringing, ground, unit))
    return share, _confidence(share, ground, edges) * (0.5 + stable / 2)


def _reached(edges: Where, ground: _Ground, unit: float) -> Where:
    """The ground that the border reaches without crossing an edge, and the pockets and holes that show it too."""
    free = ~_sealed(edges, SEAL_PX[0] * unit)
    around = free & (_longest_on_border(free) | _like_ground_on_border(free, ground))
    for seal in SEAL_PX[1:]:
        around = around | _pockets(~_sealed(edges, seal * unit) & ~around, ground, unit)
    return around


def _overlap(one: Where, other: Where) -> float:
    return float((one & other).sum() / max(1, int((one | other).sum())))


def _gradient(lab: Levels) -> Levels:
    smooth = cv2.GaussianBlur(lab, (0, 0), 1)
    squares = [cv2.Sobel(plane, cv2.CV_32F, *way) ** 2 for plane in cv2.split(smooth) for way in ((1, 0), (0, 1))]
    return np.asarray(np.sqrt(sum(squares)) / 8, np.float32)


def _plain(ground: _Ground) -> float:
    """Share of the ground that its model explains to four levels of CIELAB."""
    near = (np.abs(ground.off_light) < 4) & (ground.off_hue < 4)
    return float(near[ground.where].mean())


def _ringing(ridge: Levels, ground: _Ground) -> Where:
    side = 2 * RINGING_PX + 1
    strong = cv2.dilate(ridge, np.ones((side, side), np.uint8))
    return (ridge < RINGING * strong) & (np.abs(ground.off_light) < RINGING_LAB)


def _border(plane: NDArray[T]) -> NDArray[T]:
    return np.concatenate([plane[0], plane[-1], plane[:, 0], plane[:, -1]])


def _disk(radius: int) -> Pixels:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)), np.uint8)


def _distance(to: Where) -> Levels:
    if not to.any():
        return np.full(to.shape, np.inf, np.float32)
    return np.asarray(cv2.distanceTransform((~to).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5), np.float32)


def _sealed(edges: Where, radius: float) -> Where:
    """Morphological closing by a disk; beyond the photo's border there are no edges and no ground."""
    pad = int(radius) + 2
    near = _distance(np.pad(edges, pad)) <= radius
    return np.asarray(_distance(~near) > radius, np.bool_)[pad:-pad, pad:-pad] | edges


def _longest_on_border(free: Where) -> Where:
    """The one part of `free` with the longest share of the photo's border: a product that touches it has less."""
    _, labels = cv2.connectedComponents(free.astype(np.uint8), connectivity=4)
    lengths = np.bincount(_border(labels), minlength=2)
    lengths[0] = 0
    return np.asarray((labels == int(np.argmax(lengths))) & free, np.bool_)


def _like_ground_on_border(free: Where, ground: _Ground) -> Where:
    """Parts of `free` on the photo's border that show the ground, where a product divides it."""
    count, labels = cv2.connectedComponents(free.astype(np.uint8), connectivity=4)
    found = np.zeros(count, np.bool_)
    on_border = _border(labels)
    light, hue = np.abs(_border(ground.off_light)), _border(ground.off_hue)
    for label in np.unique(on_border[on_border > 0]):
        part = on_border == label
        found[label] = np.median(light[part]) < 4 and np.median(hue[part]) < 4
    return np.asarray(found[labels], np.bool_)


def _ground(lab: Levels, around: Where) -> _Ground:
    """Fit a quadratic surface per channel to the ground, again and again without what is far from the last fit."""
    height, width = around.shape
    rows, columns = np.nonzero(around)
    step = max(1, rows.size // 20_000)
    rows, columns = rows[::step], columns[::step]
    x, y = columns / max(1, width - 1), rows / max(1, height - 1)
    basis = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    values = lab[rows, columns]
    keep = np.ones(rows.size, np.bool_)
    for _ in range(4):
        surface = np.linalg.lstsq(basis[keep], values[keep], rcond=None)[0]
        off = np.linalg.norm(values - basis @ surface, axis=1)
        keep = off <= 4 * (float(np.median(off[keep])) + 0.2)
    x = np.linspace(0, 1, width)[None, :, None]
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    constant, by_x, by_y, by_xx, by_xy, by_yy = surface
    flat_part, slope = constant + by_x * x + by_xx * x * x, by_y + by_xy * x
    model = flat_part.astype(np.float32) + slope.astype(np.float32) * y + (by_yy * y * y).astype(np.float32)
    off = cv2.split(lab - model.astype(np.float32))
    return _Ground(around, np.asarray(off[0], np.float32), np.asarray(cv2.magnitude(off[1], off[2]), np.float32))


def _pockets(free: Where, ground: _Ground, unit: float) -> Where:
    """Those parts of `free`, enclosed or behind a narrow gap, that show the ground: a handle's hole, not a logo."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(free.astype(np.uint8), connectivity=4)
    found = np.zeros(free.shape, np.bool_)
    for label in range(1, count):
        left, top, width, height, area = (int(value) for value in stats[label])
        if area < 100 * unit * unit:
            continue
        view = (slice(top, top + height), slice(left, left + width))
        part = labels[view] == label
        light = np.percentile(np.abs(ground.off_light[view][part]), 95)
        hue = np.percentile(ground.off_hue[view][part], 95)
        if light <= GROUND_LAB and hue <= 2 * GROUND_LAB:
            found[view] |= part
    return found


def _refined(lab: Levels, outline: Where, unit: float) -> Levels:
    """Share of product float32 (h, w) 0..1: in a band along the outline, how far a pixel is from ground to product."""
    band_px = max(2.0, EDGE_BAND_PX * unit)
    depth = _distance(~np.pad(outline, 1, mode="edge"))[1:-1, 1:-1]
    core = depth > band_px
    # A strap is thinner than that: its middle stands for it.
    core |= outline & (_distance(core) > band_px + 2) & (depth > band_px / 2)
    band = outline & ~core
    share = core.astype(np.float32)
    if not core.any() or outline.all() or not band.any():
        return outline.astype(np.float32)
    soft = np.asarray(cv2.GaussianBlur(lab, (0, 0), 0.6), np.float32)
    product = _nearest(soft, core, band, 3)
    ground = _nearest(soft, _distance(outline) >= 2, band, 5)
    span = product - ground
    length = (span * span).sum(axis=1)
    read = np.clip(((soft[band] - ground) * span).sum(axis=1) / np.maximum(length, 1e-3), 0, 1)
    sure = length / (length + 4)  # two levels of CIELAB between product and ground are half a reading
    share[band] = sure * read + (1 - sure) * np.clip((depth[band] - 1) / 2, 0, 1)
    return _without_specks(np.asarray(cv2.blur(share, (3, 3)), np.float32), core)


def _without_specks(share: Levels, core: Where) -> Levels:
    _, labels = cv2.connectedComponents((share >= 0.5).astype(np.uint8), connectivity=4)
    holds = np.zeros(int(labels.max()) + 1, np.bool_)
    holds[np.unique(labels[core])] = True
    return np.where(holds[labels], share, np.minimum(share, 0)).astype(np.float32)


def _nearest(lab: Levels, known: Where, wanted: Where, window: int) -> Levels:
    if not known.any():
        return np.zeros((int(wanted.sum()), 3), np.float32)
    size = (window, window)
    weight = known.astype(np.float32)
    share = cv2.boxFilter(weight, -1, size)
    total = cv2.boxFilter(lab * weight[..., None], -1, size)
    _, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    at = np.flatnonzero(known)
    where = np.zeros(at.size + 1, np.intp)
    where[labels.ravel()[at]] = at
    source = where[labels[wanted]]
    return np.asarray(total.reshape(-1, 3)[source] / share.ravel()[source, None], np.float32)


def _confidence(share: Levels, ground: _Ground, edges: Where) -> float:
    mask = share >= 0.5
    area = float(mask.mean())
    outline = mask & (cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1) == 0)
    if not outline.any():
        return 0.1
    supported = float((_distance(edges)[outline] <= 3).mean())
    border = float(_border(ground.where).mean())
    size = min(1.0, area / 0.01) * min(1.0, (1 - area) / 0.1)
    return float(np.clip(supported, 0, 1) * np.clip(border / 0.7, 0, 1) * (0.5 + _plain(ground) / 2) * size)


def _on_busy_ground(rgb: Pixels) -> tuple[Levels, float]:
    """GrabCut from what the border shows, at a small size. How clear the guess looks says little, so neither do we."""
    height, width = rgb.shape[:2]
    factor = min(1.0, BUSY_PX / max(height, width))
    small = cv2.resize(
        rgb, (max(1, round(width * factor)), max(1, round(height * factor))), interpolation=cv2.INTER_AREA
    )
    inset = max(1, round(0.04 * min(small.shape[:2])))
    marks = np.full(small.shape[:2], cv2.GC_BGD, np.uint8)
    marks[inset:-inset, inset:-inset] = cv2.GC_PR_FGD
    if not (marks == cv2.GC_PR_FGD).any() or float(small.std(axis=(0, 1)).max()) < 1:
        raise _not_found()
    cv2.setRNGSeed(0)
    whole = (0, 0, small.shape[1], small.shape[0])  # not looked at with a mask
    cv2.grabCut(small, marks, whole, np.zeros((1, 65)), np.zeros((1, 65)), 5, cv2.GC_INIT_WITH_MASK)
    mask = _without_crumbs((marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD))
    share = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(share, np.float32), BUSY_CONFIDENCE


def _without_crumbs(mask: Where) -> Where:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    areas = stats[:, cv2.CC_STAT_AREA]
    areas[0] = 0
    return np.asarray((areas >= max(1, 0.02 * areas.max()))[labels] & mask, np.bool_)
