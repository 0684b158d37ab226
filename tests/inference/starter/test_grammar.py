"""The starter's vocabulary: captions, hold-out and the campaign's form."""

import numpy as np
import pytest

from inference.starter.grammar import (
    BACKDROPS,
    PRODUCTS,
    STYLES,
    SURFACES,
    caption,
    is_held_out,
    sample_scene,
)

STUDIO_STYLES = {
    "Auto",
    "3D Anime",
    "3D Model",
    "Japanese Anime",
    "Movie",
    "Comic",
    "Cyberpunk",
    "Fantasy",
    "Oil Painting",
    "Colored Pencil",
    "Pixel Art",
    "Realistic",
    "Watercolor",
}


def test_every_style_of_the_studio_is_taught() -> None:
    assert set(STYLES) == STUDIO_STYLES


def test_the_same_seed_draws_the_same_scene_and_caption() -> None:
    first, second = (np.random.default_rng(5) for _ in range(2))
    assert [caption(sample_scene(first), first) for _ in range(20)] == [
        caption(sample_scene(second), second) for _ in range(20)
    ]


@pytest.mark.parametrize("held_out", [True, False])
def test_scenes_keep_to_their_side_of_the_hold_out(held_out: bool) -> None:
    rng = np.random.default_rng(1)
    scenes = [sample_scene(rng, held_out=held_out) for _ in range(60)]
    assert {is_held_out(backdrop=s.backdrop, surface=s.surface, product=s.product) for s in scenes} == {held_out}


def test_a_few_percent_of_all_combinations_are_held_out_and_every_word_stays_in_training() -> None:
    combinations = [(b, s, p) for b in BACKDROPS for s in SURFACES for p in PRODUCTS]
    kept = [c for c in combinations if not is_held_out(backdrop=c[0], surface=c[1], product=c[2])]
    assert 0.02 < 1 - len(kept) / len(combinations) < 0.1
    assert [set(words) for words in zip(*kept, strict=True)] == [set(BACKDROPS), set(SURFACES), set(PRODUCTS)]


def test_most_captions_have_the_form_that_campaigns_ask_for() -> None:
    rng = np.random.default_rng(2)
    scenes = [sample_scene(rng) for _ in range(400)]
    bare = [caption(s, rng) for s in scenes if s.surface != "seamless"]
    assert sum(words.startswith("on ") for words in bare) > 0.2 * len(bare)


def test_the_caption_names_the_surface_that_is_shown_and_no_other_kind() -> None:
    rng = np.random.default_rng(3)
    for scene in (sample_scene(rng) for _ in range(300)):
        words = caption(scene, rng)
        if "on sand" in words or "sandy ground" in words:
            assert scene.surface == "sand"
        if "black marble" in words:
            assert scene.surface == "black marble"
