"""`python -m inference.engine`: look at a checkpoint, or render with it, on a machine without the studio.
Knows nothing about the catalogue's prices, queues or workspaces.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from PIL import Image

from inference.catalog.entry import SCHEDULERS
from inference.catalog.sources import (
    CheckpointMissingError,
    CheckpointSource,
    CheckpointUnreadableError,
    fingerprint,
    read_source,
)
from inference.engine.batching import BatchKey
from inference.engine.interface import EngineError, EngineInput, Progress
from inference.requests import SEED_LIMIT, model_size


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand; returns the exit status, 1 with a sentence on stderr where something is wrong."""
    options = _parser().parse_args(arguments)
    try:
        path = options.checkpoint.resolve()
        source = read_source(path, slug=path.stem if path.is_file() else path.name, config_folder=options.config_folder)
        if options.command == "describe":
            _describe(source)
        else:
            _render(source, options)
    except (CheckpointMissingError, CheckpointUnreadableError, EngineError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m inference.engine", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    describe = commands.add_parser("describe", help="what a checkpoint is, and its fingerprint")
    render = commands.add_parser("render", help="one image from a text")
    for command in (describe, render):
        command.add_argument("checkpoint", type=Path, help="a folder in diffusers' format, or a .safetensors file")
        command.add_argument("--config-folder", type=Path, help="whose configs and tokenizers go with a single file")
    render.add_argument("--prompt", required=True)
    render.add_argument("--negative-prompt", default="")
    render.add_argument("--seed", type=_seed, default=0)
    render.add_argument("--width", type=int, help="the model's nearest shape is painted (default: its native size)")
    render.add_argument("--height", type=int)
    render.add_argument("--steps", type=int, default=30)
    render.add_argument("--guidance-scale", type=float, default=7.0)
    render.add_argument("--scheduler", choices=SCHEDULERS, default="DPM++ 2M Karras")
    render.add_argument("--device", help='torch\'s name, such as "cpu" or "cuda:1" (default: a GPU where there is one)')
    render.add_argument("--threads", type=int)
    render.add_argument("--out", type=Path, required=True, help="a PNG file")
    return parser


def _seed(text: str) -> int:
    seed = int(text)
    if not 0 <= seed < SEED_LIMIT:
        raise argparse.ArgumentTypeError(f"give a whole number from 0 to {SEED_LIMIT - 1}")
    return seed


def _describe(source: CheckpointSource) -> None:
    print(f"family       {source.family}{', made for inpainting' if source.is_inpainting else ''}")
    print(f"native size  {source.native_size_px} px")
    print(f"sizes        {' '.join(f'{width}x{height}' for width, height in source.sizes)}")
    print(f"fingerprint  {fingerprint(source)}")


def _render(source: CheckpointSource, options: argparse.Namespace) -> None:
    # Loading torch takes seconds: what needs none answers at once.
    from inference.engine.engine import Engine

    native = source.native_size_px
    width, height = model_size(source.sizes, width=options.width or native, height=options.height or native)
    key = BatchKey(
        checkpoint=source.slug,
        task="text2img",
        width=width,
        height=height,
        num_inference_steps=options.steps,
        guidance_scale=options.guidance_scale,
        strength=1.0,
        scheduler=options.scheduler,
    )
    each = EngineInput(prompt=options.prompt, negative_prompt=options.negative_prompt, seed=options.seed)
    engine = Engine(device=options.device, threads=options.threads)
    pictures = engine.run(key, [each], source=source, batch_size=1, on_progress=_show, should_stop=lambda: False)
    for _, picture in pictures:
        Image.fromarray(picture).save(options.out, format="PNG")
        print(f"{options.out}  {width}x{height}")


def _show(progress: Progress) -> None:
    print(f"{progress.phase} {progress.step}/{progress.steps}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
