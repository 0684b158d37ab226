"""Takes typed values out of a TOML document and collects everything that is wrong with them, each with its line.
Knows TOML and words, not what a brief is.
"""

import difflib
import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from campaigns.toml_lines import KeyPath, locate

_AT_LINE = re.compile(r"(?P<what>.*?) \(at line (?P<line>\d+), column (?P<column>\d+)\)$", re.DOTALL)
_ABSENT: Any = object()
# What stands in a brief as one table each.
ARRAYS = ("channels", "loras")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where it stands in a file, and which key it is about for whoever shows no file.

    ``what`` goes on where the key's name leaves off. A gap is something that is not there yet, rather than wrong.
    """

    file: str
    line: int
    what: str
    path: KeyPath = ()
    is_gap: bool = False

    def __str__(self) -> str:
        key = f"{spelled(self.path)}: " if self.path else ""
        return f"{self.file}:{self.line}: {key}{self.what}"


@dataclass
class Problems:
    """What is wrong so far, in any order."""

    found: list[Problem] = field(default_factory=list)

    def add(self, file: str, line: int, sentence: str) -> None:
        self.found.append(Problem(file, line, sentence))

    def ordered(self, *, first: str) -> tuple[Problem, ...]:
        """Each problem once; one file's first, each file from top to bottom."""
        each = {str(problem): problem for problem in self.found}.values()
        return tuple(sorted(each, key=lambda problem: (problem.file != first, problem.file, problem.line)))


@dataclass(frozen=True)
class Document:
    """A parsed document with the lines of its keys; decimals instead of floats."""

    file: str
    values: dict[str, Any]
    lines: dict[KeyPath, int]
    problems: Problems

    def line(self, path: KeyPath) -> int:
        """The line of what the path leads to; of the nearest table around it when that is not there."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines[path]

    def add(self, path: KeyPath, sentence: str, *, is_gap: bool = False) -> None:
        self.problems.found.append(Problem(self.file, self.line(path), sentence, path, is_gap))

    def empty_table(self, key: str) -> "Table":
        """Stands for a table that is missing, which has been noted: what is missing in it is not."""
        return Table(Document(self.file, {}, self.lines, Problems()), (key,), {})

    def table(self) -> "Table":
        """The document's own top level."""
        return Table(self, (), self.values)


def parse(text: str, *, file: str, problems: Problems) -> Document | None:
    """Parse a TOML text; a syntax error is added to the problems, and there is then no document."""
    try:
        values = tomllib.loads(text, parse_float=Decimal)
        return Document(file, values, dict(locate(text.replace("\r\n", "\n"))), problems)
    except tomllib.TOMLDecodeError as error:
        found = _AT_LINE.match(str(error))
        line = int(found["line"]) if found else len(text.splitlines())
        what = f"{found['what']} at column {found['column']}" if found else str(error)
        problems.add(file, line, f"this is not TOML: {what[:1].lower()}{what[1:]}. Text values stand in double quotes.")
    except RecursionError:
        problems.add(file, 1, "brackets are nested far too deep. Write lists without lists inside.")
    return None


def spelled(path: KeyPath) -> str:
    """A path as its reader would write it: ``[campaign] seed``, ``[[channels]] 2 placement.scale``."""
    if not path:
        return "the file"
    if len(path) == 1:
        return str(path[0])
    if isinstance(path[1], int) and path[0] in ARRAYS:
        return " ".join(filter(None, (f"[[{path[0]}]] {path[1] + 1}", _dotted(path[2:]))))
    return f"[{path[0]}] {_dotted(path[1:])}"


def _dotted(path: KeyPath) -> str:
    words = (f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(words).removeprefix(".")


def nearest(word: str, known: Iterable[str]) -> str:
    """`` Did you mean "…"?`` for the known word that is most alike, or nothing."""
    folded = {name.casefold(): name for name in known}
    alike = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return f' Did you mean "{folded[alike[0]]}"?' if alike else ""


def text_fault(text: str, *, most: int, is_one_line: bool = True) -> str | None:
    """Why a text cannot be used, or None. Tabs and line ends may stand in a text of several lines only."""
    if not text.strip():
        return "is empty. Write something or leave it out."
    allowed = "" if is_one_line else "\n\t"
    if any(unicodedata.category(sign) in ("Cc", "Cs") and sign not in allowed for sign in text.replace("\r\n", "\n")):
        return "holds a line break, a tab or another control character. Write it in one line of plain text."
    if len(text) > most:
        return f"has {len(text):,} characters. Shorten it to {most:,}."
    return None


class Table:
    """One table being read. Each method takes a key out; what is wrong is noted, and a stand-in value returned."""

    def __init__(self, document: Document, path: KeyPath, values: dict[str, Any]) -> None:
        self.document = document
        self.path = path
        self.values = values
        self.known: list[str] = []

    def add(self, key: str, sentence: str, *, index: int | None = None, is_gap: bool = False) -> None:
        """Note a problem of this table's key, or of one element of its list."""
        where = (*self.path, key) if index is None else (*self.path, key, index)
        self.document.add(where, sentence, is_gap=is_gap)

    def has(self, key: str) -> bool:
        return key in self.values

    def text(
        self, key: str, *, most: int, example: str = "", default: str | None = None, is_one_line: bool = True
    ) -> str:
        """A text without blanks around it, of 1 to ``most`` characters; required unless there is a default."""
        value = self._take(key, str, 'a text in quotes, as in "marble"', default=default, example=example)
        if value is None or value == default:
            return value or ""
        if default is None and not value.strip():
            self.add(key, "is empty. Write something.", is_gap=True)
        elif fault := text_fault(value, most=most, is_one_line=is_one_line):
            self.add(key, fault)
        return str(value.strip())

    def choice(self, key: str, options: Sequence[str], *, default: str | None = None) -> str:
        """One of some words; required unless there is a default."""
        listed = ", ".join(f'"{option}"' for option in options)
        value = self._take(key, str, f"one of {listed}", default=default, example=f'{key} = "{options[0]}"')
        if value is not None and value not in options:
            self.add(key, f'"{value[:40]}" is not known here.{nearest(value, options)} Write one of {listed}.')
        return value if value in options else options[0]

    def whole(self, key: str, low: int, high: int, *, example: str = "", default: int | None = None) -> int:
        """A whole number from low to high; required unless there is a default. Low stands in for a faulty one."""
        expected = f"a whole number from {low:,} to {high:,}"
        value = self._take(key, int, expected, default=default, example=example)
        if value is not None and not low <= value <= high:
            self.add(key, f"is {value}. Write {expected}.")
        return value if value is not None and low <= value <= high else low

    def number(self, key: str, *, example: str = "", is_required: bool = True) -> Decimal | None:
        """A finite number, exactly as written; None for a faulty one and where there may be none."""
        default = None if is_required else _ABSENT
        value = self._take(key, (int, Decimal), "a number, as in 0.7", default=default, example=example)
        if value is None or value is _ABSENT:
            return None
        if not Decimal(value).is_finite():
            self.add(key, f"is {value}. Write an ordinary number.")
            return None
        return Decimal(value)

    def texts(self, key: str, *, most: int, identity: Callable[[str], str]) -> tuple[str, ...]:
        """A list of one-line texts, each of 1 to ``most`` characters; faulty and repeated ones are noted and left out.

        :param identity: equal for texts that count as the same.
        """
        values = self._take(key, list, 'a list of texts, as in ["marble", "slate"]', default=[])
        good: dict[str, str] = {}
        for index, value in enumerate(values or ()):
            if not isinstance(value, str):
                self.add(key, f"is {described(value)}. Write a text in quotes.", index=index)
            elif fault := text_fault(value, most=most):
                self.add(key, fault, index=index)
            elif same := good.get(identity(value)):
                self.add(key, f'"{value}" is there already, as "{same}". Remove one of them.', index=index)
            else:
                good[identity(value)] = value.strip()
        return tuple(good.values())

    def child(self, key: str, *, expected: str = "", is_required: bool = False) -> "Table | None":
        """The table under a key; None where there is none, or something else."""
        expected = expected or f"a table: write [{key}] once, in single brackets"
        default = None if is_required else _ABSENT
        values = self._take(key, dict, expected, default=default, example=f"[{key}]")
        return Table(self.document, (*self.path, key), values) if isinstance(values, dict) else None

    def children(self, key: str) -> list["Table"]:
        """The tables of the required array of tables under a key."""
        expected = f"a list of tables: write [[{key}]] in double brackets above each"
        values = self._take(key, list, expected, example=f"[[{key}]]")
        if values is not None and not values:
            self.add(key, "is empty. Add at least one.", is_gap=True)
        if values is not None and not all(isinstance(value, dict) for value in values):
            self.add(key, f"should be {expected}.")
            return []
        return [Table(self.document, (*self.path, key, index), value) for index, value in enumerate(values or ())]

    def peek(self, key: str) -> Any:
        """The raw value under a key that may be of several kinds, or None."""
        self.known.append(key)
        return self.values.get(key)

    def close(self, *, elsewhere: Iterable[tuple[str, str]] = ()) -> None:
        """Note every key that nothing asked for. ``elsewhere`` names (key, table) pairs to point to."""
        homes = dict(elsewhere)
        for key in self.values:
            if key in self.known:
                continue
            if key in homes and homes[key] != spelled_table(self.path):
                self.add(key, f"does not belong here. Move it to {homes[key]}.")
            else:
                names = ", ".join(self.known)
                self.add(key, f"is not a key that a brief has.{nearest(key, self.known)} Known here: {names}.")

    def _take(
        self, key: str, kind: type | tuple[type, ...], expected: str, *, default: Any = None, example: str = ""
    ) -> Any:
        """The value under a key: its default when it is absent, None when it is faulty or required and absent."""
        if key not in self.known:
            self.known.append(key)
        if key not in self.values:
            if default is None:
                self.add(key, f"is missing. Add {example or expected}.", is_gap=True)
            return default
        value = self.values[key]
        # A TOML boolean is a Python int as well, and never what was meant.
        if isinstance(value, bool) or not isinstance(value, kind):
            self.add(key, f"is {described(value)}, but should be {expected}.")
            return None
        return value


def spelled_table(path: KeyPath) -> str:
    """The header under which a table's keys stand."""
    if not path:
        return "the top of the file"
    return f"[[{path[0]}]]" if len(path) > 1 and isinstance(path[1], int) else f"[{path[0]}]"


def described(value: object) -> str:
    """What a TOML value is, in words."""
    if isinstance(value, bool):
        return f"{str(value).lower()}"
    if isinstance(value, str):
        return f'the text "{value[:40]}"'
    if isinstance(value, int | Decimal):
        return f"the number {value}"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "a table"
    return "a date or time"
