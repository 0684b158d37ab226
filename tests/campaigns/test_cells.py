"""A brief's cells: every combination once, in the brief's order, with keys and seeds that stay."""

import dataclasses
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from campaigns.brief import load
from campaigns.cells import MAX_KEY_LENGTH, expand
from campaigns.slugs import reading, slug
from tests.campaigns.brief_folder import BRIEF, PRODUCTS, TEXT_ONLY, changed, write_brief


def test_every_combination_is_there_once_in_the_briefs_order(tmp_path: Path) -> None:
    brief = load(write_brief(tmp_path, brief=changed('["soft light"]', '["soft light", "dusk"]')))
    cells = expand(brief)
    assert [(cell.sku, cell.channel.name, *(value for _, value in cell.axes)) for cell in cells] == [
        (sku, channel, surface, light)
        for sku in ("CUP", "MUG")
        for channel in ("original", "story")
        for surface in ("marble", "wooden table")
        for light in ("soft light", "dusk")
    ]
    assert cells[0].key == "CUP/original/soft-light/marble"
    assert len({cell.key for cell in cells}) == len(cells) == 16


def test_prompts_leave_the_product_out_and_the_negative_prompt_names_it(tmp_path: Path) -> None:
    first = expand(load(write_brief(tmp_path)))[0]
    assert first.prompt == "on marble, soft light"
    assert first.negative_prompt == "text, Cup, white"


def test_a_brief_of_text_alone_names_its_products_in_the_prompt_only(tmp_path: Path) -> None:
    text = TEXT_ONLY.replace("[prompt]", '[products]\ncsv = "products.csv"\n[prompt]').replace(
        "{season}", "{title} ({sku}), {season}"
    )
    cell = expand(load(write_brief(tmp_path, brief=text)))[0]
    assert cell.prompt == "Cup, white (CUP), spring morning"
    assert cell.negative_prompt == ""


def test_without_products_cells_have_no_sku(tmp_path: Path) -> None:
    cells = expand(load(write_brief(tmp_path, brief=TEXT_ONLY)))
    assert [(cell.key, cell.sku, cell.prompt) for cell in cells] == [
        ("square/spring", "", "spring morning"),
        ("square/autumn", "", "autumn morning"),
    ]


def test_values_with_braces_are_not_filled_again(tmp_path: Path) -> None:
    cell = expand(load(write_brief(tmp_path, brief=changed('"marble"', '"{light} {0} {light.__class__}"'))))[0]
    assert cell.prompt == "on {light} {0} {light.__class__}, soft light"


def test_siblings_of_one_scene_share_their_seeds(tmp_path: Path) -> None:
    cells = expand(load(write_brief(tmp_path, brief=changed("[products]", "images_per_cell = 3\n[products]"))))
    by_scene: dict[object, set[tuple[int, ...]]] = {}
    for cell in cells:
        by_scene.setdefault(cell.axes, set()).add(cell.seeds)
        assert len(set(cell.seeds)) == 3
        assert all(0 <= seed < 2**32 for seed in cell.seeds)
    assert [len(seeds) for seeds in by_scene.values()] == [1, 1]
    assert len(set.union(*by_scene.values())) == 2


def test_swept_seeds_differ_everywhere(tmp_path: Path) -> None:
    text = changed("[products]", 'images_per_cell = 3\nseed_policy = "swept"\n[products]')
    seeds = [seed for cell in expand(load(write_brief(tmp_path, brief=text))) for seed in cell.seeds]
    assert len(set(seeds)) == len(seeds) == 24


def test_another_seed_in_the_brief_changes_every_seed(tmp_path: Path) -> None:
    brief = load(write_brief(tmp_path))
    again = expand(dataclasses.replace(brief, seed=1))
    assert all(not set(old.seeds) & set(new.seeds) for old, new in zip(expand(brief), again, strict=True))


def test_seeds_and_keys_are_the_same_in_every_process_and_release(tmp_path: Path) -> None:
    cell = expand(load(write_brief(tmp_path)))[-1]
    assert (cell.key, cell.seeds) == ("MUG/story/soft-light/wooden-table", (1171410026,))


def test_a_cell_keeps_key_and_seeds_when_the_brief_grows_or_is_reordered(tmp_path: Path) -> None:
    old = {cell.key: cell.seeds for cell in expand(load(write_brief(tmp_path)))}
    text = changed('["marble", ', '["slate", "marble", ').replace("[products]", "images_per_cell = 2\n[products]")
    lines = text.splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith("surface"))
    lines[at], lines[at + 1] = lines[at + 1], lines[at]
    products = PRODUCTS.replace("CUP,", "BOX,Box,photos/cup.jpg,\nCUP,")
    new = {
        cell.key: cell.seeds for cell in expand(load(write_brief(tmp_path, brief="\n".join(lines), products=products)))
    }
    assert len(new) == len(old) * 9 // 4
    assert {key: new[key][:1] for key in old} == old


def test_names_that_look_alike_or_are_hostile_keep_their_cells_apart(tmp_path: Path) -> None:
    products = "sku,title,photo,mask\n" + "".join(
        f'"{sku}",Thing,photos/cup.jpg,\n' for sku in ("A/1", "A-1", "A 2", "../..", "Ä", "日本", "~", "x" * 80)
    )
    text = changed('["marble", "wooden table"]', '["oak/marble", "oak marble", "木", "水"]')
    keys = [cell.key for cell in expand(load(write_brief(tmp_path, brief=text, products=products)))]
    assert len({key.casefold() for key in keys}) == len(keys) == 8 * 2 * 4
    for key in keys:
        assert key.isascii()
        assert len(key) <= MAX_KEY_LENGTH
        assert len(key.split("/")) == 4
        assert not any(part.startswith((".", "-")) for part in key.split("/"))


def test_many_axes_still_give_keys_that_fit_and_differ(tmp_path: Path) -> None:
    axes = "".join(f'axis{index} = ["{"v" * 50}{index}", "w"]\n' for index in range(8))
    names = " ".join(f"{{axis{index}}}" for index in range(8))
    text = BRIEF.replace("on {surface}, {light}", names)
    text = text.replace('surface = ["marble", "wooden table"]\nlight = ["soft light"]\n', axes)
    keys = [cell.key for cell in expand(load(write_brief(tmp_path, brief=text)))]
    assert len(set(keys)) == len(keys) == 2 * 2 * 2**8
    assert max(len(key) for key in keys) == MAX_KEY_LENGTH


WORDS = st.text("aAb1 /-._~éÉ木\u0301", min_size=1, max_size=70)


@given(WORDS, WORDS)
def test_slugs_are_safe_and_differ_where_texts_do(one: str, other: str) -> None:
    for text in (one, other):
        assert slug(text).isascii()
        assert len(slug(text)) <= 60
        assert "/" not in slug(text)
        assert not slug(text).startswith(".")
    if "-".join(one.split()) != "-".join(other.split()):
        assert slug(one) != slug(other)
    if reading(one) == reading(other):
        assert "-".join(one.split()).casefold() == "-".join(other.split()).casefold()
