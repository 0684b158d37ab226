"""Tells on which line each key of a TOML document stands, which tomllib does not.
Knows TOML's grammar, not its values: the text has to be one that tomllib has accepted.
"""

import re
import tomllib
from collections.abc import Mapping

KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_STRING = r'"(?:[^"\\\n]|\\.)*"|' r"'[^'\n]*'"
_KEY = re.compile(rf"{_STRING}|[A-Za-z0-9_-]+")
# Up to two quotes may stand right before the three that close a multi-line string.
_VALUE_STRING = re.compile(rf'"""(?:[^\\]|\\.)*?"{{3,5}}(?!")|' rf"'''.*?'{{3,5}}(?!')|{_STRING}", re.DOTALL)
_SCALAR = re.compile(r"[^,\]}\n#]+")


def locate(text: str) -> Mapping[KeyPath, int]:
    """Map the path of every table, key and array element to its line, counted from 1.

    A path leads to its value in ``tomllib.loads(text)``, as ``("channels", 0, "width")`` does; the empty one is line 1.

    :param text: a TOML 1.0 document that tomllib accepts, line ends already ``\\n`` or ``\\r\\n``.
    """
    return _Scanner(text).document()


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.counted = (0, 1)
        self.lines: dict[KeyPath, int] = {(): 1}
        self.lengths: dict[KeyPath, int] = {}

    def document(self) -> Mapping[KeyPath, int]:
        table: KeyPath = ()
        self._skip(_BLANK)
        while self.at < len(self.text):
            if self._peek("["):
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)
        return self.lines

    def _header(self) -> KeyPath:
        line = self._line()
        is_array = self._peek("[[")
        self.at += 2 if is_array else 1
        *parents, name = self._key()
        path = (*self._resolved(parents, line), name)
        if is_array:
            self.lines.setdefault(path, line)
            path = self._next_element(path)
        self.lines[path] = line
        self.at += 2 if is_array else 1
        return self._last_element(path)

    def _pair(self, table: KeyPath) -> None:
        line = self._line()
        *parents, name = self._key()
        path = table
        for parent in parents:
            path = (*path, parent)
            self.lines.setdefault(path, line)
        path = (*path, name)
        self.lines[path] = line
        self.at += 1
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        self._skip(_SPACE)
        if self._peek("["):
            self._array(path)
        elif self._peek("{"):
            self._inline_table(path)
        else:
            self._skip(_VALUE_STRING if self.text[self.at] in "\"'" else _SCALAR)

    def _array(self, path: KeyPath) -> None:
        self.at += 1
        self._skip(_BLANK)
        index = 0
        while not self._peek("]"):
            self.lines[(*path, index)] = self._line()
            self._value((*path, index))
            index += 1
            self._separator()
        self.at += 1

    def _inline_table(self, path: KeyPath) -> None:
        self.at += 1
        self._skip(_BLANK)
        while not self._peek("}"):
            self._pair(path)
            self._separator()
        self.at += 1

    def _separator(self) -> None:
        self._skip(_BLANK)
        if self._peek(","):
            self.at += 1
            self._skip(_BLANK)

    def _key(self) -> list[str]:
        """Read a dotted key, and the blanks around it."""
        parts: list[str] = []
        while True:
            self._skip(_SPACE)
            word = self._skip(_KEY)
            parts.append(next(iter(tomllib.loads(f"{word} = 0"))))
            self._skip(_SPACE)
            if not self._peek("."):
                return parts
            self.at += 1

    def _resolved(self, names: list[str], line: int) -> KeyPath:
        """The path of a header's parents: through an array of tables it leads to the last element so far."""
        path: KeyPath = ()
        for name in names:
            path = self._last_element((*path, name))
            self.lines.setdefault(path, line)
        return path

    def _next_element(self, path: KeyPath) -> KeyPath:
        index = self.lengths.get(path, 0)
        self.lengths[path] = index + 1
        return (*path, index)

    def _last_element(self, path: KeyPath) -> KeyPath:
        return (*path, self.lengths[path] - 1) if path in self.lengths else path

    def _line(self) -> int:
        counted_to, line = self.counted
        line += self.text.count("\n", counted_to, self.at)
        self.counted = (self.at, line)
        return line

    def _peek(self, token: str) -> bool:
        return self.text.startswith(token, self.at)

    def _skip(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.at)
        if found is None:
            raise ValueError(f"line {self._line()} is not TOML that tomllib accepts")
        self.at = found.end()
        return found.group()
