"""The bundled checkpoint: small enough, loads without a network, and draws the same picture for the same seed."""

from pathlib import Path

import numpy as np
import pytest
import torch

from inference.starter.evaluate import draw, load

CHECKPOINT = Path(__file__).parents[3] / "inference" / "starter" / "checkpoint"

pytestmark = pytest.mark.skipif(not CHECKPOINT.is_dir(), reason="no trained checkpoint is bundled yet")


def test_the_checkpoint_is_within_the_size_that_is_promised() -> None:
    files = [path for path in CHECKPOINT.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".json", ".safetensors", ".txt"}
    assert 0 < sum(path.stat().st_size for path in files) <= 40e6


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """One prompt with two seeds, and both once more by a checkpoint that was loaded anew."""
    prompts = ["on marble, teal background"] * 2
    return [picture for _ in range(2) for picture in draw(load(CHECKPOINT), prompts, steps=2, guidance=4)]


def test_a_seed_decides_the_picture(pictures: list[np.ndarray]) -> None:
    first, other, again, _ = pictures
    assert first.shape == (256, 256, 3)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_pictures_are_not_flat(pictures: list[np.ndarray]) -> None:
    assert all(picture.std() > 5 for picture in pictures)


def test_weights_load_in_single_precision() -> None:
    pipeline = load(CHECKPOINT)
    assert {part.dtype for part in (pipeline.unet, pipeline.vae, pipeline.text_encoder)} == {torch.float32}
