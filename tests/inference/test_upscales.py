"""Pictures made larger, by the real pipeline through the worker: tiles, the product, what it costs, what is refused."""

import hashlib
import io
from dataclasses import replace
from decimal import Decimal
from functools import partial

import numpy as np
import pytest
from django.conf import settings as django_settings
from PIL import Image, ImageDraw

import billing.audit
import inference.audit
from billing import clock, ledger
from billing.models import HoldLine
from gallery import library, storage
from gallery.models import Asset
from inference import catalog, generate, pricing, queue, remake, upscales
from inference.catalog import Price
from inference.catalog.sources import resolve
from inference.engine import tiny
from inference.engine.batching import batch_key
from inference.engine.engine import Engine
from inference.generate import Settings
from inference.heartbeat import Heartbeat
from inference.models import Generation, Render, RenderStatus
from inference.references import Frame, InitialImage, Placement, ProductReference, RequestError
from inference.requests import UPSCALE_STRENGTH, ImageRequest, image_request, tiles_of
from inference.runner import Runner
from studio.models import User, Workspace
from tests.conftest import NOW

STARTER = catalog.entry("starter")


@pytest.fixture(scope="module")
def engine():
    return Engine(device="cpu", threads=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small checkpoint of the real classes."""
    folder = tmp_path_factory.mktemp("checkpoints") / "small"
    tiny.build_sd(folder, native_size_px=64)
    return folder


@pytest.fixture
def source(folder, settings):
    """The small checkpoint in the starter's place."""
    settings.STUDIO_CHECKPOINTS = {"starter": folder}
    return resolve(STARTER, overrides=settings.STUDIO_CHECKPOINTS, data_dir=django_settings.STUDIO_DATA)


@pytest.fixture(autouse=True)
def _silent_heart(monkeypatch):
    """No beat while a batch is painted: on SQLite its connection would wait for the test's own transaction."""
    monkeypatch.setattr("inference.runner.Heartbeat", partial(Heartbeat, interval_s=600.0, tick_s=600.0))


@pytest.fixture
def person(workspace) -> User:
    return User.objects.create(email="producer@example.com")


def png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def scene(width: int, height: int) -> Image.Image:
    coarse = np.random.default_rng(3).integers(60, 200, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def made(workspace: Workspace, request: ImageRequest | None = None, *, width: int = 96, height: int = 64) -> str:
    """The name of an image that was made, of a request."""
    key = storage.put(workspace.pk, png(scene(width, height)), suffix=".png")
    file = library.StoredImage(storage_key=key, sha256="0" * 64, width=width, height=height, size_bytes=1)
    recipe = {} if request is None else {"request": request.to_json()}
    [pk] = library.add_generated(
        workspace_id=workspace.pk,
        images=[library.GeneratedImage(file=file, recipe=recipe, recipe_hash="")],
        now=NOW,
    )
    return f"asset-{pk}"


@pytest.fixture
def product(workspace) -> ProductReference:
    photo, mask = Image.new("RGB", (240, 180), "#dddddd"), Image.new("L", (240, 180), 0)
    for drawn, color in ((photo, "#8a2222"), (mask, 255)):
        ImageDraw.Draw(drawn).ellipse((80, 40, 160, 160), color)
    return ProductReference(
        photo=storage.put(workspace.pk, png(photo), suffix=".png"),
        lock_mask=storage.put(workspace.pk, png(mask), suffix=".png"),
        placement=Placement(scale=0.6, anchor="center"),
    )


def asked_for(product: ProductReference | None, width: int = 96, height: int = 64) -> ImageRequest:
    return image_request(STARTER, prompt="on marble", seed=1, width=width, height=height, product=product)


def of(name: str, **changes: object) -> Settings:
    given = {"checkpoint": "starter", "base": name, "factor": 2, "aspect": "base", "strength": 0.2, **changes}
    return Settings(**given)  # type: ignore[arg-type]


def click(workspace, person, settings: Settings, key: str = "k") -> Render:
    generation = generate.generate(
        workspace_id=workspace.pk, created_by_id=person.pk, key=key, settings=settings, now=clock.now()
    )
    return generation.renders.get()


def work(engine) -> None:
    hand = queue.register(host="here", pid=1, queue="gpu", now=clock.now())
    Runner(engine=engine, worker=hand).drain(limit_s=120)


def result(render: Render) -> Asset:
    render.refresh_from_db()
    assert render.status == RenderStatus.SUCCEEDED, render.failure_reason
    assert render.asset is not None
    return render.asset


def check_books() -> None:
    assert not any((billing.audit.broken_invariants() | inference.audit.broken_invariants()).values())


# --- painted in tiles -------------------------------------------------------------------------------------------------


def test_a_picture_is_painted_in_tiles_at_its_larger_size_and_charged_for_each(workspace, person, engine, source):
    name = made(workspace)
    render = click(workspace, person, of(name, seed=5))
    request = ImageRequest.from_json(render.request)
    assert (request.task, request.width, request.height, request.seed) == ("upscale", 192, 128, 5)
    told = pricing.maximum(request, STARTER)
    assert render.hold_line.amount == told == pricing.likely(request, STARTER)
    work(engine)
    asset = result(render)
    stored = np.asarray(Image.open(io.BytesIO(storage.read(asset.storage_key))))
    assert stored.shape == (128, 192, 3)
    # New detail over the colors that were there.
    enlarged = np.asarray(scene(96, 64).resize((192, 128), Image.Resampling.LANCZOS)).astype(int)
    assert np.abs(stored - enlarged).mean() > 1
    assert np.abs((stored - enlarged).mean(axis=(0, 1))).max() < 4
    assert asset.recipe["settings"]["base"] == name
    line = HoldLine.objects.get(pk=render.hold_line_id)
    assert (line.captured, line.released, line.overrun) == (told, 0, 0)
    check_books()


def test_the_same_request_gives_the_same_bytes_whatever_is_painted_with_it(workspace, person, engine, source):
    name, other = made(workspace), made(workspace, width=64, height=96)
    alone = click(workspace, person, of(name, seed=5), key="alone")
    work(engine)
    neighbor = click(workspace, person, of(other, seed=9), key="neighbor")
    again = click(workspace, person, of(name, seed=5), key="again")
    varied = click(workspace, person, of(name, seed=6), key="varied")
    work(engine)
    assert result(again).sha256 == result(alone).sha256
    assert len({result(each).sha256 for each in (alone, neighbor, varied)}) == 3
    assert remake.remake(asset_id=result(alone).pk, engine=engine).is_identical


def test_the_denoiser_is_called_once_a_step_and_a_full_batch_of_tiles(workspace, person, engine, source):
    click(workspace, person, of(made(workspace), seed=5), key="warm")
    work(engine)
    render = click(workspace, person, of(made(workspace, width=160, height=96), seed=5))
    request = ImageRequest.from_json(render.request)
    tiles, key = tiles_of(request, source.sizes).count, batch_key(request, source.sizes)
    assert tiles > STARTER.batch_size("cpu")
    calls = []
    hook = engine._checkpoint.own.unet.register_forward_hook(lambda *_: calls.append(1))
    try:
        work(engine)
    finally:
        hook.remove()
    result(render)
    passes = -(-tiles // STARTER.batch_size("cpu"))
    assert len(calls) == passes * key.denoising_steps


def test_it_is_painted_with_what_the_picture_was_made_with(workspace, source):
    first = image_request(
        STARTER,
        prompt="a mug on marble",
        negative_prompt="blurry",
        seed=3,
        width=96,
        height=64,
        num_inference_steps=20,
        guidance_scale=3,
        scheduler="DDIM",
    )
    asked = upscales.request(of(made(workspace, first)), seed=8, workspace_id=workspace.pk)
    assert (asked.prompt, asked.negative_prompt) == ("a mug on marble", "blurry")
    assert (asked.num_inference_steps, asked.guidance_scale, asked.scheduler, asked.seed) == (20, 3.0, "DDIM", 8)
    bare = upscales.request(of(made(workspace), strength=None), seed=8, workspace_id=workspace.pk)
    assert (bare.prompt, bare.strength) == (upscales.DESCRIPTION, UPSCALE_STRENGTH)


# --- the product ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_plain", [False, True], ids=["refined", "plain"])
@pytest.mark.parametrize("is_kept", [False, True], ids=["placed", "kept"])
def test_the_product_comes_back_from_its_photo_to_the_pixel(
    workspace, person, engine, source, product, is_plain, is_kept
):
    size = {"width": 240, "height": 180} if is_kept else {}
    first = asked_for(replace(product, placement=None) if is_kept else product, **size)
    settings = of(made(workspace, first, **size), seed=5, is_plain=is_plain)
    asset = result_of(workspace, person, engine, settings)
    assert asset.certificate is not None
    assert asset.certificate["lock_max_diff"] == 0
    assert asset.certificate["lock_pixels"] > 0
    if is_kept:
        assert asset.certificate["placement"] == "0,0,480,360,lanczos"
    lock = np.asarray(Image.open(io.BytesIO(storage.read(asset.lock_mask_key))))
    assert lock.shape == (asset.height, asset.width)
    check_books()


def result_of(workspace, person, engine, settings: Settings) -> Asset:
    render = click(workspace, person, settings)
    work(engine)
    return result(render)


def test_a_larger_picture_is_made_larger_again_with_its_product(workspace, person, engine, source, product):
    once = result_of(workspace, person, engine, of(made(workspace, asked_for(product)), is_plain=True))
    settings = of(f"asset-{once.pk}", is_plain=True)
    render = click(workspace, person, settings, key="again")
    work(engine)
    asset = result(render)
    assert (asset.width, asset.height) == (384, 256)
    assert asset.certificate is not None
    assert asset.certificate["lock_max_diff"] == 0


# --- without a model --------------------------------------------------------------------------------------------------


class NoEngine(Engine):
    """Paints nothing: who asks it to has not understood."""

    def run(self, *_arguments: object, **_options: object):
        raise AssertionError("No model has a part in a plain enlargement.")


def test_a_plain_enlargement_needs_no_model_costs_nothing_and_is_the_same_every_time(workspace, person, source):
    name = made(workspace)
    settings = upscales.plainly(of(name, factor=4))
    first, second = (click(workspace, person, settings, key=key) for key in ("one", "two"))
    work(NoEngine(device="cpu", threads=1))
    asset = result(first)
    assert (asset.width, asset.height) == (384, 256)
    assert asset.sha256 == result(second).sha256 == hashlib.sha256(storage.read(asset.storage_key)).hexdigest()
    assert asset.recipe["checkpoint_sha256"] == ""
    line = HoldLine.objects.get(pk=first.hold_line_id)
    assert (line.amount, line.captured, line.micro_units) == (0, 0, 0)
    assert line.resolved_at is not None
    assert ledger.balance(workspace_id=workspace.pk).spent == 0
    assert remake.remake(asset_id=asset.pk, engine=NoEngine(device="cpu", threads=1)).is_identical
    check_books()


# --- what it costs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["image", "megapixel-step"])
@pytest.mark.parametrize("sizes", [STARTER.sizes, ((64, 64), (96, 64)), ((512, 512), (704, 384))], ids=str)
def test_what_is_charged_is_never_more_than_what_was_held(unit, sizes):
    price = Price(version=1, unit=unit, credits=Decimal("0.7"))
    entry = replace(STARTER, prices=(price,))
    for width, height in ((512, 512), (1024, 768), (640, 200)):
        initial = InitialImage(image="1/a.png", use="upscale")
        request = image_request(entry, prompt="x", seed=1, width=width, height=height, strength=0.3, initial=initial)
        held = pricing.maximum(request, entry)
        final = pricing.charge(price, pricing.taken(request, batch_key(request, sizes), entry)).cost
        assert 0 < final <= held == pricing.likely(request, entry)
        if sizes == STARTER.sizes:
            assert final == held
            tiles = tiles_of(request, sizes)
            per_tile = 1 if unit == "image" else tiles.tile[0] * tiles.tile[1] * 3 / 1e6
            assert held == pytest.approx(700 * tiles.count * per_tile, abs=1)


# --- what is refused --------------------------------------------------------------------------------------------------


def test_an_edited_picture_is_enlarged_only_without_a_model(workspace, person, engine, source, product):
    edited = replace(product, placement=None, frame=Frame(x=0, y=0, width=96, height=64))
    name = made(workspace, replace(asked_for(None), product=edited))
    with pytest.raises(RequestError, match="edited by hand"):
        upscales.request(of(name), seed=1, workspace_id=workspace.pk)
    plain = result_of(workspace, person, engine, of(name, is_plain=True))
    assert plain.certificate is None


@pytest.mark.parametrize(
    ("size", "changes", "said"),
    [
        ((96, 64), {"factor": 3}, "2 or 4 times as large"),
        ((4000, 100), {"factor": 4}, "The width is 16000. Starter takes 64 to 8192."),
        ((4096, 4000), {"is_plain": True}, "It would have 66 megapixels; 64 are the most."),
        ((1900, 1900), {"factor": 4}, "Starter would paint it in"),
        ((96, 64), {"strength": 0.01}, "leave none to run"),
        ((96, 64), {"base": "asset-999999"}, "no longer there"),
    ],
    ids=["factor", "side", "pixels", "tiles", "no step", "gone"],
)
def test_what_cannot_be_made_larger_is_refused_before_anything_is_held(workspace, person, source, size, changes, said):
    width, height = size
    key = storage.put(workspace.pk, b"never read", suffix=".png")
    file = library.StoredImage(storage_key=key, sha256="0" * 64, width=width, height=height, size_bytes=1)
    image = library.GeneratedImage(file=file, recipe={}, recipe_hash="")
    [pk] = library.add_generated(workspace_id=workspace.pk, images=[image], now=NOW)
    with pytest.raises(RequestError, match=said):
        click(workspace, person, of(f"asset-{pk}", **changes))
    assert not Generation.objects.exists()
    assert ledger.balance(workspace_id=workspace.pk).held == 0


def test_a_picture_of_another_workspace_is_not_there(workspace, make_workspace, source):
    foreign = made(make_workspace("elsewhere"))
    assert upscales.find(foreign, workspace_id=workspace.pk) is None
    with pytest.raises(RequestError, match="no longer there"):
        upscales.request(of(foreign), seed=1, workspace_id=workspace.pk)


def test_a_model_that_cannot_do_it_says_so(workspace, monkeypatch):
    unable = replace(STARTER, capabilities=STARTER.capabilities - {"upscale"})
    monkeypatch.setattr(catalog, "load", lambda: {"starter": unable})
    name = made(workspace)
    with pytest.raises(RequestError, match="Starter cannot make a picture larger"):
        upscales.request(of(name), seed=1, workspace_id=workspace.pk)
    assert upscales.request(of(name, is_plain=True), seed=1, workspace_id=workspace.pk).task == "enlarge"


def test_a_picture_whose_file_is_gone_fails_alone_and_nothing_is_charged(workspace, person, engine, source):
    name, other = made(workspace), made(workspace, width=64)
    gone, sound = (click(workspace, person, of(each, seed=5), key=each) for each in (name, other))
    storage_key = Asset.objects.get(pk=name.removeprefix("asset-")).storage_key
    (django_settings.MEDIA_ROOT / storage_key).unlink()
    work(engine)
    result(sound)
    gone.refresh_from_db()
    assert gone.status == RenderStatus.FAILED
    assert "no longer in storage" in gone.failure_reason
    check_books()


def test_requests_of_before_keep_their_digests():
    plain = image_request(STARTER, prompt="a mug", seed=1, width=256, height=256)
    assert "initial" not in plain.to_json()
    larger = replace(plain, initial=InitialImage(image="1/a.png", use="enlarge"))
    assert ImageRequest.from_json(larger.to_json()) == larger
