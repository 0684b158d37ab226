"""What a reviewer sends: one of three verdicts, with reason, note and the ticks of the checklist."""

from dataclasses import dataclass

from django import forms
from django.http import QueryDict

from gallery.models import Reason, Verdict
from gallery.review import Requirement

NOTE_LIMIT = 2000


@dataclass(frozen=True, kw_only=True)
class Said:
    """A reviewer's decision as the form said it. ``is_sure``: asked about open points, they said yes."""

    verdict: Verdict
    reason: str
    note: str
    must_have: tuple[Requirement, ...]
    is_sure: bool

    @property
    def open_points(self) -> list[str]:
        """What the image must have and was not ticked."""
        return [one.text for one in self.must_have if not one.is_met]


class DecisionForm(forms.Form):
    """One button is pressed: its value is a verdict, and a reason behind a colon where it rejects."""

    decision = forms.ChoiceField(
        choices=[
            *((value, value) for value in (Verdict.APPROVE, Verdict.REQUEST_CHANGES)),
            *((f"{Verdict.REJECT}:{reason}", reason) for reason in Reason.values),
        ]
    )
    reject_note = forms.CharField(required=False, max_length=NOTE_LIMIT)
    changes_note = forms.CharField(required=False, max_length=NOTE_LIMIT)
    sure = forms.BooleanField(required=False)

    def said(self, data: QueryDict, *, must_have: tuple[str, ...]) -> Said:
        """The decision of a valid form.

        :param data: holds the numbers of the ticked points as ``met``.
        """
        verdict, _, reason = self.cleaned_data["decision"].partition(":")
        ticked = set(data.getlist("met"))
        notes = {
            Verdict.REJECT: self.cleaned_data["reject_note"],
            Verdict.REQUEST_CHANGES: self.cleaned_data["changes_note"],
        }
        return Said(
            verdict=Verdict(verdict),
            reason=reason,
            note=notes.get(Verdict(verdict), ""),
            must_have=tuple(
                Requirement(text=text, is_met=str(number) in ticked) for number, text in enumerate(must_have, start=1)
            ),
            is_sure=self.cleaned_data["sure"],
        )
