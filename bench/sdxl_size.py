"""A checkpoint of Stable Diffusion XL's size, float16 on disk, loaded and run in a process of its own.

    python bench/sdxl_size.py [--side 512] [--steps 2] [--folder DIR]

Writes random weights (7 GB; once, where a folder is given), then loads and paints one image with them in another
process, in float32 as on every CPU. The last line has the figures; exit code 0 only if that process's resident memory
stayed below 20 GB. Needs 14 GB of free memory and several minutes.
"""

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

MOST_GB = 20.0


def main() -> int:
    options = parse()
    spawn = multiprocessing.get_context("spawn")
    with nullcontext(options.folder) if options.folder else tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "sdxl")
        if not folder.exists():
            writer = spawn.Process(target=write, args=(folder,))
            writer.start()
            writer.join()
            assert writer.exitcode == 0, "the weights were not written"
        here, there = spawn.Pipe(duplex=False)
        painter = spawn.Process(target=paint, args=(folder, options.side, options.steps, there))
        painter.start()
        there.close()
        try:
            load_s, paint_s, peak_gb = here.recv()
        except EOFError:
            print("the process ended without a picture: out of memory?", file=sys.stderr)
            return 1
        finally:
            painter.join()
    is_reached = peak_gb < MOST_GB
    print(
        f"SDXL size, float16 on disk, float32 in memory, {options.side} px, {options.steps} steps: loaded in "
        f"{load_s:.0f} s, painted in {paint_s:.0f} s, at most {peak_gb:.1f} GB resident (goal: below {MOST_GB:g}) · "
        f"{'reached' if is_reached else 'NOT reached'}"
    )
    return 0 if is_reached else 1


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=512, help="of the square, in pixels")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the weights stay for the next time")
    return parser.parse_args()


def write(folder: Path) -> None:
    import weights

    weights.write_sdxl(folder)


def paint(folder: Path, side: int, steps: int, to: "Connection") -> None:
    """Load and paint once; tells seconds of each and the most memory that was resident, in GB."""
    from inference.catalog.sources import read_source
    from inference.engine.batching import BatchKey
    from inference.engine.engine import Engine
    from inference.engine.interface import EngineInput, Progress

    loaded: list[float] = []

    def note(progress: Progress) -> None:
        if progress.phase == "load" and progress.step == progress.steps:
            loaded.append(time.monotonic())

    key = BatchKey(
        checkpoint="sdxl",
        task="text2img",
        width=side,
        height=side,
        num_inference_steps=steps,
        guidance_scale=5.0,
        strength=1.0,
        scheduler="Euler",
    )
    started = time.monotonic()
    [(_, picture)] = Engine(device="cpu").run(
        key,
        [EngineInput(prompt="a red cat", negative_prompt="", seed=0)],
        source=read_source(folder, slug="sdxl"),
        batch_size=1,
        on_progress=note,
        should_stop=lambda: False,
    )
    assert picture.shape == (side, side, 3)
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    to.send((loaded[0] - started, time.monotonic() - loaded[0], peak_gb))
    to.close()


if __name__ == "__main__":
    sys.exit(main())
