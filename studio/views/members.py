"""Members of a workspace: who is in, in which role, and who is invited."""

from allauth.core import ratelimit
from django.contrib import messages
from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render

from billing import clock
from studio import mail, members
from studio.forms.workspaces import InviteForm, RoleForm
from studio.http import StudioRequest
from studio.members import Invited, Refused
from studio.models import Invitation, Membership, Role
from studio.permissions import IN_WORDS, allows

LINK_KEY = "invitation_link"  # in the session, until the page has shown it once


def overview(request: StudioRequest) -> HttpResponseBase:
    """The page, and with POST an invitation."""
    form = InviteForm(request.POST or None)
    if form.is_valid():
        limited: HttpResponseBase | None = ratelimit.consume_or_429(request, action="invite", user=request.user)
        if limited:
            return limited
        try:
            invited = members.invite(
                workspace_id=request.workspace.pk,
                email=form.cleaned_data["email"],
                role=Role(form.cleaned_data["role"]),
                by_id=request.user.pk,
                now=clock.now(),
            )
        except Refused as refusal:
            form.add_error("email", str(refusal))
        else:
            return _send(request, invited)
    return _page(request, form)


def _page(request: StudioRequest, form: InviteForm) -> HttpResponseBase:
    found = Membership.objects.filter(workspace=request.workspace).select_related("user").order_by("created_at", "pk")
    context = {
        "form": form,
        "members": found,
        "pending": members.pending(request.workspace.pk),
        "now": clock.now(),
        "roles": Role.choices,
        "rights": [(words, [allows(role, action) for role in Role]) for action, words in IN_WORDS.items()],
        "link": request.session.pop(LINK_KEY, ""),
    }
    return render(request, "members/members.html", context)


def _send(request: StudioRequest, invited: Invited) -> HttpResponseBase:
    request.session[LINK_KEY] = mail.invitation_link(request, invited.token)
    email = invited.invitation.email
    if mail.send_invitation(request, invited):
        messages.success(request, f"An invitation is on its way to {email}.")
    else:
        messages.warning(request, f"{email} is invited, but no mail could be sent. Hand over the link yourself.")
    return redirect("members", request.workspace.slug)


def change_role(request: StudioRequest, membership_id: int) -> HttpResponseBase:
    member = get_object_or_404(Membership, workspace=request.workspace, pk=membership_id)
    form = RoleForm(request.POST)
    if form.is_valid():
        try:
            changed = members.change_role(
                workspace_id=request.workspace.pk, membership_id=member.pk, role=Role(form.cleaned_data["role"])
            )
        except Refused as refusal:
            messages.error(request, str(refusal))
        else:
            role = changed.get_role_display().lower()
            messages.success(request, f"{changed.user.display_name} is now {ARTICLE[role]} {role}.")
    return redirect("members", request.workspace.slug)


ARTICLE = {"owner": "an", "producer": "a", "reviewer": "a", "viewer": "a"}


def remove(request: StudioRequest, membership_id: int) -> HttpResponseBase:
    """Asks first; what the member made stays."""
    member = get_object_or_404(Membership.objects.select_related("user"), workspace=request.workspace, pk=membership_id)
    refusal = ""
    if request.method == "POST":
        try:
            members.remove(workspace_id=request.workspace.pk, membership_id=member.pk)
        except Refused as refused:
            refusal = str(refused)
        else:
            messages.success(request, f"{member.user.display_name} is not in {request.workspace.name} any more.")
            return redirect("members", request.workspace.slug)
    return render(request, "members/remove.html", {"member": member, "refusal": refusal})


def resend(request: StudioRequest, invitation_id: int) -> HttpResponseBase:
    found = get_object_or_404(Invitation, workspace=request.workspace, pk=invitation_id)
    limited: HttpResponseBase | None = ratelimit.consume_or_429(request, action="invite", user=request.user)
    if limited:
        return limited
    try:
        invited = members.renew(workspace_id=request.workspace.pk, invitation_id=found.pk, now=clock.now())
    except Refused as refusal:
        messages.error(request, str(refusal))
        return redirect("members", request.workspace.slug)
    return _send(request, invited)


def revoke(request: StudioRequest, invitation_id: int) -> HttpResponseBase:
    found = get_object_or_404(Invitation, workspace=request.workspace, pk=invitation_id)
    try:
        members.revoke(workspace_id=request.workspace.pk, invitation_id=found.pk, now=clock.now())
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, f"The invitation to {found.email} is withdrawn; its link has ended.")
    return redirect("members", request.workspace.slug)
