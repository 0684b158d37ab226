"""What a local edit costs beside painting the whole frame at its own size, both in turn in one run.

    python bench/edits.py [--side 512] [--steps 12] [--rounds 3] [--checkpoint FOLDER]

The picture is a square of `side` pixels, a quarter of it painted over: the largest box that is painted by itself. One
side paints that box with its margin at the model's own size and pastes it back, as a worker does; the other paints all
of the frame at the frame's size. Without a checkpoint, the starter's runs, or its stand-in where that is not there.
The last line has the figures; exit code 0 only if the edit is three times cheaper and every pixel outside of the mask
is as it was.
"""

import argparse
import io
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from inference.catalog.sources import CheckpointSource
    from inference.engine.batching import BatchKey
    from inference.engine.interface import RenderEngine
    from inference.requests import ImageRequest

WANTED = 3.0


def main() -> int:
    options = parse()
    set_up()
    from inference.engine.batching import batch_key
    from inference.engine.engine import Engine

    source = checkpoint(options.checkpoint)
    request, pixels, painted = edit(options.side, options.steps)
    assert request.product is not None
    key = batch_key(request, source.sizes)
    whole = replace(request, product=replace(request.product, frame=None))
    full_key = replace(key, width=options.side, height=options.side)
    engine = Engine(device="cpu")
    times: dict[str, list[float]] = {"edit": [], "whole": []}
    for _ in range(options.rounds + 1):
        seconds, image = timed(lambda: made(engine, source, request, key))
        times["edit"].append(seconds)
        times["whole"].append(timed(lambda: made(engine, source, whole, full_key))[0])
    edit_s, whole_s = (min(each[1:]) for each in times.values())  # the first round loads
    outside = int(np.abs(image.astype(int) - pixels)[~painted].max())
    is_reached = whole_s / edit_s >= WANTED and outside == 0
    print(
        f"edit of a quarter of {options.side} x {options.side}: {edit_s:.2f} s at {key.width} x {key.height}; whole "
        f"frame at its own size: {whole_s:.2f} s; ratio {whole_s / edit_s:.1f}; largest difference outside of the mask "
        f"{outside} · {options.steps} steps · {'reached' if is_reached else 'NOT reached'}"
    )
    return 0 if is_reached else 1


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=512, help="of the edited square, in pixels")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--checkpoint", type=Path, help="a folder in diffusers' format")
    return parser.parse_args()


def set_up() -> None:
    """Django over an empty folder of its own."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    os.environ["DJANGO_SETTINGS_MODULE"] = "studio.settings"
    os.environ["STUDIO_DATA"] = tempfile.mkdtemp(prefix="edits-")
    import django

    django.setup()


def checkpoint(folder: Path | None) -> "CheckpointSource":
    from inference import catalog
    from inference.catalog.sources import read_source, resolve

    if folder is not None:
        return read_source(folder, slug="starter")
    return resolve(catalog.entry("starter"), overrides={}, data_dir=Path(os.environ["STUDIO_DATA"]))


def edit(side: int, steps: int) -> "tuple[ImageRequest, np.ndarray, np.ndarray]":
    """The request, the picture's pixels, and where they are painted over."""
    from inference import catalog, edits
    from inference.references import ProductReference
    from inference.requests import image_request

    noise = np.random.default_rng(1).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC))
    box = (side // 4, side // 4, side // 4 + side // 2, side // 4 + side // 2)
    painted = np.zeros((side, side), bool)
    painted[box[1] : box[3], box[0] : box[2]] = True
    product = ProductReference(
        photo=kept(pixels),
        lock_mask=kept(np.where(painted, np.uint8(0), np.uint8(255))),
        frame=edits.frame_around(box, width=side, height=side),
    )
    entry = catalog.entry("starter")
    request = image_request(
        entry, prompt="a red ball", seed=1, width=side, height=side, product=product, num_inference_steps=steps
    )
    return request, pixels, painted


def kept(pixels: np.ndarray) -> str:
    from gallery import storage

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return storage.put(1, stream.getvalue(), suffix=".png")


def made(engine: "RenderEngine", source: "CheckpointSource", request: "ImageRequest", key: "BatchKey") -> np.ndarray:
    from inference import finishing

    prepared = finishing.prepare(request, key)
    [(_, picture)] = engine.run(
        key,
        [finishing.engine_input(prepared, seed=request.seed)],
        source=source,
        batch_size=1,
        on_progress=lambda _: None,
        should_stop=lambda: False,
    )
    return np.asarray(Image.open(io.BytesIO(finishing.finish(prepared, picture).data)))


def timed(work: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    started = time.monotonic()
    image = work()
    return time.monotonic() - started, image


if __name__ == "__main__":
    sys.exit(main())
