"""The difference view: black where the product is its photo's own pixels, and only there."""

import io

import numpy as np
from django.core.files.storage import default_storage
from PIL import Image

from gallery import library, storage
from gallery.models import Asset, Rendition
from inference import comparisons
from inference.product_lock.compare import compare
from inference.references import ProductReference
from tests.conftest import NOW
from tests.inference.test_runner import ask, png, product, request_for, runner

__all__ = ["product"]


def rendered(workspace, reference: ProductReference | None) -> Asset:
    ask(workspace, [request_for(reference)])
    runner().drain(limit_s=60)
    return Asset.objects.get()


def shown(asset: Asset) -> np.ndarray:
    key = library.rendition_key(source_key=asset.storage_key, kind="difference")
    assert key
    return np.asarray(Image.open(io.BytesIO(storage.read(key))).convert("L"))


def lock_of(asset: Asset) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(storage.read(asset.lock_mask_key)))) > 0


def test_the_product_is_black_and_nothing_else_is(workspace, product):
    asset = rendered(workspace, product)
    comparisons.make(asset_id=asset.pk, now=NOW)
    picture, lock = shown(asset), lock_of(asset)
    assert picture.shape == (200, 200)
    assert picture[lock].max() == 0
    assert picture[~lock].min() > 0


def test_one_level_of_difference_inside_the_lock_is_seen(workspace, product):
    asset = rendered(workspace, product)
    assert asset.certificate
    pixels = np.array(Image.open(io.BytesIO(storage.read(asset.storage_key))))
    row, column = np.argwhere(lock_of(asset))[50]
    pixels[row, column, 1] ^= 1
    found = compare(
        png(Image.fromarray(pixels)),
        photo=storage.read(product.photo),
        lock_mask=storage.read(product.lock_mask),
        placement=asset.certificate["placement"],
    )
    assert found[row, column] == 32
    found[row, column] = 0
    assert found[lock_of(asset)].max() == 0


def test_making_it_again_changes_nothing_and_without_a_product_there_is_none(workspace, product):
    asset = rendered(workspace, product)
    for _ in range(2):
        comparisons.make(asset_id=asset.pk, now=NOW)
    assert Rendition.objects.filter(kind="difference").count() == 1


def test_an_image_without_a_product_has_no_difference_view(workspace):
    asset = rendered(workspace, None)
    comparisons.make(asset_id=asset.pk, now=NOW)
    assert not Rendition.objects.filter(kind="difference").exists()


def test_a_photo_that_is_gone_leaves_the_view_for_later(workspace, product):
    asset = rendered(workspace, product)
    default_storage.delete(product.photo)
    comparisons.make(asset_id=asset.pk, now=NOW)
    assert not Rendition.objects.filter(kind="difference").exists()


def test_the_runner_leaves_renditions_prompt_payer_and_review_with_each_image(workspace, product):
    asset = rendered(workspace, product)
    kinds = Rendition.objects.filter(source_key=asset.storage_key).values_list("kind", flat=True)
    assert set(kinds) == {"thumb", "view"}
    assert asset.prompt == "on marble, scene 0"
    assert asset.hold_line is not None
    assert asset.hold_line.captured == 1000
    assert asset.review.status == "pending"
    assert asset.review.content_hash == asset.sha256
