from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from inference.product_lock import (
    LockError,
    PlacedBox,
    PlacedProduct,
    certify,
    encode_mask,
    encode_master,
    finish,
    paint_frame,
    place,
    reference,
)
from inference.product_lock.pixels import distance_to
from inference.product_lock.place import bounds
from inference.references import ANCHORS, Placement
from tests.inference.product_lock_samples import pixels, png, product_lock, product_photo, scene


def placed_sample(placement: Placement | None, width: int, height: int) -> PlacedProduct:
    photo, mask = png(product_photo(160, 120)), png(product_lock(160, 120))
    return place(reference(photo, mask), placement=placement, width=width, height=height)


def test_a_kept_product_is_the_photo_untouched() -> None:
    photo = product_photo(160, 120)
    placed = placed_sample(None, 160, 120)
    assert placed.box is None
    assert placed.warnings == ()
    assert np.array_equal(placed.rgb, photo)
    assert np.array_equal(placed.lock, product_lock(160, 120))


def test_a_kept_product_refuses_a_canvas_of_another_size() -> None:
    with pytest.raises(LockError, match="160 x 120 pixels, not 120 x 160"):
        placed_sample(None, 120, 160)


def test_an_empty_mask_is_refused() -> None:
    with pytest.raises(LockError, match="mask is empty"):
        reference(png(product_photo(20, 20)), png(np.full((20, 20), 127, np.uint8)))


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(LockError, match="30 x 20 pixels but its photo is 20 x 20"):
        reference(png(product_photo(20, 20)), png(np.full((20, 30), 255, np.uint8)))


def test_bytes_that_are_no_picture_are_refused() -> None:
    with pytest.raises(LockError, match="photo cannot be read"):
        reference(b"not a picture", png(product_lock(20, 20)))


@pytest.mark.parametrize("anchor", ANCHORS)
def test_a_placed_product_fills_its_share_and_stands_on_its_anchor(anchor: str) -> None:
    width, height = 300, 400
    placed = placed_sample(Placement(scale=0.5, anchor=anchor), width, height)
    left, top, right, bottom = bounds(placed.lock)
    assert (right - left) / width == pytest.approx(0.5, abs=0.01)
    assert (bottom - top) / height <= 0.5
    gaps = {"left": left, "top": top, "right": width - right, "bottom": height - bottom}
    margins = {"left": 0.06 * width, "right": 0.06 * width, "top": 0.06 * height, "bottom": 0.06 * height}
    named = [word for word in anchor.split("-") if word in gaps]
    for word in named:
        assert gaps[word] == pytest.approx(margins[word], abs=1.5)
    if "left" not in named and "right" not in named:
        assert gaps["left"] == pytest.approx(gaps["right"], abs=2)
    if "top" not in named and "bottom" not in named:
        assert gaps["top"] == pytest.approx(gaps["bottom"], abs=2)


def test_a_product_at_full_scale_stays_on_the_canvas_whole() -> None:
    placed = placed_sample(Placement(scale=1.0, anchor="bottom-right"), 97, 201)
    left, _, right, _ = bounds(placed.lock)
    assert left == 0
    assert right >= 96
    assert not any("cut off" in warning for warning in placed.warnings)


def test_enlarging_the_photo_warns_and_shrinking_it_does_not() -> None:
    large = placed_sample(Placement(scale=0.9, anchor="center"), 400, 400)
    small = placed_sample(Placement(scale=0.4, anchor="center"), 100, 100)
    assert any("enlarged 3." in warning for warning in large.warnings)
    assert small.warnings == ()


def test_a_product_larger_than_the_canvas_is_cut_off_with_a_warning_and_still_exact() -> None:
    photo, mask = png(product_photo(60, 40)), png(product_lock(60, 40))
    placed = place(reference(photo, mask), placement=Placement(scale=1.6, anchor="center"), width=70, height=90)
    assert any("cut off" in warning for warning in placed.warnings)
    assert placed.box is not None
    assert placed.box.x < 0
    master = painted_master(placed)
    certificate = certify(master, photo=photo, lock_mask=mask, box=placed.box, width=70, height=90)
    assert certificate.lock_max_diff == 0


def test_a_product_cut_off_by_its_photo_warns_when_it_moves() -> None:
    lock = product_lock(80, 80)
    lock[:40, 30:50] = True
    placed = place(
        reference(png(product_photo(80, 80)), png(lock)),
        placement=Placement(scale=0.5, anchor="center"),
        width=80,
        height=80,
    )
    assert any("photo's edge" in warning for warning in placed.warnings)


def test_a_scale_that_leaves_nothing_is_refused() -> None:
    lock = np.zeros((400, 400), np.bool_)
    lock[::40, ::40] = True
    with pytest.raises(LockError, match="nothing of the product is left"):
        place(
            reference(png(product_photo(400, 400)), png(lock)),
            placement=Placement(scale=0.1, anchor="center"),
            width=100,
            height=100,
        )


def test_a_speck_in_a_large_photo_is_refused_before_memory_is_taken() -> None:
    lock = np.zeros((800, 800), np.bool_)
    lock[400, 400] = True
    with pytest.raises(LockError, match="crop it to the product"):
        place(
            reference(png(product_photo(800, 800)), png(lock)),
            placement=Placement(scale=0.7, anchor="center"),
            width=1080,
            height=1920,
        )


def test_no_old_background_reaches_the_model_near_the_product() -> None:
    ground = 250
    rgb = np.full((256, 256, 3), ground, np.uint8)
    lock = product_lock(256, 256)
    rgb[lock] = (20, 30, 90)
    placed = place(reference(png(rgb), png(lock)), placement=None, width=256, height=256)
    image = paint_frame(placed, size=(256, 256)).image
    near = (distance_to(lock) > 0) & (distance_to(lock) < 16)
    assert image[near].max() < 100
    assert image[0, 0].min() > 200


def test_the_model_repaints_every_partial_cell_and_keeps_the_full_ones() -> None:
    placed = placed_sample(None, 160, 120)
    frame = paint_frame(placed, size=(160, 120))
    stays = frame.mask_image == 0
    assert stays.any()
    assert not (stays & ~placed.lock).any()
    cells = frame.mask_image.reshape(15, 8, 20, 8)
    assert (cells.min(axis=(1, 3)) == cells.max(axis=(1, 3))).all()


def test_a_thin_product_still_shows_the_model_something() -> None:
    lock = np.zeros((256, 256), np.bool_)
    lock[100:106, 20:230] = True
    placed = place(reference(png(product_photo(256, 256)), png(lock)), placement=None, width=256, height=256)
    assert (paint_frame(placed, size=(256, 256)).mask_image == 0).any()


@pytest.mark.parametrize("size", [(256, 256), (320, 192), (192, 320)])
def test_a_canvas_of_another_aspect_is_padded_and_never_stretched(size: tuple[int, int]) -> None:
    placed = placed_sample(None, 160, 120)
    frame = paint_frame(placed, size=size)
    left, top, right, bottom = frame.crop
    assert frame.image.shape == (size[1], size[0], 3)
    assert (right - left) / (bottom - top) == pytest.approx(160 / 120, rel=0.02)
    assert right - left == size[0] or bottom - top == size[1]


def test_the_padding_mirrors_the_scene_without_the_product() -> None:
    rgb = np.full((128, 128, 3), 200, np.uint8)
    rgb[:, :20] = (200, 40, 40)
    lock = np.zeros((128, 128), np.bool_)
    lock[40:90, 55:75] = True
    rgb[lock] = (0, 0, 255)
    placed = place(reference(png(rgb), png(lock)), placement=None, width=128, height=128)
    frame = paint_frame(placed, size=(256, 128))
    left = frame.crop[0]
    assert frame.image[5, left - 8].tolist() == pytest.approx([200, 40, 40], abs=12)
    padding = frame.image[:, : left - 20].astype(int)
    assert (padding[..., 2] - padding[..., 0]).max() < 100


def test_the_finished_picture_is_the_painted_one_outside_lock_and_rim() -> None:
    placed = placed_sample(None, 160, 120)
    frame = paint_frame(placed, size=(160, 120))
    painted = scene(160, 120)
    done = finish(placed, frame, painted)
    assert np.array_equal(done[placed.lock], placed.rgb[placed.lock])
    beyond = distance_to(placed.lock) > 3
    assert np.array_equal(done[beyond], painted[beyond])


def test_a_light_ground_leaves_no_halo_on_a_dark_scene() -> None:
    rgb = np.full((200, 200, 3), 255, np.uint8)
    lock = product_lock(200, 200)
    rgb[lock] = (30, 60, 120)
    # The photo's own soft edge: what lies just outside the lock is mixed with the white ground.
    soft = np.asarray(Image.fromarray(rgb).resize((100, 100), Image.Resampling.BOX).resize((200, 200)))
    placed = place(reference(png(soft), png(lock)), placement=None, width=200, height=200)
    painted = np.full((200, 200, 3), 10, np.uint8)
    done = finish(placed, paint_frame(placed, size=(200, 200)), painted)
    rim = (distance_to(lock) > 0) & (distance_to(lock) <= 3)
    assert soft[rim].max() > 240
    assert done[rim].max() <= 125


def test_a_painted_picture_of_another_size_is_refused() -> None:
    placed = placed_sample(None, 160, 120)
    with pytest.raises(LockError, match="paint it at the frame's size"):
        finish(placed, paint_frame(placed, size=(160, 120)), scene(120, 160))


def test_alpha_is_ignored_inside_the_lock_and_a_soft_shadow_stays_outside() -> None:
    rgb = product_photo(120, 120)
    lock = product_lock(120, 120)
    alpha = np.where(lock, 130, 0).astype(np.uint8)
    alpha[100:110, 30:90] = 60
    rgb[100:110, 30:90] = 0
    photo, mask = png(np.dstack([rgb, alpha])), png(alpha >= 128)
    placed = place(reference(photo, mask), placement=None, width=120, height=120)
    painted = scene(120, 120)
    done = finish(placed, paint_frame(placed, size=(120, 120)), painted)
    assert np.array_equal(done[lock], rgb[lock])
    assert np.array_equal(done[104:110, 40:80], painted[104:110, 40:80])
    certificate = certify(
        encode_master(done, icc_profile=None), photo=photo, lock_mask=mask, box=None, width=120, height=120
    )
    assert certificate.lock_max_diff == 0


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 300), (333, 5), (37, 41)])
def test_odd_sizes_and_single_pixel_locks_work(width: int, height: int) -> None:
    lock = np.zeros((height, width), np.bool_)
    lock[height // 2, width // 2] = True
    photo, mask = png(product_photo(width, height)), png(lock)
    placed = place(reference(photo, mask), placement=None, width=width, height=height)
    master = painted_master(placed)
    certificate = certify(master, photo=photo, lock_mask=mask, box=None, width=width, height=height)
    assert (certificate.lock_max_diff, certificate.lock_pixels) == (0, 1)


def test_a_product_that_fills_its_photo_works() -> None:
    photo, mask = png(product_photo(64, 64)), png(np.ones((64, 64), np.bool_))
    placed = place(reference(photo, mask), placement=None, width=64, height=64)
    assert np.array_equal(pixels(painted_master(placed)), product_photo(64, 64))


def test_masters_and_masks_decode_to_what_was_encoded() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (33, 47, 3)).astype(np.uint8)
    lock = product_lock(47, 33)
    assert np.array_equal(pixels(encode_master(rgb, icc_profile=None)), rgb)
    mask = pixels(encode_mask(lock))
    assert mask.ndim == 2
    assert np.array_equal(mask, np.where(lock, 255, 0))


def painted_master(placed: PlacedProduct) -> bytes:
    frame = paint_frame(placed, size=(64, 64))
    return encode_master(finish(placed, frame, scene(64, 64)), icc_profile=placed.icc_profile)


masks = hnp.arrays(np.bool_, st.tuples(st.integers(1, 40), st.integers(1, 40))).filter(lambda lock: bool(lock.any()))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    lock=masks,
    scale=st.floats(0.2, 1.4),
    anchor=st.sampled_from(ANCHORS),
    canvas=st.tuples(st.integers(16, 90), st.integers(16, 90)),
    keep=st.booleans(),
)
def test_any_mask_and_placement_is_exact_inside_and_painted_outside(
    lock: np.ndarray, scale: float, anchor: str, canvas: tuple[int, int], keep: bool
) -> None:
    height, width = lock.shape
    photo, mask = png(product_photo(width, height)), png(lock)
    target = (width, height) if keep else canvas
    placement = None if keep else Placement(scale=scale, anchor=anchor)
    try:
        placed = place(reference(photo, mask), placement=placement, width=target[0], height=target[1])
    except LockError:
        if keep:
            raise
        reject()
    # The model paints at delivery size here, so that painted pixels can be compared one by one.
    frame = paint_frame(placed, size=target)
    painted = scene(*target)
    done = finish(placed, frame, painted)
    master = encode_master(done, icc_profile=None)
    certificate = certify(master, photo=photo, lock_mask=mask, box=placed.box, width=target[0], height=target[1])
    assert certificate.lock_max_diff == 0
    assert certificate.lock_pixels == int(placed.lock.sum())
    beyond = distance_to(placed.lock) > 3
    assert np.array_equal(done[beyond], painted[beyond])


def test_a_recorded_box_beyond_the_canvas_is_measured_where_it_overlaps() -> None:
    photo, mask = png(product_photo(60, 60)), png(np.ones((60, 60), np.bool_))
    box = PlacedBox(x=-30, y=20, width=60, height=60)
    master = np.zeros((50, 50, 3), np.uint8)
    master[20:50, 0:30] = product_photo(60, 60)[0:30, 30:60]
    certificate = certify(png(master), photo=photo, lock_mask=mask, box=box, width=50, height=50)
    assert (certificate.lock_max_diff, certificate.lock_pixels) == (0, 900)
