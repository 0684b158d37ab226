"""Every key of a TOML document is found on the line where a person sees it."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.toml_lines import KeyPath, locate


def paths(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Every path into a parsed document."""
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from paths(inner, (*path, key))
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield from paths(inner, (*path, index))


def line_of(text: str, mark: str) -> int:
    """The line on which a mark stands, which has to be there once."""
    assert text.count(mark) == 1
    return text[: text.index(mark)].count("\n") + 1


TRICKY = (Path(__file__).parent / "tricky.toml").read_text()


def test_every_value_of_a_tricky_document_has_a_line() -> None:
    lines = locate(TRICKY)
    assert set(paths(tomllib.loads(TRICKY))) == set(lines)


@pytest.mark.parametrize(
    ("path", "mark"),
    [
        (("single # quoted",), "'single # quoted'"),
        (("key with = and ]",), '"key with = and ]"'),
        (("dotted", "in three", "parts"), "dotted . "),
        (("raw",), "raw = "),
        (("empties", 2), "empties = "),
        (("dates", 3), "dates = "),
        (("a", "b"), "[ a . b ]"),
        (("a", "b", "inline", "y", "z", 1, "deep"), "inline ="),
        (("a", "b", "list", 0), '"one"'),
        (("a", "b", "list", 1, "name"), '"four"'),
        (("a", "b", "list", 2, 0), "5,"),
        (("array", 0, "inner", "value"), "value = 1"),
        (("array", 0, "nested", 1, "value"), "value = 3"),
        (("array", 1, "inner", "value"), "value = 4"),
        (("array", 1, "nested", 0, "value"), "value = 5"),
        (("a", "c"), "c = 6"),
    ],
)
def test_a_key_is_found_on_its_own_line(path: KeyPath, mark: str) -> None:
    assert locate(TRICKY)[path] == line_of(TRICKY, mark)


def test_windows_line_ends_count_once() -> None:
    text = 'a = 1\r\nb = """\r\n\r\n"""\r\nc = [\r\n2,\r\n]\r\n'
    assert locate(text) == {(): 1, ("a",): 1, ("b",): 2, ("c",): 5, ("c", 0): 6}


LITERALS = st.sampled_from(
    [
        "1",
        '"a"',
        "'#'",
        '"""\nx = 1\n"""',
        "'''\n[t]\n'''",
        "[\n1,\n'b', # ]\n]",
        "{ a = 1, b.c = [2] }",
        "[]",
        "{}",
        '"\\\\"',
    ]
)
HEADERS = st.lists(st.sampled_from(["k", "'m n'", '"é"']), min_size=1, max_size=2).map(".".join)


@given(st.lists(st.tuples(st.booleans(), HEADERS, LITERALS), max_size=8))
def test_whatever_tomllib_accepts_is_located_whole(parts: list[tuple[bool, str, str]]) -> None:
    text = ""
    for index, (is_array, header, literal) in enumerate(parts):
        bracketed = f"[[{header}]]" if is_array else f"[{header}]"
        text += f"{bracketed} # {index}\nkey{index} = {literal}\n\n"
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    lines = locate(text)
    assert set(paths(values)) == set(lines)
    for path, line in lines.items():
        if path and isinstance(path[-1], str) and path[-1].startswith("key"):
            assert text.splitlines()[line - 1].startswith(path[-1])
