"""Whether an image's bytes follow its recipe alone: other neighbors, orders, tries after a stop, killed processes.
Knows nothing about speed.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from inference.catalog.sources import CheckpointSource, read_source
from inference.engine import tiny
from inference.engine.batching import BatchKey
from inference.engine.bench.goal import Goal
from inference.engine.engine import Engine
from inference.engine.interface import EngineInput, Progress, Stopped

if TYPE_CHECKING:
    from inference.engine.interface import RenderEngine

MODULE = "inference.engine.bench.determinism"
ROOT = Path(__file__).resolve().parents[3]

BUILD: Mapping[str, Callable[..., None]] = {"sd": tiny.build_sd, "sdxl": tiny.build_sdxl, "flux": tiny.build_flux}
NATIVE_PX = 64
BATCH_SIZE = 4
STEPS = 2
PROMPTS = ("a red cat", "marble kitchen, sunset sky", "a jar on sand", "a very (blue:1.4) door", "snow")
# How often a batch is stopped between two steps and its images asked for again.
STOPPED_SHARE = 0.2
PATIENCE_S = 3600.0


@dataclass(frozen=True)
class Outcome:
    """What one run showed: hashes that were compared, those that differed, and what was done to it on the way."""

    compared: int
    different: int
    stopped: int
    killed: int


def goals(folder: Path, *, images: int = 20, kills: int = 1) -> list[Goal]:
    """The same bytes for every recipe on the tiny Stable Diffusion checkpoint."""
    outcome = measure("sd", folder / "determinism", images=images, kills=kills)
    return [
        Goal(
            f"{images} images in other batches and orders, stopped and killed on the way",
            "the same SHA-256 for each",
            told(outcome),
            outcome.different == 0 and outcome.compared == images,
        )
    ]


def told(outcome: Outcome) -> str:
    """An outcome in words."""
    return (
        f"{outcome.different} of {outcome.compared} differ; {outcome.stopped} batches stopped between two steps, "
        f"{outcome.killed} processes killed in a batch"
    )


def measure(family: str, folder: Path, *, images: int, kills: int, seed: int = 0) -> Outcome:
    """Paint so many images in order here, then in random batches in processes that are killed; compare the hashes."""
    BUILD[family](folder, native_size_px=NATIVE_PX)
    expected = dict(_painted(Engine(device="cpu"), folder, _in_order(range(images)), np.random.default_rng(seed)))
    rng = np.random.default_rng(seed + 1)
    seen: dict[int, set[str]] = {}
    stopped = killed = 0
    while waiting := [number for number in range(images) if number not in seen]:
        rng.shuffle(waiting)
        # Some of those that are there already come again, beside other neighbors.
        again = rng.permutation(sorted(seen))[: len(waiting)].tolist()
        last_line = int(rng.integers(1, 3 * len(waiting), endpoint=True)) if killed < kills else None
        hashes, stops, was_killed = _in_a_process(folder, waiting + again, int(rng.integers(2**32)), last_line)
        for number, digest in hashes:
            seen.setdefault(number, set()).add(digest)
        stopped += stops
        killed += was_killed
    different = sum(seen[number] != {expected[number]} for number in range(images))
    return Outcome(compared=len(seen), different=different, stopped=stopped, killed=killed)


def _in_a_process(
    folder: Path, numbers: Sequence[int], seed: int, last_line: int | None
) -> tuple[list[tuple[int, str]], int, bool]:
    """Hashes from a process of its own, batches that were stopped in it, and whether it was killed, at that line."""
    command = [sys.executable, "-m", MODULE, str(folder), str(seed), ",".join(map(str, numbers))]
    # Nothing but our own module, this interpreter and numbers.
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)  # noqa: S603
    too_long = threading.Timer(PATIENCE_S, process.kill)
    too_long.start()
    said: list[str] = []
    try:
        for line in process.stdout or ():
            said.append(line)
            if len(said) == last_line:
                process.kill()
                break
        else:
            if process.wait():
                raise RuntimeError(f"A process ended by itself with {process.returncode}.")
    finally:
        too_long.cancel()
        process.kill()
        process.communicate()
    words = [line.split() for line in said]
    hashes = [(int(each[1]), each[2]) for each in words if each[0] == "painted"]
    return hashes, sum(each[0] == "stopped" for each in words), len(said) == last_line


def _work(folder: Path, seed: int, numbers: Sequence[int]) -> None:
    """Paint these images in random batches, stopping some of them; print each step, stop and hash."""
    rng = np.random.default_rng(seed)
    say = partial(print, flush=True)
    batches = _at_random(numbers, rng)
    for number, digest in _painted(Engine(device="cpu"), folder, batches, rng, say=say, stopped=STOPPED_SHARE):
        say("painted", number, digest)


def _painted(
    engine: RenderEngine,
    folder: Path,
    batches: Sequence[Sequence[int]],
    rng: np.random.Generator,
    *,
    say: Callable[[str], None] = lambda _: None,
    stopped: float = 0.0,
) -> Iterator[tuple[int, str]]:
    """Number and SHA-256 (hex) of every image; a stopped batch's images come again in another order."""
    source = read_source(folder, slug="checkpoint")
    for batch in batches:
        numbers = list(batch)
        if rng.random() < stopped:
            say("stopped")
            _stop(engine, source, numbers)
            rng.shuffle(numbers)
        key = _key(source, numbers[0])
        pictures = engine.run(
            key,
            [_input(key, number) for number in numbers],
            source=source,
            batch_size=BATCH_SIZE,
            on_progress=lambda progress: say(progress.phase),
            should_stop=lambda: False,
        )
        for index, picture in pictures:
            yield numbers[index], hashlib.sha256(picture.tobytes()).hexdigest()


def _stop(engine: RenderEngine, source: CheckpointSource, numbers: Sequence[int]) -> None:
    steps: list[Progress] = []
    key = _key(source, numbers[0])
    pictures = engine.run(
        key,
        [_input(key, number) for number in numbers],
        source=source,
        batch_size=BATCH_SIZE,
        on_progress=lambda progress: steps.append(progress) if progress.phase == "step" and progress.step else None,
        should_stop=lambda: bool(steps),
    )
    try:
        list(pictures)
    except Stopped:
        return
    raise RuntimeError("The batch did not stop.")


def _in_order(numbers: Sequence[int]) -> list[Sequence[int]]:
    """Full batches of images with one key, in order."""
    return [
        same[cut : cut + BATCH_SIZE]
        for same in ([each for each in numbers if each % 2 == half] for half in (0, 1))
        for cut in range(0, len(same), BATCH_SIZE)
    ]


def _at_random(numbers: Sequence[int], rng: np.random.Generator) -> list[Sequence[int]]:
    """Batches of one to the full number of images, in random order."""
    batches: list[Sequence[int]] = []
    for half in (0, 1):
        same = [each for each in numbers if each % 2 == half]
        while same:
            size = int(rng.integers(1, BATCH_SIZE, endpoint=True))
            batches.append(same[:size])
            same = same[size:]
    return [batches[place] for place in rng.permutation(len(batches))]


def _key(source: CheckpointSource, number: int) -> BatchKey:
    """Even images are painted freely, odd ones around a product; by a scheduler that draws noise at every step."""
    key = BatchKey(
        checkpoint=source.slug,
        task="text2img",
        width=NATIVE_PX,
        height=NATIVE_PX,
        num_inference_steps=STEPS,
        guidance_scale=5.0,
        strength=1.0,
        scheduler="DPM++ 2M SDE Karras",
    )
    return replace(key, task="inpaint") if number % 2 else key


def _input(key: BatchKey, number: int) -> EngineInput:
    """An image's own seed and one of the prompts, negative prompts and products."""
    plain = EngineInput(
        prompt=PROMPTS[number % len(PROMPTS)], negative_prompt="blurry" if number % 3 else "", seed=number
    )
    if key.task == "text2img":
        return plain
    image = np.random.default_rng(number % 4).integers(0, 256, (key.height, key.width, 3), dtype=np.uint8)
    mask_image = np.full((key.height, key.width), 255, dtype=np.uint8)
    mask_image[16:48, 16 : 32 + number % 4] = 0
    return replace(plain, image=image, mask_image=mask_image)


if __name__ == "__main__":
    _work(Path(sys.argv[1]), int(sys.argv[2]), [int(number) for number in sys.argv[3].split(",")])
