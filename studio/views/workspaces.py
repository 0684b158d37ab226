"""One's own workspaces: the list with what waits for an answer, making one, its settings, leaving it."""

from allauth.account.models import EmailAddress
from django.contrib import messages
from django.http import HttpResponseBase
from django.shortcuts import redirect, render

from billing import clock
from inference import workloads
from studio import members, workspaces
from studio.forms.workspaces import WorkspaceForm
from studio.http import StudioRequest
from studio.members import Refused
from studio.models import Membership, Workspace
from studio.workspaces import NameTaken


def overview(request: StudioRequest) -> HttpResponseBase:
    own = Membership.objects.filter(user=request.user).select_related("workspace").order_by("workspace__name", "pk")
    # Only a confirmed address proves that the invitation to it is this person's.
    confirmed = EmailAddress.objects.filter(user=request.user, verified=True).values_list("email", flat=True)
    waiting = members.waiting_for(emails=list(confirmed), now=clock.now())
    return render(request, "workspaces/overview.html", {"own": own, "waiting": waiting})


def create(request: StudioRequest) -> HttpResponseBase:
    form = WorkspaceForm(request.POST or None)
    if form.is_valid():
        try:
            made = workspaces.create(
                name=form.cleaned_data["name"],
                owner=request.user,
                time_zone=form.cleaned_data["time_zone"],
                now=clock.now(),
            )
        except NameTaken as taken:
            form.add_error("name", str(taken))
        else:
            return redirect("workspace", made.slug)
    return render(request, "workspaces/create.html", {"form": form})


def settings(request: StudioRequest) -> HttpResponseBase:
    # A copy, so that a name that is refused does not stand in the page's frame.
    form = WorkspaceForm(request.POST or None, instance=Workspace.objects.get(pk=request.workspace.pk))
    if form.is_valid():
        form.save()
        messages.success(request, "Saved.")
        return redirect("settings", request.workspace.slug)
    images = workloads.images_of(request.workspace.pk)
    return render(request, "workspaces/settings.html", {"form": form, "images": images})


def leave(request: StudioRequest) -> HttpResponseBase:
    refusal = ""
    if request.method == "POST":
        try:
            members.remove(workspace_id=request.workspace.pk, membership_id=request.membership.pk)
        except Refused as refused:
            refusal = str(refused)
        else:
            messages.success(request, f"You have left {request.workspace.name}.")
            return redirect("home")
    return render(request, "workspaces/leave.html", {"refusal": refusal})
