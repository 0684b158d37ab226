"""A picture's lines followed and another one's look taken up, through the worker: what is installed and what is not."""

import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from billing import clock, ledger
from gallery import storage
from inference import addons, catalog, queue
from inference.annotators import ANNOTATORS, canny, lineart
from inference.catalog import CONTROLS, Addon, CatalogEntry, addon_sources
from inference.catalog.addon_sources import AddonMissingError
from inference.catalog.sources import resolve
from inference.engine import tiny
from inference.engine.batching import batch_key
from inference.engine.engine import Engine
from inference.models import Render
from inference.queue import QueuedRequest
from inference.references import ControlReference, Frame, LookReference, ProductReference
from inference.requests import ImageRequest, image_request
from inference.runner import Runner
from studio.models import Workspace
from tests.inference.engine import look_files

Pixels = NDArray[np.uint8]


def box_picture(color: str = "#1d4f91", size: tuple[int, int] = (256, 256)) -> Pixels:
    image = Image.new("RGB", size, "#e8e2d0")
    ImageDraw.Draw(image).rectangle((60, 80, 190, 200), fill=color)
    return np.asarray(image)


def kept(pixels: Pixels, workspace_id: int = 1) -> str:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return storage.put(workspace_id, stream.getvalue(), suffix=".png")


# --- maps -------------------------------------------------------------------------------------------------------------


def test_every_control_of_the_catalogue_has_its_annotator():
    assert tuple(ANNOTATORS) == CONTROLS


@pytest.mark.parametrize("annotate", [canny, lineart])
def test_a_map_is_white_along_the_outline_and_black_elsewhere(annotate: Callable[[Pixels], Pixels]) -> None:
    drawn = annotate(box_picture())
    assert drawn.shape == (256, 256, 3)
    assert (drawn[..., 0] == drawn[..., 2]).all()
    outline = np.zeros((256, 256), bool)
    outline[74:207, 54:197] = True
    outline[88:193, 68:183] = False
    assert drawn[outline].max() > 200
    assert drawn[~outline].mean() < 6
    assert annotate(np.full((64, 64, 3), 200, np.uint8)).max() == 0


@pytest.mark.parametrize("kind", ["depth", "pose"])
def test_a_map_that_was_made_elsewhere_is_followed_as_it_is(kind: str) -> None:
    assert np.array_equal(ANNOTATORS[kind](box_picture()), box_picture())


# --- what is installed ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory) -> Path:
    """A data folder with the starter's stand-in, a ControlNet and an IP-Adapter made for it."""
    data = tmp_path_factory.mktemp("data")
    checkpoint = data / "checkpoints" / "starter-tiny"
    tiny.build_sd(checkpoint)
    unet = UNet2DConditionModel.from_pretrained(checkpoint, subfolder="unet")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(8, 8, 8, 16))
        last = [*net.controlnet_down_blocks, net.controlnet_mid_block, net.controlnet_cond_embedding.conv_out]
        for layer in last:
            torch.nn.init.normal_(layer.weight, std=0.3)
        for layer in net.controlnet_cond_embedding.modules():
            if isinstance(layer, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(layer.weight)
    net.save_pretrained(data / "adapters" / "edges")
    look_files.adapter(data / "adapters" / "looks", checkpoint)
    return data


@pytest.fixture
def entry(monkeypatch, settings, data_dir: Path) -> CatalogEntry:
    """The starter, as if it had a ControlNet and an IP-Adapter; lineart is not installed."""
    starter = catalog.entry("starter")
    able = replace(
        starter,
        capabilities=starter.capabilities | {"control", "ip_adapter"},
        controls={"canny": Addon("edges", "maker/edges"), "lineart": Addon("lines", "maker/lines")},
        look=Addon("looks", "maker/looks"),
    )
    entries: Mapping[str, CatalogEntry] = {**catalog.load(), "starter": able}
    monkeypatch.setattr(catalog, "load", lambda: entries)
    settings.STUDIO_DATA = data_dir
    # Not the bundled one: the ControlNet and the IP-Adapter were made for the stand-in.
    settings.STUDIO_CHECKPOINTS = {"starter": data_dir / "checkpoints" / "starter-tiny"}
    return able


def test_only_what_is_installed_is_offered_and_the_rest_says_how_to_install_it(entry, data_dir, tmp_path) -> None:
    assert addon_sources.installed_controls(entry, data_dir=data_dir) == ("canny",)
    assert addon_sources.has_look(entry, data_dir=data_dir)
    assert not addon_sources.has_look(entry, data_dir=tmp_path)
    with pytest.raises(AddonMissingError, match=r"hf download maker/lines --local-dir .*/adapters/lines"):
        addon_sources.control(entry, "lineart", data_dir=data_dir)
    with pytest.raises(AddonMissingError, match="image_encoder folder"):
        addon_sources.look(entry, data_dir=tmp_path)
    plain = replace(entry, controls={}, look=None)
    with pytest.raises(AddonMissingError, match="follows no canny"):
        addon_sources.control(plain, "canny", data_dir=data_dir)
    with pytest.raises(AddonMissingError, match="takes up no picture's look"):
        addon_sources.look(plain, data_dir=data_dir)


# --- through the worker -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(device="cpu", threads=2)


@pytest.fixture
def paint(workspace: Workspace, entry: CatalogEntry, engine: Engine, data_dir: Path) -> Callable[..., list[Render]]:
    """Has a worker make images, and gives their rows in order."""
    source = resolve(entry, overrides={}, data_dir=data_dir)

    def made(*asked: ImageRequest) -> list[Render]:
        queued = [QueuedRequest(request=each, batch_key=batch_key(each, source.sizes).digest()) for each in asked]
        queue.enqueue(workspace_id=workspace.pk, key="ask", requests=queued, entry=entry, now=clock.now())
        worker = queue.register(host="here", pid=1, queue="gpu", now=clock.now())
        Runner(engine=engine, worker=worker).drain(limit_s=120)
        return list(Render.objects.select_related("asset").order_by("pk"))

    return made


def pixels_of(render: Render) -> NDArray[np.int64]:
    assert render.asset is not None, render.failure_reason
    return np.asarray(Image.open(io.BytesIO(storage.read(render.asset.storage_key)))).astype(np.int64)


def test_a_followed_picture_and_a_taken_up_look_change_the_image_more_the_stronger_they_act(
    entry, paint, workspace
) -> None:
    lines, look = kept(box_picture()), kept(box_picture("#b00020"))

    def asked(**following: object) -> ImageRequest:
        return image_request(
            entry,
            prompt="a cat",
            seed=1,
            width=256,
            height=256,
            num_inference_steps=3,
            **following,  # type: ignore[arg-type]
        )

    controls = [ControlReference(kind="canny", image=lines, scale=scale) for scale in (0.2, 0.9)]
    looks = [LookReference(image=look, scale=scale) for scale in (0.2, 0.9)]
    requests = [asked(), *(asked(control=each) for each in controls), *(asked(look=each) for each in looks)]
    renders = paint(*requests)
    plain, *others = (pixels_of(each) for each in renders)
    weak_lines, strong_lines, weak_look, strong_look = (np.abs(each - plain).mean() for each in others)
    assert 0.1 < weak_lines < strong_lines
    assert 0.1 < weak_look < strong_look
    assert ledger.balance(workspace_id=workspace.pk).spent == 5000
    recipes = [render.asset.recipe for render in renders if render.asset is not None]
    assert "adapters_sha256" not in recipes[0]
    assert list(recipes[1]["adapters_sha256"]) == ["control"]
    assert list(recipes[3]["adapters_sha256"]) == ["look"]


def test_lines_are_followed_in_an_edit_and_what_is_kept_stays(entry, paint) -> None:
    pixels = box_picture(size=(300, 300))
    lock = np.full((300, 300), 255, np.uint8)
    lock[100:160, 100:160] = 0
    product = ProductReference(photo=kept(pixels), lock_mask=kept(lock), frame=Frame(x=68, y=68, width=124, height=124))
    asked = image_request(
        entry,
        prompt="a cat",
        seed=1,
        width=300,
        height=300,
        num_inference_steps=3,
        product=product,
        control=ControlReference(kind="canny", image=kept(pixels)),
    )
    [render] = paint(asked)
    assert (pixels_of(render)[lock == 255] == pixels[lock == 255]).all()
    assert render.asset is not None
    assert render.asset.certificate is not None
    assert render.asset.certificate["lock_max_diff"] == 0


def test_what_is_gone_or_not_installed_fails_its_image_in_words_and_uncharged(entry, paint, workspace) -> None:
    gone = f"{workspace.pk}/{'0' * 64}.png"
    common: Any = {"prompt": "a cat", "seed": 1, "width": 256, "height": 256, "num_inference_steps": 2}
    lost_lines = image_request(entry, **common, control=ControlReference(kind="canny", image=gone))
    lost_look = image_request(entry, **common, look=LookReference(image=gone))
    missing = image_request(entry, **common, control=ControlReference(kind="lineart", image=kept(box_picture())))
    reasons = [render.failure_reason for render in paint(lost_lines, lost_look, missing)]
    assert reasons[0].startswith("The control image is no longer in storage.")
    assert reasons[1].startswith("The reference image is no longer in storage.")
    assert "hf download maker/lines" in reasons[2]
    assert all(reason.endswith("Nothing was charged.") for reason in reasons)
    assert ledger.balance(workspace_id=workspace.pk).spent == 0


def test_maps_are_drawn_once_for_the_images_of_a_picture(entry, data_dir, monkeypatch) -> None:
    from inference.finishing import prepare

    source = resolve(entry, overrides={}, data_dir=data_dir)
    control = ControlReference(kind="canny", image=kept(box_picture("#008844")))
    asked = image_request(entry, prompt="a cat", seed=1, width=256, height=256, control=control)
    key = batch_key(asked, source.sizes)
    first = prepare(asked, key).control_map
    monkeypatch.setattr(storage, "read", lambda key: pytest.fail("read again"))
    assert first is not None
    assert prepare(replace(asked, seed=2), key).control_map is first
    assert addons.fingerprints(key).keys() == {"control"}
