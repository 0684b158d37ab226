"""The Image Studio's form: what is typed and chosen, read into settings. What a model can do, the domain knows."""

from collections.abc import Mapping
from typing import Any

from django import forms

from inference import catalog, generate, styles
from inference.catalog import SCHEDULERS
from inference.generate import Settings
from inference.requests import SEED_LIMIT

PROMPT_CHARACTERS = 2000
SIDES_PX = (64, 8192)


class _Text(forms.CharField):
    """A long text, counted as the page counts it: a line's end is one character."""

    widget = forms.Textarea

    def to_python(self, value: Any) -> str:
        return str(super().to_python(value)).replace("\r\n", "\n")


def _models() -> list[tuple[str, str]]:
    return [(entry.slug, entry.name) for entry in catalog.load().values()]


def _styles() -> list[tuple[str, str]]:
    return [(style.slug, style.name) for style in styles.load().values()]


class StudioForm(forms.Form):
    """All that decides a click. Empty numbers are left to the model, an empty seed to chance."""

    checkpoint = forms.ChoiceField(choices=_models, label="Model")
    style = forms.ChoiceField(choices=_styles)
    aspect = forms.ChoiceField(choices=[(each, each) for each in (*generate.ASPECTS, generate.OWN_SIZE)])
    width = forms.IntegerField(required=False, min_value=SIDES_PX[0], max_value=SIDES_PX[1])
    height = forms.IntegerField(required=False, min_value=SIDES_PX[0], max_value=SIDES_PX[1])
    count = forms.TypedChoiceField(choices=[(each, str(each)) for each in generate.COUNTS], coerce=int, label="Images")
    prompt = _Text(required=False, max_length=PROMPT_CHARACTERS, label="Description")
    negative_prompt = _Text(required=False, max_length=PROMPT_CHARACTERS)
    seed = forms.IntegerField(required=False, min_value=0, max_value=SEED_LIMIT - 1)
    num_inference_steps = forms.IntegerField(required=False, min_value=1, label="Steps")
    guidance_scale = forms.FloatField(required=False, label="CFG")
    scheduler = forms.ChoiceField(required=False, choices=[("", ""), *((each, each) for each in SCHEDULERS)])

    @classmethod
    def of(cls, settings: Settings, changes: Mapping[str, str]) -> "StudioForm":
        """The form filled in with settings, and over them whatever of its fields an address names."""
        values = {name: "" if value is None else str(value) for name, value in settings.to_json().items()}
        named = {name: changes[name] for name in values if name in changes}
        return cls({**values, **named})

    def settings(self) -> Settings:
        """What was chosen, without what the chosen model does not take. Only for a valid form."""
        given = dict(self.cleaned_data)
        entry = catalog.entry(given["checkpoint"])
        if given["aspect"] != generate.OWN_SIZE:
            given["width"] = given["height"] = None
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
