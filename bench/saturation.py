"""How much of a device's own matrix rate the engine uses, against plain diffusers, and how idle it is between batches.

    python bench/saturation.py --family sdxl|flux [--device cuda] [--batch-size 8] [--steps 30] [--side 1024]

Random normal weights of full size (7 or 34 GB on disk). In one run: the rate of large matrix products in the
denoiser's own type; the engine's batches, whose pictures are encoded and hashed in threads beside the next one; plain
diffusers in eager mode, one image a call. Operations are counted by torch in one call of the denoiser. The last line
has the figures; exit code 0 only if every goal is reached. `--size tiny --device cpu` runs the same on a machine
without a GPU, to see that it works: its figures mean nothing.
"""

# diffusers and torch leave some of their functions untyped.
# mypy: allow-untyped-calls

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

# The engine first: it sets what torch reads when it is loaded.
from inference.engine.engine import Engine

# isort: split
import torch
from diffusers import DiffusionPipeline
from torch.utils.flop_counter import FlopCounterMode

from inference.catalog.sources import CheckpointSource, read_source
from inference.engine.batching import BatchKey
from inference.engine.bench import determinism, egress
from inference.engine.checkpoint import FAMILIES
from inference.engine.interface import EngineInput

if TYPE_CHECKING:
    from inference.engine.interface import Pixels

# Share of the matrix rate, and times as fast as plain diffusers (the design's table of goals).
GOALS: Mapping[str, tuple[float, float]] = {"sdxl": (0.65, 3.0), "flux": (0.72, 2.4)}
MOST_IDLE = 0.02
MATRIX = 8192
RATE_S = 2.0
PART_CLASSES = ("UNet2DConditionModel", "FluxTransformer2DModel", "Encoder", "Decoder")
TEXT_CLASSES = ("CLIPTextModel", "CLIPTextModelWithProjection", "T5EncoderModel")


@dataclass
class Watch:
    """When the large parts of a pipeline began and ended on the device, the denoiser's calls also by themselves."""

    device: torch.device
    spans: list[tuple[Any, Any]] = field(default_factory=list)
    denoised: list[tuple[Any, Any]] = field(default_factory=list)

    def stamp(self) -> Any:
        """A moment on the device; on a CPU, now."""
        if self.device.type == "cpu":
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def seconds(self, begun: Any, ended: Any) -> float:
        """Between two moments, once the device has passed both."""
        if self.device.type == "cpu":
            return float(ended - begun)
        ended.synchronize()
        return float(begun.elapsed_time(ended)) / 1000

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Note every call of a part while it is entered."""
        begun: list[Any] = []

        def before(module: torch.nn.Module, _arguments: Any) -> None:
            if type(module).__name__ in PART_CLASSES + TEXT_CLASSES:
                begun.append(self.stamp())

        def after(module: torch.nn.Module, _arguments: Any, _result: Any) -> None:
            name = type(module).__name__
            if name in PART_CLASSES + TEXT_CLASSES:
                span = (begun.pop(), self.stamp())
                # A part within a part counts once.
                if not begun:
                    self.spans.append(span)
                if name in PART_CLASSES[:2]:
                    self.denoised.append(span)

        modules = torch.nn.modules.module
        hooks = [modules.register_module_forward_pre_hook(before), modules.register_module_forward_hook(after)]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


def main() -> int:
    options = parse()
    device = torch.device(options.device)
    family = FAMILIES[options.family]
    dtype = torch.float32 if device.type == "cpu" else family.gpu_dtype
    with tempfile.TemporaryDirectory(prefix="bench") as scratch:
        folder = options.folder or Path(scratch, options.family)
        if not folder.exists():
            write(folder, options)
        source = read_source(folder, slug=options.family)
        rate = matrix_rate(device, dtype, 512 if options.size == "tiny" else MATRIX)
        image_s, flops_s, idle = by_engine(source, options, device)
        plain_s = by_diffusers(source, options, device, dtype)
    return tell(options, share=flops_s / rate, times=plain_s / image_s, idle=idle, rate=rate)


def tell(options: argparse.Namespace, *, share: float, times: float, idle: float, rate: float) -> int:
    least_share, least_times = GOALS[options.family]
    is_reached = share >= least_share and times >= least_times and idle <= MOST_IDLE
    name = torch.cuda.get_device_name() if options.device != "cpu" else "CPU"
    print(
        f"{options.family} {options.size}, {options.side} px, {options.steps} steps, batches of {options.batch_size}, "
        f"{name}: matrix products {rate / 1e12:.1f} TFLOP/s · denoising {share:.1%} of it (≥ {least_share:.0%}) · "
        f"{times:.2f} × plain diffusers (≥ {least_times:g}) · idle {idle:.1%} (≤ {MOST_IDLE:.0%}) · "
        f"{'reached' if is_reached else 'NOT reached'}"
    )
    return 0 if is_reached else 1


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", choices=tuple(GOALS), required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", choices=("full", "tiny"), default="full")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--batches", type=int, default=4, help="timed one after another")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--side", type=int, default=1024, help="of the square, in pixels")
    parser.add_argument("--folder", type=Path, help="where the weights stay for the next time")
    options = parser.parse_args()
    if options.device != "cpu" and not torch.cuda.is_available():
        parser.error("there is no GPU here; --size tiny --device cpu shows that the script works")
    return options


def write(folder: Path, options: argparse.Namespace) -> None:
    if options.size == "tiny":
        determinism.BUILD[options.family](folder)
        return
    import weights

    {"sdxl": weights.write_sdxl, "flux": weights.write_flux}[options.family](folder)


def matrix_rate(device: torch.device, dtype: torch.dtype, size: int) -> float:
    """Operations a second of square matrix products, over two seconds and after as many that do not count."""
    one, other = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    watch = Watch(device)
    for _ in range(2):
        ends_at, count, begun = time.perf_counter() + RATE_S, 0, watch.stamp()
        while time.perf_counter() < ends_at:
            for _ in range(10):
                torch.mm(one, other)
            count += 10
            # Otherwise the loop only queues.
            last = watch.stamp()
            watch.seconds(begun, last)
    return count * 2 * size**3 / watch.seconds(begun, last)


def by_engine(
    source: CheckpointSource, options: argparse.Namespace, device: torch.device
) -> tuple[float, float, float]:
    """Seconds an image, operations a second while it denoises, and the share of the time without work on the device."""
    engine = Engine(device=options.device)
    # The first batch loads, chooses kernels and fills the caches of texts; one call of it is counted.
    with counting() as counter:
        paint(engine, source, options, 0, lambda _: None, steps=1)
    flops = counter.get_total_flops()
    paint(engine, source, options, 0, lambda _: None, steps=2)
    watch = Watch(device)
    with ThreadPoolExecutor(2) as pool, watch.watching():
        begun = watch.stamp()
        for number in range(options.batches):
            paint(engine, source, options, number, lambda picture: pool.submit(egress.quickly, picture))
        ended = watch.stamp()
        total = watch.seconds(begun, ended)
    busy = sum(watch.seconds(*span) for span in watch.spans)
    return (
        total / (options.batches * options.batch_size),
        flops / mean_step_s(watch, options.steps),
        1 - busy / total,
    )


def mean_step_s(watch: Watch, steps: int) -> float:
    """From the start of a step to the start of the next, what lies between them included; not between batches."""
    starts = [begun for begun, _ in watch.denoised]
    spans = [
        watch.seconds(one, other)
        for number, (one, other) in enumerate(itertools.pairwise(starts), start=1)
        if number % steps
    ]
    return sum(spans) / len(spans)


@contextmanager
def counting() -> Iterator[FlopCounterMode]:
    """Counts the operations of the denoiser's calls alone."""
    counter = FlopCounterMode(display=False)

    def before(module: torch.nn.Module, _arguments: Any) -> None:
        if type(module).__name__ in PART_CLASSES[:2]:
            counter.__enter__()

    def after(module: torch.nn.Module, _arguments: Any, _result: Any) -> None:
        if type(module).__name__ in PART_CLASSES[:2]:
            counter.__exit__(None, None, None)

    modules = torch.nn.modules.module
    hooks = [modules.register_module_forward_pre_hook(before), modules.register_module_forward_hook(after)]
    try:
        yield counter
    finally:
        for hook in hooks:
            hook.remove()


def paint(
    engine: Engine,
    source: CheckpointSource,
    options: argparse.Namespace,
    number: int,
    take: "Callable[[Pixels], object]",
    *,
    steps: int | None = None,
) -> None:
    """One full batch, whose prompts and seeds are its own."""
    key = BatchKey(
        checkpoint=source.slug,
        task="text2img",
        width=options.side,
        height=options.side,
        num_inference_steps=steps or options.steps,
        guidance_scale=5.0,
        strength=1.0,
        scheduler="Euler",
    )
    seeds = range(number * options.batch_size, (number + 1) * options.batch_size)
    pictures = engine.run(
        key,
        [EngineInput(prompt=f"on marble {seed}", negative_prompt="", seed=seed) for seed in seeds],
        source=source,
        batch_size=options.batch_size,
        on_progress=lambda _: None,
        should_stop=lambda: False,
    )
    for _, picture in pictures:
        take(picture)


def by_diffusers(
    source: CheckpointSource, options: argparse.Namespace, device: torch.device, dtype: torch.dtype
) -> float:
    """Seconds an image of plain diffusers in eager mode, one image a call."""
    pipeline: Any = DiffusionPipeline.from_pretrained(source.folder, local_files_only=True, dtype=dtype)
    pipeline.to(device)
    pipeline.set_progress_bar_config(disable=True)
    watch = Watch(device)
    for number in range(2):
        begun = watch.stamp()
        for seed in range(2):
            pipeline(
                prompt=f"on marble {number} {seed}",
                num_inference_steps=options.steps,
                guidance_scale=5.0,
                width=options.side,
                height=options.side,
                generator=torch.Generator().manual_seed(seed),
            )
        ended = watch.stamp()
        seconds = watch.seconds(begun, ended) / 2
    return seconds


if __name__ == "__main__":
    sys.exit(main())
