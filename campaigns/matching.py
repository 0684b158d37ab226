"""Which cell of a changed brief is which cell of the campaign: by its key or, where a value was rewritten in its
place, by what it is called now. Pure: knows no pictures and no rows beyond what names a cell.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from campaigns.cells import PlannedCell

# No axis can be called so: its name would hold a slash.
CHANNEL = "channel/"
Name = tuple[str, str, frozenset[tuple[str, str]]]


@dataclass(frozen=True, kw_only=True)
class Known:
    """A cell of the campaign as it was planned last. ``is_asked`` is False while it is set aside."""

    id: int
    key: str
    sku: str
    channel: str
    axes: Mapping[str, str]
    is_asked: bool


def match(planned: Sequence[PlannedCell], known: Sequence[Known]) -> dict[str, int]:
    """Planned cell's key → id of the cell that it is; a planned one that is not there is new.

    A key that was there before is that cell again, set aside or not. Of the rest, a cell whose channel or axis values
    were rewritten, each in the line where it stood, goes on under its new names.

    :param known: in the order in which they stand in the campaign.
    """
    by_key = {cell.key: cell.id for cell in known}
    found = {cell.key: by_key[cell.key] for cell in planned if cell.key in by_key}
    taken = set(found.values())
    asked = [cell for cell in known if cell.is_asked]
    renamed = _renamed(asked, planned)
    by_name = {_name(cell.sku, cell.channel.name, dict(cell.axes)): cell.key for cell in planned}
    for cell in asked:
        if cell.id in taken:
            continue
        axes = {name: renamed[name, value] for name, value in cell.axes.items()}
        key = by_name.get(_name(cell.sku, renamed[CHANNEL, cell.channel], axes))
        if key is not None:
            found.setdefault(key, cell.id)
    return found


def _name(sku: str, channel: str, axes: Mapping[str, str]) -> Name:
    return sku, channel, frozenset(axes.items())


class _Renamed(dict[tuple[str, str], str]):
    """(axis, value before) → value now; what was not rewritten stays what it was."""

    def __missing__(self, key: tuple[str, str]) -> str:
        return key[1]


def _renamed(asked: Sequence[Known], planned: Sequence[PlannedCell]) -> _Renamed:
    renamed = _Renamed()
    before = _values((CHANNEL, cell.channel) for cell in asked)
    now = _values((CHANNEL, cell.channel.name) for cell in planned)
    before |= _values(each for cell in asked for each in cell.axes.items())
    now |= _values(each for cell in planned for each in cell.axes)
    for name in before.keys() & now.keys():
        for old, new in _rewritten(before[name], now[name]):
            renamed[name, old] = new
    return renamed


def _values(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Each axis's values in their order, each once."""
    found: dict[str, dict[str, None]] = {}
    for name, value in pairs:
        found.setdefault(name, {}).setdefault(value)
    return {name: list(values) for name, values in found.items()}


def _rewritten(before: Sequence[str], now: Sequence[str]) -> Iterable[tuple[str, str]]:
    """(old, new) for every line that reads otherwise at its place between lines that stayed."""
    for kind, start, end, new_start, new_end in SequenceMatcher(None, before, now, autojunk=False).get_opcodes():
        if kind == "replace":
            pairs = zip(before[start:end], now[new_start:new_end], strict=False)
            yield from ((old, new) for old, new in pairs if old not in now and new not in before)
