"""An old image made again from its recipe alone: the same bytes, or a sentence that says why not."""

import dataclasses
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError

from billing import clock
from gallery.models import Asset, AssetOrigin
from inference import catalog, queue, remake
from inference.catalog.sources import resolve
from inference.engine import tiny
from inference.engine.batching import batch_key
from inference.engine.engine import Engine
from inference.queue import QueuedRequest
from inference.requests import image_request
from inference.runner import Runner

ENTRY = catalog.entry("starter")


@pytest.fixture(scope="module")
def engine():
    return Engine(device="cpu")


@pytest.fixture
def folder(tmp_path, settings) -> Path:
    """A small checkpoint of the real classes in the starter's place."""
    tiny.build_sd(tmp_path / "small", native_size_px=64)
    settings.STUDIO_CHECKPOINTS = {"starter": tmp_path / "small"}
    return tmp_path / "small"


@pytest.fixture
def painted(workspace, engine, folder) -> list[Asset]:
    """Three images that were painted in one batch, by the real pipeline."""
    source = resolve(ENTRY, overrides=settings.STUDIO_CHECKPOINTS, data_dir=settings.STUDIO_DATA)
    requests = [
        image_request(ENTRY, prompt=f"a jar, {seed}", seed=seed, width=96, height=64, num_inference_steps=2)
        for seed in range(3)
    ]
    queued = [QueuedRequest(request=each, batch_key=batch_key(each, source.sizes).digest()) for each in requests]
    queue.enqueue(workspace_id=workspace.pk, key="ask", requests=queued, entry=ENTRY, now=clock.now())
    worker = queue.register(host="here", pid=1, queue="gpu", now=clock.now())
    Runner(engine=engine, worker=worker).drain(limit_s=60)
    return list(Asset.objects.order_by("pk"))


def test_an_image_comes_out_of_its_recipe_to_the_byte_without_its_neighbors(painted, engine):
    for asset in painted:
        made = remake.remake(asset_id=asset.pk, engine=engine)
        assert made.is_identical
        assert made.differs == ()
    assert len({asset.sha256 for asset in painted}) == 3


def test_another_seed_in_the_recipe_is_noticed(painted, engine):
    asset = painted[0]
    asset.recipe["request"]["seed"] = 99
    asset.save(update_fields=["recipe"])
    assert not remake.remake(asset_id=asset.pk, engine=engine).is_identical


def test_what_is_not_as_it_was_then_is_named(painted, engine):
    asset = painted[0]
    asset.recipe["versions"]["torch"] = "1.0"
    asset.recipe["device_class"] = "cuda-sm90"
    asset.save(update_fields=["recipe"])
    made = remake.remake(asset_id=asset.pk, engine=engine)
    assert made.differs == ("device: cuda-sm90, cpu", f"torch: 1.0, {engine.versions()['torch']}")


def test_another_checkpoint_in_its_place_is_refused(painted, engine, folder, tmp_path, settings):
    tiny.build_sd(tmp_path / "other", seed=1, native_size_px=64)
    settings.STUDIO_CHECKPOINTS = {"starter": tmp_path / "other"}
    with pytest.raises(remake.NotRemadeError, match="is another one than then"):
        remake.remake(asset_id=painted[0].pk, engine=engine)


def test_what_was_imported_has_no_recipe(painted, engine):
    Asset.objects.filter(pk=painted[0].pk).update(origin=AssetOrigin.IMPORTED)
    with pytest.raises(remake.NotRemadeError, match="was not painted here"):
        remake.remake(asset_id=painted[0].pk, engine=engine)


def test_the_command_says_whether_the_bytes_are_the_same_and_keeps_them(painted, engine, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("inference.tasks.make_engine", lambda: engine)
    asset = painted[0]
    call_command("remake_image", asset.pk, "--out", tmp_path / "again.png")
    assert f"Image {asset.pk} came out the same, to the byte." in capsys.readouterr().out
    assert len((tmp_path / "again.png").read_bytes()) == asset.size_bytes
    asset.recipe["request"]["prompt"] = "a bottle"
    asset.save(update_fields=["recipe"])
    with pytest.raises(CommandError, match="came out with other bytes"):
        call_command("remake_image", asset.pk)
    with pytest.raises(CommandError, match="There is no image 999"):
        call_command("remake_image", 999)


def test_recipes_hold_everything_that_the_request_does(painted):
    request = dataclasses.asdict(image_request(ENTRY, prompt="x", seed=1, width=64, height=64))
    kept = {name for name, value in request.items() if value not in (None, (), 0)}
    assert kept <= painted[0].recipe["request"].keys() | {"seed"}
