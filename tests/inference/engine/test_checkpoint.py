"""Checkpoint folders: what is missing or damaged is said in words, half-precision files are found."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from inference import catalog
from inference.catalog import sources
from inference.engine import tiny
from inference.engine.interface import CorruptCheckpointError
from tests.inference.engine.batches import input_for, key_for, run, sha256


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _drop_a_weight(folder: Path) -> None:
    [path] = folder.glob("*.safetensors")
    weights = load_file(path)
    weights.pop(sorted(weights)[5])
    save_file(weights, path, metadata={"format": "pt"})


def _reshape_a_weight(folder: Path) -> None:
    [path] = folder.glob("*.safetensors")
    weights = load_file(path)
    weights[sorted(weights)[5]] = torch.zeros(3, 3)
    save_file(weights, path, metadata={"format": "pt"})


FAULTS: Mapping[str, Callable[[Path], None]] = {
    "nothing": lambda folder: shutil.rmtree(folder),
    "no U-Net weights": lambda folder: (folder / "unet/diffusion_pytorch_model.safetensors").unlink(),
    "half a U-Net file": lambda folder: _truncate(folder / "unet/diffusion_pytorch_model.safetensors"),
    "half a text encoder file": lambda folder: _truncate(folder / "text_encoder/model.safetensors"),
    "a U-Net weight missing": lambda folder: _drop_a_weight(folder / "unet"),
    "a VAE weight missing": lambda folder: _drop_a_weight(folder / "vae"),
    "a text encoder weight missing": lambda folder: _drop_a_weight(folder / "text_encoder"),
    "a U-Net weight of another shape": lambda folder: _reshape_a_weight(folder / "unet"),
    "a text encoder weight of another shape": lambda folder: _reshape_a_weight(folder / "text_encoder"),
    "no text encoder": lambda folder: shutil.rmtree(folder / "text_encoder"),
    "no tokenizer": lambda folder: shutil.rmtree(folder / "tokenizer"),
    "half a vocabulary": lambda folder: _truncate(folder / "tokenizer/tokenizer.json"),
    "half a scheduler config": lambda folder: _truncate(folder / "scheduler/scheduler_config.json"),
    "half a text encoder config": lambda folder: _truncate(folder / "text_encoder/config.json"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_damaged_checkpoint_is_refused_in_words_and_never_painted_with(engine, sd, tmp_path, fault):
    shutil.copytree(sd.folder, tmp_path / "damaged")
    source = sources.read_source(tmp_path / "damaged", slug="damaged")
    fault(source.folder)
    key = key_for(source)
    with pytest.raises(CorruptCheckpointError, match=r"opy the (folder|checkpoint) again\.$") as caught:
        run(engine, source, key, [input_for(key, 0)])
    assert str(source.folder) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert engine.loaded is None


@pytest.mark.parametrize("name", ["sd", "sdxl"])
def test_a_checkpoint_of_half_precision_files_alone_is_loaded(request, engine, tmp_path, name):
    original = request.getfixturevalue(name)
    shutil.copytree(original.folder, tmp_path / "half")
    for path in list((tmp_path / "half").rglob("*.safetensors")):
        save_file({k: v.half() for k, v in load_file(path).items()}, path, metadata={"format": "pt"})
        path.rename(path.with_name(f"{path.stem}.fp16.safetensors"))
    source = sources.read_source(tmp_path / "half", slug="half")
    key = key_for(source)
    assert len(run(engine, source, key, [input_for(key, 0)])) == 1


def test_pickled_weights_are_never_opened(engine, sd, tmp_path):
    shutil.copytree(sd.folder, tmp_path / "pickled")
    path = tmp_path / "pickled/unet/diffusion_pytorch_model.safetensors"
    torch.save(load_file(path), path.with_suffix(".bin"))
    path.unlink()
    source = sources.read_source(tmp_path / "pickled", slug="pickled")
    key = key_for(source)
    with pytest.raises(CorruptCheckpointError, match="no file named"):
        run(engine, source, key, [input_for(key, 0)])


def test_the_stand_in_is_made_by_its_first_render_and_read_by_the_next(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "STARTER_FOLDER", tmp_path / "not-bundled")
    source = sources.resolve(catalog.entry("starter"), overrides={}, data_dir=tmp_path)
    key = key_for(source, width=64, height=64)
    [first] = run(engine, source, key, [input_for(key, 0)])
    facts = sources.read_source(source.folder, slug="starter")
    assert facts == source
    made = sources.fingerprint(source)
    [again] = run(engine, source, key, [input_for(key, 0)])
    assert (sha256(again), sources.fingerprint(source)) == (sha256(first), made)


def test_two_builders_of_one_checkpoint_agree_and_leave_no_draft(tmp_path):
    state = torch.random.get_rng_state()
    tiny.build_sd(tmp_path / "one")
    before = sources.fingerprint(sources.read_source(tmp_path / "one", slug="x"))
    tiny.build_sd(tmp_path / "one")
    tiny.build_sd(tmp_path / "two")
    for name in ("one", "two"):
        assert sources.fingerprint(sources.read_source(tmp_path / name, slug="x")) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]
    assert torch.equal(torch.random.get_rng_state(), state)
