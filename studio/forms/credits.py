"""Filters of the statement, the period of a usage report, budgets, the plan, and credits that an operator grants."""

import uuid
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from django import forms

from billing.ledger import MILLI
from billing.plans import PLANS
from billing.statements import EVERY_KIND
from studio.models import Workspace
from studio.widgets import NumberWithUnit

MAX_PERIOD = timedelta(days=366)
SHOWN: Final[dict[str, tuple[str, tuple[str, ...] | None]]] = {
    "": ("Launches and grants", None),
    "all": ("Every entry", EVERY_KIND),
    "grant": ("Granted", ("grant",)),
    "hold": ("Held", ("hold",)),
    "capture": ("Charged", ("capture",)),
    "release": ("Given back", ("release",)),
    "refund": ("Refunded", ("refund",)),
    "expire": ("Expired", ("expire",)),
}


class StatementForm(forms.Form):
    """Which entries to show; what it does not know shows everything."""

    show = forms.ChoiceField(choices=[(key, label) for key, (label, _) in SHOWN.items()], required=False, label="Show")
    campaign = forms.TypedChoiceField(coerce=int, empty_value=None, required=False, label="Campaign")

    def __init__(self, *args: Any, campaigns: list[tuple[int, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["campaign"].choices = [("", "All campaigns"), *campaigns]  # type: ignore[attr-defined]

    @property
    def kinds(self) -> tuple[str, ...] | None:
        """The kinds of entries to show; None for the statement without an entry for each image."""
        return SHOWN[self.cleaned_data.get("show") or ""][1]


class PeriodForm(forms.Form):
    """From one day to another, both included."""

    since = forms.DateField(label="From", widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label="To", widget=forms.DateInput(attrs={"type": "date"}))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        since: date | None = cleaned.get("since")
        until: date | None = cleaned.get("until")
        if since and until and since > until:
            self.add_error("until", "The period ends before it begins. Choose a later day here.")
        elif since and until and until - since >= MAX_PERIOD:
            self.add_error("since", "A report covers at most a year. Choose a later day here.")
        return cleaned


class BudgetForm(forms.Form):
    """A number of credits for a budget. The key makes a second click change nothing."""

    key = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)
    amount_credits = forms.DecimalField(
        label="Ceiling",
        min_value=Decimal("0.001"),
        max_value=1_000_000_000,
        max_digits=13,
        decimal_places=3,
        widget=NumberWithUnit(unit="credits"),
        error_messages={"required": "Give a number of credits."},
    )

    @property
    def amount(self) -> int | None:
        """What was given, in millicredits; None where nothing was. Only for a valid form."""
        credits: Decimal | None = self.cleaned_data["amount_credits"]
        return None if credits is None else int(credits * MILLI)


class MonthForm(BudgetForm):
    """The workspace's ceiling for a month; without one there is no limit."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["amount_credits"]
        field.label, field.required = "Credits a month", False
        field.help_text = "From this month on. Empty: no limit."


class ExcessForm(BudgetForm):
    """What may be spent above the month's ceiling, this once."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["amount_credits"].label = "More credits"
        self.fields["amount_credits"].help_text = "This month only, above its ceiling."


class PlanForm(forms.Form):
    """A plan, and the one that stood there when the page was made."""

    plan = forms.ChoiceField(choices=lambda: [(plan.slug, plan.name) for plan in PLANS.values()])
    instead_of = forms.CharField(max_length=20)


class GrantForm(forms.Form):
    """Bonus credits for a workspace. The key makes a second click change nothing."""

    key = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)
    workspace = forms.CharField(label="Workspace", help_text="Its address: the word after /w/.", max_length=50)
    amount_credits = forms.DecimalField(
        label="Credits", min_value=Decimal("0.001"), max_value=1_000_000, max_digits=10, decimal_places=3
    )
    days = forms.IntegerField(
        label="Expire after days", min_value=1, max_value=3650, required=False, help_text="Empty: they never expire."
    )
    note = forms.CharField(label="Reason", max_length=200, help_text="The workspace reads it in its statement.")

    def clean_workspace(self) -> Workspace:
        slug = self.cleaned_data["workspace"].strip().strip("/")
        workspace = Workspace.objects.filter(slug=slug).first()
        if workspace is None:
            raise forms.ValidationError(f"There is no workspace “{slug}”. Check the word after /w/ in its address.")
        return workspace
