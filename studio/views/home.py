"""Where a person lands: their workspaces, and what one of them holds."""

from django.http import HttpResponse
from django.shortcuts import render

from billing import ledger
from campaigns import launch
from campaigns.models import Campaign
from studio.http import StudioRequest
from studio.models import Membership

LATEST = 20


def home(request: StudioRequest) -> HttpResponse:
    memberships = (
        Membership.objects.filter(user=request.user.pk).select_related("workspace").order_by("workspace__name")
    )
    return render(request, "home/home.html", {"memberships": memberships})


def workspace(request: StudioRequest) -> HttpResponse:
    found = request.workspace
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
