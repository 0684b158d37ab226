"""A brief entered in the form is the brief that its TOML is: the same cells, prompts and seeds, the same refusals."""

import csv
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns import brief as briefs
from campaigns import brief_text
from campaigns.brief import Brief, BriefError
from campaigns.brief_products import KnownProducts
from campaigns.cells import PlannedCell, expand
from campaigns.entered import Entered, EnteredAxis, EnteredChannel, field_of, from_text, lines, listed
from campaigns.products_csv import COLUMNS, ProductRow
from campaigns.slugs import reading
from inference.references import ANCHORS

MUG = ProductRow("MUG", "A mug", Path("mug"), None, "mug.png", 2)
CUP = ProductRow("CUP", "Cup, white", Path("cup"), None, "cup.png", 3)
SHELF = Entered(
    name="Shelf",
    checkpoint="starter",
    skus=("MUG", "CUP"),
    template="on {surface}",
    axes=(EnteredAxis(name="surface", values="marble\nsand"),),
    channels=(EnteredChannel(name="story", width="1080", height="1920"),),
)


def shelf_with(**changes: Any) -> Entered:
    return replace(SHELF, **changes)


def by_file(form: Entered, known: list[ProductRow]) -> Brief:
    """The brief that the command line reads from the exported TOML, beside a CSV of these products in any order.

    :raises BriefError: the command line refuses it.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "brief.toml").write_bytes(form.text().encode())
        with (folder / "products.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for row in reversed(known):
                if row.photo:
                    (folder / "photo.png").write_bytes(b"pixels")
                writer.writerow([row.sku, row.title, "photo.png" if row.photo else "", ""])
        return briefs.load(folder / "brief.toml")


def cells_of(form: Entered, known: list[ProductRow]) -> tuple[PlannedCell, ...]:
    reading_ = form.read(known)
    assert not reading_.problems, [str(problem) for problem in reading_.problems]
    assert reading_.brief is not None
    return expand(reading_.brief)


# --- what may be entered ---------------------------------------------------------------------------------------------

PRINTED = st.characters(exclude_categories=("Cc", "Cs"))
WORDS = st.text(PRINTED, min_size=1, max_size=24).filter(lambda text: bool(text.strip()))
# What lists are pasted from: bullets, counts, tabs, empty lines, the line ends of other systems.
FRONTS = st.sampled_from(["", "- ", "• ", "* ", "1. ", "2) ", "24. "])
ENDS = st.sampled_from(["\n", "\r\n", "\n\n", "\t"])
NAMES = ["surface", "light", "backdrop"]
SIDES = st.sampled_from(["64", "500", " 1080 ", "8192", "01080"])
ODD_NUMBERS = st.sampled_from(["", "0", "63", "1.5", "ten", "-1", "٣", "1e3", "9" * 25, "0." + "3" * 50])


@st.composite
def pasted(draw: st.DrawFn) -> str:
    rows = draw(st.lists(st.tuples(FRONTS, WORDS, ENDS), min_size=1, max_size=3))
    return "".join(front + words + end for front, words, end in rows)


@st.composite
def products(draw: st.DrawFn) -> list[ProductRow]:
    plain = st.text(PRINTED, min_size=1, max_size=12).map(str.strip).filter(bool)
    rows = draw(st.lists(st.tuples(plain, plain, st.booleans()), max_size=3, unique_by=lambda row: reading(row[0])))
    return [ProductRow(sku, title, Path("photo") if has_photo else None, None, "", 0) for sku, title, has_photo in rows]


@st.composite
def channels(draw: st.DrawFn, *, is_odd: bool = False) -> tuple[EnteredChannel, ...]:
    ways = st.sampled_from(["place", "keep"] if draw(st.booleans()) else ["text"])
    odd = ODD_NUMBERS if is_odd else st.nothing()
    each = st.builds(
        EnteredChannel,
        name=WORDS,
        way=ways,
        width=SIDES | odd,
        height=SIDES | odd,
        scale=st.sampled_from(["0.7", "1", "1.0", ".5", "0.05"]) | odd,
        anchor=st.sampled_from(ANCHORS),
    )
    return tuple(draw(st.lists(each, min_size=1, max_size=2, unique_by=lambda channel: reading(channel.name.strip()))))


@st.composite
def forms(draw: st.DrawFn, *, is_odd: bool = False) -> tuple[Entered, list[ProductRow]]:
    """A form as somebody fills it in, and the workspace's products; with ``is_odd`` also what is not right."""
    known = draw(products())
    odd = ODD_NUMBERS if is_odd else st.nothing()
    axes = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=2))
    places = [f"{{{name}}}" for name in [*axes, *(draw(st.sampled_from([[], ["title"], ["sku"]])))]]
    literals = st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="{}"), max_size=8)
    form = Entered(
        name=draw(WORDS),
        checkpoint="starter",
        images_per_cell=draw(st.sampled_from(["1", "2", " 8 ", ""]) | odd),
        seed=draw(st.sampled_from(["", "0", "7", "4294967295"]) | odd),
        seed_policy=draw(st.sampled_from(["per_scene", "swept"])),
        budget=draw(st.sampled_from(["", "12", "12.345", " 7.50 "]) | odd),
        skus=tuple(draw(st.permutations([row.sku for row in known]))),
        template=draw(literals) + "a scene " + "".join(draw(literals) + place for place in places),
        negative=draw(st.just("") | WORDS | pasted()),
        axes=tuple(EnteredAxis(name=name, values=draw(pasted())) for name in axes),
        channels=draw(channels(is_odd=is_odd)),
        must_have=draw(st.just("") | pasted()),
    )
    return form, known


# --- the promise -----------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=150)
@given(forms(is_odd=True))
def test_the_form_and_its_exported_toml_are_the_same_brief_or_are_refused_alike(
    entered: tuple[Entered, list[ProductRow]],
) -> None:
    form, known = entered
    seen = form.read(known)
    try:
        brief = by_file(form, known)
    except BriefError:
        assert seen.problems
        return
    assert not seen.problems, [str(problem) for problem in seen.problems]
    assert seen.brief is not None
    assert expand(seen.brief) == expand(brief)
    assert (seen.brief.name, seen.brief.budget_credits, seen.brief.must_have) == (
        brief.name, brief.budget_credits, brief.must_have,
    )  # fmt: skip


@settings(deadline=None, max_examples=100)
@given(forms())
def test_an_exported_toml_taken_in_again_gives_the_same_cells_and_settles(
    entered: tuple[Entered, list[ProductRow]],
) -> None:
    form, known = entered
    if form.read(known).problems:
        return
    again = from_text(form.text(), skus=form.skus)
    assert cells_of(again, known) == cells_of(form, known)
    assert from_text(again.text(), skus=again.skus) == again


@settings(deadline=None)
@given(forms(is_odd=True))
def test_what_is_saved_is_what_was_typed(entered: tuple[Entered, list[ProductRow]]) -> None:
    form, _ = entered
    assert Entered.from_json(json.loads(json.dumps(form.to_json()))) == form


def test_most_forms_of_these_tests_are_good_ones() -> None:
    """Else the promise above would be kept by refusals alone."""
    tried: list[bool] = []

    @settings(deadline=None, max_examples=100, database=None, derandomize=True)
    @given(forms())
    def count(entered: tuple[Entered, list[ProductRow]]) -> None:
        form, known = entered
        tried.append(not form.read(known).problems)

    count()
    assert sum(tried) > 20


# --- lists -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pasted", "values"),
    [
        ("marble\n\n  sand  \r\nslate", ["marble", "sand", "slate"]),
        ("- marble\n• sand\n* slate\n– oak", ["marble", "sand", "slate", "oak"]),
        ("1. marble\n2. sand", ["marble", "sand"]),
        ("1) marble\n2) sand", ["marble", "sand"]),
        ("marble\tsand\tslate", ["marble", "sand", "slate"]),
        ("24. December\n25. December", ["24. December", "25. December"]),
        ("1. Advent", ["1. Advent"]),
        ("1.5 l\n-10 °C\n50 mm", ["1.5 l", "-10 °C", "50 mm"]),
        (" \n\t\r\n", []),
    ],
)
def test_a_pasted_list_is_its_values_without_the_marks_in_front(pasted: str, values: list[str]) -> None:
    assert lines(pasted) == values


@given(st.lists(st.tuples(FRONTS, st.text(PRINTED, min_size=1, max_size=8)), max_size=5))
def test_values_survive_being_shown_as_a_list_whatever_they_begin_with(rows: list[tuple[str, str]]) -> None:
    values = [value for front, text in rows if (value := (front + text).strip())]
    assert lines(listed(values)) == values


# --- briefs from a file ----------------------------------------------------------------------------------------------


def toml(**changes: str) -> str:
    text = SHELF.text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize(("number", "shown"), [("7e-1", "0.7"), ("0.70", "0.70"), ("1", "1"), ("1e-3", "0.001")])
def test_numbers_are_shown_as_one_types_them(number: str, shown: str) -> None:
    form = from_text(toml(**{"scale = 0.7": f"scale = {number}"}), skus=SHELF.skus)
    assert form.channels[0].scale == shown
    assert not form.read([MUG, CUP]).problems


def test_a_budget_of_1e3_is_a_thousand_credits() -> None:
    text = toml(**{'seed_policy = "per_scene"': 'seed_policy = "per_scene"\nbudget_credits = 1e3'})
    assert from_text(text, skus=()).budget == "1000"


@pytest.mark.parametrize("value", ["- 20 %", "1. Advent", "• dot", "–  dash"])
def test_values_that_look_like_bullets_stay_what_the_file_says(value: str) -> None:
    text = toml(**{'"marble"': json.dumps(value, ensure_ascii=False)})
    form = from_text(text, skus=SHELF.skus)
    (cells, direct) = cells_of(form, [MUG, CUP]), briefs.read(text, file="brief.toml", source=KnownProducts([MUG, CUP]))
    assert direct.brief is not None
    assert cells == expand(direct.brief)
    assert value in {dict(cell.axes)["surface"] for cell in cells}


def test_products_come_in_the_order_they_are_chosen_in_here_and_on_the_command_line() -> None:
    assert [cell.sku for cell in cells_of(SHELF, [CUP, MUG])] == ["MUG", "MUG", "CUP", "CUP"]
    assert [row.sku for row in by_file(SHELF, [MUG, CUP]).products] == ["MUG", "CUP"]


# --- what one types --------------------------------------------------------------------------------------------------


def test_a_negative_prompt_written_one_a_line_is_one_text() -> None:
    form = shelf_with(negative="text,\nwatermark\r\n  logo ")
    assert {cell.negative_prompt for cell in cells_of(form, [MUG, CUP])} == {
        "text, watermark, logo, A mug", "text, watermark, logo, Cup, white",
    }  # fmt: skip


def test_rows_left_empty_are_no_axes_and_ask_for_nothing() -> None:
    form = shelf_with(axes=(*SHELF.axes, EnteredAxis(), EnteredAxis(name=" ", values="\n")))
    assert cells_of(form, [MUG, CUP]) == cells_of(SHELF, [MUG, CUP])


def test_what_belongs_to_another_way_is_left_aside() -> None:
    kept = EnteredChannel(name="own", way="keep", width="99999", height="ten", scale="x")
    assert [problem.what for problem in shelf_with(channels=(kept,)).read([MUG, CUP]).problems] == []


def test_two_axes_of_one_name_are_told_since_a_file_cannot_hold_them() -> None:
    form = shelf_with(axes=(*SHELF.axes, EnteredAxis(name="surface", values="oak")))
    (problem,) = form.read([MUG, CUP]).problems
    assert "another axis already" in problem.what
    assert field_of(problem.path) == ("axis", "surface")


def test_two_products_whose_names_of_files_would_meet_are_not_taken_together() -> None:
    twin = ProductRow("mug", "Another", Path("photo"), None, "", 4)
    (problem,) = shelf_with(skus=("MUG", "mug")).read([MUG, twin]).problems
    assert problem.what.startswith('has "mug" and "MUG", which read the same')
    assert field_of(problem.path)[0] == "products"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "x" * 121}, "name"),
        ({"checkpoint": "startr"}, "checkpoint"),
        ({"images_per_cell": "nine"}, "images_per_cell"),
        ({"seed": "-1"}, "seed"),
        ({"budget": "0"}, "budget"),
        ({"skus": ("MUG", "GONE")}, "products"),
        ({"template": "on {surfce} {surface}"}, "template"),
        ({"negative": "x" * 2_001}, "negative"),
        ({"axes": (EnteredAxis(name="surface", values="x" * 501),)}, "axis"),
        ({"channels": (EnteredChannel(name="a", width="1", height="64"),)}, "channel_width"),
        ({"channels": (EnteredChannel(name="a", width="64", height="x"),)}, "channel_height"),
        ({"channels": (EnteredChannel(name="a", width="64", height="64", scale="2"),)}, "channel_scale"),
        ({"channels": (EnteredChannel(name="a", width="64", height="64", anchor="x"),)}, "channel_anchor"),
        ({"channels": ()}, "channels"),
        ({"must_have": "whole\nWHOLE"}, "must_have"),
    ],
)
def test_every_problem_knows_the_field_that_it_is_about(changes: dict[str, object], field: str) -> None:
    problems = shelf_with(**changes).read([MUG, CUP]).problems
    assert field in {field_of(problem.path)[0] for problem in problems}


def test_the_toml_is_written_as_the_guide_writes_it() -> None:
    assert shelf_with(must_have="the product is whole").text() == (
        'version = 1\n\n[campaign]\nname = "Shelf"\ncheckpoint = "starter"\nimages_per_cell = 1\nseed = 0\n'
        'seed_policy = "per_scene"\n\n[products]\ncsv = "products.csv"\nonly = ["MUG", "CUP"]\n\n'
        '[prompt]\ntemplate = "on {surface}"\n\n[axes]\nsurface = ["marble", "sand"]\n\n'
        '[[channels]]\nname = "story"\nwidth = 1080\nheight = 1920\n'
        'placement = { scale = 0.7, anchor = "bottom" }\n\n[review]\nmust_have = ["the product is whole"]\n'
    )


def test_a_long_list_stands_one_value_a_line() -> None:
    text = brief_text.write({"axes": {"surface": ["a long value to fill the line"] * 5}})
    assert text.count("\n    ") == 5
