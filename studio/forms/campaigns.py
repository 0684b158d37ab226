"""The form in which a brief is written: from a post to campaigns.entered, and problems back to their fields.

What is right is campaigns.brief's to say; nothing is checked here.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TypeVar

from django import forms
from django.http import QueryDict

from campaigns.entered import Entered, EnteredAxis, EnteredChannel, EnteredLora, field_of, lines
from campaigns.formats import FORMATS
from campaigns.toml_tables import Problem
from studio.widgets import DropZone

LABELS: Mapping[str, str] = {
    "name": "The name",
    "checkpoint": "The model",
    "images_per_cell": "Images per cell",
    "seed": "The seed",
    "seed_policy": "The seed policy",
    "budget": "The budget",
    "products": "The choice of products",
    "template": "The prompt",
    "negative": "The negative prompt",
    "axis": "The axis",
    "channels": "The list of channels",
    "must_have": "The checklist",
    "channel_name": "The name",
    "channel_way": "The channel",
    "channel_width": "The width",
    "channel_height": "The height",
    "channel_scale": "The scale",
    "channel_anchor": "The place",
    "loras": "The LoRAs",
    "lora_name": "The name of the LoRA",
    "lora_weight": "The weight",
}
# How a problem begins that goes on where the name of its field leaves off.
VERBS = ("is", "are", "has", "have", "holds", "names", "cannot", "does", "reads", "should")
PLAIN_FIELDS = (
    "name", "checkpoint", "images_per_cell", "seed", "seed_policy", "budget", "products", "template", "negative",
    "channels", "must_have", "loras",
)  # fmt: skip
# Fields that are no single text.
ROW_FIELDS = ("products", "channels", "loras")
LORA_FIELDS = ("name", "weight")
CHANNEL_FIELDS = ("name", "way", "width", "height", "scale", "anchor")
Row = TypeVar("Row")


class BriefImportForm(forms.Form):
    """A brief's TOML as a file or as text, and the CSV where the brief takes all of it."""

    # Sent twice, it is one draft.
    key = forms.UUIDField(initial=uuid.uuid4, widget=forms.HiddenInput, required=False)
    file = forms.FileField(
        label="Brief", required=False, widget=DropZone(words="brief.toml", accept=".toml,text/plain")
    )
    text = forms.CharField(
        label="Or paste it here",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false", "class": "mono"}),
    )
    csv = forms.FileField(
        label="Products",
        required=False,
        widget=DropZone(words="products.csv", accept=".csv,text/csv"),
        help_text="Needed only where the brief takes every product of its CSV. Photos are taken in under Products.",
    )

    def clean(self) -> dict[str, object]:
        """The brief's and the CSV's text."""
        values = super().clean() or {}
        if not values.get("file") and not (values.get("text") or "").strip():
            self.add_error("file", "Choose the brief's file, or paste its text.")
        values["brief"] = self._text("file") if values.get("file") else values.get("text", "")
        values["products"] = self._text("csv") if values.get("csv") else None
        values["key"] = values.get("key") or uuid.uuid4()
        return values

    def _text(self, field: str) -> str:
        try:
            return str(self.cleaned_data[field].read().decode("utf-8-sig"))
        except UnicodeDecodeError:
            self.add_error(field, "This is not UTF-8 text. Save the file with the encoding UTF-8.")
            return ""


def entered_from(post: QueryDict) -> Entered:
    """The form's values as they were sent; fields that were not sent are empty."""
    axes = zip_longest(_all(post, "axis_name"), _all(post, "axis_values"), fillvalue="")
    channels = zip_longest(*(_all(post, f"channel_{field}") for field in CHANNEL_FIELDS), fillvalue="")
    loras = zip_longest(*(_all(post, f"lora_{field}") for field in LORA_FIELDS), fillvalue="")
    texts = {field: _plain(post.get(field, "")) for field in PLAIN_FIELDS if field not in ROW_FIELDS}
    return Entered(
        skus=tuple(dict.fromkeys(_all(post, "products"))),
        axes=tuple(EnteredAxis(name=name, values=values) for name, values in axes),
        channels=tuple(EnteredChannel(**dict(zip(CHANNEL_FIELDS, row, strict=True))) for row in channels),
        loras=tuple(EnteredLora(name=name, weight=weight) for name, weight in loras),
        **texts,
    )


def _all(post: QueryDict, field: str) -> list[str]:
    return [_plain(text) for text in post.getlist(field)]


def _plain(text: str) -> str:
    """A text with the line ends of files, as browsers send others, and without the one sign that PostgreSQL refuses."""
    return text.replace("\r\n", "\n").replace("\0", "")


def new_form() -> Entered:
    """What an empty form begins with."""
    return Entered(
        checkpoint="starter",
        axes=(EnteredAxis(), EnteredAxis()),
        channels=(FORMATS["instagram-square"].entered(is_placed=True),),
    )


def key_from(post: QueryDict) -> uuid.UUID:
    """The key that the form was made with; a new one for a form that has lost it."""
    try:
        return uuid.UUID(post.get("key", ""))
    except ValueError:
        return uuid.uuid4()


def revision_from(post: QueryDict) -> int:
    """The revision that the form was made from; 0 for a new one."""
    text = post.get("revision", "")
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def acted(form: Entered, act: str, *, skus: Sequence[str]) -> Entered:
    """The form after a button that changes its rows: ``axis:add``, ``channel:add:story``, ``products:all`` …

    :param skus: all products that can be chosen.
    """
    match act.split(":"):
        case ["axis", "add"]:
            return replace(form, axes=(*form.axes, EnteredAxis()))
        case ["axis", "remove", index]:
            return replace(form, axes=_without(form.axes, index))
        case ["channel", "add"]:
            way = form.channels[-1].way if form.channels else "place"
            return replace(form, channels=(*form.channels, EnteredChannel(way="place" if way == "keep" else way)))
        case ["channel", "add", slug] if slug in FORMATS:
            is_placed = form.is_placed or not form.channels
            return replace(form, channels=(*form.channels, FORMATS[slug].entered(is_placed=is_placed)))
        case ["channel", "remove", index]:
            return replace(form, channels=_without(form.channels, index))
        case ["lora", "add"]:
            return replace(form, loras=(*form.loras, EnteredLora()))
        case ["lora", "remove", index]:
            return replace(form, loras=_without(form.loras, index))
        case ["products", "all"]:
            return replace(form, skus=tuple(skus))
        case ["products", "none"]:
            return replace(form, skus=())
    return form


def _without(rows: tuple[Row, ...], index: str) -> tuple[Row, ...]:
    return tuple(row for at, row in enumerate(rows) if str(at) != index)


@dataclass(frozen=True)
class Slot:
    """Where a field's problems are shown: the field's key, as in the ids of its page, and their sentences."""

    key: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Errors:
    """Problems by field. ``gaps`` are what is still to be filled in, ``whole`` what belongs to no field."""

    slots: tuple[Slot, ...]
    whole: tuple[str, ...]
    gaps: tuple[str, ...]

    @property
    def by_key(self) -> dict[str, tuple[str, ...]]:
        return {slot.key: slot.sentences for slot in self.slots}

    @property
    def count(self) -> int:
        return sum(len(slot.sentences) for slot in self.slots) + len(self.whole)


def errors_of(form: Entered, problems: Iterable[Problem], *, is_strict: bool) -> Errors:
    """Each problem at its field; gaps stand there only when somebody wants to go on, and are a list to do before."""
    found: dict[str, list[str]] = {key: [] for key in _keys(form)}
    whole, gaps = [], []
    for problem in problems:
        field, row = field_of(problem.path)
        said = sentence(problem, field)
        if problem.is_gap:
            gaps.append(said)
        if problem.is_gap and not is_strict:
            continue
        key = _key(form, field, row)
        if key in found:
            found[key].append(said)
        elif not problem.is_gap:
            whole.append(said)
    slots = tuple(Slot(key, tuple(dict.fromkeys(sentences))) for key, sentences in found.items())
    return Errors(slots, tuple(dict.fromkeys(whole)), tuple(dict.fromkeys(gaps)))


def sentence(problem: Problem, field: str) -> str:
    """A problem in a whole sentence, its field named in front where it goes on from there."""
    if problem.what.split(" ", 1)[0] not in VERBS:
        return problem.what[:1].upper() + problem.what[1:]
    match problem.path:
        case ("axes", str(name)):
            return f"The axis {name} {problem.what}" if name else f"This {problem.what}"
        case (*_, int(index)):
            return f"Line {index + 1} {problem.what}"
    return f"{LABELS.get(field, 'The brief')} {problem.what}"


def _keys(form: Entered) -> list[str]:
    axes = [f"axis-{index}" for index in range(len(form.axes))]
    channels = [f"channel-{index}-{field}" for index in range(len(form.channels)) for field in CHANNEL_FIELDS]
    loras = [f"lora-{index}-{field}" for index in range(len(form.loras)) for field in LORA_FIELDS]
    return [*PLAIN_FIELDS, *axes, *channels, *loras]


def _key(form: Entered, field: str, row: int | str | None) -> str:
    if field == "axis":
        named = [
            index
            for index, axis in enumerate(form.axes)
            if axis.name.strip() == row and (axis.name.strip() or lines(axis.values))
        ]
        # Of two axes with one name it is the later one that has to change.
        return f"axis-{named[-1]}" if named else ""
    kind, _, part = field.partition("_")
    return f"{kind}-{row}-{part}" if row is not None else field
