"""Forms of LoRAs: one that is uploaded, what is said of it, and which of them an image is made with."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from inference.loras import MAX_NAME_LENGTH, MAX_NOTE_LENGTH, MAX_WEIGHT, MAX_WORDS_LENGTH, ChosenLora, Words
from studio.ids import object_id
from studio.widgets import DropZone

CHOSEN = "lora"
WEIGHT = "lora-weight-"


class WordsForm(forms.Form):
    """What people say of a LoRA."""

    name = forms.CharField(
        label="Name", max_length=MAX_NAME_LENGTH, error_messages={"required": "Write a name; briefs call it by that."}
    )
    trigger_words = forms.CharField(
        label="Trigger words",
        required=False,
        max_length=MAX_WORDS_LENGTH,
        help_text="The words that it was trained on, with commas between. They are put in front of the description.",
    )
    note = forms.CharField(
        label="Where it comes from",
        required=False,
        max_length=MAX_NOTE_LENGTH,
        help_text="Its source and license, for whoever asks later.",
    )

    def words(self) -> Words:
        """What was typed. Only for a valid form."""
        return Words(**{name: self.cleaned_data[name] for name in ("name", "trigger_words", "note")})


class UploadForm(WordsForm):
    """A LoRA's file, and what is said of it; without a name it is called as its file is."""

    file = forms.FileField(
        label="File",
        widget=DropZone(words="A LoRA’s .safetensors file", accept=".safetensors"),
        error_messages={"required": "Choose the LoRA’s file.", "empty": "This file is empty. Choose it again."},
    )
    field_order = ("file", "name", "trigger_words", "note")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].required = False
        self.fields["name"].widget.attrs["placeholder"] = "Soft light"
        self.fields["name"].help_text = "Left empty, its file’s."
        self.fields["trigger_words"].help_text += " Left empty, what its trainer noted in the file."

    def clean_name(self) -> str:
        """The name, or the file's without its ending and with blanks for what joins its words."""
        name: str = self.cleaned_data["name"]
        file = self.cleaned_data.get("file") or self.files.get("file")
        if name or file is None:
            return name
        stem = (file.name or "").removesuffix(".safetensors").replace("_", " ").replace("-", " ").strip()
        return stem[:MAX_NAME_LENGTH] or "LoRA"


@dataclass(frozen=True)
class TypedLora:
    """A LoRA as a form names it: id and weight, whatever was typed."""

    lora_id: str
    weight: str


class _LorasInput(forms.Widget):
    """Reads the ids that were ticked, and the weight that stands beside each; drawn by templates/studio/loras.html."""

    def value_from_datadict(self, data: Mapping[str, Any], files: object, name: str) -> Sequence[TypedLora]:
        """What was ticked, or the form's own value where it was filled in with settings."""
        if not hasattr(data, "getlist"):
            return tuple(data.get(name) or ())
        return tuple(TypedLora(each, str(data.get(f"{WEIGHT}{each}", "1"))) for each in data.getlist(CHOSEN))


class LorasField(forms.Field):
    """Any number of LoRAs with their weights."""

    widget = _LorasInput

    def clean(self, value: Sequence[TypedLora]) -> tuple[ChosenLora, ...]:
        """The LoRAs by id; whether they are there, the domain knows.

        :raises ValidationError: a weight is no number from 0 to 2.
        """
        chosen = {}
        for each in value:
            if (lora_id := object_id(each.lora_id)) is not None:
                chosen[lora_id] = ChosenLora(lora_id=lora_id, weight=_weight(each.weight))
        return tuple(chosen.values())


def typed(chosen: Sequence[ChosenLora]) -> tuple[TypedLora, ...]:
    """LoRAs as a form shows them."""
    return tuple(TypedLora(str(each.lora_id), f"{each.weight:g}") for each in chosen)


def _weight(text: str) -> float:
    try:
        weight = float(text.replace(",", ".") or 1)
    except ValueError:
        weight = math.nan
    if not 0 <= weight <= MAX_WEIGHT:
        raise ValidationError(f"Give the weight as a number from 0 to {MAX_WEIGHT:g}.")
    return weight
