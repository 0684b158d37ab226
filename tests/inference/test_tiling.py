"""Where tiles lie: they cover the picture, overlap enough, and are as few as they can be."""

import itertools

import pytest

from inference import tiling

SIZES = ((256, 256), (288, 224), (224, 288), (320, 224), (352, 192))
SHAPES = ((512, 512), (700, 300), (257, 256), (1024, 768), (1025, 100), (200, 100), (2048, 3072))


@pytest.mark.parametrize("size", SHAPES)
@pytest.mark.parametrize("tile", SIZES)
def test_tiles_cover_all_of_it_and_overlap_by_an_eighth_at_least(size, tile):
    grid = tiling.grid(size, tile)
    for starts, side, length in ((grid.lefts, tile[0], grid.canvas[0]), (grid.tops, tile[1], grid.canvas[1])):
        assert starts[0] == 0
        assert starts[-1] + side == length
        for one, other in itertools.pairwise(starts):
            assert 0 < other - one <= side - side // 8
    assert grid.canvas[0] >= size[0]
    assert grid.canvas[1] >= size[1]
    assert len(grid.boxes) == grid.count


def test_a_picture_that_is_smaller_than_a_tile_is_one():
    assert tiling.grid((200, 100), (256, 256)).boxes == ((0, 0, 256, 256),)


def test_the_models_size_that_needs_the_fewest_tiles_is_taken():
    counts = {tile: tiling.grid((512, 512), tile).count for tile in SIZES}
    assert counts[(256, 256)] == 9
    assert tiling.grid((512, 512), tiling.tile_size(SIZES, (512, 512))).count == min(counts.values()) == 6
    assert tiling.tile_size(SIZES, (256, 256)) == (256, 256)  # of equals, the native one


def test_every_tile_of_every_picture_has_a_seed_of_its_own():
    seeds = {tiling.tile_seed(seed, number) for seed in range(20) for number in range(50)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert tiling.tile_seed(7, 3) == tiling.tile_seed(7, 3)
