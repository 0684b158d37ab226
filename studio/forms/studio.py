"""The Image Studio's form: what is typed and chosen, read into settings. What a model can do, the domain knows."""

from collections.abc import Mapping
from typing import Any

from django import forms

from inference import catalog, chosen, generate, styles
from inference.catalog import SCHEDULERS
from inference.generate import Settings
from inference.loras import ChosenLora
from inference.requests import SEED_LIMIT
from studio.forms.loras import CHOSEN, LorasField, typed
from studio.ids import object_id

PROMPT_CHARACTERS = 2000
# In place of a base image's shape, once that is removed.
NO_SHAPE = "1:1"
SIDES_PX = (64, 8192)


class _Text(forms.CharField):
    """A long text, counted as the page counts it: a line's end is one character."""

    widget = forms.Textarea

    def to_python(self, value: Any) -> str:
        return str(super().to_python(value)).replace("\r\n", "\n")


class _PictureName(forms.CharField):
    """A picture's name, as inference.chosen has it; whether it is there, the domain knows."""

    def validate(self, value: Any) -> None:
        super().validate(value)
        if value and not chosen.NAME.fullmatch(value):
            raise forms.ValidationError("Choose the picture again.")


def _models() -> list[tuple[str, str]]:
    return [(entry.slug, entry.name) for entry in catalog.load().values()]


def _styles() -> list[tuple[str, str]]:
    return [(style.slug, style.name) for style in styles.load().values()]


class StudioForm(forms.Form):
    """All that decides a click. Empty numbers are left to the model, an empty seed to chance."""

    checkpoint = forms.ChoiceField(choices=_models, label="Model")
    style = forms.ChoiceField(choices=_styles)
    aspect = forms.ChoiceField(
        choices=[(each, each) for each in (*generate.ASPECTS, generate.OWN_SIZE, generate.BASE_SHAPE)]
    )
    width = forms.IntegerField(required=False, min_value=SIDES_PX[0], max_value=SIDES_PX[1])
    height = forms.IntegerField(required=False, min_value=SIDES_PX[0], max_value=SIDES_PX[1])
    count = forms.TypedChoiceField(choices=[(each, str(each)) for each in generate.COUNTS], coerce=int, label="Images")
    prompt = _Text(required=False, max_length=PROMPT_CHARACTERS, label="Description")
    negative_prompt = _Text(required=False, max_length=PROMPT_CHARACTERS)
    seed = forms.IntegerField(required=False, min_value=0, max_value=SEED_LIMIT - 1)
    num_inference_steps = forms.IntegerField(required=False, min_value=1, label="Steps")
    guidance_scale = forms.FloatField(required=False, label="CFG")
    scheduler = forms.ChoiceField(required=False, choices=[("", ""), *((each, each) for each in SCHEDULERS)])
    base = _PictureName(required=False)
    strength = forms.FloatField(required=False, min_value=0.01, max_value=1)
    lock = _PictureName(required=False)
    box = forms.CharField(required=False, max_length=40)
    extend = forms.CharField(required=False, max_length=40)
    control = _PictureName(required=False)
    control_kind = forms.ChoiceField(required=False, choices=[("", ""), *((each, each) for each in catalog.CONTROLS)])
    control_scale = forms.FloatField(required=False, min_value=0.05, max_value=2)
    look = _PictureName(required=False)
    look_scale = forms.FloatField(required=False, min_value=0.05, max_value=1)
    loras = LorasField(required=False, label="LoRAs")

    @classmethod
    def of(cls, settings: Settings, changes: Mapping[str, str]) -> "StudioForm":
        """The form filled in with settings, and over them whatever of its fields an address names."""
        values = {name: "" if value is None else str(value) for name, value in settings.to_json().items()}
        named = {name: changes[name] for name in values if name in changes}
        if "base" in named:
            # Another picture, of which nothing was painted over yet.
            values |= {"lock": "", "box": "", "extend": "", "aspect": generate.BASE_SHAPE}
        chosen = settings.loras
        if (lora_id := object_id(changes.get(CHOSEN))) is not None and all(each.lora_id != lora_id for each in chosen):
            chosen = (*chosen, ChosenLora(lora_id=lora_id))
        return cls({**values, **named, "loras": typed(chosen)})

    def settings(self) -> Settings:
        """What was chosen, without what the chosen model does not take. Only for a valid form."""
        given = dict(self.cleaned_data)
        entry = catalog.entry(given["checkpoint"])
        if given["aspect"] != generate.OWN_SIZE:
            given["width"] = given["height"] = None
        if not given["base"]:
            given |= {"strength": None, "lock": "", "box": "", "extend": ""}
            if given["aspect"] == generate.BASE_SHAPE:
                given["aspect"] = NO_SHAPE
        if not given["control"]:
            given |= {"control_kind": "", "control_scale": None}
        if not given["look"]:
            given["look_scale"] = None
        if "lora" not in entry.capabilities:
            given["loras"] = ()
        if "negative_prompt" not in entry.capabilities:
            given["negative_prompt"] = ""
        if "guidance" not in entry.capabilities:
            given["guidance_scale"] = None
        if "schedulers" not in entry.capabilities or not given["scheduler"]:
            given["scheduler"] = None
        return Settings(**given)

    def sentence(self) -> str:
        """The first thing that is wrong, with its field's name; empty when nothing is."""
        for name, errors in self.errors.items():
            label = "" if name == "__all__" else f"{self.fields[name].label or name.replace('_', ' ').capitalize()}: "
            return f"{label}{errors[0]}"
        return ""
