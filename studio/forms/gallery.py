"""What the gallery is narrowed by, read from its address, and the names that one gives to tags and projects."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.http import QueryDict

from campaigns.places import Choices, Narrowing
from gallery.library import TAG_LIMIT
from gallery.models import Project, ReviewStatus, Tag
from gallery.projects import NAME_LIMIT
from gallery.search import Filters
from studio.templatetags.look import STATES

AXIS_SIGN = "="


@dataclass(frozen=True)
class Chip:
    """An active filter, with the query of the page without it."""

    words: str
    query: str


class FilterForm(forms.Form):
    """Every field may be empty; what a field does not offer narrows nothing."""

    text = forms.CharField(label="Words in the prompt", required=False, max_length=200)
    campaign = forms.TypedChoiceField(label="Campaign", required=False, coerce=int, empty_value=None)
    sku = forms.CharField(label="SKU", required=False, max_length=80)
    status = forms.ChoiceField(
        label="State",
        required=False,
        choices=[("", "Any"), *((status, STATES[status].word) for status in ReviewStatus.values)],
    )
    channel = forms.ChoiceField(label="Channel", required=False)
    axis = forms.ChoiceField(label="Scene", required=False)
    tag = forms.ChoiceField(label="Tag", required=False)
    project = forms.TypedChoiceField(label="Project", required=False, coerce=int, empty_value=None)
    archived = forms.BooleanField(label="Archived", required=False)

    def __init__(self, data: QueryDict, *, workspace_id: int, choices: Choices) -> None:
        super().__init__(data)
        tags = Tag.objects.filter(workspace_id=workspace_id).order_by("name").values_list("name", "name")
        projects = Project.objects.filter(workspace_id=workspace_id).order_by("name").values_list("pk", "name")
        axes = [
            (name, [(f"{name}{AXIS_SIGN}{value}", value) for value in values])
            for name, values in choices.axes
            if len(values) > 1
        ]
        self.offer("campaign", choices.campaigns)
        self.offer("channel", [(channel, channel) for channel in choices.channels])
        self.offer("axis", axes)
        self.offer("tag", tags)
        self.offer("project", projects)
        self.skus = choices.skus
        if not choices.axes:
            del self.fields["axis"], self.fields["channel"]
        for name in ("tag", "project"):
            if len(self.fields[name].choices) == 1:  # type: ignore[attr-defined]
                del self.fields[name]
        self.is_valid()

    def offer(self, name: str, choices: Any) -> None:
        """Let a field offer these, and nothing."""
        self.fields[name].choices = [("", "Any"), *choices]  # type: ignore[attr-defined]

    def filters(self) -> Filters:
        """What the gallery itself narrows by."""
        found = self.cleaned_data
        return Filters(
            status=found.get("status") or "",
            tag=found.get("tag") or "",
            text=(found.get("text") or "").strip(),
            project_id=found.get("project"),
            is_archived=bool(found.get("archived")),
        )

    def narrowing(self) -> Narrowing:
        """What the campaigns narrow by."""
        found = self.cleaned_data
        name, sign, value = (found.get("axis") or "").partition(AXIS_SIGN)
        return Narrowing(
            campaign_id=found.get("campaign"),
            sku=(found.get("sku") or "").strip(),
            channel=found.get("channel") or "",
            axis=(name, value) if sign else None,
        )

    @property
    def query(self) -> str:
        """The address's query with what really narrows, and nothing else."""
        return urlencode(self._active())

    def chips(self) -> list[Chip]:
        """The active filters in the fields' order; without the campaign, its scenes and channels go too."""
        active = self._active()
        return [Chip(self._words(name, value), urlencode(_without(active, name))) for name, value in active.items()]

    def _active(self) -> dict[str, Any]:
        found = {name: self.cleaned_data.get(name) for name in self.fields}
        return {name: "on" if value is True else value for name, value in found.items() if value}

    def _words(self, name: str, value: Any) -> str:
        field = self.fields[name]
        if name == "archived":
            return "Archived"
        if name == "axis":
            axis, _, shown = str(value).partition(AXIS_SIGN)
            return f"{axis}: {shown}"
        options = dict(getattr(field, "choices", ()))
        return f"{field.label}: {options.get(value, value)}"


def _without(active: dict[str, Any], name: str) -> dict[str, Any]:
    gone = {name, "axis", "channel"} if name == "campaign" else {name}
    return {key: value for key, value in active.items() if key not in gone}


class TagForm(forms.Form):
    """One tag."""

    tag = forms.CharField(label="Tag", max_length=TAG_LIMIT)


class ProjectForm(forms.Form):
    """A project's name."""

    name = forms.CharField(label="Name", max_length=NAME_LIMIT)
