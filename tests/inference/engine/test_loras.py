"""LoRAs in the spellings of public files: equal to what diffusers makes of them, in and out without a trace."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from inference.catalog.sources import CheckpointSource
from inference.engine.batching import BatchKey, LoraKey
from inference.engine.interface import Addons, IncompatibleLoraError, InputError
from tests.inference.engine import lora_files
from tests.inference.engine.batches import difference, input_for, key_for, sha256
from tests.inference.engine.batches import run as run_without

PROMPT = "a jar on sand"


def run(engine: Any, source: CheckpointSource, *used: tuple[Path, float], key: BatchKey | None = None) -> Any:
    """The picture of one prompt with these LoRAs at their weights."""
    key = key or key_for(source, task="text2img", steps=3, scheduler="Euler")
    key = dataclasses.replace(key, loras=tuple(LoraKey(file=str(path), weight=weight) for path, weight in used))
    each = dataclasses.replace(input_for(key, 1), prompt=PROMPT, negative_prompt="")
    [picture] = run_without(engine, source, key, [each], batch_size=1, addons=Addons(loras=tuple(p for p, _ in used)))
    return picture


def plainly(source: CheckpointSource, path: Path, weight: float) -> Any:
    """The same picture from diffusers' own pipeline and LoRA loader."""
    pipeline = lora_files.pipeline_of(source.folder)
    pipeline.load_lora_weights(str(path.parent), weight_name=path.name, adapter_name="one")
    pipeline.set_adapters(["one"], [weight])
    if source.family != "flux":
        from diffusers import EulerDiscreteScheduler

        pipeline.scheduler = EulerDiscreteScheduler.from_config(pipeline.scheduler.config)
    side = source.native_size_px
    numbers = pipeline(
        PROMPT,
        num_inference_steps=3,
        guidance_scale=5.0,
        width=side,
        height=side,
        generator=torch.Generator().manual_seed(1),
        output_type="np",
    ).images[0]
    return (numbers * 255).round().astype(np.uint8)


@pytest.fixture(params=["sd kohya", "sd peft", "sdxl kohya", "sdxl peft", "flux peft"])
def spelled(request, tmp_path):
    """A checkpoint and a LoRA for it, in each spelling."""
    family, spelling = request.param.split()
    source = request.getfixturevalue(family)
    pipeline = lora_files.pipeline_of(source.folder)
    if spelling == "kohya":
        return source, lora_files.kohya(tmp_path / "one.safetensors", pipeline)
    return source, lora_files.peft(tmp_path, pipeline)


def test_a_lora_paints_what_diffusers_paints_with_it(engine, spelled):
    source, path = spelled
    ours, theirs, without = run(engine, source, (path, 0.7)), plainly(source, path, 0.7), run(engine, source)
    # Our pictures' texts and noise are diffusers' own, so that only rounding is left.
    assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 1
    assert difference(ours, without) > 0.5


def test_after_a_lora_the_checkpoint_is_as_it_was_to_the_bit(engine, spelled):
    source, path = spelled
    before = run(engine, source)
    changed = run(engine, source, (path, 1.0))
    assert sha256(run(engine, source)) == sha256(before) != sha256(changed)
    assert sha256(run(engine, source, (path, 1.0))) == sha256(changed)


def test_the_effect_grows_with_the_weight_and_turns_round_below_zero(engine, sd, tmp_path):
    path = lora_files.peft(tmp_path, lora_files.pipeline_of(sd.folder))
    plain = run(engine, sd)
    effects = [difference(run(engine, sd, (path, weight)), plain) for weight in (0.01, 0.03, 0.1)]
    assert 0 < effects[0] < effects[1] < effects[2]
    assert sha256(run(engine, sd, (path, -0.3))) != sha256(run(engine, sd, (path, 0.3)))


def test_several_loras_add_up(engine, sd, tmp_path):
    pipeline = lora_files.pipeline_of(sd.folder)
    one = lora_files.kohya(tmp_path / "one.safetensors", pipeline, seed=1)
    two = lora_files.kohya(tmp_path / "two.safetensors", pipeline, seed=2)
    both = run(engine, sd, (one, 0.5), (two, 0.5))
    assert len({sha256(each) for each in (both, run(engine, sd, (one, 0.5)), run(engine, sd, (two, 0.5)))}) == 3
    # Twice at half its weight is once at its weight.
    halves, whole = run(engine, sd, (one, 0.01), (one, 0.01)), run(engine, sd, (one, 0.02))
    assert difference(halves, whole) < difference(whole, run(engine, sd)) / 10


def test_texts_are_read_anew_for_a_lora_that_changes_them(engine, sd, tmp_path):
    pipeline = lora_files.pipeline_of(sd.folder)
    with_texts = lora_files.kohya(tmp_path / "with.safetensors", pipeline)
    without = lora_files.kohya(tmp_path / "without.safetensors", pipeline, with_texts=False)
    run(engine, sd)  # the prompt is kept now, as it reads without any
    assert difference(run(engine, sd, (with_texts, 1.0)), run(engine, sd, (without, 1.0))) > 0.5


def test_a_lora_acts_around_a_product_too(engine, checkpoint, tmp_path):
    path = lora_files.peft(tmp_path, lora_files.pipeline_of(checkpoint.folder))
    key = key_for(checkpoint, steps=3)
    assert difference(run(engine, checkpoint, (path, 1.0), key=key), run(engine, checkpoint, key=key)) > 0.5


def _drop(state: dict[str, torch.Tensor], end: str) -> None:
    state.pop(next(key for key in sorted(state) if key.endswith(end)))


def _widen(state: dict[str, torch.Tensor]) -> None:
    key = next(key for key in sorted(state) if key.endswith("lora_down.weight"))
    state[key] = torch.zeros(4, 999)


def _spoil(state: dict[str, torch.Tensor]) -> None:
    key = next(key for key in sorted(state) if key.endswith("lora_up.weight"))
    state[key][0, 0] = float("nan")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: _drop(state, "lora_up.weight"), "lora_unet_.*"),
        (_widen, r"does not fit unet\..*: \(4, 999\)"),
        (_spoil, r"values at unet\..* that are no numbers"),
        (lambda state: state.update({"lora_unet_mid_block_nowhere.lora_down.weight": torch.zeros(4, 4)}), "nowhere"),
    ],
)
def test_a_broken_lora_is_refused_with_its_key_and_leaves_the_checkpoint_usable(engine, sd, tmp_path, change, words):
    before = run(engine, sd)
    path = lora_files.kohya(tmp_path / "broken.safetensors", lora_files.pipeline_of(sd.folder), with_texts=False)
    state = load_file(path)
    change(state)
    save_file(state, path)
    with pytest.raises(IncompatibleLoraError, match=words) as caught:
        run(engine, sd, (path, 1.0))
    assert not caught.value.retryable
    assert sha256(run(engine, sd)) == sha256(before)


def test_a_lora_of_another_model_or_no_lora_at_all_is_refused_in_words(engine, sd, sdxl, tmp_path):
    foreign = lora_files.kohya(tmp_path / "xl.safetensors", lora_files.pipeline_of(sdxl.folder))
    with pytest.raises(IncompatibleLoraError, match=r"Choose the model that it was trained on"):
        run(engine, sd, (foreign, 1.0))
    (tmp_path / "text.safetensors").write_text("not a LoRA")
    with pytest.raises(IncompatibleLoraError, match=r"text.safetensors cannot be read"):
        run(engine, sd, (tmp_path / "text.safetensors", 1.0))


def test_a_key_that_names_loras_needs_their_files(engine, sd):
    key = dataclasses.replace(key_for(sd), loras=(LoraKey(file="1/a", weight=1.0),))
    with pytest.raises(InputError, match="names 1 LoRAs, and 0 files"):
        run_without(engine, sd, key, [input_for(key, 1)])
