"""The form in which one cell is changed by hand."""

from django import forms

from campaigns.brief import MAX_PROMPT_LENGTH
from campaigns.editing import Written
from inference.requests import SEED_LIMIT


class CellForm(forms.Form):
    """Prompt, negative prompt and seed of one cell; ``seen`` is what it had changed to when the form was made."""

    prompt = forms.CharField(max_length=MAX_PROMPT_LENGTH, widget=forms.Textarea(attrs={"rows": 4}))
    negative_prompt = forms.CharField(
        max_length=MAX_PROMPT_LENGTH,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="What not to paint.",
    )
    seed = forms.IntegerField(
        min_value=0,
        max_value=SEED_LIMIT - 1,
        required=False,
        widget=forms.TextInput(attrs={"inputmode": "numeric", "class": "short"}),
        help_text="Another seed gives another picture. Empty takes the brief's.",
    )
    seen = forms.IntegerField(min_value=0, widget=forms.HiddenInput)

    def written(self) -> Written:
        """What was written, of a form that is valid."""
        values = self.cleaned_data
        return Written(prompt=values["prompt"], negative_prompt=values["negative_prompt"], seed=values["seed"])
