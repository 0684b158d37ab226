"""Where a person lands: their workspaces, and what one of them holds."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from billing import ledger
from campaigns import launch
from campaigns.models import Campaign
from studio.models import Membership
from studio.permissions import Action, lookup

LATEST = 20


@require_safe
@login_required
def home(request: HttpRequest) -> HttpResponse:
    memberships = (
        Membership.objects.filter(user=request.user.pk).select_related("workspace").order_by("workspace__name")
    )
    return render(request, "home/home.html", {"memberships": memberships})


@require_safe
@login_required
def workspace(request: HttpRequest, slug: str) -> HttpResponse:
    found = lookup(user=request.user, slug=slug, action=Action.VIEW)
    balance = ledger.balance(workspace_id=found.pk)
    latest = Campaign.objects.filter(workspace=found).order_by("-pk")[:LATEST]
    campaigns = [(campaign, launch.progress(campaign_id=campaign.pk)) for campaign in latest]
    context = {
        "workspace": found,
        "campaigns": campaigns,
        "available": ledger.credits_text(balance.available),
        "held": ledger.credits_text(balance.held),
        "spent": ledger.credits_text(balance.spent),
    }
    return render(request, "home/workspace.html", context)
