"""The gallery: everything that was made, narrowed and page by page, one image in full, and what is done to many."""

from django.contrib import messages
from django.db.models import Prefetch, QuerySet
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from billing import clock
from campaigns import places
from gallery import library, search
from gallery.library import TagError
from gallery.models import Asset, Project, Tag
from gallery.search import CursorError
from studio import chosen, light_table
from studio.forms.gallery import FilterForm, TagForm
from studio.http import StudioRequest
from studio.ids import id_in_query
from studio.tiles import tiles

UNDO_KEY = "gallery_undo"  # in the session, until the next page has offered it once


def overview(request: StudioRequest) -> HttpResponseBase:
    """The grid, or with htmx what lies behind its end."""
    form, assets = _narrowed(request)
    is_more = bool(request.htmx) and "after" in request.GET
    try:
        page = search.page(assets.select_related("review"), after=request.GET.get("after", ""), is_fragment=is_more)
    except CursorError as error:
        raise Http404 from error
    context = {
        "form": form,
        "query": form.query,
        "page": page,
        "is_more": is_more,
        "tiles": tiles(page.assets),
        "undo": None if is_more else request.session.pop(UNDO_KEY, None),
        "projects": Project.objects.filter(workspace=request.workspace, archived_at__isnull=True).order_by("name"),
    }
    return render(request, f"gallery/overview.html{'#more' if is_more else ''}", context)


def detail(request: StudioRequest, *, asset: int) -> HttpResponseBase:
    """One image large, with everything that is known of it, between its neighbors on the shelf that one comes from."""
    all_of_it = Asset.objects.select_related(
        "review__standing__made_by", "review__claimed_by", "hold_line", "created_by"
    ).prefetch_related("tags", Prefetch("projects", Project.objects.filter(archived_at__isnull=True)))
    found = get_object_or_404(all_of_it, workspace=request.workspace, pk=asset)
    form, assets = _narrowed(request)
    newer, older = search.neighbors(assets, found)
    project_id = form.filters().project_id
    context = {
        "asset": found,
        "query": form.query,
        "cursor": search.cursor_of(found),
        "newer": newer,
        "older": older,
        "folder": Project.objects.filter(workspace=request.workspace, pk=project_id).first() if project_id else None,
        "stage": light_table.facts(found),
        "undo": request.session.pop(UNDO_KEY, None),
        "projects": Project.objects.filter(workspace=request.workspace, archived_at__isnull=True).order_by("name"),
    }
    return render(request, "gallery/detail.html", context)


def _narrowed(request: StudioRequest) -> tuple[FilterForm, QuerySet[Asset]]:
    """What the address narrows by, and the images that are left."""
    campaign_id = id_in_query(request, "campaign")
    choices = places.choices(workspace_id=request.workspace.pk, campaign_id=campaign_id)
    form = FilterForm(request.GET, workspace_id=request.workspace.pk, choices=choices)
    assets = search.newest(workspace_id=request.workspace.pk, filters=form.filters())
    return form, places.narrow(assets, form.narrowing())


def archive(request: StudioRequest) -> HttpResponseBase:
    """Put the chosen images out of sight."""
    ids = [asset.pk for asset in chosen.assets(request)]
    gone = library.archive(workspace_id=request.workspace.pk, asset_ids=ids, now=clock.now())
    _offer_undo(request, gone, done="archived", undo="gallery_restore")
    return _back(request)


def restore(request: StudioRequest) -> HttpResponseBase:
    """Bring the chosen images back."""
    ids = [asset.pk for asset in chosen.assets(request)]
    back = library.restore(workspace_id=request.workspace.pk, asset_ids=ids)
    _offer_undo(request, back, done="restored", undo="gallery_archive")
    return _back(request)


def tag(request: StudioRequest) -> HttpResponseBase:
    """Tag the chosen images."""
    assets = chosen.assets(request)
    form = TagForm(request.POST)
    if not assets or not form.is_valid():
        messages.warning(request, "Choose images and name a tag." if not assets else "Name the tag first.")
        return _back(request)
    try:
        named = library.tag(
            workspace_id=request.workspace.pk,
            asset_ids=[asset.pk for asset in assets],
            name=form.cleaned_data["tag"],
        )
    except TagError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{_images(len(assets))} tagged “{named.name}”.")
    return _back(request)


def untag(request: StudioRequest, *, asset: int, tag: int) -> HttpResponseBase:
    """Take a tag off an image."""
    found = get_object_or_404(Asset, workspace=request.workspace, pk=asset)
    off = get_object_or_404(Tag, workspace=request.workspace, pk=tag)
    library.untag(workspace_id=request.workspace.pk, asset_id=found.pk, tag_id=off.pk)
    return _back(request)


def back(request: StudioRequest, default: str) -> HttpResponse:
    """Back to the page that the form says it stood on, if that is one of ours."""
    target = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(target, allowed_hosts=None) and target.startswith("/")
    return redirect(target if is_ours else default)


def _back(request: StudioRequest) -> HttpResponse:
    return back(request, reverse("gallery", args=[request.workspace.slug]))


def _offer_undo(request: StudioRequest, ids: list[int], *, done: str, undo: str) -> None:
    if not ids:
        messages.info(request, f"Nothing was {done}: no image was chosen, or all of them were so before.")
        return
    request.session[UNDO_KEY] = {"words": f"{_images(len(ids))} {done}.", "route": undo, "assets": ids}


def _images(number: int) -> str:
    return f"{number:,} image{'' if number == 1 else 's'}"
