"""`python -m inference.engine`: look at a checkpoint, paint with it or measure, on a machine without the studio.
Knows nothing about the catalogue's prices, queues or workspaces.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from inference.catalog.entry import SCHEDULERS
from inference.catalog.sources import (
    CheckpointMissingError,
    CheckpointSource,
    CheckpointUnreadableError,
    fingerprint,
    read_source,
)
from inference.engine import describe, painting
from inference.engine.interface import EngineError, InputError, Progress
from inference.references import LORA_WEIGHT_LIMIT
from inference.requests import MAX_CLIP_SKIP, SEED_LIMIT, UPSCALE_STRENGTH

if TYPE_CHECKING:
    from inference.engine.interface import RenderEngine

LONGEST_SIDE_PX = 8192
MOST_STEPS = 1000
MOST_GUIDANCE = 100


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand; returns the exit status, 1 with a sentence on stderr where something is wrong."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "bench":
            return _bench(is_quick=options.quick)
        path = options.checkpoint.resolve()
        source = read_source(path, slug=path.stem if path.is_file() else path.name, config_folder=options.config_folder)
        if options.command == "describe":
            print(*describe.lines(source), f"fingerprint  {fingerprint(source)}", sep="\n")
        else:
            _render(source, options)
    except (CheckpointMissingError, CheckpointUnreadableError, EngineError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m inference.engine", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    shown = commands.add_parser("describe", help="what a checkpoint is, from its files: sizes, parameters, memory")
    render = commands.add_parser("render", help="one image, from a text alone, over a picture, or within a mask")
    for command in (shown, render):
        command.add_argument("checkpoint", type=Path, help="a folder in diffusers' format, or a .safetensors file")
        command.add_argument("--config-folder", type=Path, help="whose configs and tokenizers go with a single file")
    _add_render_options(render)
    bench = commands.add_parser(
        "bench", help="measure the goals that a CPU can show; exit status 0 only if all are reached"
    )
    bench.add_argument("--quick", action="store_true", help="in less than five minutes on two cores")
    return parser


def _add_render_options(render: argparse.ArgumentParser) -> None:
    render.add_argument("--prompt", required=True)
    render.add_argument("--negative-prompt", default="")
    render.add_argument("--seed", type=_whole(0, SEED_LIMIT - 1), default=0)
    render.add_argument(
        "--width", type=_whole(1, LONGEST_SIDE_PX), help="the model's nearest shape is painted (default: the picture's)"
    )
    render.add_argument("--height", type=_whole(1, LONGEST_SIDE_PX))
    render.add_argument("--steps", type=_whole(1, MOST_STEPS), default=30)
    render.add_argument("--guidance-scale", type=_guidance, default=7.0)
    render.add_argument("--scheduler", choices=SCHEDULERS, help=f"default: {painting.SCHEDULER}")
    render.add_argument("--clip-skip", type=_whole(0, MAX_CLIP_SKIP), default=0)
    render.add_argument(
        "--lora",
        type=_lora,
        action="append",
        default=[],
        metavar="FILE[=WEIGHT]",
        help="a safetensors file and how strongly it acts (default 1); again for each further one",
    )
    render.add_argument("--image", type=Path, help="the picture to begin from; scaled and cut to the model's shape")
    render.add_argument("--mask", type=Path, help="white is repainted, black keeps the picture's own pixels")
    render.add_argument(
        "--upscale", type=int, choices=(2, 4), help="make the picture so many times as large, painted in tiles"
    )
    render.add_argument(
        "--strength",
        type=_share,
        help=f"how far a picture is painted over, up to 1 (default 1, with --upscale {UPSCALE_STRENGTH:g})",
    )
    render.add_argument("--device", help='torch\'s name, such as "cpu" or "cuda:1" (default: a GPU where there is one)')
    render.add_argument("--threads", type=_whole(1, 1024), help="on a CPU 1 or 2 (default 2)")
    render.add_argument("--out", type=Path, required=True, help="a PNG file; written whole or not at all")


def _whole(least: int, most: int) -> Callable[[str], int]:
    """Reads a whole number within limits."""

    def read(text: str) -> int:
        number = _float(text)
        if not (number.is_integer() and least <= number <= most):
            raise argparse.ArgumentTypeError(f"give a whole number from {least} to {most}, not {text}")
        return int(text)

    return read


def _guidance(text: str) -> float:
    if not 0 <= (number := _float(text)) <= MOST_GUIDANCE:
        raise argparse.ArgumentTypeError(f"give a number from 0 to {MOST_GUIDANCE}, not {text}")
    return number


def _share(text: str) -> float:
    if not 0 < (number := _float(text)) <= 1:
        raise argparse.ArgumentTypeError(f"give a number above 0 and up to 1, not {text}")
    return number


def _lora(text: str) -> tuple[Path, float]:
    name, _, weight_text = text.rpartition("=")
    weight = _float(weight_text)
    if not name or math.isnan(weight):
        return Path(text), 1.0
    if not abs(weight) <= LORA_WEIGHT_LIMIT:
        raise argparse.ArgumentTypeError(f"give a weight from {-LORA_WEIGHT_LIMIT:g} to {LORA_WEIGHT_LIMIT:g}")
    return Path(name), weight


def _float(text: str) -> float:
    """The number, NaN for what is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _render(source: CheckpointSource, options: argparse.Namespace) -> None:
    order = painting.Order(
        prompt=options.prompt,
        negative_prompt=options.negative_prompt,
        seed=options.seed,
        width=options.width,
        height=options.height,
        num_inference_steps=options.steps,
        guidance_scale=options.guidance_scale,
        strength=options.strength or (UPSCALE_STRENGTH if options.upscale else 1.0),
        scheduler=options.scheduler,
        clip_skip=options.clip_skip,
        loras=tuple(options.lora),
        image=options.image,
        mask_image=options.mask,
        out=options.out,
        factor=options.upscale,
    )
    prepared = painting.prepare(order, source)
    width, height = painting.paint(prepared, _engine(options), _show)
    print(f"{options.out}  {width}x{height}")


def _engine(options: argparse.Namespace) -> RenderEngine:
    # Loading torch takes seconds: what needs none is answered at once.
    import torch

    from inference.engine.engine import Engine

    if (options.device or "").startswith("cuda") and not torch.cuda.is_available():
        raise InputError("There is no GPU that torch can use here. Leave --device out, or give cpu.")
    try:
        return Engine(device=options.device, threads=options.threads)
    except (ValueError, RuntimeError) as error:
        raise InputError(str(error).split("\n")[0]) from error


def _show(progress: Progress) -> None:
    print(f"{progress.phase} {progress.step}/{progress.steps}", file=sys.stderr)


def _bench(*, is_quick: bool) -> int:
    from inference.engine.bench import quick

    reached = []
    for goal in quick.measured(is_quick=is_quick):
        print(goal, flush=True)
        reached.append(goal.is_reached)
    print(f"{sum(reached)} of {len(reached)} goals reached")
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
