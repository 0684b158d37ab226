"""The catalogue: every shipped entry is sound, mistakes are named, and weights are found or asked for in words."""

import dataclasses
import json
import re
from decimal import Decimal
from pathlib import Path

import pytest

from inference import catalog
from inference.catalog import CatalogError, sources
from inference.catalog.sources import (
    CheckpointMissingError,
    CheckpointUnreadableError,
    derived_sizes,
    fingerprint,
    resolve,
)

FOLDER = Path(catalog.__file__).parent
STARTER_TOML = (FOLDER / "starter.toml").read_text()


def checkpoint(folder: Path, *, pipeline: str = "StableDiffusionPipeline", in_channels: int = 4, sample_size: int = 64):
    """The configs and one weight file of a checkpoint folder, as far as the catalogue looks at them."""
    for name, config in (
        ("model_index.json", {"_class_name": pipeline}),
        ("unet/config.json", {"in_channels": in_channels, "sample_size": sample_size}),
        ("vae/config.json", {"block_out_channels": [128, 256, 512, 512]}),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(config))
    (folder / "unet/diffusion_pytorch_model.safetensors").write_bytes(b"weights")
    return folder


def test_every_entry_is_read_and_the_starter_comes_first():
    flux = ["flux-1-dev", "flux-1-fill-dev", "flux-1-schnell"]
    assert list(catalog.load()) == ["starter", *flux, "sd-1-5", "sdxl-base", "sdxl-inpainting"]
    assert catalog.entry("starter").prices == (catalog.Price(version=1, unit="image", credits=Decimal(1)),)


@pytest.mark.parametrize("slug", catalog.load())
def test_the_defaults_of_an_entry_are_within_its_own_limits(slug):
    entry = catalog.entry(slug)
    assert entry.defaults.num_inference_steps in entry.limits.num_inference_steps
    assert entry.defaults.guidance_scale in entry.limits.guidance_scale


@pytest.mark.parametrize("slug", catalog.load())
def test_an_entry_has_shapes_for_tall_and_wide_channels_at_about_one_area(slug):
    (width, height), *others = catalog.entry(slug).sizes
    assert width == height
    assert any(w / h > 1.7 for w, h in others)
    assert any(h / w > 1.7 for w, h in others)
    assert all(0.85 < w * h / (width * height) < 1.18 for w, h in others)


@pytest.mark.parametrize("slug", catalog.load())
def test_an_entry_promises_only_what_its_family_does(slug):
    entry = catalog.entry(slug)
    if entry.family == "flux":
        assert not entry.capabilities & {"negative_prompt", "schedulers", "ip_adapter", "clip_skip"}
        assert entry.defaults.scheduler == "Euler"
    assert bool(entry.controls) == ("control" in entry.capabilities)
    assert (entry.look is not None) == ("ip_adapter" in entry.capabilities)
    assert entry.commercial_use == ("Non-Commercial" not in entry.license)


def test_an_unknown_slug_is_answered_with_the_known_ones():
    with pytest.raises(
        catalog.UnknownCheckpointError, match=r'no checkpoint "sd-9"\. Choose one of: starter, flux-1-dev, '
    ):
        catalog.entry("sd-9")


def test_a_device_class_has_its_own_batch_size_or_that_of_its_kind():
    entry = dataclasses.replace(catalog.entry("starter"), batch_sizes={"cpu": 4, "cuda": 16, "cuda-sm90": 32})
    assert [entry.batch_size(name) for name in ("cpu", "cuda-sm80", "cuda-sm90")] == [4, 16, 32]
    with pytest.raises(CatalogError, match="add a size for the device class mps"):
        entry.batch_size("mps")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('slug = "starter"', 'slug = "other"', 'starter.toml: slug: is "other"; it must be the file name'),
        ('slug = "starter"', 'slug = "Starter!"', "starter.toml: slug: .* lower-case"),
        ('name = "Starter"', "", "starter.toml: name: is missing"),
        ('name = "Starter"', "name = 3", "starter.toml: name: is 3; it must be a text"),
        ('level = "easy"', 'level = "hard"', "starter.toml: level: .* choose one of: easy, advanced"),
        ("commercial_use = true", "commercial_use = 1", "starter.toml: commercial_use: is 1; it must be true or false"),
        ("speed = 5", "speed = 6", "starter.toml: speed: is 6; it must be 1 to 5"),
        ("speed = 5", "speed = true", "starter.toml: speed: is True; it must be a whole number"),
        ('"inpaint"', '"inpainting"', 'starter.toml: capabilities: "inpainting" is unknown'),
        ("[256, 256]", "[250, 256]", r"starter.toml: sizes: \[250, 256\] must be"),
        ("speed = 5", "speeed = 5", "starter.toml: speed: is missing"),
        ("quality = 1", "quality = 1\nstars = 2", "starter.toml: stars: is not a field"),
        ("cpu = 4", "cpu = 0", r"starter.toml: \[batch_sizes\]: cpu: is 0"),
        ("cpu = 4\n", "", r"starter.toml: \[batch_sizes\]: cpu: is missing"),
        ('"DPM++ 2M"', '"Heun"', r"starter.toml: \[defaults\]: scheduler: \"Heun\" is unknown"),
        ("strength = 1.0", "strength = 2", r"starter.toml: \[defaults\]: strength: is 2"),
        (
            "guidance_scale = [1, 15]",
            "guidance_scale = [15, 1]",
            r"\[limits\]: guidance_scale: .* \[minimum, maximum\]",
        ),
        ("credits = 1", "credits = 0.0001", r"\[\[prices\]\] 1: credits: is 0.0001; .* three decimals"),
        ("credits = 1", "credits = -1", r"\[\[prices\]\] 1: credits: is -1"),
        ("version = 1", "version = 2", r"\[\[prices\]\] 1: version: must be 1"),
        ('unit = "image"', 'unit = "pixel"', r"\[\[prices\]\] 1: unit: .* choose one of: image, megapixel-step"),
        ('unit = "image"', 'unit = "provider-unit"', r"\[\[prices\]\] 1: likely_units: is missing"),
        ("credits = 1", "credits = 1\ndiscount = 2", r"\[\[prices\]\] 1: discount: is not a field"),
        (
            'unit = "image"',
            'unit = "provider-unit"\nlikely_units = 3\nmaximum_units = 2',
            r"\[\[prices\]\] 1: maximum_units: is 2; it must be at least the 3 that are likely",
        ),
        ("[[prices]]", "[prices]", r"prices: is .*; it must be a list of tables, each under \[\[prices\]\]"),
        ("[source]\n", '[source]\nrepo = "a/b"\n', r"\[source\]: repo: give either"),
        ('folder = "inference/starter/checkpoint"', 'repo = "a/b"', r"\[source\]: revision: give a revision"),
        ("speed = 5", 'speed = 5\nreplaced_by = "sd-9"', 'starter.toml: replaced_by: there is no entry "sd-9"'),
        ("speed = 5", 'speed = 5\nretired_on = "2026-11-01"', "starter.toml: retired_on: .* must be a date"),
        ("speed = 5", "speed = ", "starter.toml: is not valid TOML"),
    ],
)
def test_a_mistake_in_a_file_is_named_by_file_and_field(tmp_path, old, new, words):
    assert old in STARTER_TOML
    (tmp_path / "starter.toml").write_text(STARTER_TOML.replace(old, new, 1))
    with pytest.raises(CatalogError, match=words):
        catalog.read_folder(tmp_path)


def test_the_readme_documents_every_field_and_nothing_else():
    readme = (FOLDER / "README.md").read_text()
    table = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", readme, flags=re.MULTILINE))
    assert list(table) == [field.name for field in dataclasses.fields(catalog.CatalogEntry)]
    nested = {
        "source": catalog.Source,
        "defaults": catalog.Defaults,
        "limits": catalog.Limits,
        "prices": catalog.Price,
        "controls": catalog.Addon,
        "look": catalog.Addon,
    }
    for name, part in nested.items():
        for field in dataclasses.fields(part):
            assert f"`{field.name}`" in table[name], f"{name}.{field.name}"
    assert set(re.findall(r"`(\w+)`", table["capabilities"])) == set(catalog.CAPABILITIES)
    schedulers = re.search(r"^Schedulers: (.*)\.$", readme, flags=re.MULTILINE)
    assert schedulers is not None
    assert tuple(re.findall(r"`([^`]+)`", schedulers[1])) == catalog.SCHEDULERS


def test_missing_weights_are_answered_with_how_to_install_them(tmp_path):
    with pytest.raises(CheckpointMissingError) as caught:
        resolve(catalog.entry("sdxl-base"), overrides={}, data_dir=tmp_path)
    assert "hf download stabilityai/stable-diffusion-xl-base-1.0 --revision 4621659" in str(caught.value)
    assert str(tmp_path / "checkpoints" / "sdxl-base") in str(caught.value)


def test_weights_put_where_the_message_says_are_found(tmp_path):
    folder = checkpoint(tmp_path / "checkpoints" / "sdxl-base", pipeline="StableDiffusionXLPipeline", sample_size=128)
    source = resolve(catalog.entry("sdxl-base"), overrides={}, data_dir=tmp_path)
    assert (source.folder, source.family, source.native_size_px, source.is_inpainting) == (folder, "sdxl", 1024, False)
    assert source.sizes == catalog.entry("sdxl-base").sizes


def test_an_overriding_folder_wins_and_brings_its_own_sizes_when_it_is_of_another_size(tmp_path):
    folder = checkpoint(tmp_path / "mine", pipeline="StableDiffusionInpaintPipeline", in_channels=9, sample_size=96)
    checkpoint(tmp_path / "data" / "checkpoints" / "sd-1-5")
    source = resolve(catalog.entry("sd-1-5"), overrides={"sd-1-5": folder}, data_dir=tmp_path / "data")
    assert (source.folder, source.family, source.native_size_px, source.is_inpainting) == (folder, "sd", 768, True)
    assert source.sizes == derived_sizes(768)


def test_the_starter_is_there_before_anything_is_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "STARTER_FOLDER", tmp_path / "not-bundled")
    source = resolve(catalog.entry("starter"), overrides={}, data_dir=tmp_path)
    assert source.folder == tmp_path / "checkpoints" / "starter-tiny"
    assert source.is_built_on_first_load
    assert not source.folder.exists()
    with pytest.raises(CheckpointMissingError, match="It is made by the first render"):
        fingerprint(source)


def test_the_bundled_starter_is_preferred_to_the_stand_in(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "STARTER_FOLDER", checkpoint(tmp_path / "bundled", sample_size=32))
    source = resolve(catalog.entry("starter"), overrides={}, data_dir=tmp_path)
    assert source.folder == tmp_path / "bundled"
    assert not source.is_built_on_first_load
    assert source.sizes == catalog.entry("starter").sizes


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"pipeline": "SanaPipeline"}, "holds a SanaPipeline; only Stable Diffusion"),
        ({"pipeline": "FluxPipeline"}, "transformer/config.json is missing"),
        ({"in_channels": 8}, "8 input channels; only 4 and 9"),
    ],
)
def test_a_checkpoint_that_cannot_run_is_refused_in_words(tmp_path, broken, words):
    with pytest.raises(CheckpointUnreadableError, match=words):
        sources.read_source(checkpoint(tmp_path / "mine", **broken), slug="mine")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("model_index.json", None, "model_index.json is missing"),
        ("model_index.json", "{", "model_index.json is damaged"),
        ("model_index.json", "[]", "model_index.json is damaged"),
        ("model_index.json", '{"_class_name": ["own", "Code"]}', "only Stable Diffusion"),
        ("unet/config.json", "{}", "does not state in_channels"),
        ("vae/config.json", "{}", "does not state block_out_channels"),
    ],
)
def test_damaged_configs_are_named(tmp_path, name, text, words):
    folder = checkpoint(tmp_path / "mine")
    if text is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(text)
    with pytest.raises(CheckpointUnreadableError, match=words):
        sources.read_source(folder, slug="mine")


def test_an_override_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CheckpointMissingError, match="Correct its path"):
        resolve(catalog.entry("sd-1-5"), overrides={"sd-1-5": tmp_path / "gone"}, data_dir=tmp_path)


def test_the_fingerprint_follows_the_bytes_and_names_of_the_files_but_not_their_place(tmp_path):
    first = sources.read_source(checkpoint(tmp_path / "a"), slug="x")
    before = fingerprint(first)
    assert fingerprint(sources.read_source(checkpoint(tmp_path / "b"), slug="x")) == before
    weights = first.folder / "unet/diffusion_pytorch_model.safetensors"
    weights.write_bytes(b"weightz")
    changed = fingerprint(first)
    weights.rename(weights.with_name("diffusion_pytorch_model.fp16.safetensors"))
    assert len({before, changed, fingerprint(first)}) == 3


@pytest.mark.parametrize("native", [256, 512, 768, 1024])
def test_derived_sizes_keep_the_area_and_the_aspects(native):
    sizes = derived_sizes(native)
    assert sizes[0] == (native, native)
    assert len(sizes) == 7
    assert all(side % 32 == 0 for size in sizes for side in size)
    assert all(abs(w * h / native**2 - 1) < 0.13 for w, h in sizes)
