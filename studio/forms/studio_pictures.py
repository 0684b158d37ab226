"""What is sent about pictures of the Image Studio: a file to begin from, what was painted over one."""

from django import forms

from inference.edits import Sides
from studio.forms.products import IMAGES
from studio.widgets import DropZone, NumberWithUnit

MOST_PX = 4096
SIDES = ("left", "top", "right", "bottom")


class EditForm(forms.Form):
    """How far a picture is extended, and the mask of what is painted anew where there is any."""

    left = forms.IntegerField(
        required=False, min_value=0, max_value=MOST_PX, label="Left", widget=NumberWithUnit(unit="px")
    )
    top = forms.IntegerField(
        required=False, min_value=0, max_value=MOST_PX, label="Top", widget=NumberWithUnit(unit="px")
    )
    right = forms.IntegerField(
        required=False, min_value=0, max_value=MOST_PX, label="Right", widget=NumberWithUnit(unit="px")
    )
    bottom = forms.IntegerField(
        required=False, min_value=0, max_value=MOST_PX, label="Bottom", widget=NumberWithUnit(unit="px")
    )
    mask = forms.FileField(
        required=False,
        label="Mask",
        widget=DropZone(words="Its mask", accept=IMAGES),
        help_text="As large as the picture: dark where it is painted anew.",
    )

    def sides(self) -> Sides:
        """The extension. Only for a valid form."""
        return Sides(**{name: self.cleaned_data[name] or 0 for name in SIDES})
