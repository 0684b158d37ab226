"""What a big launch takes: from the call to its commit, and from there to the first batch in a worker's hands.

    python bench/launch.py [--database sqlite|postgres] [--cells 10000] [--launches 5] [--profile FILE]

Each launch is a planned campaign of so many cells over fifty products with photos; a real Celery worker with the
fixed-rate engine waits for it, idle. The last line has the medians; exit code 0 only if they are within 2 s and 0.5 s
(PostgreSQL's figures are the promise; SQLite's are told beside them).
"""

import argparse
import contextlib
import cProfile
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import ground

LAUNCH_S, FIRST_BATCH_S = 2.0, 0.5
PRODUCTS, SURFACES = 50, 10
IDLE_S = 1.0  # longer than the worker's look at the broker
PATIENCE_S = 60.0
LOOK_EVERY_S = 0.005
BRIEF = """\
version = 1
[campaign]
name = "Autumn shelf"
checkpoint = "starter"
[products]
csv = "products.csv"
[prompt]
template = "on {surface}, {light}"
negative = "text, watermark"
[axes]
surface = ["marble"]
light = ["soft light"]
[[channels]]
name = "square"
width = 320
height = 320
placement = { scale = 0.6, anchor = "center" }
"""


def main() -> int:
    options = parse()
    with ground.ground(options.database) as folder:
        from studio import web_server

        worker = start_worker(folder)
        try:
            web_server.collect_rarely()
            warm_up()
            taken = [
                one_launch(f"bench-{number}", cells=options.cells, profile=options.profile)
                for number in range(options.launches)
            ]
        finally:
            worker.kill()
            worker.wait()
    for launch_s, first_s in taken:
        print(f"launched in {launch_s:.2f} s, first batch after another {first_s:.2f} s")
    launch_s, first_s = (statistics.median(each) for each in zip(*taken, strict=True))
    is_reached = launch_s <= LAUNCH_S and first_s <= FIRST_BATCH_S
    print(
        f"cells {options.cells} · launch {launch_s:.2f} s · first batch {first_s:.2f} s after · "
        f"medians of {options.launches} · {options.database} · {'reached' if is_reached else 'NOT reached'}"
    )
    return 0 if is_reached else 1


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="postgres")
    parser.add_argument("--cells", type=int, default=10_000, help=f"a multiple of {PRODUCTS * SURFACES}")
    parser.add_argument("--launches", type=int, default=5)
    parser.add_argument("--profile", type=Path, help="write cProfile's figures of the last launch here")
    return parser.parse_args()


def start_worker(folder: Path) -> "subprocess.Popen[bytes]":
    """The gpu worker as the supervisor starts it."""
    from studio.supervisor import WORKERS

    (role,) = (role for role in WORKERS if role.name == "gpu")
    with (folder / "gpu.log").open("wb") as log:
        return subprocess.Popen([sys.executable, *role.arguments], cwd=ground.ROOT, stdout=log, stderr=log)


def warm_up() -> None:
    """One small launch: the worker has started, and both sides have imported everything."""
    one_launch("warm-up", cells=PRODUCTS * SURFACES)


def one_launch(name: str, *, cells: int, profile: Path | None = None) -> tuple[float, float]:
    """Seconds of a launch, and from there to its first batch."""
    from billing import clock
    from campaigns import launch
    from inference import operations

    campaign_id = plan(name, cells=cells)
    with cProfile.Profile() if profile else contextlib.nullcontext() as profiled:
        started = time.monotonic()
        asked = launch.launch(campaign_id=campaign_id, now=clock.now())
        launched_s = time.monotonic() - started
    assert asked == cells
    while not operations.running_batches():
        assert time.monotonic() < started + PATIENCE_S, "no worker began"
        time.sleep(LOOK_EVERY_S)
    first_s = time.monotonic() - started - launched_s
    launch.pause(campaign_id=campaign_id)
    while operations.running_batches():
        time.sleep(LOOK_EVERY_S)
    time.sleep(IDLE_S)
    if profile and profiled:
        profiled.dump_stats(profile)
    return launched_s, first_s


def plan(name: str, *, cells: int) -> int:
    """A campaign of so many cells in a workspace of its own, planned; its id."""
    from billing import clock
    from campaigns import brief as briefs
    from campaigns import planning
    from campaigns import products as shelf
    from campaigns.brief import Axis
    from campaigns.brief_products import KnownProducts
    from campaigns.cells import expand
    from tests.campaigns.shelf import stock

    now = clock.now()
    workspace_id = ground.make_workspace(name, credits=cells + 20, now=now)
    products = stock(workspace_id, *(f"SKU-{number:03}" for number in range(PRODUCTS)))
    scenes = {"surface": SURFACES, "light": cells // PRODUCTS // SURFACES}
    known = shelf.catalogue(workspace_id=workspace_id)
    axes = tuple(Axis(axis, tuple(f"{axis} {number}" for number in range(values))) for axis, values in scenes.items())
    read = briefs.checked(briefs.read(BRIEF, file="brief.toml", source=KnownProducts(known)))
    # A brief of a person's is refused above 2,000 images; what one launch asks for is not limited.
    brief = replace(read, axes=axes)
    campaign = planning.plan(
        workspace_id=workspace_id,
        brief=brief,
        cells=expand(brief),
        photos={sku: product.photo for sku, product in products.items() if product.photo},
        campaign_digest=name,
        now=now,
    )
    return campaign.pk


if __name__ == "__main__":
    sys.exit(main())
