"""A training of a moment, shared by what follows it: evaluation, LoRA, export."""

from pathlib import Path
from typing import Any

import pytest

from inference.starter import dataset, train_unet, train_vae
from inference.starter.evaluate import load
from inference.starter.export import export
from inference.starter.latents import encode_shards
from inference.starter.loop import Slice
from tests.inference.starter.small import SMALL


@pytest.fixture(scope="package")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train every step for a moment on one small shard."""
    folder = tmp_path_factory.mktemp("starter")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset, "SHARD_PICTURES", 8)
        dataset.render_shards(folder / "data", seed=1, indices=range(1))
        patch.setattr(train_vae, "SHEET_PICTURES", 2)
        train_vae.train(folder / "data", SMALL, Slice(folder, 1, 8, resume=False))
    encode_shards(folder, SMALL, scale="half", limit=9)
    train_unet.train(folder, SMALL, Slice(folder, 1, 12, resume=False), scale="half")
    return folder


@pytest.fixture(scope="package")
def checkpoint(work: Path) -> Path:
    """The folder that the training exports."""
    export(work, SMALL, work / "checkpoint")
    return work / "checkpoint"


@pytest.fixture
def pipeline(checkpoint: Path) -> Any:
    """The exported folder as the evaluation loads it."""
    return load(checkpoint)
