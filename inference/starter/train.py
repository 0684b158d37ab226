"""The command line of the starter checkpoint: render, vae, encode, text, unet and export, in slices that carry on.

`python -m inference.starter.train --help` lists what each takes.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from inference.starter import progress, train_text, train_unet, train_vae
from inference.starter.dataset import render_shards
from inference.starter.latents import SCALES, encode_shards
from inference.starter.loop import ResumeError, Slice
from inference.starter.models import PRESETS


def main() -> None:
    """Run one step of the training as the arguments ask; exits with a sentence where it cannot."""
    options = _parser().parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        COMMANDS[options.command](options)
    except ResumeError as error:
        raise SystemExit(str(error)) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m inference.starter.train", description=__doc__)
    parser.add_argument("command", choices=sorted(COMMANDS))
    parser.add_argument("--work", type=Path, required=True, help="folder of pictures, latents and training state")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="cpu")
    parser.add_argument("--minutes", type=float, default=10, help="vae, text, unet: length of this slice")
    parser.add_argument("--samples", type=int, default=200_000, help="vae, text, unet: samples of the whole training")
    parser.add_argument("--resume", action="store_true", help="vae, text, unet: carry on the training in the folder")
    parser.add_argument("--decoder-only", action="store_true", help="vae: keep the encoder, and so the latents")
    parser.add_argument("--scale", choices=sorted(SCALES), default="full", help="encode, unet: size of the pictures")
    parser.add_argument("--shards", type=int, default=96, help="render, encode: how many shards of 512 pictures")
    parser.add_argument("--workers", type=int, default=2, help="render: processes")
    parser.add_argument("--threads", type=int, default=0, help="torch threads, 0 for its own choice")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / "checkpoint", help="export: target")
    parser.add_argument("--seed", type=int, default=1)
    return parser


def _render(options: argparse.Namespace) -> None:
    with ProcessPoolExecutor(options.workers) as pool:
        pending = [
            pool.submit(render_shards, options.work / "data", seed=options.seed, indices=range(index, index + 1))
            for index in range(options.shards)
        ]
        for shard in pending:
            shard.result()


def _vae(options: argparse.Namespace) -> None:
    preset = PRESETS[options.preset]
    plan, data = _slice(options), options.work / "data"
    train_vae.train(data, preset, plan, seed=options.seed, decoder_only=options.decoder_only)


def _encode(options: argparse.Namespace) -> None:
    encode_shards(options.work, PRESETS[options.preset], scale=options.scale, limit=options.shards)


def _text(options: argparse.Namespace) -> None:
    train_text.train(options.work, PRESETS[options.preset], _slice(options), seed=options.seed)


def _unet(options: argparse.Namespace) -> None:
    preset = PRESETS[options.preset]
    train_unet.train(options.work, preset, _slice(options), scale=options.scale, seed=options.seed)
    progress.draw_curve(options.work / "unet.jsonl", options.work / "unet_loss.png", measure="loss")
    progress.draw_samples(options.work, preset, options.work / "samples.png", side=256 // SCALES[options.scale])


def _export(options: argparse.Namespace) -> None:
    # The pipelines take many seconds to import, which no slice of a training should pay.
    from inference.starter.export import export

    export(options.work, PRESETS[options.preset], options.folder)


def _slice(options: argparse.Namespace) -> Slice:
    return Slice(options.work, options.minutes, options.samples, options.resume)


COMMANDS = {"render": _render, "vae": _vae, "encode": _encode, "text": _text, "unet": _unet, "export": _export}

if __name__ == "__main__":
    main()
