"""Batches on real diffusers pipelines: one pass, bytes that depend on the recipe alone, faults in words."""

import dataclasses
import random
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, FluxTransformer2DModel, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel, CLIPTokenizer

from inference import catalog
from inference.catalog import sources
from inference.catalog.sources import CheckpointSource
from inference.engine import schedulers
from inference.engine.batching import BatchKey
from inference.engine.engine import CPU_THREADS, LIBRARIES, Engine
from inference.engine.interface import (
    EngineInput,
    InputError,
    NotFiniteError,
    OutOfMemoryError_,
    Progress,
    RenderEngine,
    Stopped,
)
from tests.inference.engine.batches import difference, input_for, key_for, run, sha256

COMPOSITIONS = 4
DENOISERS = (UNet2DConditionModel, FluxTransformer2DModel)
DENOISER = "denoiser"


@pytest.fixture
def calls(monkeypatch):
    """The first argument's batch size of every forward call, by class name and method."""
    seen = []

    def count(cls: Any, method: str) -> None:
        real = getattr(cls, method)

        def counted(self, *args, **kwargs):
            first: Any = args[0] if args else kwargs.get("input_ids", kwargs.get("hidden_states"))
            seen.append((DENOISER if cls in DENOISERS else cls.__name__, method, len(first)))
            return real(self, *args, **kwargs)

        monkeypatch.setattr(cls, method, counted)

    for cls in DENOISERS:
        count(cls, "forward")
    count(AutoencoderKL, "encode")
    count(AutoencoderKL, "decode")
    count(CLIPTextModel, "forward")
    return seen


def _assert_bytes_follow_the_recipe_alone(engine: RenderEngine, source: CheckpointSource, key: BatchKey) -> None:
    rng = random.Random(key.digest())
    recipes = [input_for(key, number) for number in range(6)]
    seen: dict[int, set[str]] = {number: set() for number in range(6)}
    for _ in range(COMPOSITIONS):
        chosen = rng.choices(range(6), k=rng.randint(1, 4))
        pictures = run(engine, source, key, [recipes[number] for number in chosen])
        for number, picture in zip(chosen, pictures, strict=True):
            seen[number].add(sha256(picture))
    hashes = [each for each in seen.values() if each]
    assert [len(each) for each in hashes] == [1] * len(hashes)
    assert len(set.union(*hashes)) == len(hashes) > 2


@pytest.mark.parametrize("task", ["text2img", "inpaint"])
def test_a_recipe_gives_the_same_bytes_whatever_its_neighbors_and_place(engine, checkpoint, task):
    # A scheduler that draws noise at every step, too.
    key = key_for(checkpoint, task=task, scheduler="DPM++ 2M SDE Karras")
    _assert_bytes_follow_the_recipe_alone(engine, checkpoint, key)


@pytest.mark.parametrize("size", [(80, 56), (56, 80), (256, 256)])
def test_the_same_holds_at_other_sizes(engine, sd, size):
    key = key_for(sd, width=size[0], height=size[1])
    _assert_bytes_follow_the_recipe_alone(engine, sd, key)


def test_the_same_holds_on_the_bundled_starter(engine, tmp_path):
    source = sources.resolve(catalog.entry("starter"), overrides={}, data_dir=tmp_path)
    if source.is_built_on_first_load:
        pytest.skip("the starter checkpoint is not bundled yet: inference/starter/checkpoint")
    key = key_for(source)
    recipes = [input_for(key, number) for number in range(4)]
    straight = run(engine, source, key, recipes)
    turned = run(engine, source, key, recipes[::-1])
    assert [sha256(each) for each in straight] == [sha256(each) for each in turned[::-1]]


def test_a_recipe_gives_the_same_bytes_in_another_engine(engine, sd):
    key = key_for(sd, steps=3)
    here = run(engine, sd, key, [input_for(key, 1), input_for(key, 2)])
    there = run(Engine(device="cpu"), sd, key, [input_for(key, 2)])
    assert sha256(here[1]) == sha256(there[0])


def test_more_threads_than_keep_the_bytes_are_refused():
    with pytest.raises(ValueError, match="would make pictures depend on their neighbors; give 1 or 2"):
        Engine(device="cpu", threads=CPU_THREADS + 1)


@pytest.mark.parametrize("task", ["text2img", "inpaint"])
def test_a_batch_is_one_pass_of_one_call_a_step(engine, checkpoint, calls, task):
    key = key_for(checkpoint, task=task, steps=3)
    run(engine, checkpoint, key, [input_for(key, 0)], batch_size=4)
    # Loading decodes once more, to learn how previews are made.
    calls.clear()
    run(engine, checkpoint, key, [input_for(key, number) for number in range(3)], batch_size=4)
    # Four padded images, each with and without its prompt where a negative one steers it.
    images = 4 if checkpoint.family == "flux" else 8
    assert [batch for name, _, batch in calls if name == DENOISER] == [images] * 3
    # The padding is not decoded.
    assert [batch for _, method, batch in calls if method == "decode"] == [1, 1, 1]


def test_each_distinct_text_and_product_is_encoded_once(sd, calls):
    engine = Engine(device="cpu")
    key = key_for(sd)
    inputs = [input_for(key, number) for number in (0, 4, 8, 6)]
    run(engine, sd, key, inputs)
    # Prompts "a red cat" and "a jar on sand", negative prompts "" and "blurry"; all four show the same product.
    assert [batch for name, _, batch in calls if name == "CLIPTextModel"] == [1, 1, 1, 1]
    assert [batch for _, method, batch in calls if method == "encode"] == [1]
    calls.clear()
    run(engine, sd, key, inputs[::-1])
    assert {method for name, method, _ in calls if name != DENOISER} == {"decode"}


@pytest.mark.parametrize("name", ["sd", "sdxl", "flux"])
def test_repainting_everything_is_painting_freely(request, engine, name):
    """The product's encoding draws nothing from the image's noise generator, so both tasks start from one noise."""
    source = request.getfixturevalue(name)
    free = key_for(source, task="text2img")
    around = key_for(source, task="inpaint")
    image = np.full((around.height, around.width, 3), 200, dtype=np.uint8)
    everything = np.full((around.height, around.width), 255, dtype=np.uint8)
    [one] = run(engine, source, free, [input_for(free, 3)])
    [other] = run(engine, source, around, [dataclasses.replace(input_for(free, 3), image=image, mask_image=everything)])
    assert sha256(one) == sha256(other)


@pytest.mark.parametrize("task", ["text2img", "inpaint"])
def test_prompt_negative_prompt_and_seed_each_change_the_picture_visibly(engine, checkpoint, task):
    key = key_for(checkpoint, task=task, steps=4)
    base = dataclasses.replace(input_for(key, 0), prompt="a red cat", negative_prompt="blurry", seed=1)
    without, *changed = [
        dataclasses.replace(base, negative_prompt="marble kitchen, sunset sky"),
        dataclasses.replace(base, prompt="marble kitchen, sunset sky"),
        dataclasses.replace(base, seed=2),
    ]
    if checkpoint.family != "flux":
        changed.append(without)
    first, *others = run(engine, checkpoint, key, [base, *changed])
    assert all(difference(first, other) > 2 for other in others), [difference(first, other) for other in others]


def test_what_the_mask_keeps_stays_while_seeds_change_the_rest(engine, sd):
    key = key_for(sd, steps=4, width=128, height=128)
    mask_image = np.full((128, 128), 255, dtype=np.uint8)
    mask_image[32:96, 32:96] = 0
    base = dataclasses.replace(input_for(key, 0), mask_image=mask_image)
    one, other = run(engine, sd, key, [base, dataclasses.replace(base, seed=99)])
    kept = difference(one[52:76, 52:76], other[52:76, 52:76])
    repainted = difference(one[:24], other[:24])
    assert kept < repainted / 3, (kept, repainted)


def test_strength_below_one_runs_fewer_steps_and_keeps_more_of_the_picture(engine, checkpoint, calls):
    full = key_for(checkpoint, steps=6)
    half = dataclasses.replace(full, strength=0.5)
    [one] = run(engine, checkpoint, full, [input_for(full, 1)], batch_size=1)
    calls.clear()
    [other] = run(engine, checkpoint, half, [input_for(half, 1)], batch_size=1)
    assert sum(name == DENOISER for name, _, _ in calls) == half.denoising_steps == 3
    assert sha256(one) != sha256(other)


@pytest.mark.parametrize("steps", [4, 5, 28])
def test_image_to_image_keeps_more_of_the_picture_the_weaker_it_is(engine, checkpoint, calls, steps):
    strong = key_for(checkpoint, task="img2img", steps=steps, strength=0.9)
    weak = dataclasses.replace(strong, strength=0.3)
    image = np.full((strong.height, strong.width, 3), (200, 60, 30), dtype=np.uint8)
    each = dataclasses.replace(input_for(strong, 1), image=image)
    pictures = {}
    for key in (strong, weak):
        calls.clear()
        [pictures[key.strength]] = run(engine, checkpoint, key, [each], batch_size=1)
        assert sum(name == DENOISER for name, _, _ in calls) == key.denoising_steps
    # What the VAE makes of the picture by itself: a tiny one is far from exact.
    [untouched] = run(engine, checkpoint, dataclasses.replace(weak, strength=1 / steps), [each], batch_size=1)
    assert difference(pictures[0.3], untouched) < difference(pictures[0.9], untouched)


def test_every_scheduler_of_the_interface_runs_and_paints_its_own_picture(engine, sd):
    assert schedulers.names() == catalog.SCHEDULERS
    pictures = {}
    for name in schedulers.names():
        key = key_for(sd, steps=5, scheduler=name)
        [pictures[name]] = run(engine, sd, key, [input_for(key, 1)])
    assert len({sha256(each) for each in pictures.values()}) == len(catalog.SCHEDULERS)


def test_a_scheduler_keeps_no_state_from_the_batch_before(engine, sd):
    key = key_for(sd, steps=3, scheduler="UniPC")
    [before] = run(engine, sd, key, [input_for(key, 1)])
    run(engine, sd, key_for(sd, steps=5, scheduler="UniPC"), [input_for(key, 2)])
    [after] = run(engine, sd, key, [input_for(key, 1)])
    assert sha256(before) == sha256(after)


def test_progress_counts_every_phase_to_its_end(sd):
    engine = Engine(device="cpu")
    key = key_for(sd, steps=3)
    seen: list[Progress] = []
    run(engine, sd, key, [input_for(key, 0), input_for(key, 1)], on_progress=seen.append)
    phases = list(dict.fromkeys(progress.phase for progress in seen))
    assert phases == ["load", "encode", "step", "decode"]
    assert [p for p in seen if p.phase == "step"] == [Progress("step", step, 3) for step in range(4)]
    assert [p for p in seen if p.phase == "decode"] == [Progress("decode", step, 2) for step in range(3)]
    for phase in phases:
        last = [progress for progress in seen if progress.phase == phase][-1]
        assert last.step == last.steps


def test_a_checkpoint_is_loaded_once_for_both_tasks_and_again_after_another(engine, sd, sdxl):
    loads = []

    def note(progress):
        if progress.phase == "load" and progress.step == 0:
            loads.append(engine.loaded)

    free, around, other = key_for(sd, task="text2img"), key_for(sd), key_for(sdxl)
    run(engine, sdxl, other, [input_for(other, 0)])
    for source, key in ((sd, free), (sd, around), (sdxl, other), (sd, free)):
        run(engine, source, key, [input_for(key, 0)], on_progress=note)
        assert engine.loaded == source.slug
    assert loads == ["sdxl", "sd", "sdxl"]


def test_a_checkpoint_whose_files_changed_is_loaded_again(engine, folders, sd):
    source = sources.read_source(_copy(sd.folder, folders / "replaced"), slug="replaced")
    key = key_for(source)
    [before] = run(engine, source, key, [input_for(key, 0)])
    _edit_weights(source.folder / "unet", "conv_out.weight", lambda values: values * 0.5)
    [after] = run(engine, source, key, [input_for(key, 0)])
    assert sha256(before) != sha256(after)


def test_a_batch_stops_between_two_steps_and_the_next_one_is_whole(engine, sd, calls):
    key = key_for(sd, steps=4)
    [whole] = run(engine, sd, key, [input_for(key, 0)])
    calls.clear()
    steps = []
    with pytest.raises(Stopped, match="stopped after step 2 of 4"):
        run(
            engine,
            sd,
            key,
            [input_for(key, 0)],
            on_progress=lambda progress: steps.append(progress.step) if progress.phase == "step" else None,
            should_stop=lambda: 2 in steps,
        )
    assert sum(name == DENOISER for name, _, _ in calls) == 2
    assert not any(method == "decode" for _, method, _ in calls)
    [again] = run(engine, sd, key, [input_for(key, 0)])
    assert sha256(again) == sha256(whole)


def test_a_batch_that_is_stopped_before_it_began_does_nothing(engine, sd, calls):
    key = key_for(sd)
    with pytest.raises(Stopped, match="before it began"):
        run(engine, sd, key, [input_for(key, 0)], should_stop=lambda: True)
    assert calls == []


def test_pictures_are_handed_over_one_by_one(engine, sd, calls):
    key = key_for(sd)

    def run():
        return engine.run(
            key,
            [input_for(key, 0), input_for(key, 1)],
            source=sd,
            batch_size=4,
            on_progress=lambda progress: None,
            should_stop=lambda: False,
        )

    list(run())  # a checkpoint's first run also decodes a probe, from which its previews are made
    calls.clear()
    pictures = run()
    next(pictures)
    assert sum(method == "decode" for _, method, _ in calls) == 1
    assert not torch.is_inference_mode_enabled()
    pictures.close()


def test_an_image_of_no_numbers_fails_alone_after_its_neighbors_were_handed_over(engine, folders, sd):
    source = sources.read_source(_copy(sd.folder, folders / "nan"), slug="nan")

    def poison(values):
        values[source_token] = float("nan")
        return values

    source_token = _token("~", sd.folder)
    _edit_weights(source.folder / "text_encoder", "embeddings.token_embedding.weight", poison)
    key = key_for(source)
    inputs = [dataclasses.replace(input_for(key, number), prompt=prompt) for number, prompt in enumerate("a~b")]
    pictures: list[tuple[int, Any]] = []
    with pytest.raises(NotFiniteError, match=r"1 of 3 images came out as no numbers \(NaN\)\. Try") as caught:
        run(engine, source, key, inputs, into=pictures)
    assert ([index for index, _ in pictures], caught.value.indexes, caught.value.retryable) == ([0, 2], (1,), False)


def test_too_little_memory_is_told_and_may_be_tried_again(engine, sd):
    # 16 TiB of noise: no machine has it, and the allocator refuses it at once.
    key = key_for(sd, task="text2img", width=8_000_000, height=8_000_000)
    with pytest.raises(OutOfMemoryError_, match="Lower the batch size of this device class") as caught:
        run(engine, sd, key, [EngineInput(prompt="a", negative_prompt="", seed=0)], batch_size=1)
    assert caught.value.retryable


def test_no_file_is_asked_of_the_internet(sd, sdxl, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError(f"a connection was tried: {args}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    engine = Engine(device="cpu")
    for source in (sd, sdxl):
        key = key_for(source)
        assert len(run(engine, source, key, [input_for(key, 0)])) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda key, inputs: (key, []), "takes 1 to 4 inputs, not 0"),
        (lambda key, inputs: (key, inputs * 5), "takes 1 to 4 inputs, not 5"),
        (lambda key, inputs: (dataclasses.replace(key, checkpoint="x"), inputs), 'asks for "x"'),
        (lambda key, inputs: (dataclasses.replace(key, width=72), inputs), r"takes \(64, 72, 3\)"),
        (lambda key, inputs: (dataclasses.replace(key, task="text2img"), inputs), "takes None and None"),
        (lambda key, inputs: (key, [dataclasses.replace(inputs[0], mask_image=None)]), "and None"),
        (lambda key, inputs: (key, [dataclasses.replace(inputs[0], image=inputs[0].image / 255)]), "convert them"),
        (lambda key, inputs: (dataclasses.replace(key, strength=0.1), inputs), "leave no step"),
        (lambda key, inputs: (dataclasses.replace(key, width=68), inputs), "Take multiples of 8 px"),
        (lambda key, inputs: (dataclasses.replace(key, scheduler="Heun"), inputs), 'no scheduler "Heun"'),
        (
            lambda key, inputs: (dataclasses.replace(key, scheduler="LCM", num_inference_steps=51), inputs),
            "LCM paints in at most 50 steps",
        ),
    ],
)
def test_inputs_that_do_not_fit_the_key_are_refused_before_anything_runs(engine, sd, calls, change, words):
    key = key_for(sd)
    key, inputs = change(key, [input_for(key, 0)])
    with pytest.raises(InputError, match=words):
        engine.run(key, inputs, source=sd, batch_size=4, on_progress=lambda p: None, should_stop=lambda: False)
    assert calls == []


def test_the_engine_tells_what_its_bytes_depend_on(engine):
    assert engine.device_class == "cpu"
    versions = engine.versions()
    assert set(versions) == {*LIBRARIES, "python", "cpu", "threads"}
    assert versions["torch"] == torch.__version__
    assert versions["threads"] == "2"


def _copy(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to)
    return to


def _token(letter: str, folder: Path) -> int:
    tokenizer: Any = CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
    return int(tokenizer(letter).input_ids[1])


def _edit_weights(folder: Path, name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    [path] = folder.glob("*.safetensors")
    weights = load_file(path)
    weights[name] = change(weights[name])
    save_file(weights, path, metadata={"format": "pt"})
