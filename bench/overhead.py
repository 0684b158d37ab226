"""What the platform costs beside its engine: images a second through everything, over those of a bare loop.

    python bench/overhead.py [--images 480] [--rate 4] [--side 512] [--database sqlite|postgres] [--profile DIR]

Both sides run two processes over the same fixed-rate engine, together so many images a second, in turn in one run: once
a bare loop that throws its pictures away, once real Celery workers that claim, place the product, lock and certify,
store, make renditions and settle. The last line has the figures; exit code 0 only if the ratio is 0.95 and more.
"""

import argparse
import cProfile
import sys
import time
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import ground

if TYPE_CHECKING:
    from inference.queue import QueuedRequest
    from inference.references import ProductReference

PROCESSES = 2
COLORS = ("#8a2222", "#228a22", "#22228a", "#8a8a22")
WANTED = 0.95
READY_S = 3.0  # until both workers wait for work
PATIENCE_S = 300.0
WORKER = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING", "--pool", "solo")


def main() -> int:
    options = parse()
    with ground.ground(options.database):
        requests = asked(options)
        bare = max(
            ground.together([partial(bare_loop, requests[place::PROCESSES], options) for place in range(PROCESSES)])
        )
        through = platform(requests, options)
        audit = ground.broken_invariants()
    bare_rate, rate = options.images / bare, options.images / through
    ratio = rate / bare_rate
    is_reached = ratio >= WANTED and not audit
    print(
        f"images {options.images} of {options.side} px · bare loop {bare_rate:.2f} images/s · through everything "
        f"{rate:.2f} images/s · ratio {ratio:.3f} · broken invariants {sum(audit.values())} · {PROCESSES} processes at "
        f"{options.rate:g} images/s together · {options.database} · {'reached' if is_reached else 'NOT reached'}"
    )
    return 0 if is_reached else 1


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=480, help="a multiple of 8")
    parser.add_argument("--rate", type=float, default=4.0, help="images a second of both processes together")
    parser.add_argument("--side", type=int, default=512, help="of the delivered square, in pixels")
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="postgres")
    parser.add_argument("--profile", type=Path, help="write cProfile's figures of each worker into this folder")
    return parser.parse_args()


def asked(options: argparse.Namespace) -> "list[QueuedRequest]":
    """The images under one BatchKey, product by product as a campaign asks for them."""
    from billing import clock
    from inference import catalog
    from inference.engine.batching import batch_key
    from inference.queue import QueuedRequest
    from inference.requests import image_request

    workspace_id = ground.make_workspace("bench", credits=options.images + 20, now=clock.now())
    entry = catalog.entry("starter")
    products = [reference(workspace_id, color) for color in COLORS]
    requests = [
        image_request(
            entry,
            prompt=f"on marble, {seed}",
            seed=seed,
            width=options.side,
            height=options.side,
            product=products[seed * len(COLORS) // options.images],
        )
        for seed in range(options.images)
    ]
    return [QueuedRequest(request=each, batch_key=batch_key(each, entry.sizes).digest()) for each in requests]


def reference(workspace_id: int, color: str) -> "ProductReference":
    """A product in the middle of a photo, with its mask, stored as intake stores them."""
    import io

    from PIL import Image, ImageDraw

    from gallery import storage
    from inference.references import Placement, ProductReference

    keys = []
    for mode, behind, product in (("RGB", "#dddddd", color), ("L", "black", "white")):
        picture = Image.new(mode, (800, 600), behind)
        ImageDraw.Draw(picture).ellipse((250, 100, 550, 500), product)
        stream = io.BytesIO()
        picture.save(stream, "PNG")
        keys.append(storage.put(workspace_id, stream.getvalue(), suffix=".png"))
    return ProductReference(photo=keys[0], lock_mask=keys[1], placement=Placement(scale=0.6, anchor="center"))


def bare_loop(requests: "list[QueuedRequest]", options: argparse.Namespace) -> float:
    """Seconds that the engine alone takes for its share."""
    import numpy as np
    from django.conf import settings

    from inference import catalog
    from inference.catalog.sources import resolve
    from inference.engine.batching import batch_key
    from inference.engine.fixed_rate import FixedRateEngine
    from inference.engine.interface import EngineInput

    entry = catalog.entry("starter")
    engine = FixedRateEngine(images_per_s=options.rate / PROCESSES)
    size = entry.batch_size(engine.device_class)
    source = resolve(entry, overrides={}, data_dir=settings.STUDIO_DATA)
    key = batch_key(requests[0].request, source.sizes)
    image = np.full((key.height, key.width, 3), 128, np.uint8)
    mask = np.full((key.height, key.width), 255, np.uint8)
    started = time.monotonic()
    for first in range(0, len(requests), size):
        inputs = [
            EngineInput(
                prompt=each.request.prompt, negative_prompt="", seed=each.request.seed, image=image, mask_image=mask
            )
            for each in requests[first : first + size]
        ]
        pictures = engine.run(
            key, inputs, source=source, batch_size=size, on_progress=lambda _: None, should_stop=lambda: False
        )
        assert len(list(pictures)) == len(inputs)
    return time.monotonic() - started


def platform(requests: "list[QueuedRequest]", options: argparse.Namespace) -> float:
    """Seconds from the first claim to the last settlement, two real workers having waited for the work."""
    from billing import clock
    from inference import catalog, queue
    from inference.models import Batch, Render
    from studio.models import Workspace

    workers = ground.start([partial(worker, place, options) for place in range(PROCESSES)])
    time.sleep(READY_S)
    queue.enqueue(
        workspace_id=Workspace.objects.get().pk,
        key="bench",
        requests=requests,
        entry=catalog.entry("starter"),
        now=clock.now(),
    )
    for _ in range(PROCESSES - 1):
        queue.nudge("gpu")
    ends_at = time.monotonic() + PATIENCE_S
    while Render.objects.exclude(status="succeeded").exists():
        assert time.monotonic() < ends_at, "it took too long"
        time.sleep(0.2)
    time.sleep(1)
    for process in workers:
        process.terminate()
    for process in workers:
        process.join()
    began = Batch.objects.order_by("created_at").values_list("created_at", flat=True)[0]
    ended = Render.objects.order_by("-finished_at").values_list("finished_at", flat=True)[0]
    assert ended is not None
    return (ended - began) / timedelta(seconds=1)


def worker(place: int, options: argparse.Namespace) -> None:
    """A gpu worker as it is, its engine at the bench's rate."""
    from inference import tasks
    from inference.engine.fixed_rate import FixedRateEngine
    from studio.celery import app

    tasks.make_engine = lambda: FixedRateEngine(images_per_s=options.rate / PROCESSES)
    profile = cProfile.Profile() if options.profile else None
    try:
        if profile:
            profile.enable()
        app.worker_main(["worker", "--queues", "gpu", "--hostname", f"gpu{place}@%h", *WORKER])
    finally:
        if profile:
            profile.disable()
            profile.dump_stats(options.profile / f"worker{place}.prof")


if __name__ == "__main__":
    sys.exit(main())
