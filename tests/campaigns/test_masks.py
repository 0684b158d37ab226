"""Masks that nobody gave: found by a worker, kept with their confidence, or refused in words."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from campaigns import masks
from campaigns.models import Photo
from gallery import storage
from tests.campaigns.conftest import Planned


@pytest.fixture
def without_masks(brief_folder: Path) -> None:
    path = brief_folder / "products.csv"
    path.write_text(path.read_text().replace("MUG-mask.png", "").replace("CUP-mask.png", ""))


def make_all() -> None:
    for photo in masks.missing():
        masks.make(photo_id=photo.pk)


def test_a_mask_is_found_where_none_was_given(without_masks: None, plan: Callable[[], Planned]) -> None:
    plan()
    assert masks.missing().count() == 2
    make_all()
    for photo in Photo.objects.all():
        assert photo.mask_source == "opencv"
        assert photo.mask_confidence is not None
        assert not photo.mask_failure
        assert storage.read(photo.mask_key)


def test_a_photo_on_which_nothing_stands_out_says_so_and_is_tried_again_when_given_again(
    without_masks: None, plan: Callable[[], Planned], brief_folder: Path
) -> None:
    Image.new("RGB", (96, 80), "#cccccc").save(brief_folder / "MUG.png")
    plan()
    make_all()
    failed = Photo.objects.get(product__sku="MUG")
    assert failed.mask_failure
    assert not failed.mask_key
    assert not masks.missing().exists()
    plan()
    assert [photo.pk for photo in masks.missing()] == [failed.pk]
