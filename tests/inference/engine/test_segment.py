from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from inference.engine.segment import MaskNotFoundError, find_mask

WHITE = (244, 244, 244)


def ground(width: int, height: int, color: tuple[int, int, int] = WHITE, *, seed: int = 1) -> np.ndarray:
    """A studio ground that darkens a little to the bottom, with a camera's noise."""
    noise = np.random.default_rng(seed).normal(0, 0.7, (height, width, 3))
    return np.array(color) - 8 * np.linspace(0, 1, height)[:, None, None] + noise


def photo(scene: np.ndarray, *, quality: int = 90) -> np.ndarray:
    """The drawn scene as a camera's JPEG: soft edges, ringing, subsampled color."""
    soft = np.clip(cv2.GaussianBlur(scene, (0, 0), 0.7), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(soft).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def disk(width: int, height: int, *, x: float = 0.5, y: float = 0.45, radius: float = 0.3) -> np.ndarray:
    rows, columns = np.mgrid[0:height, 0:width]
    return np.asarray((columns - x * width) ** 2 + (rows - y * height) ** 2 < (radius * min(width, height)) ** 2)


def overlap(found: np.ndarray, truth: np.ndarray) -> float:
    return float((found & truth).sum() / (found | truth).sum())


@pytest.mark.parametrize("color", [WHITE, (205, 222, 226), (48, 48, 54)])
def test_a_colored_product_on_a_plain_ground_is_found_exactly(color: tuple[int, int, int]) -> None:
    truth = disk(600, 500)
    scene = ground(600, 500, color)
    scene[truth] = (190, 60, 40)
    found = find_mask(photo(scene))
    assert overlap(found.mask == 255, truth) > 0.98
    assert found.confidence > 0.8
    assert found.source == "opencv"
    assert set(np.unique(found.mask)) == {0, 255}


def test_a_white_product_on_a_white_ground_is_found() -> None:
    truth = disk(900, 900)
    scene = ground(900, 900)
    scene[truth] -= 14
    assert overlap(find_mask(photo(scene)).mask == 255, truth) > 0.97


def test_a_soft_shadow_is_not_part_of_the_product() -> None:
    truth = disk(800, 800)
    rows, columns = np.mgrid[0:800, 0:800] / 800
    shadow = np.exp(-(((columns - 0.5) / 0.25) ** 2) - ((rows - 0.84) / 0.05) ** 2)
    scene = ground(800, 800) * (1 - 0.5 * shadow[..., None])
    scene[truth] = (40, 90, 190)
    assert overlap(find_mask(photo(scene)).mask == 255, truth) > 0.98


def test_the_hole_of_a_handle_is_ground_and_a_white_logo_is_product() -> None:
    truth = disk(900, 900)
    hole, logo = disk(900, 900, x=0.4, radius=0.09), disk(900, 900, x=0.62, radius=0.08)
    scene = ground(900, 900)
    shown = scene.copy()
    scene[truth] = (150, 30, 30)
    scene[hole] = shown[hole]
    scene[logo] = 254
    found = find_mask(photo(scene)).mask == 255
    assert overlap(found, truth & ~hole) > 0.98
    assert found[logo].all()


def test_several_products_are_all_found() -> None:
    truth = disk(900, 500, x=0.25, radius=0.25) | disk(900, 500, x=0.75, radius=0.3)
    scene = ground(900, 500)
    scene[truth] = (30, 120, 70)
    assert overlap(find_mask(photo(scene)).mask == 255, truth) > 0.98


def test_a_product_that_touches_the_border_is_found_up_to_it() -> None:
    truth = np.zeros((600, 600), np.bool_)
    truth[0:400, 330:600] = True
    scene = ground(600, 600)
    scene[truth] = (25, 25, 30)
    found = find_mask(photo(scene)).mask == 255
    assert overlap(found, truth) > 0.98
    assert found[0, 350:].all()


def test_a_product_across_the_whole_photo_divides_the_ground() -> None:
    truth = np.zeros((500, 700), np.bool_)
    truth[180:330] = True
    scene = ground(700, 500)
    scene[truth] = (90, 40, 140)
    assert overlap(find_mask(photo(scene)).mask == 255, truth) > 0.98


def test_a_photo_larger_than_the_working_size_is_found_as_exactly() -> None:
    truth = disk(2600, 1900)
    scene = ground(2600, 1900)
    scene[truth] = (190, 60, 40)
    assert overlap(find_mask(photo(scene)).mask == 255, truth) > 0.99


def test_a_small_photo_is_found() -> None:
    truth = disk(120, 100)
    scene = ground(120, 100)
    scene[truth] = (190, 60, 40)
    assert overlap(find_mask(photo(scene)).mask == 255, truth) > 0.9


def test_real_alpha_decides_alone_and_leaves_soft_shadows_out() -> None:
    truth = disk(200, 200)
    alpha = np.where(truth, 255, 0).astype(np.uint8)
    alpha[170:190, 40:160] = 90
    rgba = np.dstack([np.zeros((200, 200, 3), np.uint8), alpha])
    found = find_mask(rgba)
    assert np.array_equal(found.mask == 255, truth)
    assert (found.source, found.confidence) == ("alpha", 1.0)


def test_an_opaque_alpha_channel_decides_nothing() -> None:
    truth = disk(400, 400)
    scene = ground(400, 400)
    scene[truth] = (190, 60, 40)
    rgba = np.dstack([photo(scene), np.full((400, 400), 255, np.uint8)])
    found = find_mask(rgba)
    assert found.source == "opencv"
    assert overlap(found.mask == 255, truth) > 0.97


def test_a_busy_background_is_a_guess_of_low_confidence() -> None:
    rng = np.random.default_rng(3)
    leaves = sum(
        cv2.resize(rng.normal(0, 60, (side, side, 3)), (500, 400), interpolation=cv2.INTER_CUBIC)
        for side in (8, 24, 90)
    )
    truth = disk(500, 400)
    scene = 110 + np.asarray(leaves)
    scene[truth] = (230, 40, 200)
    found = find_mask(photo(scene))
    assert overlap(found.mask == 255, truth) > 0.7
    assert found.confidence <= 0.4


def test_letterbox_bars_are_not_taken_for_a_plain_ground() -> None:
    rng = np.random.default_rng(4)
    scene = np.zeros((400, 500, 3))
    scene[60:340] = 120 + cv2.resize(rng.normal(0, 60, (40, 60, 3)), (500, 280), interpolation=cv2.INTER_CUBIC)
    product = disk(500, 400, y=0.5, radius=0.2)
    scene[product] = (240, 30, 220)
    found = find_mask(photo(scene))
    assert found.confidence <= 0.4
    assert not (found.mask[:55] == 255).any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (3, 3), (60, 60), (500, 500)])
def test_a_uniform_photo_has_no_product(shape: tuple[int, int]) -> None:
    with pytest.raises(MaskNotFoundError, match="upload a mask"):
        find_mask(np.full((*shape, 3), 180, np.uint8))


def test_an_empty_studio_has_no_product() -> None:
    with pytest.raises(MaskNotFoundError, match="upload a mask"):
        find_mask(photo(ground(500, 400)))


def test_a_wholly_transparent_photo_has_no_product() -> None:
    with pytest.raises(MaskNotFoundError, match="transparent everywhere"):
        find_mask(np.zeros((50, 50, 4), np.uint8))
