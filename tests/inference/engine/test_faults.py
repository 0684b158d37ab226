"""Pictures of no numbers and devices of too little memory: what the engine tries by itself, and what it says."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file

from inference.catalog import sources
from inference.engine import checkpoint as checkpoints
from inference.engine import tiny
from inference.engine.batching import ControlKey, LoraKey
from inference.engine.engine import Engine
from inference.engine.interface import Addons, NotFiniteError, OutOfMemoryError_
from tests.inference.engine import look_files, lora_files
from tests.inference.engine.batches import input_for, key_for, run, sha256
from tests.inference.engine.test_control import _controlnet, edges
from tests.inference.engine.test_look import reference

LOUD = "~"


@pytest.fixture(scope="module")
def loud(tmp_path_factory):
    """Stable Diffusion XL in half precision whose one token "~" is so large that float16 overflows, and float32 not."""
    folder = tmp_path_factory.mktemp("loud") / "sdxl"
    tiny.build_sdxl(folder, native_size_px=64)
    token = lora_files.pipeline_of(folder).tokenizer(LOUD).input_ids[1]
    for path in folder.rglob("*.safetensors"):
        weights = load_file(path)
        if path.parent.name.startswith("text_encoder"):
            [name] = [name for name in weights if name.endswith("token_embedding.weight")]
            weights[name][token] = torch.linspace(-60000, 60000, weights[name].shape[1])
        # What float16 keeps of them is then what float32 has, too.
        save_file({name: values.half().float() for name, values in weights.items()}, path, metadata={"format": "pt"})
    return sources.read_source(folder, slug="loud")


@pytest.fixture
def half(monkeypatch):
    """An engine that computes in half precision, as on a GPU."""
    monkeypatch.setattr(checkpoints, "_dtype", lambda family, device: torch.float16)
    return Engine(device="cpu")


def test_a_picture_of_no_numbers_is_painted_again_in_float32(engine, half, loud):
    key = key_for(loud, task="text2img")
    inputs = [dataclasses.replace(input_for(key, n), prompt=prompt) for n, prompt in enumerate(("a", LOUD, "b"))]
    arrived: list[tuple[int, Any]] = []
    for index, picture in half.run(
        key, inputs, source=loud, batch_size=3, on_progress=lambda p: None, should_stop=lambda: False
    ):
        arrived.append((index, picture))
    # After its neighbors, which nobody lets wait.
    assert [index for index, _ in arrived] == [0, 2, 1]
    [exact] = run(engine, loud, key, [inputs[1]], batch_size=1)
    assert np.abs(arrived[2][1].astype(int) - exact.astype(int)).max() <= 1
    # The neighbors come from the half pass, and the weights are the same after it as before.
    again = run(half, loud, key, [inputs[0], inputs[2]], batch_size=3)
    assert [sha256(each) for each in again] == [sha256(each) for _, each in arrived[:2]]
    assert half._checkpoint is not None
    assert half._checkpoint.is_half


def test_what_acts_beside_the_checkpoint_acts_in_float32_too(engine, half, loud, tmp_path):
    pipeline = lora_files.pipeline_of(loud.folder)
    control = ControlKey(kind="canny", scale=0.5, start=0.0, end=1.0)
    addons = Addons(
        loras=(lora_files.kohya(tmp_path / "lora.safetensors", pipeline),),
        control=_controlnet(loud, tmp_path / "control"),
        look=look_files.adapter(tmp_path / "look", loud.folder),
    )
    for path in tmp_path.rglob("*.safetensors"):
        halves = {name: values.half().float() for name, values in load_file(path).items()}
        save_file(halves, path, metadata={"format": "pt"})
    loras = (LoraKey(file="one", weight=0.1),)
    key = key_for(loud, task="text2img", loras=loras, control=control, look_scale=0.5)
    each = dataclasses.replace(input_for(key, 1), prompt=LOUD, control_image=edges(key), look_image=reference())
    [picture] = run(half, loud, key, [each], addons=addons, batch_size=1)
    [exact] = run(engine, loud, key, [each], addons=addons, batch_size=1)
    assert np.abs(picture.astype(int) - exact.astype(int)).max() <= 1


def test_one_that_is_not_finite_in_float32_either_fails_alone(half, loud, monkeypatch):
    forward = UNet2DConditionModel.forward
    passes = []

    def poisoned(self, sample, *arguments, **named):
        passes.append((sample.dtype, len(sample)))
        noise = forward(self, sample, *arguments, **named)[0]
        return (noise * float("nan"),) if self.dtype == torch.float32 else (noise,)

    monkeypatch.setattr(UNet2DConditionModel, "forward", poisoned)
    key = key_for(loud, task="text2img")
    inputs = [dataclasses.replace(input_for(key, n), prompt=prompt) for n, prompt in enumerate(("a", LOUD))]
    pictures: list[tuple[int, Any]] = []
    with pytest.raises(NotFiniteError, match="1 of 2 images") as caught:
        run(half, loud, key, inputs, batch_size=2, into=pictures)
    assert ([index for index, _ in pictures], caught.value.indexes) == ([0], (1,))
    assert passes == [(torch.float16, 4)] * 2 + [(torch.float32, 2)] * 2


def test_memory_that_float32_does_not_have_is_no_numbers_and_not_a_fault_of_the_batch(half, loud, monkeypatch):
    forward = UNet2DConditionModel.forward

    def scarce(self, *arguments, **named):
        if self.dtype == torch.float32:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(self, *arguments, **named)

    monkeypatch.setattr(UNet2DConditionModel, "forward", scarce)
    key = key_for(loud, task="text2img")
    each = dataclasses.replace(input_for(key, 0), prompt=LOUD)
    with pytest.raises(NotFiniteError, match="1 of 1 images"):
        run(half, loud, key, [each], batch_size=1)
    assert half._checkpoint is not None
    assert half._checkpoint.is_half


@pytest.fixture
def scarce(monkeypatch):
    """Sets how many images the U-Net has memory for; returns the images of every pass that was tried."""
    room: dict[str, int] = {}
    tried: list[int] = []
    forward = UNet2DConditionModel.forward

    def limited(self, sample, *arguments, **named):
        tried.append(len(sample) // 2)
        if len(sample) // 2 > room["images"]:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(self, sample, *arguments, **named)

    monkeypatch.setattr(UNet2DConditionModel, "forward", limited)

    def limit(images: int) -> list[int]:
        room["images"] = images
        return tried

    return limit


@pytest.mark.parametrize(
    ("room", "fits", "tried", "words"),
    [
        (3, 2, [8, 4, 2], "with 8 images of 64 x 64 at once. It has memory for 2: lower the batch size"),
        (0, 0, [8, 4, 2, 1], "Not even one fits: take a smaller size"),
    ],
)
def test_too_little_memory_is_told_with_what_would_fit(engine, sd, scarce, monkeypatch, room, fits, tried, words):
    monkeypatch.setattr(Engine, "_owns_memory", True)
    passes = scarce(room)
    key = key_for(sd, task="text2img", steps=4)
    inputs = [input_for(key, number) for number in range(3)]
    with pytest.raises(OutOfMemoryError_, match=words) as caught:
        run(engine, sd, key, inputs, batch_size=8)
    assert (caught.value.fits, caught.value.retryable, passes) == (fits, fits > 0, tried)
    # And the next batch is whole.
    scarce(8)
    assert len(run(engine, sd, key, inputs, batch_size=4)) == 3


def test_a_cpu_does_not_guess_what_would_fit(engine, sd, scarce):
    passes = scarce(1)
    key = key_for(sd, task="text2img")
    with pytest.raises(OutOfMemoryError_, match="Lower the batch size of this device class") as caught:
        run(engine, sd, key, [input_for(key, 0)], batch_size=4)
    assert (caught.value.fits, passes) == (None, [4])
