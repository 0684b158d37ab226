"""Forms of workspaces, members and one's own profile: what is typed, checked before the domain hears of it."""

from typing import Any
from zoneinfo import available_timezones

from django import forms

from studio.models import Invitation, Membership, Role, User, Workspace


def _zones(chosen: str) -> list[tuple[str, str | list[tuple[str, str]]]]:
    """IANA's zones by continent, UTC first; aliases and offsets are left out, but for the one chosen already."""
    regions: dict[str, list[tuple[str, str]]] = {}
    for zone in sorted(available_timezones()):
        region, _, place = zone.partition("/")
        if place and region not in ("Etc", "SystemV", "US", "posix", "right"):
            regions.setdefault(region, []).append((zone, place.replace("_", " ").replace("/", ", ")))
    listed = {"UTC", *(zone for zones in regions.values() for zone, _ in zones)}
    first = [(zone, zone) for zone in ("UTC", chosen) if zone == "UTC" or zone not in listed]
    return [*first, *sorted(regions.items())]


class WorkspaceForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """Name and time zone, of a new workspace or one that there is."""

    class Meta:
        model = Workspace
        fields = ("name", "time_zone")
        labels = {"name": "Name", "time_zone": "Time zone"}  # noqa: RUF012  (Django declares it so)
        help_texts = {  # noqa: RUF012
            "name": "Your team's or your brand's. Everybody in the workspace sees it.",
            "time_zone": "Daily credits are given at midnight here.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["time_zone"].widget = forms.Select(choices=_zones(self.instance.time_zone))
        self.fields["name"].widget.attrs["autocomplete"] = "organization"


class InviteForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    class Meta:
        model = Invitation
        fields = ("email", "role")
        labels = {"email": "E-mail address", "role": "Role"}  # noqa: RUF012

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].widget = forms.EmailInput(attrs={"autocomplete": "off"})
        self.fields["role"] = forms.ChoiceField(choices=Role.choices, initial=Role.REVIEWER, label="Role")

    # What stands open already is the domain's question, asked in one transaction with the answer.
    def validate_constraints(self) -> None:
        return None


class RoleForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    class Meta:
        model = Membership
        fields = ("role",)


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    class Meta:
        model = User
        fields = ("first_name",)
        labels = {"first_name": "Name"}  # noqa: RUF012
        help_texts = {"first_name": "How others in your workspaces see you."}  # noqa: RUF012

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["first_name"] = self.instance.get_full_name()
        self.fields["first_name"].widget.attrs["autocomplete"] = "name"

    def save(self, commit: bool = True) -> User:
        """The name is one field here; Django's second one is emptied."""
        user: User = self.instance
        user.last_name = ""
        super().save(commit)
        return user
