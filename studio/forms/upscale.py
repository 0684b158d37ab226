"""How a picture is made larger: how many times, by a model or without one, and what a model is told."""

from typing import Any
from urllib.parse import urlencode

from django import forms

from inference import upscales
from inference.generate import BASE_SHAPE, Settings
from inference.requests import UPSCALE_STRENGTH
from inference.upscales import Original
from studio.forms.studio import PROMPT_CHARACTERS

REFINE, PLAIN = "refine", "plain"


class UpscaleForm(forms.Form):
    """What is left out is as the form shows it first; a model's slug that is not offered is refused."""

    factor = forms.TypedChoiceField(
        choices=[(each, f"{each}×") for each in upscales.FACTORS], coerce=int, required=False, label="Size"
    )
    way = forms.ChoiceField(choices=[(REFINE, REFINE), (PLAIN, PLAIN)], required=False)
    checkpoint = forms.ChoiceField(required=False, label="Model")
    strength = forms.FloatField(required=False, min_value=0.05, max_value=1, label="Strength")
    prompt = forms.CharField(
        required=False, max_length=PROMPT_CHARACTERS, label="Description", widget=forms.Textarea(attrs={"rows": 3})
    )

    def __init__(self, *args: Any, models: list[tuple[str, str]], original: Original, model: str) -> None:
        """:param models: slug and name of those that can do it here; `model` is the one that is shown first."""
        super().__init__(*args)
        self.original = original
        self.first = {
            "factor": upscales.FACTORS[0],
            "way": PLAIN if original.is_edit or not models else REFINE,
            "checkpoint": model,
            "strength": UPSCALE_STRENGTH,
        }
        field = self.fields["checkpoint"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101  # it is, four lines up
        field.choices = models

    @staticmethod
    def query(settings: Settings) -> str:
        """The query of an address that opens the form as these settings were sent."""
        way = {"way": PLAIN} if settings.is_plain else {"way": REFINE, "checkpoint": settings.checkpoint}
        values = {"factor": settings.factor, "strength": settings.strength, **way}
        return urlencode({name: value for name, value in values.items() if value is not None})

    def settings(self) -> Settings:
        """What was chosen. Only for a valid form."""
        return self.settings_for(self.chosen("factor"), is_plain=self.chosen("way") == PLAIN)

    def settings_for(self, factor: int, *, is_plain: bool) -> Settings:
        """The same with another size and way."""
        settings = Settings(
            checkpoint=self.chosen("checkpoint") or upscales.PLAIN_CHECKPOINT,
            aspect=BASE_SHAPE,
            base=self.original.picture.name,
            factor=factor,
            strength=self.chosen("strength"),
            prompt=self.chosen("prompt") or self.original.description,
        )
        return upscales.plainly(settings) if is_plain else settings

    def chosen(self, name: str) -> Any:
        """A field's value, or what stands in its place."""
        return self.cleaned_data.get(name) or self.first.get(name, "")
