"""Project folders: the list, one folder with its campaigns and images, and what is laid into them."""

from django.contrib import messages
from django.db.models import Count, Q
from django.http import Http404, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from billing import clock
from campaigns import folders
from campaigns.models import Campaign
from gallery import projects, search
from gallery.models import Project
from gallery.projects import ProjectError
from gallery.search import CursorError, Filters
from studio import chosen
from studio.forms.gallery import ProjectForm
from studio.http import StudioRequest
from studio.tiles import tiles
from studio.views.gallery import back


def overview(request: StudioRequest) -> HttpResponseBase:
    """All folders, and with POST a new one."""
    form = ProjectForm(request.POST or None)
    if form.is_valid():
        try:
            made = projects.create(
                workspace_id=request.workspace.pk,
                name=form.cleaned_data["name"],
                created_by_id=request.user.pk,
                now=clock.now(),
            )
        except ProjectError as error:
            form.add_error("name", str(error))
        else:
            return redirect("project", request.workspace.slug, made.pk)
    is_archived = "archived" in request.GET
    rows = Project.objects.filter(workspace=request.workspace, archived_at__isnull=not is_archived)
    shown = Count("entries", filter=Q(entries__asset__archived_at__isnull=True))
    found = list(rows.annotate(images=shown).order_by("name"))
    campaigns = folders.campaigns_in(one.pk for one in found)
    covers = projects.covers(one.pk for one in found)
    context = {
        "form": form,
        "projects": [(one, campaigns.get(one.pk, 0), covers.get(one.pk, ())) for one in found],
        "is_archived": is_archived,
        "archived_count": 0
        if is_archived
        else rows.model.objects.filter(workspace=request.workspace, archived_at__isnull=False).count(),
    }
    return render(request, "projects/overview.html", context)


def project(request: StudioRequest, *, project: int) -> HttpResponseBase:
    """One folder; with POST it gets another name."""
    found = get_object_or_404(Project, workspace=request.workspace, pk=project)
    form = ProjectForm(request.POST or None, initial={"name": found.name})
    if form.is_valid():
        try:
            projects.rename(found, name=form.cleaned_data["name"])
        except ProjectError as error:
            form.add_error("name", str(error))
        else:
            return redirect("project", request.workspace.slug, found.pk)
    is_more = bool(request.htmx) and "after" in request.GET
    inside = search.newest(workspace_id=request.workspace.pk, filters=Filters(project_id=found.pk))
    try:
        page = search.page(inside.select_related("review"), after=request.GET.get("after", ""), is_fragment=is_more)
    except CursorError as error:
        raise Http404 from error
    context = {
        "project": found,
        "form": form,
        "page": page,
        "tiles": tiles(page.assets),
        "campaigns": Campaign.objects.filter(project=found).order_by("-pk"),
        "others": Campaign.objects.filter(workspace=request.workspace).exclude(project=found).order_by("-pk")[:200],
        "projects": Project.objects.filter(workspace=request.workspace, archived_at__isnull=True)
        .exclude(pk=found.pk)
        .order_by("name"),
        "query": f"project={found.pk}",
        "is_more": is_more,
    }
    return render(request, f"projects/project.html{'#more' if is_more else ''}", context)


def archive(request: StudioRequest, *, project: int) -> HttpResponseBase:
    """Put a folder out of sight, or bring it back."""
    found = get_object_or_404(Project, workspace=request.workspace, pk=project)
    if found.archived_at:
        projects.restore(found)
        messages.success(request, f"“{found.name}” is back.")
    else:
        projects.archive(found, now=clock.now())
        messages.success(request, f"“{found.name}” is archived. Its images and campaigns stay where they are.")
    return redirect("project", request.workspace.slug, found.pk)


def add(request: StudioRequest) -> HttpResponseBase:
    """Lay the chosen images into a folder."""
    assets = chosen.assets(request)
    if not assets or not request.POST.get("project"):
        messages.warning(request, "Choose images and a project.")
        return back(request, reverse("gallery", args=[request.workspace.slug]))
    found = chosen.project(request)
    count = projects.add(found, assets, now=clock.now())
    before = len(assets) - count
    rest = f" {before} lay in it before." if before else ""
    messages.success(request, f"{count} image{'' if count == 1 else 's'} added to “{found.name}”.{rest}")
    return back(request, reverse("gallery", args=[request.workspace.slug]))


def move(request: StudioRequest, *, project: int) -> HttpResponseBase:
    """Take the chosen images out of a folder and lay them into another."""
    found = get_object_or_404(Project, workspace=request.workspace, pk=project)
    assets = chosen.assets(request)
    here = reverse("project", args=[request.workspace.slug, found.pk])
    if not assets or not request.POST.get("target"):
        messages.warning(request, "Choose images and the project to move them to.")
        return back(request, here)
    target = chosen.project(request, field="target")
    count = projects.move(assets, source=found, target=target, now=clock.now())
    messages.success(request, f"{count} image{'' if count == 1 else 's'} moved to “{target.name}”.")
    return back(request, here)


def remove(request: StudioRequest, *, project: int) -> HttpResponseBase:
    """Take the chosen images out of a folder; they stay in the gallery."""
    found = get_object_or_404(Project, workspace=request.workspace, pk=project)
    count = projects.remove(found, chosen.assets(request))
    messages.success(request, f"{count} image{'' if count == 1 else 's'} taken out. They stay in the gallery.")
    return back(request, reverse("project", args=[request.workspace.slug, found.pk]))


def move_campaign(request: StudioRequest) -> HttpResponseBase:
    """Lay a campaign into a folder, or out of the one that it lies in."""
    campaign = get_object_or_404(Campaign, workspace=request.workspace, pk=chosen.number(request, "campaign"))
    target = chosen.project(request) if request.POST.get("project") else None
    folders.move(campaign, project=target)
    words = f"is now in “{target.name}”" if target else "is in no project now"
    messages.success(request, f"{campaign.name} {words}.")
    return back(request, reverse("projects", args=[request.workspace.slug]))
