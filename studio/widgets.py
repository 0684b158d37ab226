"""Form fields that Django has no widget for; drawn by templates/django/forms/widgets. Know no form."""

from typing import Any

from django import forms


class Segmented(forms.RadioSelect):
    """A few short choices side by side, one of them pressed; radio buttons to the keyboard and without CSS."""

    template_name = "django/forms/widgets/segmented.html"
    option_template_name = "django/forms/widgets/segment.html"


class Switch(forms.CheckboxInput):
    """A checkbox whose change is meant at once, as a switch beside its label."""

    is_switch = True


class NumberWithUnit(forms.NumberInput):
    """A number and what it counts: "credits", "px", "steps"."""

    template_name = "django/forms/widgets/number_with_unit.html"

    def __init__(self, *, unit: str, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs)
        self.unit = unit

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """Django's own, and the unit."""
        context = super().get_context(name, value, attrs)
        context["widget"]["unit"] = self.unit
        return context


class DropZone(forms.FileInput):
    """Where files are dropped or chosen; shows their names. ``words`` says what belongs here.

    ``are_many`` lets several be chosen; the form's field must then take a list.
    """

    template_name = "django/forms/widgets/drop_zone.html"

    def __init__(self, *, words: str, accept: str = "", are_many: bool = False) -> None:
        self.allow_multiple_selected = are_many
        super().__init__({"accept": accept or None, "multiple": are_many})
        self.words = words

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """Django's own, and the words."""
        context = super().get_context(name, value, attrs)
        context["widget"]["words"] = self.words
        return context
