"""The small pictures that show each style in the Image Studio's form: one scene, drawn once in every style.

`python -m inference.starter.style_previews` draws them with the data renderer, `--checkpoint FOLDER` with a trained
checkpoint. Knows nothing about pages.
"""

import argparse
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from inference.starter import render
from inference.starter.grammar import STYLES, Scene

DRAWN_PX = 256
SIDE_PX = 144
LIMIT_BYTES = 8_000
QUALITIES = (86, 78, 70, 60, 50)
FOLDER = Path("studio/static/studio/img/styles")
PROMPT = "orange vase on wooden table, mountains, golden hour"
SCENE = Scene(
    backdrop="mountains",
    color="blue",
    second_color="beige",
    surface="wood",
    surface_color="brown",
    light="golden hour",
    season="",
    product="vase",
    product_color="orange",
    style="Auto",
    defect="",
    width=DRAWN_PX,
    height=DRAWN_PX,
    seed=7,
)

Pictures = Iterator[tuple[str, npt.NDArray[np.uint8]]]


def drawn() -> Pictures:
    """Each style's name and the scene as the data renderer draws it, uint8 (256, 256, 3) RGB."""
    for name in STYLES:
        yield name, render.render(replace(SCENE, style=name))


def painted(checkpoint: Path) -> Pictures:
    """Each style's name and what a checkpoint paints for it at its native size, always of the same seed."""
    from inference.catalog.sources import read_source
    from inference.engine.batching import BatchKey
    from inference.engine.engine import Engine
    from inference.engine.interface import EngineInput

    source = read_source(checkpoint.resolve(), slug="style-previews")
    key = BatchKey(
        checkpoint=source.slug,
        task="text2img",
        width=source.native_size_px,
        height=source.native_size_px,
        num_inference_steps=24,
        guidance_scale=5.0,
        strength=1.0,
        scheduler="DPM++ 2M Karras",
    )
    engine = Engine()
    for name, words in STYLES.items():
        prompt = ", ".join((PROMPT, *words[:1]))
        each = EngineInput(prompt=prompt, negative_prompt="blurry, text", seed=SCENE.seed)
        for _, picture in engine.run(
            key, [each], source=source, batch_size=1, on_progress=lambda progress: None, should_stop=lambda: False
        ):
            yield name, picture


def encode(picture: npt.NDArray[np.uint8]) -> bytes:
    """A WebP file of 144 × 144 pixels and at most 8 KB: the best quality that fits."""
    small = Image.fromarray(picture).resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
    for quality in QUALITIES:
        stream = io.BytesIO()
        small.save(stream, "WEBP", quality=quality, method=6)
        if stream.tell() <= LIMIT_BYTES:
            break
    return stream.getvalue()


def file_name(style: str) -> str:
    """The file of a style's name: lower case, joined by hyphens."""
    return f"{style.lower().replace(' ', '-')}.webp"


def main(arguments: list[str] | None = None) -> int:
    """Write one file for each style; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m inference.starter.style_previews", description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument("--checkpoint", type=Path, help="a checkpoint folder in diffusers' format")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    for name, picture in painted(options.checkpoint) if options.checkpoint else drawn():
        (options.out / file_name(name)).write_bytes(encode(picture))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
