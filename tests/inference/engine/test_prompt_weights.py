"""Prompt weights as people write them, read without ever refusing a prompt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.engine.prompt_weights import LIMIT, STRONGER, WEAKER, Fragment, parse, plain


@pytest.mark.parametrize(
    ("prompt", "fragments"),
    [
        ("", [("", 1)]),
        ("a red cat", [("a red cat", 1)]),
        ("a (red:1.3) cat", [("a ", 1), ("red", 1.3), (" cat", 1)]),
        ("a (red) cat", [("a ", 1), ("red", STRONGER), (" cat", 1)]),
        ("a [red] cat", [("a ", 1), ("red", WEAKER), (" cat", 1)]),
        ("((red))", [("red", STRONGER**2)]),
        ("([red])", [("red", 1)]),
        ("(a (red:2) cat:1.5)", [("a ", 1.5), ("red", 3), (" cat", 1.5)]),
        ("(red: 0.5 )", [("red", 0.5)]),
        ("(red:.5)(cat:0)", [("red", 0.5), ("cat", 0)]),
        ("(red:-1)", [("red", -1)]),
        (r"a smile \(:3\)", [("a smile (:3)", 1)]),
        (r"back\\slash", [(r"back\slash", 1)]),
        (r"C:\new", [(r"C:\new", 1)]),
        ("ratio 16:9", [("ratio 16:9", 1)]),
        ("(time 12:30)", [("time 12", LIMIT)]),
        ("(open", [("(open", 1)]),
        ("close)", [("close)", 1)]),
        ("close:1.3)", [("close:1.3)", 1)]),
        ("[a:1.3)", [("[a:1.3)", 1)]),
        ("(a]", [("(a]", 1)]),
        ("()", [("", 1)]),
        ("two\nlines (of\nthem:2)", [("two\nlines ", 1), ("of\nthem", 2)]),
    ],
)
def test_weights_are_read_as_people_write_them(prompt, fragments):
    found = parse(prompt)
    assert [each.text for each in found] == [text for text, _ in fragments]
    assert [each.weight for each in found] == pytest.approx([weight for _, weight in fragments])


@given(st.text(alphabet="ab()[]:\\1. ", max_size=30))
def test_any_prompt_is_read_and_keeps_its_words(prompt):
    found = parse(prompt)
    assert all(abs(each.weight) <= LIMIT for each in found)
    assert [letter for letter in plain(prompt) if letter in "ab"] == [letter for letter in prompt if letter in "ab"]


@given(st.text(alphabet="ab ,.", max_size=30))
def test_a_prompt_without_brackets_is_one_fragment_as_it_stands(prompt):
    assert parse(prompt) == (Fragment(prompt, 1.0),)
