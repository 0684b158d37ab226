"""The form of the style page: one field of each kind."""

from typing import Any

from django import forms

from studio.widgets import DropZone, NumberWithUnit, Segmented, Switch


class SampleForm(forms.Form):
    """Each kind of field that a page may use, with the words that a real one would have."""

    name = forms.CharField(max_length=80, help_text="Shown to your team; it can be changed later.")
    prompt = forms.CharField(
        max_length=2000, widget=forms.Textarea(attrs={"placeholder": "Be descriptive for better results"})
    )
    model = forms.ChoiceField(choices=[("starter", "Starter"), ("sdxl", "SDXL inpainting 1.0")])
    images = forms.ChoiceField(choices=[(str(n), str(n)) for n in range(1, 5)], widget=Segmented)
    policy = forms.ChoiceField(
        label="Seed",
        choices=[("scene", "The same for a scene, so that its images match"), ("swept", "Another for each image")],
        widget=forms.RadioSelect,
    )
    channels = forms.MultipleChoiceField(
        choices=[("square", "Square 1080 × 1080"), ("story", "Story 1080 × 1920")],
        widget=forms.CheckboxSelectMultiple,
    )
    budget = forms.IntegerField(
        min_value=1, widget=NumberWithUnit(unit="credits"), help_text="A launch that would pass it is refused."
    )
    photos = forms.FileField(
        required=False, widget=DropZone(words="Product photos", accept="image/jpeg,image/png", are_many=True)
    )
    four_eyes = forms.BooleanField(required=False, label="Whoever made an image does not approve it")
    enhance = forms.BooleanField(required=False, label="Enhance the prompt", widget=Switch)

    def clean(self) -> dict[str, Any] | None:
        """What concerns several fields is said above them."""
        if self.errors:
            raise forms.ValidationError("Nothing was saved. Correct what is marked below.")
        return super().clean()
