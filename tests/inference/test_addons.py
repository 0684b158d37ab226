"""The files of a batch on disk, and one LoRA's whole way: uploaded, checked, asked for, painted by the real engine."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from django.core.files.base import ContentFile, File
from django.core.files.storage import Storage, default_storage
from PIL import Image

from billing import clock, ledger
from gallery import storage
from gallery.models import Asset
from inference import addons, generate, lora_intake, loras, queue
from inference.engine.batching import BatchKey, LoraKey
from inference.engine.interface import Addons
from inference.generate import Settings
from inference.loras import ChosenLora, Words
from inference.models import Lora, Render, RenderStatus
from inference.remake import NotRemadeError, remake
from inference.runner import Runner
from studio.models import User, Workspace
from tests.conftest import NOW

KEY = BatchKey(
    checkpoint="starter",
    task="text2img",
    width=256,
    height=256,
    num_inference_steps=2,
    guidance_scale=5.0,
    strength=1.0,
    scheduler="Euler",
)


def with_files(*keys: str) -> BatchKey:
    return replace(KEY, loras=tuple(LoraKey(file=key, weight=1.0) for key in keys))


class Elsewhere(Storage):
    """A storage without paths, as object stores are."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def _save(self, name: str, content: "File[bytes]") -> str:
        self.kept[name] = content.read()
        return name

    def _open(self, name: str, mode: str = "rb") -> "File[bytes]":
        if name not in self.kept:
            raise FileNotFoundError(name)
        return ContentFile(self.kept[name])

    def exists(self, name: str) -> bool:
        return name in self.kept

    def delete(self, name: str) -> None:
        del self.kept[name]


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_batch_without_loras_needs_no_files():
    assert addons.of(KEY) == Addons()


def test_stored_files_are_used_where_they_lie_in_the_keys_order():
    one, two = (storage.put(1, data, suffix=".safetensors") for data in (b"one", b"two"))
    found = addons.of(with_files(two, one))
    assert [path.read_bytes() for path in found.loras] == [b"two", b"one"]
    assert [str(path) for path in found.loras] == [default_storage.path(two), default_storage.path(one)]


def test_files_of_a_storage_elsewhere_are_fetched_once(monkeypatch, settings, tmp_path):
    settings.STUDIO_DATA = tmp_path / "data"
    remote = Elsewhere()
    monkeypatch.setattr(storage, "default_storage", remote)
    key = storage.put(1, b"far away", suffix=".safetensors")
    [path] = addons.of(with_files(key)).loras
    assert path.read_bytes() == b"far away"
    assert tmp_path in path.parents
    remote.delete(key)
    assert addons.of(with_files(key)).loras == (path,)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_what_storage_elsewhere_has_not_is_missing_and_leaves_no_draft(monkeypatch, settings, tmp_path, db):
    settings.STUDIO_DATA = tmp_path / "data"
    monkeypatch.setattr(storage, "default_storage", Elsewhere())
    with pytest.raises(addons.MissingFileError, match="is not in storage any more"):
        addons.of(with_files("1/gone.safetensors"))
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file()]


# --- the whole way ----------------------------------------------------------------------------------------------------


@pytest.fixture
def starter(settings, tmp_path_factory) -> Path:
    """The starter's stand-in: a real Stable Diffusion of tiny weights."""
    from inference.engine import tiny

    folder = tmp_path_factory.getbasetemp() / "lora-starter"
    if not folder.exists():
        tiny.build_sd(folder, native_size_px=64)
    settings.STUDIO_CHECKPOINTS = {"starter": folder}
    return folder


@pytest.fixture
def soft(workspace: Workspace, starter: Path, tmp_path: Path) -> Lora:
    """A LoRA for it, through quarantine."""
    from tests.inference.engine import lora_files

    path = lora_files.kohya(tmp_path / "soft.safetensors", lora_files.pipeline_of(starter))
    with path.open("rb") as file:
        lora = loras.receive(
            workspace_id=workspace.pk,
            source=file,
            file_name=path.name,
            words=Words(name="Soft light"),
            created_by_id=None,
            now=NOW,
        )
    lora_intake.admit(lora_id=lora.pk, now=NOW)
    lora.refresh_from_db()
    assert lora.status == "clean", lora.refusal
    return lora


@pytest.fixture
def runner(starter: Path) -> Runner:
    from inference.engine.engine import Engine

    worker = queue.register(host="here", pid=1, queue="gpu", now=clock.now())
    return Runner(engine=Engine(device="cpu"), worker=worker)


def ask(workspace: Workspace, *chosen: ChosenLora, key: str) -> Render:
    user, _ = User.objects.get_or_create(email="somebody@example.com")
    settings = Settings(
        checkpoint="starter", prompt="a mug on a table", seed=7, num_inference_steps=2, loras=chosen, style="auto"
    )
    made = generate.generate(
        workspace_id=workspace.pk, created_by_id=user.pk, key=key, settings=settings, now=clock.now()
    )
    return Render.objects.get(generation=made)


def made(render: Render) -> Asset:
    render.refresh_from_db()
    assert render.asset is not None, render.failure_reason
    return render.asset


def picture(render: Render) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(storage.read(made(render).storage_key))), dtype=int)


def test_a_lora_changes_the_picture_and_at_weight_0_not_a_byte(workspace, soft, runner):
    plain = ask(workspace, key="plain")
    off = ask(workspace, ChosenLora(lora_id=soft.pk, weight=0), key="off")
    half = ask(workspace, ChosenLora(lora_id=soft.pk, weight=0.1), key="half")
    full = ask(workspace, ChosenLora(lora_id=soft.pk, weight=1), key="full")
    assert not runner.drain(limit_s=120)
    assert Render.objects.filter(status=RenderStatus.SUCCEEDED).count() == 4
    assert made(off).sha256 == made(plain).sha256
    assert len({made(each).sha256 for each in (plain, half, full)}) == 3
    small, large = (np.abs(picture(each) - picture(plain)).mean() for each in (half, full))
    assert 0 < small < large
    # Those with another LoRA were painted in a pass of their own, and each was charged as any other.
    assert plain.batch_key == off.batch_key != full.batch_key
    assert ledger.balance(workspace_id=workspace.pk).spent == 4 * 1000


def test_an_image_with_a_lora_is_made_again_from_its_recipe(workspace, soft, runner):
    render = ask(workspace, ChosenLora(lora_id=soft.pk), key="once")
    runner.drain(limit_s=120)
    assert remake(asset_id=made(render).pk, engine=runner.engine).is_identical
    default_storage.delete(soft.storage_key)
    with pytest.raises(NotRemadeError, match="The file of the LoRA “Soft light” is not in storage any more"):
        remake(asset_id=made(render).pk, engine=runner.engine)


def test_a_lora_whose_file_is_gone_fails_its_image_uncharged_and_the_others_go_on(workspace, soft, runner):
    with_lora, without = ask(workspace, ChosenLora(lora_id=soft.pk), key="with"), ask(workspace, key="without")
    default_storage.delete(soft.storage_key)
    assert not runner.drain(limit_s=120)
    for render in (with_lora, without):
        render.refresh_from_db()
    assert (with_lora.status, without.status) == (RenderStatus.FAILED, RenderStatus.SUCCEEDED)
    assert with_lora.failure_reason == (
        "The file of the LoRA “Soft light” is not in storage any more. "
        "Upload the same file again, or leave it out. Nothing was charged."
    )
    assert ledger.balance(workspace_id=workspace.pk).spent == 1000
    assert ledger.balance(workspace_id=workspace.pk).held == 0
