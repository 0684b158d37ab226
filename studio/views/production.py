"""Pausing, resuming and canceling all that a workspace has under way: its owners, and who runs the installation."""

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme

from billing import clock, ledger
from inference import queue, workloads
from studio.http import StudioRequest
from studio.models import Workspace
from studio.templatetags.credits import counted

PAUSED = "Paused. Images that are being made are finished, and nothing new begins."
RESUMED = "It goes on. What was paused by itself stays paused."


def pause(request: StudioRequest) -> HttpResponseBase:
    """Begin no more images of the workspace."""
    queue.pause_workspace(workspace_id=request.workspace.pk, now=clock.now(), by_id=request.user.pk)
    messages.success(request, PAUSED)
    return _back(request)


def resume(request: StudioRequest) -> HttpResponseBase:
    """Begin images of the workspace again."""
    queue.resume_workspace(workspace_id=request.workspace.pk)
    messages.success(request, RESUMED)
    return _back(request)


def cancel(request: StudioRequest) -> HttpResponseBase:
    """Say what canceling everything stops and gives back; with POST, do it."""
    if request.method == "POST":
        _cancel(request, request.workspace)
        return redirect("campaigns", request.workspace.slug)
    return render(request, "workspaces/cancel.html", _under_way(request.workspace))


def staff_pause(request: StudioRequest, *, workspace_id: int) -> HttpResponseBase:
    """Begin no more images of a workspace, in the operator's name."""
    found = get_object_or_404(Workspace, pk=workspace_id)
    queue.pause_workspace(workspace_id=found.pk, now=clock.now(), by_id=request.user.pk)
    messages.success(request, f"{found.name}: {PAUSED}")
    return redirect("operations")


def staff_resume(request: StudioRequest, *, workspace_id: int) -> HttpResponseBase:
    """Begin images of a workspace again."""
    found = get_object_or_404(Workspace, pk=workspace_id)
    queue.resume_workspace(workspace_id=found.pk)
    messages.success(request, f"{found.name}: {RESUMED}")
    return redirect("operations")


def staff_cancel(request: StudioRequest, *, workspace_id: int) -> HttpResponse:
    """Say what canceling everything of a workspace stops and gives back; with POST, do it."""
    found = get_object_or_404(Workspace, pk=workspace_id)
    if request.method == "POST":
        _cancel(request, found)
        return redirect("operations")
    return render(request, "operations/cancel.html", _under_way(found))


def _back(request: StudioRequest) -> HttpResponseBase:
    """To the page with the button: it stands on several."""
    page = request.POST.get("back", "")
    # One that begins otherwise would be taken for the name of a view.
    is_ours = url_has_allowed_host_and_scheme(page, allowed_hosts=None) and page.startswith("/")
    return redirect(page) if is_ours else redirect("campaigns", request.workspace.slug)


def _under_way(workspace: Workspace) -> dict[str, object]:
    balance = ledger.balance(workspace_id=workspace.pk)
    return {"of": workspace, "images": workloads.images_of(workspace.pk), "held": balance.held}


def _cancel(request: StudioRequest, workspace: Workspace) -> None:
    images = queue.cancel_workspace(workspace_id=workspace.pk, now=clock.now())
    if images:
        verb = "is" if images == 1 else "are"
        what = f"{counted(images, 'image')} of {workspace.name} {verb} canceled, uncharged"
        messages.success(request, f"{what}; what was held for {'it' if images == 1 else 'them'} came back.")
    else:
        messages.info(request, f"Nothing of {workspace.name} was left to cancel.")
