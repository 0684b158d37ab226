"""Enlarged pictures and their tiles: no seam where tiles meet, no drift of colors, the same bytes every time."""

import numpy as np
import pytest
from PIL import Image

from inference import enlarging, tiling

SHAPES = ((512, 512), (700, 300), (257, 256), (640, 960), (200, 100))


def scene(width: int, height: int):
    coarse = np.random.default_rng(3).integers(90, 166, (6, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("size", SHAPES)
def test_tiles_that_nobody_painted_over_join_to_the_picture_they_were_cut_from(size):
    picture = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    grid = tiling.grid(size, (256, 256))
    assert (enlarging.joined(picture, enlarging.cut(picture, grid), grid) == picture).all()


@pytest.mark.parametrize("size", SHAPES)
def test_tiles_of_other_colors_come_back_to_the_pictures_own(size):
    picture, grid = scene(*size), tiling.grid(size, (256, 256))
    tints = np.random.default_rng(5).integers(-30, 31, (grid.count, 3))
    painted = [(tile + tint).astype(np.uint8) for tile, tint in zip(enlarging.cut(picture, grid), tints, strict=True)]
    joined = enlarging.joined(picture, painted, grid)
    assert np.abs(joined.astype(int) - picture).max() <= 1


def test_there_is_no_step_where_tiles_with_different_detail_meet():
    size = (640, 512)
    grid = tiling.grid(size, (256, 256))
    picture = np.full((size[1], size[0], 3), 128, np.uint8)
    # Stripes of its own direction and phase in each tile: the hardest to join, and nothing that is wide.
    rows, columns = np.mgrid[0:256, 0:256]
    painted = [
        np.repeat((128 + 20 * np.sin((columns * (number % 2) + rows * (1 - number % 2)) / 4 + number))[..., None], 3, 2)
        for number in range(grid.count)
    ]
    joined = enlarging.joined(picture, [tile.astype(np.uint8) for tile in painted], grid).astype(int)
    within = 20 / 4 + 2  # the steepest that the stripes themselves are from pixel to pixel
    assert np.abs(np.diff(joined, axis=0)).max() <= within
    assert np.abs(np.diff(joined, axis=1)).max() <= within
    butted = joined.copy()
    for (left, top, right, bottom), tile in zip(grid.boxes, painted, strict=True):
        butted[top:bottom, left:right] = tile
    # What the test would see of a hard edge.
    assert max(np.abs(np.diff(butted, axis=axis)).max() for axis in (0, 1)) > 3 * within


def test_detail_that_is_painted_stays_where_only_one_tile_lies():
    picture, grid = np.full((512, 512, 3), 100, np.uint8), tiling.grid((512, 512), (256, 256))
    fine = np.random.default_rng(2).integers(-20, 21, (256, 256, 3))
    joined = enlarging.joined(picture, [(100 + fine).astype(np.uint8)] * grid.count, grid)
    assert np.corrcoef(joined[8:60, 8:60].ravel().astype(int), fine[8:60, 8:60].ravel())[0, 1] > 0.95


def test_a_plain_enlargement_is_sharper_than_it_was_and_the_same_every_time():
    small = np.zeros((64, 64, 3), np.uint8)
    small[:, 32:] = 200
    large = enlarging.enlarged(small, width=128, height=128)
    assert large.shape == (128, 128, 3)
    sharp = enlarging.sharpened(large, factor=2)
    assert np.abs(np.diff(sharp[64, :, 0].astype(int))).max() > np.abs(np.diff(large[64, :, 0].astype(int))).max()
    assert (sharp == enlarging.sharpened(large, factor=2)).all()
