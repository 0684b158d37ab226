"""A picture made larger: the form with what each choice costs, and the click."""

from typing import Any
from uuid import uuid4

from django.http import Http404, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache

from billing import clock
from inference import generate, upscales
from inference.upscales import FACTORS, Original
from studio import upscale_choices
from studio.forms.upscale import PLAIN, UpscaleForm
from studio.generate_button import GenerateButton
from studio.http import StudioRequest
from studio.views.studio import REFUSALS


@never_cache
def upscale(request: StudioRequest, *, picture: str) -> HttpResponseBase:
    """The form; with htmx only what follows from it, a POST is the click."""
    original = upscales.find(picture, workspace_id=request.workspace.pk)
    if original is None:
        raise Http404
    form = _form(request, original)
    if request.method == "POST" and form.is_valid():
        try:
            generate.generate(
                workspace_id=request.workspace.pk,
                created_by_id=request.user.pk,
                key=request.POST.get("key") or uuid4().hex,
                settings=form.settings(),
                now=clock.now(),
            )
        except REFUSALS as refusal:
            form.add_error(None, str(refusal))
        else:
            return redirect("studio", request.workspace.slug)
    page = "studio/upscale.html#choices" if request.htmx else "studio/upscale.html"
    return render(request, page, _context(request, form), status=422 if request.method == "POST" else 200)


def _form(request: StudioRequest, original: Original) -> UpscaleForm:
    entries = upscale_choices.models(workspace_id=request.workspace.pk, now=clock.now())
    return UpscaleForm(
        request.POST if request.method == "POST" else request.GET,
        models=[(entry.slug, entry.name) for entry in entries],
        original=original,
        model=upscale_choices.first_model(original, entries),
    )


def _context(request: StudioRequest, form: UpscaleForm) -> dict[str, Any]:
    wrong = next((str(errors[0]) for name, errors in form.errors.items() if name != "__all__"), "")
    factor, is_plain, now = form.chosen("factor"), form.chosen("way") == PLAIN, clock.now()
    workspace_id = request.workspace.pk
    refined, plain = (
        upscale_choices.of(form, factor=factor, is_plain=each, workspace_id=workspace_id, now=now)
        for each in (False, True)
    )
    picture = form.original.picture
    return {
        "form": form,
        "original": form.original,
        "picture": picture,
        "factors": [(each, each * picture.width, each * picture.height) for each in FACTORS],
        "factor": factor,
        "is_plain": is_plain,
        "refined": refined,
        "plain": plain,
        "chosen": plain if is_plain else refined,
        "button": GenerateButton(reason=wrong) if wrong else (plain if is_plain else refined).button,
        "checkpoint": form.chosen("checkpoint"),
        "strength": form.chosen("strength"),
        "prompt": form.chosen("prompt") or form.original.description,
    }
