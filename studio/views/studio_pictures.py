"""Pictures of the Image Studio's form: one that is sent, chosen or removed, and the page that edits a part of one."""

from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django_htmx.http import trigger_client_event

from billing import clock
from campaigns import photos, products
from gallery import intake
from gallery.intake import RefusedError
from gallery.models import UploadStatus
from inference import chosen, edits
from inference.chosen import ChosenPicture
from inference.edits import TRANSPARENT, EditError, Sides
from studio.forms.studio import StudioForm
from studio.forms.studio_pictures import SIDES, EditForm
from studio.http import StudioRequest
from studio.studio_pictures import PICTURES, SLOTS, pictures_of, require_own, with_picture

REFERENCES_CHANGED = "references-changed"


@never_cache
def references(request: StudioRequest) -> HttpResponseBase:
    """The form's pictures after one was sent, chosen or removed; everything else of the form stays as it is typed."""
    require_own(request)
    values: dict[str, Any] = request.POST.dict()
    slot, refusal = values.get("slot", "base"), ""
    sent = next((name for name in SLOTS if f"{name}_file" in request.FILES), None)
    if sent is not None:
        slot = sent
        taken = _take_in(request, request.FILES[f"{sent}_file"])
        refusal = taken if isinstance(taken, str) else ""
        values |= {} if isinstance(taken, str) else with_picture(sent, taken.name)
    elif "chosen" in values and slot in SLOTS:
        values |= with_picture(slot, values["chosen"])
    if not request.htmx:
        picked = {name: values[name] for name in PICTURES if name in values} if not refusal else {}
        return _to_studio(request, picked, refusal)
    context = pictures_of(request, StudioForm(values)) | {"refusal": refusal, "refused_slot": slot, "is_alone": True}
    response = render(request, "studio/references.html", context)
    return trigger_client_event(response, REFERENCES_CHANGED, after="settle")


@never_cache
def edit(request: StudioRequest, *, picture: str) -> HttpResponseBase:
    """The page on which a part of a picture is painted over, or the picture extended; a POST goes on to the Studio."""
    require_own(request)
    found = _picture(request, picture)
    if found.has_alpha:
        return _to_studio(request, {}, f"{found.title}: {TRANSPARENT}")
    form = EditForm(request.POST or None, request.FILES or None, initial=_sides(request))
    if request.method == "POST" and form.is_valid():
        try:
            made = _edited(request, found, form)
        except EditError as error:
            form.add_error(None, str(error))
        else:
            return _to_studio(
                request, {"base": found.name, "lock": made.lock.name, "box": made.box_text, "extend": str(made.sides)}
            )
    status = 422 if request.method == "POST" else 200
    context = {"picture": found, "form": form, "sides": [form[name] for name in SIDES]}
    return render(request, "studio/edit.html", context | {"lock": request.GET.get("lock", "")}, status=status)


def _sides(request: StudioRequest) -> dict[str, int]:
    """The extension that an address names."""
    try:
        return asdict(Sides.read(request.GET.get("extend", "")))
    except EditError:
        return {}


def _edited(request: StudioRequest, found: ChosenPicture, form: EditForm) -> edits.Edit:
    mask, sides = form.cleaned_data["mask"], form.sides()
    if mask is None and not sides:
        raise EditError("Nothing is painted over yet. Paint over what shall change, or extend a side.")
    with photos.scratch_folder() as folder:
        scratch = Path(folder)
        path = products.keep(mask.name or "mask.png", mask, folder=scratch).path if mask else None
        return edits.take_in(
            workspace_id=request.workspace.pk,
            picture=found,
            mask=path,
            sides=sides,
            scratch=scratch,
            now=clock.now(),
        )


def _picture(request: StudioRequest, name: str) -> ChosenPicture:
    found = chosen.find(name, workspace_id=request.workspace.pk)
    if found is None:
        raise Http404
    return found


def _take_in(request: StudioRequest, file: Any) -> ChosenPicture | str:
    """The picture of a file that was sent, or why it is not taken."""
    try:
        upload = intake.receive(
            workspace_id=request.workspace.pk, source=file, name=file.name or "picture", now=clock.now()
        )
    except RefusedError as refusal:
        return str(refusal)
    upload = intake.admit(upload, now=clock.now())
    return upload.refusal if upload.status == UploadStatus.REFUSED else chosen.of_upload(upload)


def _to_studio(request: StudioRequest, picked: dict[str, str], refusal: str = "") -> HttpResponse:
    if refusal:
        messages.error(request, refusal)
    address = reverse("studio", args=[request.workspace.slug])
    return redirect(f"{address}?{urlencode(picked)}" if picked else address)
