"""How much memory a batch takes, by family and batch size, each measured in a process of its own.

    python bench/memory.py [--batch-sizes 1 2 4 8] [--side 512] [--checkpoint FOLDER]
    python bench/memory.py --device cuda --size full

On a CPU the most that was resident, on a GPU the most that torch had allotted there. Tiny checkpoints show what an
image more costs in pixels, latents and overhead; what it costs a real one shows with `--checkpoint`, or with random
weights of full size (SDXL 7 GB, FLUX.1 34 GB on disk). The last line has the figures.
"""

import argparse
import multiprocessing
import resource
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

STEPS = 2
MB = 1e6


def main() -> int:
    options = parse()
    lines = []
    with tempfile.TemporaryDirectory(prefix="bench") as scratch:
        for family, folder in checkpoints(Path(scratch), options).items():
            before, peaks = 0.0, []
            for batch_size in options.batch_sizes:
                before, peak = in_a_process(folder, batch_size, options)
                peaks.append(f"{peak:.0f}")
                print(
                    f"{family:6} batch of {batch_size}: {peak:8.0f} MB, {before:.0f} before the checkpoint", flush=True
                )
            lines.append(f"{family} {'/'.join(peaks)}")
    sizes = "/".join(str(size) for size in options.batch_sizes)
    what = "resident" if options.device == "cpu" else "on the device"
    print(f"MB {what} at most, batches of {sizes}, {options.side} px: {' · '.join(lines)} · {options.device}")
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--side", type=int, default=512, help="of the square, in pixels")
    parser.add_argument("--checkpoint", type=Path, help="a folder in diffusers' format instead of made ones")
    parser.add_argument("--size", choices=("tiny", "full"), default="tiny", help="of the made checkpoints")
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


def checkpoints(scratch: Path, options: argparse.Namespace) -> Mapping[str, Path]:
    """Family → folder, each written by a process of its own, so that none of its memory counts."""
    if options.checkpoint:
        return {options.checkpoint.name: options.checkpoint}
    families = ("sd", "sdxl", "flux") if options.size == "tiny" else ("sdxl", "flux")
    for family in families:
        writer = multiprocessing.get_context("spawn").Process(target=write, args=(scratch / family, options.size))
        writer.start()
        writer.join()
        assert writer.exitcode == 0, f"{family} was not written"
    return {family: scratch / family for family in families}


def write(folder: Path, size: str) -> None:
    if size == "full":
        import weights

        {"sdxl": weights.write_sdxl, "flux": weights.write_flux}[folder.name](folder)
        return
    from inference.engine.bench.determinism import BUILD

    BUILD[folder.name](folder)


def in_a_process(folder: Path, batch_size: int, options: argparse.Namespace) -> tuple[float, float]:
    """Memory before and at most, in MB."""
    with process(folder, batch_size, options) as here:
        before, peak = here.recv()
    return before, peak


@contextmanager
def process(folder: Path, batch_size: int, options: argparse.Namespace) -> "Iterator[Connection]":
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe(duplex=False)
    painter = spawn.Process(target=paint, args=(folder, batch_size, options.side, options.device, there))
    painter.start()
    there.close()
    try:
        yield here
    finally:
        painter.join()


def paint(folder: Path, batch_size: int, side: int, device: str, to: "Connection") -> None:
    """Paint a full batch once; tells the memory before the checkpoint and at most, in MB."""
    # The engine first: it sets what torch reads when it is loaded.
    from inference.engine.engine import Engine

    # isort: split
    import torch

    from inference.catalog.sources import read_source
    from inference.engine.batching import BatchKey
    from inference.engine.interface import EngineInput

    engine = Engine(device=device)
    before = _peak_mb(torch.cuda.max_memory_allocated if device != "cpu" else None)
    source = read_source(folder, slug=folder.name)
    key = BatchKey(
        checkpoint=source.slug,
        task="text2img",
        width=side,
        height=side,
        num_inference_steps=STEPS,
        guidance_scale=5.0,
        strength=1.0,
        scheduler="Euler",
    )
    pictures = engine.run(
        key,
        [EngineInput(prompt=f"on marble {seed}", negative_prompt="", seed=seed) for seed in range(batch_size)],
        source=source,
        batch_size=batch_size,
        on_progress=lambda _: None,
        should_stop=lambda: False,
    )
    assert len(list(pictures)) == batch_size
    to.send((before, _peak_mb(torch.cuda.max_memory_allocated if device != "cpu" else None)))
    to.close()


def _peak_mb(of_device: "Callable[[], int] | None") -> float:
    if of_device is not None:
        return of_device() / MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MB


if __name__ == "__main__":
    sys.exit(main())
