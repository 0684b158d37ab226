"""Which finished pictures are not worth a reviewer's look and are painted again with another seed.
Knows pixels and certificates; knows nothing of queues and attempts. A damaged product is a bug, never judged here.
"""

from __future__ import annotations

from inference.product_lock.measure import Certificate
from inference.product_lock.pixels import Rgb, distance_to
from inference.product_lock.place import PlacedProduct
from inference.product_lock.rim import RIM_PX

# Measured on 16 studio photos: their own plain grounds vary by 1.5 to 18 levels, a collapsed picture by less than 1.
BLANK_LEVELS = 1.0
# Measured on 18 photos over dark, sunset, wood, white and noise scenes: rims of finish() stay at 0 (over white noise
# below 4); three pixels of the old background left around the product give 20 to 180 wherever they show.
HALO_LEVELS = 12.0


def judge(master_rgb: Rgb, placed: PlacedProduct, certificate: Certificate) -> str | None:
    """Return why the master uint8 (H, W, 3) should be painted again, "blank" or "halo", or None when it is good.

    blank: outside lock and rim no channel varies by more than BLANK_LEVELS (standard deviation), as after a NaN or a
    collapsed latent. halo: the rim shines with the old background by more than HALO_LEVELS.
    """
    # Every third pixel tells flat from painted.
    scene = master_rgb[::3, ::3][distance_to(placed.lock)[::3, ::3] > RIM_PX + 1]
    if scene.size and float(scene.std(axis=0).max()) <= BLANK_LEVELS:
        return "blank"
    return "halo" if certificate.rim_contrast > HALO_LEVELS else None
