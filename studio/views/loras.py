"""A workspace's LoRAs: the list, taking one in, what it fits, its name and trigger words, putting it away."""

import hashlib

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render

from billing import clock
from inference import catalog, loras
from inference.loras import LoraError
from inference.models import Lora, LoraStatus
from studio.forms.loras import UploadForm, WordsForm
from studio.http import StudioRequest, finished, unchanged
from studio.ids import object_id, object_ids

PAGE = 40
BEING_CHECKED = (LoraStatus.RECEIVED, LoraStatus.QUARANTINED)


def overview(request: StudioRequest) -> HttpResponse:
    """The list, newest first; the archived ones on their own."""
    return render(request, "loras/list.html", _page(request) | {"form": UploadForm()})


def add(request: StudioRequest) -> HttpResponseBase:
    """Take a file in; a worker decides about it."""
    form = UploadForm(request.POST, request.FILES)
    if form.is_valid():
        file = form.cleaned_data["file"]
        try:
            received = loras.receive(
                workspace_id=request.workspace.pk,
                source=file,
                file_name=file.name or "",
                words=form.words(),
                created_by_id=request.user.pk,
                now=clock.now(),
            )
        except LoraError as error:
            form.add_error("file", str(error))
        else:
            _say(request, received)
            return redirect("loras", request.workspace.slug)
    return render(request, "loras/list.html", _page(request) | {"form": form})


def checks(request: StudioRequest) -> HttpResponse:
    """The poll of files that are being checked: those that changed since a mark, each in its place."""
    ids = object_ids(request.GET.get("ids", "").split(","))[:PAGE]
    found = list(_all(request).filter(pk__in=ids))
    mark = _mark(found)
    if found and mark == request.GET.get("v"):
        return unchanged()
    waiting = [lora for lora in found if lora.status in BEING_CHECKED]
    context = {"loras": found, "waiting": waiting, "mark": _mark(waiting), "is_swapped": True, "names": _names()}
    response = render(request, "loras/list.html#moved", context)
    return response if waiting else finished(response)


def lora(request: StudioRequest, *, lora_id: int) -> HttpResponseBase:
    """One LoRA: what it is and fits; with POST, another name, other trigger words."""
    found = _clean(request, lora_id)
    said = {"name": found.name, "trigger_words": found.trigger_words, "note": found.note}
    form = WordsForm(request.POST or None, initial=said)
    if form.is_valid():
        try:
            loras.rename(lora_id=found.pk, words=form.words())
        except LoraError as error:
            form.add_error("name", str(error))
        else:
            messages.success(request, "Saved. Images that were asked for keep the words that they had.")
            return redirect("lora", request.workspace.slug, found.pk)
    return render(request, "loras/lora.html", {"lora": found, "form": form, "names": _names()})


def archive(request: StudioRequest, *, lora_id: int) -> HttpResponse:
    found = _clean(request, lora_id)
    loras.archive(lora_id=found.pk, now=clock.now())
    messages.success(request, f"“{found.name}” is archived. Campaigns that were launched with it go on.")
    return redirect("loras", request.workspace.slug)


def restore(request: StudioRequest, *, lora_id: int) -> HttpResponse:
    found = _clean(request, lora_id)
    loras.restore(lora_id=found.pk)
    messages.success(request, f"“{found.name}” can be chosen again.")
    return redirect("lora", request.workspace.slug, found.pk)


def check_again(request: StudioRequest, *, lora_id: int) -> HttpResponse:
    """Have a worker find out anew which models a LoRA fits."""
    found = _clean(request, lora_id)
    loras.ask_for_another_check(found)
    messages.success(request, "A worker compares it with the models that are installed now. Look again in a moment.")
    return redirect("lora", request.workspace.slug, found.pk)


def dismiss(request: StudioRequest, *, lora_id: int) -> HttpResponse:
    """Take a refused file off the list."""
    found = get_object_or_404(_all(request), pk=lora_id)
    if not loras.dismiss(lora_id=found.pk):
        messages.warning(request, f"“{found.name}” was not refused, so it stays. It can be archived.")
    return redirect("loras", request.workspace.slug)


# --- inside ----------------------------------------------------------------------------------------------------------


def _say(request: StudioRequest, received: Lora) -> None:
    """What came of an upload so far."""
    if received.status == LoraStatus.REFUSED:
        messages.error(request, received.refusal)
    elif received.status == LoraStatus.CLEAN:
        messages.success(request, f"The file of “{received.name}” was lost from storage, and is there again.")
    else:
        messages.success(request, f"“{received.name}” is being checked. It can be chosen in a moment.")


def _all(request: StudioRequest) -> QuerySet[Lora]:
    return Lora.objects.filter(workspace=request.workspace).select_related("created_by")


def _clean(request: StudioRequest, lora_id: int) -> Lora:
    return get_object_or_404(_all(request), pk=lora_id, status=LoraStatus.CLEAN)


def _page(request: StudioRequest) -> dict[str, object]:
    is_archive = "archived" in request.GET
    found = _all(request).filter(archived_at__isnull=not is_archive).order_by("-created_at", "-pk")
    after = object_id(request.GET.get("after"))
    if after and (last := _all(request).filter(pk=after).first()):
        found = found.filter(Q(created_at__lt=last.created_at) | Q(created_at=last.created_at, pk__lt=last.pk))
    page = list(found[: PAGE + 1])
    shown = page[:PAGE]
    waiting = [lora for lora in shown if lora.status in BEING_CHECKED]
    return {
        "loras": shown,
        "after": shown[-1].pk if len(page) > PAGE else None,
        "is_archive": is_archive,
        "is_empty": not shown and not is_archive and not after,
        "waiting": waiting,
        "mark": _mark(waiting),
        "names": _names(),
    }


def _names() -> dict[str, str]:
    return {entry.slug: entry.name for entry in catalog.load().values()}


def _mark(found: list[Lora]) -> str:
    return hashlib.sha256(repr(sorted((lora.pk, lora.status) for lora in found)).encode()).hexdigest()[:12]
