"""The data renderer: sizes, sameness, and styles, lights and words that really show."""

import dataclasses

import numpy as np
import pytest

from inference.starter.grammar import LIGHTS, PRODUCTS, SEASONS, STYLES, Scene
from inference.starter.render import render

SCENE = Scene(
    backdrop="plain",
    color="teal",
    second_color="pink",
    surface="marble",
    surface_color="red",
    light="",
    season="",
    product="mug",
    product_color="red",
    style="Auto",
    defect="",
    width=128,
    height=128,
    seed=11,
)


def difference(scene: Scene, other: Scene) -> float:
    return float(np.abs(render(scene).astype(int) - render(other)).mean())


def test_the_same_scene_gives_the_same_bytes() -> None:
    assert np.array_equal(render(SCENE), render(SCENE))


@pytest.mark.parametrize(("width", "height"), [(128, 128), (160, 96), (96, 160)])
def test_pictures_have_the_size_that_was_asked(width: int, height: int) -> None:
    picture = render(dataclasses.replace(SCENE, width=width, height=height))
    assert picture.shape == (height, width, 3)
    assert picture.dtype == np.uint8


def test_another_seed_composes_another_picture() -> None:
    assert difference(SCENE, dataclasses.replace(SCENE, seed=12)) > 4


@pytest.mark.parametrize("style", [name for name in STYLES if name != "Auto"])
def test_every_style_visibly_changes_the_picture(style: str) -> None:
    assert difference(SCENE, dataclasses.replace(SCENE, style=style)) > 2


@pytest.mark.parametrize("light", [name for name in LIGHTS if name])
def test_every_light_visibly_changes_the_picture(light: str) -> None:
    assert difference(SCENE, dataclasses.replace(SCENE, light=light)) > 2


@pytest.mark.parametrize("season", [name for name in SEASONS if name])
def test_every_season_visibly_changes_the_picture(season: str) -> None:
    assert difference(SCENE, dataclasses.replace(SCENE, season=season)) > 1


@pytest.mark.parametrize("product", [name for name in PRODUCTS if name])
def test_every_product_stands_in_the_picture_in_its_color(product: str) -> None:
    red = render(dataclasses.replace(SCENE, product=product)).astype(int)
    reddish = (red[..., 0] > red[..., 1] + 60) & (red[..., 0] > red[..., 2] + 60)
    empty = render(dataclasses.replace(SCENE, product="")).astype(int)
    assert reddish.mean() > 0.02
    assert ((empty[..., 0] > empty[..., 1] + 60) & (empty[..., 0] > empty[..., 2] + 60)).mean() < 0.005


def test_pixel_art_is_made_of_square_blocks() -> None:
    picture = render(dataclasses.replace(SCENE, style="Pixel Art"))
    blocks = picture.reshape(32, 4, 32, 4, 3)
    assert np.array_equal(blocks, np.broadcast_to(blocks[:, :1, :, :1], blocks.shape))


def test_a_plain_backdrop_has_the_color_that_was_asked() -> None:
    top = render(SCENE)[:20].reshape(-1, 3).mean(axis=0)
    assert top[1] > top[0] + 40
    assert top[2] > top[0] + 40
