"""Writes a brief's TOML, always in the same form: what docs/brief.md shows. Knows values and their form, no meaning."""

import json
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

Scalar = str | int | Decimal
Value = Scalar | list[str] | Mapping[str, Scalar]

MAX_LINE_LENGTH = 100


def write(document: Mapping[str, object]) -> str:
    """The TOML text of a document: top-level values, then its tables and arrays of tables, in their order.

    :param document: ``tomllib.loads`` of the text gives it again, numbers with a point as Decimal or float.
    """
    blocks = ["\n".join(_lines({key: value for key, value in document.items() if _is_value(value)}))]
    for key, value in document.items():
        if isinstance(value, Mapping):
            blocks.append("\n".join((f"[{_key(key)}]", *_lines(value))))
        elif not _is_value(value) and isinstance(value, list):
            blocks += ["\n".join((f"[[{_key(key)}]]", *_lines(table))) for table in value]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _is_value(value: object) -> bool:
    """Whether a value stands behind its key; a list of texts does, a table or a list of tables does not."""
    if isinstance(value, list):
        return not (value and all(isinstance(each, Mapping) for each in value))
    return not isinstance(value, Mapping)


def _lines(table: Mapping[str, object]) -> Iterator[str]:
    for key, value in table.items():
        yield f"{_key(key)} = {_value(value)}"


def _value(value: object) -> str:
    if isinstance(value, list):
        return _list([_value(each) for each in value])
    if isinstance(value, Mapping):
        return "{ " + ", ".join(_lines(value)) + " }"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Decimal):
        return f"{value:f}" if value % 1 or "." in f"{value:f}" else f"{value:f}.0"
    return str(value)


def _list(values: Iterable[str]) -> str:
    line = f"[{', '.join(values)}]"
    if len(line) <= MAX_LINE_LENGTH:
        return line
    return "[\n" + "".join(f"    {value},\n" for value in values) + "]"


def _text(text: str) -> str:
    # JSON's escapes are TOML's, but for one control character that JSON leaves as it is.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    is_bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if is_bare else _text(key)
