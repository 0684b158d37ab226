"""Thumbs and views: small, upright in color, the same bytes from the same pixels, and made for whatever is stored."""

import io

import numpy as np
from PIL import Image, ImageCms

from gallery import library, renditions, storage
from gallery.models import Asset, Rendition, Review
from tests.conftest import NOW


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8))


def png(image: Image.Image, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", **options)
    return stream.getvalue()


def stored(workspace, image: Image.Image, **options: object) -> str:
    return storage.put(workspace.pk, png(image, **options), suffix=".png")


def rendered(key: str, kind: str = "view") -> Image.Image:
    found = library.rendition_key(source_key=key, kind=kind)
    assert found
    return Image.open(io.BytesIO(storage.read(found)))


def make(workspace, key: str) -> None:
    renditions.make(workspace_id=workspace.pk, source_key=key, now=NOW)


def add(workspace, key: str, *, prompt: str = "") -> Asset:
    image = library.StoredImage(storage_key=key, sha256="a" * 64, width=10, height=10, size_bytes=1)
    made = library.GeneratedImage(file=image, recipe={}, recipe_hash="b" * 64, prompt=prompt)
    [pk] = library.add_generated(workspace_id=workspace.pk, images=[made], now=NOW)
    return Asset.objects.get(pk=pk)


def test_a_large_image_gets_a_thumb_and_a_view_of_its_own_shape(workspace):
    key = stored(workspace, noise(3000, 2000))
    make(workspace, key)
    assert rendered(key, "thumb").size == (400, 267)
    assert rendered(key, "view").size == (1600, 1067)
    assert set(Rendition.objects.values_list("kind", "width", "height")) == {("thumb", 400, 267), ("view", 1600, 1067)}


def test_a_small_image_is_not_enlarged(workspace):
    key = stored(workspace, noise(120, 80))
    make(workspace, key)
    assert rendered(key, "thumb").size == rendered(key, "view").size == (120, 80)


def test_the_same_pixels_give_the_same_bytes(workspace):
    first, again = (renditions.store(workspace_id=workspace.pk, image=noise(900, 700)) for _ in range(2))
    assert first == again  # the keys are hashes of the bytes


def test_making_renditions_twice_changes_nothing(workspace):
    key = stored(workspace, noise(500, 500))
    make(workspace, key)
    make(workspace, key)
    assert Rendition.objects.count() == 2


def test_colors_in_a_profile_of_their_own_come_out_as_srgb(workspace):
    # A profile whose red and blue are swapped: read as sRGB, the red would stay red.
    wide = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = wide.replace(b"rXYZ", b"tmp0").replace(b"bXYZ", b"rXYZ").replace(b"tmp0", b"bXYZ")
    key = stored(workspace, Image.new("RGB", (64, 64), (220, 30, 30)), icc_profile=swapped)
    make(workspace, key)
    red, _, blue = np.asarray(rendered(key).convert("RGB"))[32, 32]
    assert blue > 180 > 80 > red
    assert "icc_profile" not in rendered(key).info


def test_a_cut_out_stays_transparent(workspace):
    image = Image.new("RGBA", (300, 300), (200, 40, 40, 0))
    image.paste((200, 40, 40, 255), (100, 100, 200, 200))
    key = stored(workspace, image)
    make(workspace, key)
    assert rendered(key).mode == "RGBA"
    assert np.asarray(rendered(key))[10, 10, 3] == 0


def test_what_is_stored_without_renditions_is_found_by_the_sweep_and_only_once(workspace):
    key = stored(workspace, noise(500, 500))
    add(workspace, key)
    assert renditions.missing() == [(workspace.pk, key)]
    make(workspace, key)
    assert renditions.missing() == []


def test_what_cannot_be_decoded_is_not_tried_for_ever(workspace):
    key = storage.put(workspace.pk, b"no picture at all", suffix=".png")
    add(workspace, key)
    make(workspace, key)
    assert renditions.missing() == []
    assert library.rendition_key(source_key=key, kind="thumb") is None


def test_what_storage_has_not_got_now_is_tried_again(workspace):
    add(workspace, f"{workspace.pk}/{'c' * 64}.png")
    make(workspace, f"{workspace.pk}/{'c' * 64}.png")
    assert len(renditions.missing()) == 1


def test_an_asset_comes_with_its_prompt_and_a_pending_review_of_its_bytes_and_recipe(workspace):
    asset = add(workspace, stored(workspace, noise(50, 50)), prompt="on marble")
    assert asset.prompt == "on marble"
    review = Review.objects.get(asset=asset)
    assert (review.status, review.content_hash, review.recipe_hash) == ("pending", "a" * 64, "b" * 64)
