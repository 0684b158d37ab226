"""A style is words: which ones it adds to which prompt, in which dialect, and a picture that shows it."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import settings
from PIL import Image

from inference import catalog, styles
from inference.starter import grammar, style_previews

NATURAL = catalog.entry("starter")
TAGS = catalog.entry("sd-1-5")
PICTURES = Path(settings.BASE_DIR, style_previews.FOLDER)


def combine(prompt: str, style: str = "comic", *, negative_prompt: str = "", entry: catalog.CatalogEntry = NATURAL):
    combined = styles.combine(prompt=prompt, negative_prompt=negative_prompt, style=styles.style(style), entry=entry)
    return combined.prompt, combined.negative_prompt


def test_the_thirteen_styles_of_the_form_are_there_in_their_order():
    assert [style.name for style in styles.load().values()] == [
        *("Auto", "3D Anime", "3D Model", "Japanese Anime", "Movie", "Comic", "Cyberpunk", "Fantasy"),
        *("Oil Painting", "Colored Pencil", "Pixel Art", "Realistic", "Watercolor"),
    ]
    assert [style.name for style in styles.load().values() if not style.natural.prompt] == ["Auto"]


def test_auto_changes_nothing():
    assert combine(" A mug. ", "auto", negative_prompt="text") == ("A mug.", "text")


def test_a_style_follows_the_subject_in_the_models_own_dialect():
    assert combine("A mug on wood.") == (
        "A mug on wood, comic book, bold ink outlines, halftone dots",
        "photo, soft focus",
    )
    assert combine("mug, wood", entry=TAGS) == ("mug, wood, comic, bold lineart, halftone", "photo, blurry")


def test_what_was_typed_already_is_not_said_twice():
    prompt, negative = combine("A Comic Book page with halftone dots", negative_prompt="photo")
    assert prompt == "A Comic Book page with halftone dots, bold ink outlines"
    assert negative == "photo, soft focus"
    # Part of a word is not the word.
    assert combine("photographs", "auto")[0] == "photographs"
    assert combine("a mug", negative_prompt="photographs")[1] == "photographs, photo, soft focus"


def test_a_style_alone_asks_for_nothing():
    assert combine("  ")[0] == ""


def test_a_model_without_negative_prompts_gets_none_of_the_styles():
    entry = replace(NATURAL, capabilities=NATURAL.capabilities - {"negative_prompt"})
    assert combine("A mug", entry=entry)[1] == ""


def test_the_starter_was_taught_a_word_of_each_style():
    for style in styles.load().values():
        taught = grammar.STYLES[style.name]
        assert not taught or any(word in style.natural.prompt for word in taught), style.name


def test_an_unknown_style_is_named_with_those_that_exist():
    with pytest.raises(styles.UnknownStyleError, match=r'"cubism".*comic'):
        styles.style("cubism")


def test_each_style_has_a_small_picture():
    for style in styles.load().values():
        data = (PICTURES / f"{style.slug}.webp").read_bytes()
        assert len(data) <= style_previews.LIMIT_BYTES
        assert Image.open(io.BytesIO(data)).size == (style_previews.SIDE_PX, style_previews.SIDE_PX)
        assert style_previews.file_name(style.name) == f"{style.slug}.webp"
    assert len(list(PICTURES.iterdir())) == len(styles.load())
