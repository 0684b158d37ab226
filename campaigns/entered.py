"""A brief as a person enters it in a form: texts, finished or not. Becomes a brief's TOML, and comes from one.

Says nothing about what is right: campaigns.brief reads the TOML, whoever wrote it.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, Self

from campaigns import brief_text
from campaigns.brief import Reading, read
from campaigns.brief_products import KnownProducts
from campaigns.products_csv import ProductRow
from campaigns.toml_lines import KeyPath
from campaigns.toml_tables import Problem
from inference.loras import KnownLora

FILE = "brief.toml"
CSV = "products.csv"
# How a channel gets its picture: the product scaled onto a canvas, the photo's own size, the text alone.
Way = Literal["place", "keep", "text"]
WAYS: tuple[Way, ...] = ("place", "keep", "text")
WAY_WORDS: Mapping[Way, str] = {
    "place": "place the product",
    "keep": "keep the photo's own size",
    "text": "paint from the text alone",
}
_BULLET = re.compile(r"[-*•–]\s+")
_NUMBER = re.compile(r"(\d{1,4})[.)]\s+")
_WHOLE = re.compile(r"[+-]?\d{1,20}")
_DECIMAL = re.compile(r"[+-]?\d{1,20}(?:\.\d{1,60})?")


@dataclass(frozen=True, kw_only=True)
class EnteredAxis:
    """One axis: its name, and its values as they were typed or pasted, one a line."""

    name: str = ""
    values: str = ""


@dataclass(frozen=True, kw_only=True)
class EnteredChannel:
    """One channel; ``way`` is one of WAYS, and what does not belong to that way is left aside."""

    name: str = ""
    way: str = "place"
    width: str = ""
    height: str = ""
    scale: str = "0.7"
    anchor: str = "bottom"


@dataclass(frozen=True, kw_only=True)
class EnteredLora:
    """One LoRA, by name, and how strongly it acts."""

    name: str = ""
    weight: str = "1"


@dataclass(frozen=True, kw_only=True)
class Entered:
    """Everything that the form holds, as it was typed."""

    name: str = ""
    checkpoint: str = ""
    images_per_cell: str = "1"
    seed: str = "0"
    seed_policy: str = "per_scene"
    budget: str = ""
    skus: tuple[str, ...] = ()
    template: str = ""
    negative: str = ""
    axes: tuple[EnteredAxis, ...] = ()
    channels: tuple[EnteredChannel, ...] = ()
    must_have: str = ""
    loras: tuple[EnteredLora, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The form's values as plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """What `to_json` gave; a field that is not there has its default."""
        known = {field.name: values[field.name] for field in fields(cls) if field.name in values}
        return cls(
            **known
            | {
                "skus": tuple(known.get("skus", ())),
                "axes": tuple(EnteredAxis(**axis) for axis in known.get("axes", ())),
                "channels": tuple(EnteredChannel(**channel) for channel in known.get("channels", ())),
                "loras": tuple(EnteredLora(**lora) for lora in known.get("loras", ())),
            }
        )

    @property
    def is_placed(self) -> bool:
        """Whether some channel takes a product from its photo."""
        return any(channel.way != "text" for channel in self.channels)

    def without_gaps(self) -> Self:
        """Without rows that hold nothing, which a form keeps for the next entry."""
        return replace(self, axes=tuple(axis for axis in self.axes if axis.name.strip() or lines(axis.values)))

    def text(self) -> str:
        """The brief's TOML; numbers that are none stand in it as texts, for the reader to tell."""
        return brief_text.write(self._document())

    def read(self, known: Sequence[ProductRow], *, loras: Sequence[KnownLora] = ()) -> Reading:
        """The brief that this comes to, with what is wrong.

        :param known: the workspace's products, at least those that are chosen.
        :param loras: the workspace's LoRAs, where some are chosen.
        """
        reading = read(self.text(), file=FILE, source=KnownProducts(known), loras=loras)
        return Reading(reading.brief, (*reading.problems, *self._twins()))

    def _document(self) -> dict[str, object]:
        document: dict[str, object] = {"version": 1, "campaign": self._campaign()}
        if self.skus or self.is_placed:
            document["products"] = {"csv": CSV, "only": list(self.skus)}
        document["prompt"] = {"template": self.template.strip(), **_given(negative=_in_one_line(self.negative))}
        axes: dict[str, list[str]] = {}
        for axis in self.without_gaps().axes:
            axes.setdefault(axis.name.strip(), lines(axis.values))
        if axes:
            document["axes"] = axes
        document["channels"] = [_channel(channel) for channel in self.channels]
        if self.loras:
            document["loras"] = [{"name": lora.name, **_given_numbers(weight=lora.weight)} for lora in self.loras]
        if must_have := lines(self.must_have):
            document["review"] = {"must_have": must_have}
        return document

    def _campaign(self) -> dict[str, object]:
        return {
            "name": self.name.strip(),
            "checkpoint": self.checkpoint.strip(),
            **_given_numbers(images_per_cell=self.images_per_cell, seed=self.seed),
            "seed_policy": self.seed_policy,
            **_given_numbers(budget_credits=self.budget),
        }

    def _twins(self) -> list[Problem]:
        """Axes that a TOML table cannot hold, since a key stands in it once."""
        names = [axis.name.strip() for axis in self.without_gaps().axes]
        return [
            Problem(FILE, 1, "is the name of another axis already. Give each its own.", ("axes", name))
            for name in dict.fromkeys(names)
            if names.count(name) > 1
        ]


def lines(text: str) -> list[str]:
    """The values in a pasted list: one a line or a spreadsheet's column, without bullets or a count in front."""
    found = [line.strip() for line in re.split(r"[\r\n\t]+", text) if line.strip()]
    counted = [int(number[1]) for line in found if (number := _NUMBER.match(line))]
    # "24. December" is a value; what counts its lines from 1 on is a list's numbering.
    mark = _NUMBER if len(found) > 1 and counted == list(range(1, len(found) + 1)) else _BULLET
    return [mark.sub("", line, count=1) if mark.match(line) else line for line in found]


def _in_one_line(text: str) -> str:
    """What not to paint is often written one a line, and is one text to a brief."""
    rows = re.split(r"[\r\n]+", text.strip())
    return ", ".join(row.strip().rstrip(",") for row in rows) if len(rows) > 1 else text


def listed(values: Sequence[str]) -> str:
    """A text that `lines` reads as exactly these values, whatever they begin with."""
    text = "\n".join(values)
    return text if lines(text) == list(values) else "\n".join(f"• {value}" for value in values)


def from_text(text: str, *, skus: Sequence[str]) -> Entered:
    """The form's values for a brief that was read without problems; its products are named apart.

    :raises tomllib.TOMLDecodeError: this is not TOML.
    """
    document = tomllib.loads(text, parse_float=Decimal)
    campaign, prompt = document.get("campaign", {}), document.get("prompt", {})
    return Entered(
        name=str(campaign.get("name", "")),
        checkpoint=str(campaign.get("checkpoint", "")),
        images_per_cell=str(campaign.get("images_per_cell", 1)),
        seed=str(campaign.get("seed", 0)),
        seed_policy=str(campaign.get("seed_policy", "per_scene")),
        budget=_text(campaign.get("budget_credits", "")),
        skus=tuple(skus),
        template=str(prompt.get("template", "")),
        negative=str(prompt.get("negative", "")),
        axes=tuple(
            EnteredAxis(name=name, values=listed([value.strip() for value in values]))
            for name, values in document.get("axes", {}).items()
        ),
        channels=tuple(_entered_channel(channel) for channel in document.get("channels", ())),
        must_have=listed([each.strip() for each in document.get("review", {}).get("must_have", ())]),
        loras=tuple(
            EnteredLora(name=str(lora.get("name", "")).strip(), weight=_text(lora.get("weight", 1)))
            for lora in document.get("loras", ())
        ),
    )


def field_of(path: KeyPath) -> tuple[str, int | str | None]:
    """The form's field that a problem is about, and which row of it: (field, index of the channel or name of the axis).

    A problem of the whole belongs to no field, "".
    """
    match path:
        case ("axes", str(name), *_):
            return "axis", name
        case ("channels", int(index), *rest):
            return f"channel_{_CHANNEL_FIELDS.get(tuple(rest), 'name')}", index
        case ("loras", int(index), *rest):
            return "lora_weight" if rest == ["weight"] else "lora_name", index
    return _FIELDS.get(path[:2], _FIELDS.get(path[:1], "")), None


_FIELDS: Mapping[KeyPath, str] = {
    ("campaign", "name"): "name",
    ("campaign", "checkpoint"): "checkpoint",
    ("campaign", "images_per_cell"): "images_per_cell",
    ("campaign", "seed"): "seed",
    ("campaign", "seed_policy"): "seed_policy",
    ("campaign", "budget_credits"): "budget",
    ("products",): "products",
    ("prompt", "template"): "template",
    ("prompt", "negative"): "negative",
    ("channels",): "channels",
    ("review",): "must_have",
    ("loras",): "loras",
}
_CHANNEL_FIELDS: Mapping[tuple[str | int, ...], str] = {
    ("width",): "width",
    ("height",): "height",
    ("placement",): "way",
    ("placement", "scale"): "scale",
    ("placement", "anchor"): "anchor",
    (): "way",
}


def _channel(channel: EnteredChannel) -> dict[str, object]:
    named: dict[str, object] = {"name": channel.name.strip()}
    if channel.way == "keep":
        return named | {"placement": "keep"}
    sized = named | _given_numbers(width=channel.width, height=channel.height)
    if channel.way == "text":
        return sized
    return sized | {"placement": {**_given_numbers(scale=channel.scale), "anchor": channel.anchor}}


def _entered_channel(channel: Mapping[str, Any]) -> EnteredChannel:
    placement = channel.get("placement")
    sides = {side: str(channel.get(side, "")) for side in ("width", "height")}
    if isinstance(placement, Mapping):
        placed = {key: _text(placement.get(key, "")) for key in ("scale", "anchor")}
        return EnteredChannel(name=str(channel.get("name", "")), way="place", **sides, **placed)
    return EnteredChannel(name=str(channel.get("name", "")), way="keep" if placement == "keep" else "text", **sides)


def _text(value: object) -> str:
    """A value as one types it: 1e-2 is a number to TOML, and 0.01 to everybody else."""
    return f"{value:f}" if isinstance(value, Decimal) and abs(value.adjusted()) < 60 else str(value)


def _given(**texts: str) -> dict[str, object]:
    return {key: text.strip() for key, text in texts.items() if text.strip()}


def _given_numbers(**texts: str) -> dict[str, object]:
    return {key: _number(text.strip()) for key, text in texts.items() if text.strip()}


def _number(text: str) -> int | Decimal | str:
    """What a text says as a number; the text itself where it is none, so that the reader can say what it expected."""
    if _WHOLE.fullmatch(text):
        return int(text)
    try:
        return Decimal(text) if _DECIMAL.fullmatch(text) else text
    except InvalidOperation:
        return text
