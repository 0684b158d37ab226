"""Handing over: which images would be in the ZIP and which not, and the ZIP itself, written while it is sent."""

from collections import Counter
from dataclasses import dataclass, replace

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

NAMES = ("campaign", "project")


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What a ZIP is asked for of; ``inside`` are the images that lie in the campaign and the project."""

    chosen: tuple[int, ...] = ()
    campaign: Campaign | None = None
    project: Project | None = None
    inside: tuple[int, ...] = ()

    @property
    def title(self) -> str:
        """The ZIP's name; empty for images that were chosen one by one."""
        named = self.campaign or self.project
        return named.name if named else ""

    @property
    def asset_ids(self) -> list[int]:
        """Each image once."""
        return list(dict.fromkeys((*self.chosen, *self.inside)))


def overview(request: StudioRequest) -> HttpResponseBase:
    """What a campaign's, a project's or the chosen images' ZIP holds; with POST and ``sure`` the ZIP."""
    asked = _asked(request)
    package = _package(request.workspace.pk, asked.asset_ids)
    if request.method == "POST" and package.files and ("sure" in request.POST or not package.left_out):
        response = StreamingHttpResponse(delivery.stream(package), content_type="application/zip")
        response["Content-Disposition"] = f'attachment; filename="{slugify(asked.title) or "images"}.zip"'
        return response
    reasons = Counter(one.reason for one in package.left_out)
    return render(
        request, "gallery/delivery.html", {"asked": asked, "package": package, "reasons": reasons.most_common()}
    )


def _asked(request: StudioRequest) -> _Asked:
    """What the address or the form names, all of it together."""
    # In a form they have names of their own: the gallery's form has a project to add to, which is not asked for here.
    of_campaign, of_project = NAMES if request.method != "POST" else tuple(f"of_{name}" for name in NAMES)
    given = request.POST if request.method == "POST" else request.GET
    workspace = request.workspace
    found = _Asked(chosen=tuple(asset.pk for asset in chosen.assets(request)))
    if of_campaign in given:
        campaign = get_object_or_404(Campaign, workspace=workspace, pk=chosen.number(request, of_campaign))
        images = proofing.finished(workspace_id=workspace.pk, campaign_ids=[campaign.pk])
        found = replace(found, campaign=campaign, inside=tuple(images))
    if of_project in given:
        project = chosen.project(request, field=of_project)
        campaigns = Campaign.objects.filter(project=project).values_list("pk", flat=True)
        own = project.entries.values_list("asset_id", flat=True)
        images = proofing.finished(workspace_id=workspace.pk, campaign_ids=campaigns)
        found = replace(found, project=project, inside=(*found.inside, *own, *images))
    return found


def _package(workspace_id: int, ids: list[int]) -> Package:
    labels = {
        pk: Label(sku=place.sku, scene=place.scene, channel=place.channel, number=place.image)
        for pk, place in places.of_assets(ids).items()
    }
    return delivery.prepare(workspace_id=workspace_id, asset_ids=ids, labels=labels)
