"""What an invited person meets: the invitation behind a link, and accepting it."""

from allauth.account.models import EmailAddress
from allauth.core import ratelimit
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render

from billing import clock
from studio import members
from studio.accounts import INVITATION_KEY
from studio.http import StudioRequest
from studio.members import Refused
from studio.models import Invitation, User
from studio.permissions import in_words


def invitation(request: HttpRequest, token: str) -> HttpResponseBase:
    """The link's page, for everybody who holds it; with POST a signed-in person accepts."""
    limited: HttpResponseBase | None = ratelimit.consume_or_429(request, action="invitation")
    if limited:
        return limited
    try:
        found = members.find(token=token, now=clock.now())
    except Refused as refusal:
        return render(request, "members/no_invitation.html", {"refusal": str(refusal)})
    if request.method == "POST":
        user = request.user
        return _accept(request, found, user) if user.is_authenticated else redirect_to_login(request.path)
    if not request.user.is_authenticated:
        request.session[INVITATION_KEY] = found.token_hash  # lets a sign-up through that is by invitation only
    context = {"invitation": found, "rights": in_words(found.role)}
    return render(request, "members/invitation.html", context)


def accept(request: StudioRequest, invitation_id: int) -> HttpResponseBase:
    """Accept without the link what waits for an address that one has confirmed as one's own."""
    confirmed = EmailAddress.objects.filter(user=request.user, verified=True).values_list("email", flat=True)
    waiting = members.waiting_for(emails=list(confirmed), now=clock.now())
    return _accept(request, get_object_or_404(waiting, pk=invitation_id), request.user)


def _accept(request: HttpRequest, found: Invitation, user: User) -> HttpResponseBase:
    try:
        membership = members.accept(invitation=found, user=user, now=clock.now())
    except Refused as refusal:
        messages.error(request, str(refusal))
        return redirect("workspaces")
    messages.success(request, f"Welcome to {membership.workspace.name}.")
    return redirect("workspace", membership.workspace.slug)
