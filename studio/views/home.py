"""Where a person lands: the workspace they were in last, or what to do where there is none yet."""

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render

from billing import ledger
from campaigns import launch
from campaigns.models import Campaign
from studio import workspaces
from studio.http import StudioRequest

LATEST = 20


def home(request: StudioRequest) -> HttpResponseBase:
    found = workspaces.last_used(request.user)
    return redirect("workspace", found.slug) if found else redirect("workspaces")


def workspace(request: StudioRequest) -> HttpResponse:
    found = request.workspace
    workspaces.enter(user=request.user, workspace=found)
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
