"""Render the demo campaign's product photos and their exact masks.

Needs `pip install mitsuba==3.9.1 pyoidn==2.5.1.0 pillow numpy` in an environment of its own, and for the type
`apt-get install fonts-ebgaramond fonts-league-spartan fonts-lobstertwo`. The renderer is fastest with LLVM 17 or newer
(`apt-get install libllvm19`, DRJIT_LIBLLVM_PATH naming the library); without LLVM it runs, slower.

    python campaigns/demo/make_photos.py [SKU ...] --samples 64

Knows nothing about the studio's app: it only writes photos/ and masks/ beside itself.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from campaigns.demo.packshot import labels, studio
from campaigns.demo.packshot.products import PRODUCTS
from campaigns.demo.packshot.scene import Product

HERE = Path(__file__).resolve().parent
EXPOSURE = 1.15
SHOULDER = 0.72  # linear value above which highlights are compressed instead of clipped


def developed(color: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    """8-bit sRGB (H, W, 3) of linear RGB: exact below SHOULDER, then an exponential roll-off to white."""
    light = np.maximum(color, 0) * EXPOSURE
    rolled = SHOULDER + (1 - SHOULDER) * (1 - np.exp(-(light - SHOULDER) / (1 - SHOULDER)))
    light = np.where(light > SHOULDER, rolled, light)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)
    pixels: npt.NDArray[np.uint8] = np.round(np.clip(encoded, 0, 1) * 255).astype(np.uint8)
    return pixels


def make(product: Product, folder: Path, *, samples: int, scale: float) -> Path:
    """Write photos/SKU.jpg (or .png for a cut-out) and, where the product has one, masks/SKU.png; returns the photo."""
    color, coverage = studio.photograph(product.build(), product.shot, samples=samples, scale=scale)
    alpha = np.round(coverage * 255).astype(np.uint8)
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    if product.shot.cutout:
        path = folder / "photos" / f"{product.sku}.png"
        straight = developed(color / np.maximum(coverage, 1 / 255)[..., None])
        straight[alpha == 0] = 0
        Image.fromarray(np.dstack([straight, alpha])).save(path, optimize=True)
        return path
    path = folder / "photos" / f"{product.sku}.jpg"
    Image.fromarray(developed(color)).save(path, quality=92, subsampling=0, optimize=True)
    if product.with_mask:
        (folder / "masks").mkdir(exist_ok=True)
        Image.fromarray(alpha).save(folder / "masks" / f"{product.sku}.png", optimize=True)
    return path


def main() -> None:
    """Render the named products, or all."""
    parser = argparse.ArgumentParser(description="Render the demo campaign's product photos and masks.")
    parser.add_argument("skus", nargs="*", metavar="SKU", choices=[[], *(p.sku for p in PRODUCTS)], help="default: all")
    parser.add_argument("--samples", type=int, default=64, help="light paths per pixel")
    parser.add_argument("--scale", type=float, default=1.0, help="size of a preview, 0.25 for 300 px")
    parser.add_argument("--folder", type=Path, default=HERE, help="where photos/ and masks/ go")
    parser.add_argument("--fonts", type=Path, help="another folder to look for fonts in")
    options = parser.parse_args()
    if options.fonts:
        labels.FONT_FOLDERS.insert(0, options.fonts)
    studio.choose_variant()
    for product in PRODUCTS:
        if not options.skus or product.sku in options.skus:
            start = time.monotonic()
            path = make(product, options.folder, samples=options.samples, scale=options.scale)
            print(f"{path.name}: {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
