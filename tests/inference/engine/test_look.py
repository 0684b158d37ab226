"""IP-Adapters on every U-Net: equal to diffusers' own, stronger with their scale, forgotten after, refused in words."""

import dataclasses
import itertools
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoPipelineForImage2Image, AutoPipelineForInpainting, EulerDiscreteScheduler
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPVisionModelWithProjection

from inference.catalog.sources import CheckpointSource
from inference.engine.batching import BatchKey, ControlKey
from inference.engine.engine import Engine
from inference.engine.interface import Addons, CorruptCheckpointError, IncompatibleAdapterError, InputError, Stopped
from tests.inference.engine import look_files, lora_files
from tests.inference.engine.batches import difference, input_for, key_for, run, sha256
from tests.inference.engine.test_control import _controlnet, edges

U_NETS = ("sd", "sd_inpainting", "sdxl", "sdxl_inpainting")


@pytest.fixture(scope="module")
def looks(tmp_path_factory):
    """An adapter's folder for a checkpoint, made once of each kind."""
    made: dict[tuple[str, str], Path] = {}

    def folder(source: CheckpointSource, kind: Any = "plain") -> Path:
        name = (source.slug, kind)
        if name not in made:
            made[name] = look_files.adapter(tmp_path_factory.mktemp("look") / "adapter", source.folder, kind=kind)
        return made[name]

    return folder


def reference(number: int = 0, size: tuple[int, int] = (50, 40)) -> Any:
    """A picture, taller than wide, another for each number: uint8 (h, w, 3)."""
    rng = np.random.default_rng(100 + number)
    return np.kron(rng.integers(0, 256, (size[0] // 10, size[1] // 10, 3)), np.ones((10, 10, 1))).astype(np.uint8)


def prepared(key: BatchKey, number: int = 1, look: int | None = 0) -> Any:
    """An input with what its task begins from, and a reference."""
    each = input_for(dataclasses.replace(key, task="inpaint"), number)
    return dataclasses.replace(
        each,
        image=None if key.task == "text2img" else each.image,
        mask_image=each.mask_image if key.task == "inpaint" else None,
        look_image=None if look is None else reference(look),
    )


def paint(engine: Any, source: CheckpointSource, folder: Path, key: BatchKey, scale: float | None) -> Any:
    key = dataclasses.replace(key, look_scale=scale)
    each = prepared(key, look=None if scale is None else 0)
    [picture] = run(engine, source, key, [each], addons=Addons(look=folder if scale else None), batch_size=1)
    return picture


def theirs(source: CheckpointSource, folder: Path, key: BatchKey, picture: Any, **arguments: Any) -> Any:
    """What plain diffusers paints of a reference by its own loader and its own preparation."""
    pipeline = lora_files.pipeline_of(source.folder)
    if key.task == "img2img":
        pipeline = AutoPipelineForImage2Image.from_pipe(pipeline)
    elif key.task == "inpaint":
        pipeline = AutoPipelineForInpainting.from_pipe(pipeline)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = EulerDiscreteScheduler.from_config(pipeline.scheduler.config)
    pipeline.load_ip_adapter(
        str(folder), subfolder="", weight_name="ip-adapter_tiny.safetensors", local_files_only=True
    )
    pipeline.set_ip_adapter_scale(key.look_scale)
    each = prepared(key)
    painted = pipeline(
        each.prompt,
        negative_prompt=each.negative_prompt,
        ip_adapter_image=Image.fromarray(picture),
        num_inference_steps=key.num_inference_steps,
        guidance_scale=key.guidance_scale,
        generator=torch.Generator().manual_seed(each.seed),
        output_type="np",
        **arguments,
    ).images[0]
    return (painted * 255).round().astype(int)


@pytest.mark.parametrize("kind", ["plain", "plus"])
@pytest.mark.parametrize("name", ["sd", "sdxl"])
@pytest.mark.parametrize("guidance_scale", [5.0, 1.0])
def test_a_picture_with_a_look_is_the_one_that_diffusers_paints(request, engine, looks, name, kind, guidance_scale):
    source = request.getfixturevalue(name)
    key = key_for(source, task="text2img", steps=4, scheduler="Euler", look_scale=0.7, guidance_scale=guidance_scale)
    folder = looks(source, kind)
    [ours] = run(engine, source, key, [prepared(key)], addons=Addons(look=folder), batch_size=1)
    size = {"height": key.height, "width": key.width}
    assert np.abs(ours.astype(int) - theirs(source, folder, key, reference(), **size)).max() <= 1
    # A reference of which the other is no part: the comparison would notice.
    assert np.abs(ours.astype(int) - theirs(source, folder, key, reference(1), **size)).mean() > 0.1


@pytest.mark.parametrize("task", ["text2img", "img2img", "inpaint"])
@pytest.mark.parametrize("name", U_NETS)
def test_every_task_takes_up_a_look_the_more_the_stronger_and_forgets_it_after(request, engine, looks, name, task):
    source = request.getfixturevalue(name)
    key = key_for(source, task=task, steps=3, strength=1.0 if task == "text2img" else 0.7)
    folder = looks(source)
    plain = paint(engine, source, folder, key, None)
    near, far = (difference(paint(engine, source, folder, key, scale), plain) for scale in (0.1, 1.0))
    assert 0.05 < near < far, (near, far)
    assert sha256(paint(engine, source, folder, key, None)) == sha256(plain)


def test_a_text_and_a_look_of_nothing_are_what_guidance_leads_away_from(engine, sd, looks):
    key = key_for(sd, task="text2img", steps=3)
    weak, strong = (dataclasses.replace(key, guidance_scale=scale) for scale in (2.0, 8.0))
    effects = [
        difference(paint(engine, sd, looks(sd), each, 0.7), paint(engine, sd, looks(sd), each, None))
        for each in (weak, strong)
    ]
    assert 0 < effects[0] < effects[1]


@pytest.mark.parametrize("name", ["sd", "sdxl"])
def test_looks_of_one_batch_do_not_mix(request, engine, looks, name):
    source = request.getfixturevalue(name)
    key = key_for(source, task="text2img", look_scale=0.8)
    addons = Addons(look=looks(source, "plus"))
    inputs = [prepared(key, number=number, look=number) for number in range(3)]
    together = run(engine, source, key, inputs, addons=addons)
    for each, picture in zip(inputs, together, strict=True):
        [alone] = run(engine, source, key, [each], addons=addons)
        assert sha256(alone) == sha256(picture)
    [other] = run(engine, source, key, [dataclasses.replace(inputs[0], look_image=reference(1))], addons=addons)
    assert sha256(other) != sha256(together[0])


def test_a_reference_is_encoded_once_for_all_its_images(sd, looks, monkeypatch):
    calls = []
    forward = CLIPVisionModelWithProjection.forward

    def counted(self, pixels, *arguments, **named):
        calls.append(len(pixels))
        return forward(self, pixels, *arguments, **named)

    engine = Engine(device="cpu")
    key = key_for(sd, task="text2img", look_scale=0.8)
    addons = Addons(look=looks(sd))
    run(engine, sd, key, [prepared(key)], addons=addons)
    monkeypatch.setattr(CLIPVisionModelWithProjection, "forward", counted)
    run(engine, sd, key, [prepared(key, number=number, look=1) for number in range(3)], addons=addons)
    run(engine, sd, dataclasses.replace(key, look_scale=0.3), [prepared(key, look=1)], addons=addons)
    assert calls == [1]


def test_a_look_and_a_map_act_together_and_leave_no_trace(engine, sd, looks, tmp_path):
    control = ControlKey(kind="canny", scale=1.0, start=0.0, end=1.0)
    key = key_for(sd, task="inpaint", look_scale=0.7, control=control)
    each = dataclasses.replace(prepared(key), control_image=edges(key))
    folder, controlnet = looks(sd), _controlnet(sd, tmp_path / "control")
    bare = dataclasses.replace(key, look_scale=None, control=None)
    [before] = run(engine, sd, bare, [prepared(bare, look=None)])
    [both] = run(engine, sd, key, [each], addons=Addons(look=folder, control=controlnet))
    lesser = [
        (dataclasses.replace(key, control=None), dataclasses.replace(each, control_image=None), Addons(look=folder)),
        (
            dataclasses.replace(key, look_scale=None),
            dataclasses.replace(each, look_image=None),
            Addons(control=controlnet),
        ),
    ]
    for less, given, addons in lesser:
        [one] = run(engine, sd, less, [given], addons=addons)
        assert difference(one, both) > 0.05
    [after] = run(engine, sd, bare, [prepared(bare, look=None)])
    assert sha256(before) == sha256(after)


def test_a_batch_that_is_stopped_leaves_no_look_behind(engine, sd, looks):
    key = key_for(sd, task="text2img", steps=3)
    plain = paint(engine, sd, looks(sd), key, None)
    asked = itertools.count(1)
    batch = dataclasses.replace(key, look_scale=1.0)
    with pytest.raises(Stopped, match="stopped after step 1"):
        run(
            engine,
            sd,
            batch,
            [prepared(batch)],
            addons=Addons(look=looks(sd)),
            should_stop=lambda: next(asked) > 2,
        )
    assert sha256(paint(engine, sd, looks(sd), key, None)) == sha256(plain)


def _copy(looks: Any, source: CheckpointSource, to: Path) -> Path:
    return Path(shutil.copytree(looks(source), to))


def _edit(folder: Path, change: Any) -> None:
    path = folder / "ip-adapter_tiny.safetensors"
    state = load_file(path)
    change(state)
    save_file(state, path)


def _rename(state: dict[str, torch.Tensor], old: str, new: str) -> None:
    for key in [key for key in state if key.startswith(old)]:
        state[new + key.removeprefix(old)] = state.pop(key)


FAULTS: dict[str, tuple[Any, type[Exception], str]] = {
    "no encoder": (
        lambda folder: shutil.rmtree(folder / "image_encoder"),
        IncompatibleAdapterError,
        "lacks the folder image_encoder",
    ),
    "no adapter": (
        lambda folder: (folder / "ip-adapter_tiny.safetensors").unlink(),
        IncompatibleAdapterError,
        r"holds no ip-adapter\*\.safetensors",
    ),
    "two adapters": (
        lambda folder: shutil.copy(folder / "ip-adapter_tiny.safetensors", folder / "ip-adapter_2.safetensors"),
        IncompatibleAdapterError,
        "holds more than one",
    ),
    "half an adapter": (
        lambda folder: (folder / "ip-adapter_tiny.safetensors").write_bytes(b"\x40\0\0"),
        CorruptCheckpointError,
        "cannot be read",
    ),
    "an encoder without weights": (
        lambda folder: (folder / "image_encoder/model.safetensors").unlink(),
        CorruptCheckpointError,
        r"The image encoder in .* cannot be loaded",
    ),
    "another encoder": (
        lambda folder: look_files.encoder(folder / "image_encoder", projected=16),
        IncompatibleAdapterError,
        "was trained with another image encoder",
    ),
    "a missing layer": (
        lambda folder: _edit(folder, lambda state: state.pop("ip_adapter.1.to_k_ip.weight")),
        IncompatibleAdapterError,
        r"its 1\.to_k_ip\.weight is missing, here it would be \(32, 32\)",
    ),
    "no attention": (
        lambda folder: _edit(folder, lambda state: _rename(state, "ip_adapter.", "lora.")),
        IncompatibleAdapterError,
        "is no IP-Adapter: it has no ip_adapter",
    ),
    "a face": (
        lambda folder: _edit(folder, lambda state: _rename(state, "image_proj.", "image_proj.perceiver_resampler.")),
        IncompatibleAdapterError,
        "looks at faces",
    ),
    "another projection": (
        lambda folder: _edit(folder, lambda state: _rename(state, "image_proj.proj", "image_proj.other")),
        IncompatibleAdapterError,
        "is of a kind that cannot be used",
    ),
}


@pytest.mark.parametrize(("fault", "error", "words"), FAULTS.values(), ids=FAULTS)
def test_an_adapter_that_cannot_act_is_refused_in_words(engine, sd, looks, tmp_path, fault, error, words):
    folder = _copy(looks, sd, tmp_path / "adapter")
    fault(folder)
    key = key_for(sd, task="text2img", look_scale=0.7)
    bare = dataclasses.replace(key, look_scale=None)
    [before] = run(engine, sd, bare, [prepared(bare, look=None)])
    with pytest.raises(error, match=words) as caught:
        run(engine, sd, key, [prepared(key)], addons=Addons(look=folder))
    assert "\n" not in str(caught.value)
    [after] = run(engine, sd, bare, [prepared(bare, look=None)])
    assert sha256(before) == sha256(after)


def test_an_adapter_of_another_family_is_refused_with_what_does_not_fit(engine, sd, sdxl, looks):
    key = key_for(sd, task="text2img", look_scale=0.7)
    with pytest.raises(IncompatibleAdapterError, match=r"made for another model: its 1\.to_k_ip\.weight is \(32, 64\)"):
        run(engine, sd, key, [prepared(key)], addons=Addons(look=looks(sdxl)))


@pytest.mark.parametrize(
    ("change", "folder", "words"),
    [
        ({"look_image": None}, True, "must have a look where the key has a scale"),
        ({"look_image": reference()[..., 0]}, True, r"look of shape \(50, 40\)"),
        ({"look_image": reference()[:0]}, True, r"look of shape \(0, 40, 3\)"),
        ({"look_image": reference() / 255}, True, "convert them to uint8"),
        ({}, False, "needs its IP-Adapter's folder"),
    ],
)
def test_inputs_without_a_sound_reference_are_refused_before_anything_runs(engine, sd, looks, change, folder, words):
    key = key_for(sd, task="text2img", look_scale=0.7)
    each = dataclasses.replace(prepared(key), **change)
    with pytest.raises(InputError, match=words):
        run(engine, sd, key, [each], addons=Addons(look=looks(sd) if folder else None))
    bare = dataclasses.replace(key, look_scale=None)
    with pytest.raises(InputError, match="must have a look where"):
        run(engine, sd, bare, [prepared(key)])


def test_flux_says_that_it_takes_up_no_look(engine, flux, tmp_path):
    key = key_for(flux, task="text2img", look_scale=0.7)
    with pytest.raises(InputError, match=r"FLUX\.1 takes up no picture's look"):
        run(engine, flux, key, [prepared(key)], addons=Addons(look=tmp_path))
