"""From stored pictures to what the engine sees, and back to the delivered image: begun from, edited, extended."""

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from gallery import storage
from inference import catalog
from inference.catalog.sources import CheckpointSource, resolve
from inference.engine.batching import batch_key
from inference.engine.engine import Engine
from inference.finishing import engine_input, finish, prepare
from inference.pictures import PictureError
from inference.product_lock import LockError
from inference.references import Frame, InitialImage, Offset, ProductReference, RequestError
from inference.requests import ImageRequest, image_request

STARTER = catalog.entry("starter")

Pixels = NDArray[np.uint8]


def scene(width: int, height: int, seed: int = 3) -> Pixels:
    """A picture with large and small shapes, different everywhere."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def kept(pixels: Pixels, profile: bytes | None = None) -> str:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", icc_profile=profile)
    return storage.put(1, stream.getvalue(), suffix=".png")


def stored(data: bytes) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def request(**asked: object) -> ImageRequest:
    return image_request(
        STARTER,
        **{"prompt": "a red cat", "seed": 5, "width": 256, "height": 256, **asked},  # type: ignore[arg-type]
    )


def locked_but(pixels: Pixels, box: tuple[int, int, int, int]) -> Pixels:
    lock = np.full(pixels.shape[:2], 255, np.uint8)
    left, top, right, bottom = box
    lock[top:bottom, left:right] = 0
    return lock


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> CheckpointSource:
    return resolve(STARTER, overrides={}, data_dir=tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def paint(source: CheckpointSource) -> Callable[[ImageRequest], Pixels]:
    """Makes the image of a request with the starter, and gives its stored pixels."""
    engine = Engine(device="cpu", threads=2)

    def made(asked: ImageRequest) -> Pixels:
        key = batch_key(asked, source.sizes)
        prepared = prepare(asked, key)
        [(_, picture)] = engine.run(
            key,
            [engine_input(prepared, seed=asked.seed)],
            source=source,
            batch_size=1,
            on_progress=lambda _: None,
            should_stop=lambda: False,
        )
        return stored(finish(prepared, picture).data)

    return made


# --- begun from a picture ---------------------------------------------------------------------------------------------


def begun(image: str, **asked: object) -> ImageRequest:
    return request(initial=InitialImage(image=image), num_inference_steps=10, **asked)


def test_the_weaker_the_strength_the_nearer_is_the_image_to_its_base(paint) -> None:
    base = scene(256, 256)
    key = kept(base)
    # What the VAE makes of the picture by itself: the stand-in's is far from exact.
    nearest = paint(begun(key, strength=0.1)).astype(int)
    weak, strong = paint(begun(key, strength=0.2)).astype(int), paint(begun(key, strength=0.9)).astype(int)
    assert np.abs(weak - nearest).mean() < 0.6 * np.abs(strong - nearest).mean()


def test_a_base_of_another_shape_is_cut_evenly_and_never_stretched(source) -> None:
    base = np.zeros((200, 800, 3), np.uint8)
    base[:, 300:500] = (250, 10, 10)  # what remains of it on a square
    asked = begun(kept(base), width=180, height=180, strength=0.5)
    seen = engine_input(prepare(asked, batch_key(asked, source.sizes)), seed=1).image
    assert seen is not None
    assert seen.shape == (256, 256, 3)
    assert (np.abs(seen.astype(int) - (250, 10, 10)).max(axis=2) < 3).mean() > 0.98


def test_where_the_model_has_another_shape_the_rest_is_made_up_and_cut_off_again(source) -> None:
    base = scene(400, 160)
    asked = begun(kept(base), width=400, height=160, strength=0.5)
    key = batch_key(asked, source.sizes)
    prepared = prepare(asked, key)
    seen = engine_input(prepared, seed=1).image
    assert seen is not None
    assert (key.width / key.height) < 400 / 160  # the widest shape of the model is less wide
    assert seen.shape == (key.height, key.width, 3)
    # A model that changed nothing gives the picture back, as sharp as it saw it.
    master = finish(prepared, seen)
    assert master.image.shape == base.shape
    assert np.abs(master.image.astype(int) - base).mean() < 3


def test_a_transparent_base_is_seen_on_white_and_one_with_a_profile_in_srgb(source) -> None:
    clear = np.zeros((64, 64, 4), np.uint8)
    asked = begun(kept(clear), strength=0.5)
    seen = engine_input(prepare(asked, batch_key(asked, source.sizes)), seed=1).image
    assert seen is not None
    assert seen.min() == 255
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    broken = begun(kept(scene(64, 64), profile), strength=0.5)
    with pytest.raises(PictureError, match="The base image cannot be read"):
        prepare(broken, batch_key(broken, source.sizes))


@pytest.mark.parametrize(
    ("data", "words"), [(None, "no longer in storage"), (b"no picture", "cannot be read"), (b"", "cannot be read")]
)
def test_a_base_that_is_gone_or_broken_is_told_in_words(source, data, words) -> None:
    key = "1/0000.png" if data is None else storage.put(1, data, suffix=".png")
    asked = begun(key, strength=0.5)
    with pytest.raises(PictureError, match=words):
        prepare(asked, batch_key(asked, source.sizes))


# --- a part painted anew ----------------------------------------------------------------------------------------------


def edited(pixels: Pixels, box: tuple[int, int, int, int], frame: Frame | None, **asked: object) -> ImageRequest:
    product = ProductReference(photo=kept(pixels), lock_mask=kept(locked_but(pixels, box)), frame=frame)
    height, width = pixels.shape[:2]
    return request(product=product, width=width, height=height, **{"num_inference_steps": 3, **asked})


def test_an_edit_leaves_everything_outside_of_the_mask_bit_identical_and_says_so(source, paint) -> None:
    pixels, box = scene(500, 380), (120, 90, 220, 170)
    asked = edited(pixels, box, Frame(x=90, y=60, width=160, height=140))
    image = paint(asked)
    lock = locked_but(pixels, box) > 0
    assert image.shape == pixels.shape
    assert (image[lock] == pixels[lock]).all()
    assert np.abs(image[~lock].astype(int) - pixels[~lock]).mean() > 10
    key = batch_key(asked, source.sizes)
    prepared = prepare(asked, key)
    painted = scene(key.width, key.height, seed=9)
    master = finish(prepared, painted)
    assert master.certificate is not None
    assert (master.certificate.lock_max_diff, master.certificate.placement) == (0, "keep")
    assert master.certificate.lock_pixels == lock.sum()


def test_an_edit_is_painted_at_the_models_shape_that_is_nearest_to_its_part(source) -> None:
    pixels = scene(512, 512)
    tall = edited(pixels, (40, 40, 90, 300), Frame(x=10, y=10, width=150, height=260))
    key = batch_key(tall, source.sizes)
    assert key.height > key.width
    whole = batch_key(replace(tall, product=None), source.sizes)
    assert (whole.width, whole.height) == (256, 256)
    seen = engine_input(prepare(tall, key), seed=1)
    assert seen.image is not None
    assert seen.mask_image is not None
    assert seen.image.shape == (key.height, key.width, 3)
    assert 0.15 < (seen.mask_image == 255).mean() < 0.6


def test_a_plain_wall_in_place_of_something_is_no_flaw_but_nothing_at_all_is(source) -> None:
    pixels = scene(256, 256)
    asked = edited(pixels, (100, 100, 160, 160), Frame(x=68, y=68, width=124, height=124))
    key = batch_key(asked, source.sizes)
    prepared = prepare(asked, key)
    seen = engine_input(prepared, seed=1)
    assert seen.image is not None
    assert seen.mask_image is not None
    wall = np.where(seen.mask_image[..., None] == 255, np.uint8(240), seen.image)
    assert finish(prepared, wall).flaw is None
    assert finish(prepared, np.full_like(seen.image, 7)).flaw == "blank"


def test_on_an_empty_ground_an_empty_part_is_what_was_wanted(source) -> None:
    asked = edited(
        np.full((256, 256, 3), 255, np.uint8), (100, 100, 160, 160), Frame(x=68, y=68, width=124, height=124)
    )
    key = batch_key(asked, source.sizes)
    prepared = prepare(asked, key)
    assert finish(prepared, np.full((key.height, key.width, 3), 255, np.uint8)).flaw is None


def test_a_picture_is_extended_on_chosen_sides_and_lies_in_it_unchanged(paint) -> None:
    pixels = scene(200, 160)
    product = ProductReference(
        photo=kept(pixels),
        lock_mask=kept(np.full((160, 200), 255, np.uint8)),
        frame=Frame(x=0, y=0, width=320, height=210),
        offset=Offset(x=120, y=0),
    )
    image = paint(request(product=product, width=320, height=210, num_inference_steps=3))
    assert image.shape == (210, 320, 3)
    assert (image[:160, 120:] == pixels).all()
    assert image[:, :110].std() > 1


def test_what_lies_outside_of_its_picture_is_refused_in_words(source) -> None:
    pixels = scene(128, 128)
    with pytest.raises(RequestError, match="outside of the picture"):
        edited(pixels, (1, 1, 9, 9), Frame(x=100, y=0, width=64, height=64))
    all_painted = edited(pixels, (0, 0, 64, 64), Frame(x=0, y=0, width=64, height=64))
    with pytest.raises(LockError, match="leave some of it around"):
        prepare(all_painted, batch_key(all_painted, source.sizes))
    wide = ProductReference(
        photo=kept(pixels), lock_mask=kept(np.full((128, 128), 255, np.uint8)), offset=Offset(x=200, y=0)
    )
    asked = request(product=wide)
    with pytest.raises(LockError, match="does not fit on a canvas of 256 x 256"):
        prepare(asked, batch_key(asked, source.sizes))


def test_a_photo_in_place_of_a_mask_is_refused_before_anything_is_painted(source) -> None:
    pixels = scene(128, 128)
    product = ProductReference(photo=kept(pixels), lock_mask=kept(pixels), frame=Frame(x=0, y=0, width=128, height=128))
    asked = request(product=product, width=128, height=128)
    with pytest.raises(LockError, match="give one in gray"):
        prepare(asked, batch_key(asked, source.sizes))


def test_the_files_are_read_once_for_the_images_of_a_click(source, monkeypatch) -> None:
    asked = begun(kept(scene(90, 90, seed=77)), strength=0.5)
    key = batch_key(asked, source.sizes)
    first = prepare(asked, key)
    monkeypatch.setattr(storage, "read", lambda key: pytest.fail("read again"))
    assert prepare(replace(asked, seed=6), key).begun is first.begun
