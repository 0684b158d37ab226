"""Which LoRAs the Image Studio offers with the chosen model, and which of them are chosen. Knows the form and rows."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.http import Http404

from inference import catalog, loras
from inference.models import Lora
from studio.forms.loras import CHOSEN
from studio.forms.studio import StudioForm
from studio.http import StudioRequest
from studio.ids import object_ids


@dataclass(frozen=True)
class LoraChoice:
    """A LoRA as the form shows it; `reason` says why a chosen one cannot be used with the model."""

    lora: Lora
    weight: str
    is_chosen: bool
    reason: str


def require_own(request: StudioRequest) -> None:
    """Refuse a form that names another workspace's LoRAs.

    :raises Http404: one of them is not this workspace's.
    """
    named = (request.POST if request.method == "POST" else request.GET).getlist(CHOSEN)
    ids = object_ids(named)
    if len(ids) != len(named):
        raise Http404
    if ids and Lora.objects.filter(workspace=request.workspace, pk__in=ids).count() != len(set(ids)):
        raise Http404


def loras_of(request: StudioRequest, form: StudioForm) -> Mapping[str, object]:
    """What fits the model, and whatever else is chosen, by name; how many more there are that do not fit."""
    entry = catalog.load().get(str(form["checkpoint"].value()))
    if entry is None or "lora" not in entry.capabilities:
        return {"lora_choices": (), "loras_elsewhere": 0, "loras_chosen": 0}
    weights = {each.lora_id: each.weight for each in form["loras"].value()}
    rows = list(loras.usable(workspace_id=request.workspace.pk))
    # One that was archived meanwhile is still in the form, and has to be taken out there.
    missing = set(object_ids(weights)) - {row.pk for row in rows}
    if missing:
        rows += Lora.objects.filter(workspace=request.workspace, pk__in=missing).order_by("name", "pk")
    fitting = [row for row in rows if str(row.pk) in weights or entry.slug in row.fits]
    shown = [row for place, row in enumerate(fitting) if str(row.pk) in weights or place < loras.OFFERED]
    choices = [
        LoraChoice(
            lora=row,
            weight=weights.get(str(row.pk), "1"),
            is_chosen=str(row.pk) in weights,
            reason=_reason(row, entry),
        )
        for row in shown
    ]
    return {
        "lora_choices": choices,
        "loras_elsewhere": len(rows) - len(fitting),
        "loras_chosen": sum(choice.is_chosen for choice in choices),
    }


def _reason(row: Lora, entry: catalog.CatalogEntry) -> str:
    if row.archived_at:
        return "It is archived."
    return "" if entry.slug in row.fits else f"It does not fit {entry.name}."
