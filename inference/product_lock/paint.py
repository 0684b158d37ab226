"""What a checkpoint gets to paint around a placed product, and the finished canvas from what it painted.
Knows placed products and model sizes; knows nothing of prompts, checkpoints and stored files.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from inference.product_lock.color import from_srgb, is_srgb, to_srgb
from inference.product_lock.pixels import Gray, Levels, Lock, Rgb, distance_to, spread
from inference.product_lock.place import PlacedProduct
from inference.product_lock.reference import LOCK_FROM, LockError

CELL_PX = 8  # one latent cell of the SD and SDXL VAEs
EDGE_CELLS = 3  # around the product this many cells show extended edge colors, twice as many until all is background


@dataclass(frozen=True, eq=False)
class PaintFrame:
    """Inpainting input at the model's own size, (width, height) in pixels.

    image uint8 (h, w, 3) sRGB; mask_image uint8 (h, w), 255 is repainted; crop is the box (left, top, right, bottom)
    of the canvas in it, what lies around the crop only makes up the aspect.
    """

    image: Rgb
    mask_image: Gray
    crop: tuple[int, int, int, int]
    size: tuple[int, int]


def paint_frame(placed: PlacedProduct, *, size: tuple[int, int], cell_px: int = CELL_PX) -> PaintFrame:
    """Bring a placed product to the model's size (width, height), never stretched: the rest is made up by reflection.

    Outside the lock the product's edge colors are extended, so that no old background reaches the VAE's cells at the
    rim; further away a kept photo shows its own background without the product. A latent cell (cell_px square) stays
    only when the product fills it; partial cells are repainted.
    """
    width, height = size
    crop = inner_crop((placed.lock.shape[1], placed.lock.shape[0]), size)
    left, top, right, bottom = crop
    inner = (right - left, bottom - top)
    rgb, lock = _shrunk(placed, placed.lock, inner)
    pads = (top, height - bottom, left, width - right)
    rgb, lock = _reflected(rgb, pads), _reflected_near(lock, pads, cell_px)
    edge = lock & (distance_to(~lock) <= 2)
    image = spread(rgb, edge)
    if placed.has_background:
        image = _with_background(image, _background(placed, inner, pads), distance_to(lock), cell_px)
    image = np.where(lock[..., None], rgb, image)
    return PaintFrame(
        image=_as_srgb(np.clip(np.rint(image), 0, 255).astype(np.uint8), placed.icc_profile),
        mask_image=np.where(_whole_cells(lock, cell_px), np.uint8(0), np.uint8(255)),
        crop=crop,
        size=size,
    )


def finish(placed: PlacedProduct, frame: PaintFrame, painted: Rgb) -> Rgb:
    """Return the canvas uint8 (H, W, 3): the painted picture uint8 (h, w, 3) sRGB around the untouched product.

    The padding is cropped away and the rest brought to the canvas's size (Lanczos, converted into the kept photo's
    profile before); the rim fades the product's edge colors into it; inside the lock the placed pixels are copied.
    Raises LockError when the painted picture is not of the frame's size.
    """
    width, height = frame.size
    if painted.shape != (height, width, 3) or painted.dtype != np.uint8:
        raise LockError(
            f"The painted picture is {painted.dtype} {painted.shape}, not uint8 {(height, width, 3)};"
            " paint it at the frame's size."
        )
    if placed.icc_profile is not None and not is_srgb(placed.icc_profile):
        painted = from_srgb(painted, placed.icc_profile)
    target = (placed.lock.shape[1], placed.lock.shape[0])
    scene = Image.fromarray(painted).resize(target, Image.Resampling.LANCZOS, box=frame.crop)
    return lock_in(placed, np.asarray(scene))


def lock_in(placed: PlacedProduct, scene: Rgb) -> Rgb:
    """A scene uint8 (H, W, 3) of the canvas's size and colors with the untouched product in it, its rim faded in."""
    canvas = scene.copy()
    rim = placed.rim
    weight = rim.weight[:, None]
    canvas[rim.where] = np.rint(weight * rim.color + (1 - weight) * canvas[rim.where]).astype(np.uint8)
    np.copyto(canvas, placed.rgb, where=placed.lock[..., None])
    return canvas


def inner_crop(canvas: tuple[int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The box (left, top, right, bottom) of a canvas in the middle of the model's size, as large as fits without
    stretching; both (width, height) in pixels."""
    factor = min(size[0] / canvas[0], size[1] / canvas[1])
    inner_width, inner_height = max(1, round(canvas[0] * factor)), max(1, round(canvas[1] * factor))
    left, top = (size[0] - inner_width) // 2, (size[1] - inner_height) // 2
    return left, top, left + inner_width, top + inner_height


def _shrunk(placed: PlacedProduct, shown: Lock, size: tuple[int, int]) -> tuple[Levels, Lock]:
    """The canvas's shown pixels alone at `size` (width, height): colors float32 (h, w, 3) and where they are known."""
    alpha = np.where(shown, np.uint8(255), np.uint8(0))
    cutout = Image.fromarray(np.dstack([placed.rgb, alpha]), "RGBA").resize(size, Image.Resampling.BOX)
    pixels = np.asarray(cutout)
    return pixels[..., :3].astype(np.float32), pixels[..., 3] >= LOCK_FROM


def _background(placed: PlacedProduct, size: tuple[int, int], pads: tuple[int, int, int, int]) -> Levels:
    """The kept photo's own scene, float32 (h, w, 3), with what surrounds the product spread over its place."""
    rgb, known = _shrunk(placed, distance_to(placed.lock) > 4, size)
    return _reflected(spread(rgb, known), pads)


def _with_background(image: Levels, background: Levels, away: Levels, cell_px: int) -> Levels:
    near = EDGE_CELLS * cell_px
    share = np.clip((away - near) / near, 0, 1)[..., None]
    return (image * (1 - share) + background * share).astype(np.float32)


def _reflected(rgb: Levels, pads: tuple[int, int, int, int]) -> Levels:
    return cv2.copyMakeBorder(rgb, *pads, borderType=cv2.BORDER_REFLECT).astype(np.float32, copy=False)


def _reflected_near(lock: Lock, pads: tuple[int, int, int, int], cell_px: int) -> Lock:
    """The padded lock: a product at the canvas's edge goes on for two cells; further out its mirror image does not."""
    height, width = lock.shape
    padded = cv2.copyMakeBorder(lock.astype(np.uint8), *pads, borderType=cv2.BORDER_REFLECT) > 0
    near = np.zeros(padded.shape, np.bool_)
    top, left, reach = pads[0], pads[2], 2 * cell_px
    near[max(0, top - reach) : top + height + reach, max(0, left - reach) : left + width + reach] = True
    return padded & near


def _whole_cells(lock: Lock, cell_px: int) -> Lock:
    """Where the product stays for the model: cells it fills, or half fills when it is too thin to fill any."""
    height, width = lock.shape
    cells = lock[: height - height % cell_px, : width - width % cell_px]
    cells = cells.reshape(height // cell_px, cell_px, width // cell_px, cell_px)
    share = cells.mean(axis=(1, 3))
    stays = share >= 1
    if not stays.any():
        stays = share >= 0.5
    kept = np.zeros(lock.shape, np.bool_)
    kept[: height - height % cell_px, : width - width % cell_px] = stays.repeat(cell_px, 0).repeat(cell_px, 1)
    return kept


def _as_srgb(rgb: Rgb, icc_profile: bytes | None) -> Rgb:
    return rgb if icc_profile is None or is_srgb(icc_profile) else to_srgb(rgb, icc_profile)
