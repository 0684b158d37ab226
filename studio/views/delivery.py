"""Handing over: which images would be in the ZIP and which not, and the ZIP itself, written while it is sent."""

from collections import Counter
from collections.abc import Iterable

from django.http import HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.text import slugify

from campaigns import places, proofing
from campaigns.models import Campaign
from gallery import delivery
from gallery.delivery import Label, Package
from gallery.models import Project
from studio import chosen
from studio.http import StudioRequest


def overview(request: StudioRequest) -> HttpResponseBase:
    """What a campaign's, a project's or the chosen images' ZIP holds; with POST and ``sure`` the ZIP."""
    title, ids = _asked(request)
    package = _package(request.workspace.pk, ids)
    if request.method == "POST" and package.files and ("sure" in request.POST or not package.left_out):
        response = StreamingHttpResponse(delivery.stream(package), content_type="application/zip")
        response["Content-Disposition"] = f'attachment; filename="{slugify(title) or "images"}.zip"'
        return response
    reasons = Counter(one.reason for one in package.left_out)
    context = {"title": title, "package": package, "asset_ids": ids, "reasons": reasons.most_common()}
    return render(request, "gallery/delivery.html", context)


def _asked(request: StudioRequest) -> tuple[str, list[int]]:
    """A name for the ZIP, and the ids of what was asked for."""
    if request.method == "POST":
        return request.POST.get("title", "")[:80] or "images", [asset.pk for asset in chosen.assets(request)]
    workspace = request.workspace
    if "campaign" in request.GET:
        campaign = get_object_or_404(Campaign, workspace=workspace, pk=chosen.number(request, "campaign"))
        return campaign.name, _of_campaigns(workspace.pk, [campaign.pk])
    if "project" in request.GET:
        project = get_object_or_404(Project, workspace=workspace, pk=chosen.number(request, "project"))
        inside = Campaign.objects.filter(project=project).values_list("pk", flat=True)
        own = project.entries.values_list("asset_id", flat=True)
        return project.name, list(dict.fromkeys([*own, *_of_campaigns(workspace.pk, inside)]))
    return "images", []


def _of_campaigns(workspace_id: int, campaign_ids: Iterable[int]) -> list[int]:
    return [
        proof.asset_id
        for campaign_id in campaign_ids
        for proof in proofing.sheet(workspace_id=workspace_id, campaign_id=campaign_id)
    ]


def _package(workspace_id: int, ids: list[int]) -> Package:
    labels = {
        pk: Label(sku=place.sku, scene=place.scene, channel=place.channel, number=place.image)
        for pk, place in places.of_assets(ids).items()
    }
    return delivery.prepare(workspace_id=workspace_id, asset_ids=ids, labels=labels)
