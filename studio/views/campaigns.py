"""Campaigns: the list, the contact sheet filling in, one cell through its versions, and what one does with a launch."""

import hashlib
from dataclasses import dataclass

from django.contrib import messages
from django.http import FileResponse, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django_htmx.http import HttpResponseClientRefresh

from billing import clock, ledger
from campaigns import cell_history, drafts, launch, listing, package, recipes, sheet, sheet_changes
from campaigns.drafts import Author
from campaigns.launch import FrozenError, MaskMissingError, MoreByNowError
from campaigns.models import Campaign, Cell, Draft, Product
from campaigns.places import ordered
from campaigns.sheet import Overview
from campaigns.sheet_changes import Mark
from campaigns.sheet_layout import has_channel_columns
from campaigns.sheet_states import AGAIN, STATES
from inference import catalog, pricing, workloads
from inference.references import RequestError
from studio.http import StudioRequest, finished, unchanged
from studio.ids import id_in_query, object_id, object_ids
from studio.models import Role
from studio.templatetags.credits import counted, in_words
from studio.views.drafts import brief_file, package_file

REFUSALS = (
    ledger.InsufficientCreditsError, ledger.OverBudgetError, MaskMissingError, FrozenError, MoreByNowError,
    RequestError,
)  # fmt: skip
DRAFTS_SHOWN = 12
DRAFTS_MOST = 500
# What the chips above a sheet offer, in their order.
CHIPS = (
    ("pending", "To review"), ("approved", "Approved"), ("rejected", "Rejected"),
    ("changes_requested", "Changes asked"), ("stale", "Stale"), ("running", "Rendering"), ("waiting", "Waiting"),
    ("failed", "Failed"), ("canceled", "Canceled"), ("planned", "Planned"),
)  # fmt: skip


def overview(request: StudioRequest) -> HttpResponse:
    """The list, newest first, and above it the drafts."""
    after = id_in_query(request, "after")
    context: dict[str, object] = {"page": listing.page(workspace_id=request.workspace.pk, after=after)}
    if request.htmx and after:
        return render(request, "campaigns/list.html#rows", context)
    found = Draft.objects.filter(workspace=request.workspace, campaign=None).select_related("saved_by")
    shown = DRAFTS_MOST if request.GET.get("drafts") == "all" else DRAFTS_SHOWN
    written = list(found.defer("entered").order_by("-saved_at", "-pk")[: shown + 1])
    context |= {
        "drafts": written[:shown],
        "more_drafts": len(written) > shown,
        "has_products": Product.objects.filter(workspace=request.workspace).exists(),
        "is_first_page": not after,
        "under_way": workloads.images_of(request.workspace.pk) if request.membership.role == Role.OWNER else 0,
    }
    return render(request, "campaigns/list.html", context)


def progress(request: StudioRequest) -> HttpResponse:
    """What moved in the list since a mark: the rows of those campaigns, each in its place."""
    ids = object_ids(request.GET.get("ids", "").split(","))[: listing.PAGE]
    found = list(Campaign.objects.filter(workspace=request.workspace, pk__in=ids).order_by("-created_at", "-pk"))
    states = launch.progress_of([campaign.pk for campaign in found])
    if found and listing.mark(list(states.values())) == request.GET.get("v"):
        return unchanged()
    page = listing.Page(entries=listing.entries(found), after=None)
    response = render(request, "campaigns/list.html#moved", {"page": page})
    return response if page.is_moving else finished(response)


def campaign(request: StudioRequest, *, campaign_id: int) -> HttpResponse:
    """The contact sheet: a channel of it, narrowed to a state, a page of rows at a time."""
    found = _campaign(request, campaign_id)
    # Before the tiles are read: what changes meanwhile is news to it.
    mark = _mark(request, campaign_id)
    seen = sheet.overview(found)
    channel = _channel(request, seen)
    state = request.GET.get("state", "")
    state = state if state in STATES else ""
    rows = sheet.matrix(found, channel=channel, state=state, after=id_in_query(request, "after") or 0)
    context = _head(found, seen, channel=channel, state=state) | {"matrix": rows, "mark": mark}
    if request.htmx and "after" in request.GET:
        return render(request, "campaigns/sheet_rows.html", context)
    return render(request, "campaigns/sheet.html", context)


def changes(request: StudioRequest, *, campaign_id: int) -> HttpResponse:
    """The poll of a sheet: nothing while nothing changed, else the tiles that did, and what stands above them."""
    before = Mark.parse(request.GET.get("v", ""))
    now = _mark(request, campaign_id)
    # Its launch says that the campaign is this workspace's; one that was never launched is looked up below.
    if before and now.launched and not now.is_news_to(before):
        return unchanged()
    found = _campaign(request, campaign_id)
    if before and before.launched and not now.is_laid_out_like(before):
        # Its brief was changed: rows and columns may be others.
        return HttpResponseClientRefresh()
    seen = sheet.overview(found)
    context = _head(found, seen, channel=_channel(request, seen), state=request.GET.get("state", "")) | {"mark": now}
    channel = context["channel"] if context["has_tabs"] else ""
    context["news"] = sheet_changes.changed_tiles(found, since=before, channel=str(channel)) if before else []
    response = render(request, "campaigns/sheet_poll.html", context)
    return response if context["is_moving"] else finished(response)


def cell(request: StudioRequest, *, campaign_id: int, cell_id: int) -> HttpResponse:
    """One image of a cell, large, with its versions and how it was made."""
    found = _cell(request, campaign_id, cell_id)
    image = min(id_in_query(request, "image") or 1, found.campaign.images_per_cell)
    seen = cell_history.history(found, image=image, version=id_in_query(request, "version"))
    mark = hashlib.sha256(repr((seen.shown, seen.progress)).encode()).hexdigest()[:12]
    if request.htmx and request.GET.get("v") == mark:
        return unchanged()
    context = {
        "campaign": found.campaign,
        "cell": found,
        "image": image,
        "history": seen,
        "axes": ordered(found.axes, found.campaign.axes),
        "label": sheet.label(
            found.product.sku if found.product else "", ordered(found.axes, found.campaign.axes), found.channel
        ),
        "mark": mark,
        "model": _model(found.campaign.checkpoint),
        "price": price_of(found.campaign.checkpoint),
        "asked": recipes.asked(found),
    }
    return render(request, "campaigns/cell.html#cell" if request.htmx else "campaigns/cell.html", context)


# --- what one does with it -------------------------------------------------------------------------------------------


def run_again(request: StudioRequest, *, campaign_id: int, cell_id: int) -> HttpResponseBase:
    """One more version of an image."""
    found = _cell(request, campaign_id, cell_id)
    image = min(object_id(request.POST.get("image")) or 1, found.campaign.images_per_cell)
    try:
        is_asked = launch.run_again(
            cell_id=found.pk,
            image=image,
            seen_render_id=object_id(request.POST.get("seen")),
            now=clock.now(),
            created_by_id=request.user.pk,
        )
    except REFUSALS as refusal:
        messages.error(request, str(refusal))
    else:
        words = "Another version is on its way." if is_asked else "There is a newer version of it already."
        messages.success(request, words)
    address = reverse("cell", args=[request.workspace.slug, found.campaign_id, found.pk])
    return redirect(f"{address}?image={image}")


def launch_again(request: StudioRequest, *, campaign_id: int) -> HttpResponseBase:
    """Ask once more for every image that failed, was canceled or never asked for; or not for those that failed."""
    found = _campaign(request, campaign_id)
    try:
        asked = launch.launch(
            campaign_id=found.pk,
            now=clock.now(),
            created_by_id=request.user.pk,
            leaves_failed="leaves_failed" in request.POST,
        )
    except REFUSALS as refusal:
        messages.error(request, str(refusal))
    else:
        _say_asked(request, asked)
    return _to_sheet(request, found)


def rerun(request: StudioRequest, *, campaign_id: int) -> HttpResponseBase:
    """Ask once more for every image that is stale, was rejected or failed: those whose price the button showed."""
    found = _campaign(request, campaign_id)
    what = next((name for name in AGAIN if name == request.POST.get("what")), None)
    if what is None:
        return _to_sheet(request, found)
    try:
        asked = launch.rerun(
            campaign_id=found.pk,
            what=what,
            at_most=object_id(request.POST.get("images")) or 0,
            now=clock.now(),
            created_by_id=request.user.pk,
        )
    except REFUSALS as refusal:
        messages.error(request, str(refusal))
    else:
        _say_asked(request, asked)
    return _to_sheet(request, found)


def change(request: StudioRequest, *, campaign_id: int) -> HttpResponseBase:
    """The form in which this campaign's brief is changed; nothing changes before that is saved to it."""
    found = _campaign(request, campaign_id)
    begun = drafts.changes_to(found, author=Author(id=request.user.pk, now=clock.now()))
    return redirect("draft", request.workspace.slug, begun.pk)


def pause(request: StudioRequest, *, campaign_id: int) -> HttpResponseBase:
    found = _campaign(request, campaign_id)
    launch.pause(campaign_id=found.pk)
    messages.success(request, "Paused. Images that are being rendered are finished, and nothing new begins.")
    return _to_sheet(request, found)


def resume(request: StudioRequest, *, campaign_id: int) -> HttpResponseBase:
    found = _campaign(request, campaign_id)
    launch.resume(campaign_id=found.pk)
    messages.success(request, "It goes on.")
    return _to_sheet(request, found)


def cancel(request: StudioRequest, *, campaign_id: int) -> HttpResponseBase:
    """Say what a cancel stops and gives back; with POST, do it."""
    found = _campaign(request, campaign_id)
    if request.method != "POST":
        standing = launch.progress(campaign_id=found.pk)
        return render(request, "campaigns/cancel.html", {"campaign": found, "progress": standing})
    canceled = launch.cancel(campaign_id=found.pk, now=clock.now())
    returned = ledger.credits_text(canceled.returned)
    plural = "" if canceled.images == 1 else "s"
    messages.success(
        request,
        f"{canceled.images} image{plural} canceled; {returned} credits are available again."
        if canceled.images
        else "Nothing was left to cancel.",
    )
    return _to_sheet(request, found)


def duplicate(request: StudioRequest, *, campaign_id: int) -> HttpResponseBase:
    """A draft with this campaign's brief."""
    found = _campaign(request, campaign_id)
    author = Author(id=request.user.pk, now=clock.now())
    made = drafts.copy(workspace_id=request.workspace.pk, form=drafts.of_campaign(found), author=author)
    return redirect("draft", request.workspace.slug, made.pk)


def export_brief(request: StudioRequest, *, campaign_id: int) -> HttpResponse:
    return brief_file(_campaign(request, campaign_id).brief)


def export_package(request: StudioRequest, *, campaign_id: int) -> FileResponse:
    found = _campaign(request, campaign_id)
    return package_file(package.of_campaign(found), name=found.name)


# --- inside ----------------------------------------------------------------------------------------------------------


def _campaign(request: StudioRequest, campaign_id: int) -> Campaign:
    return get_object_or_404(Campaign, workspace=request.workspace, pk=campaign_id)


def _cell(request: StudioRequest, campaign_id: int, cell_id: int) -> Cell:
    cells = Cell.objects.select_related("campaign", "product", "photo__upload")
    return get_object_or_404(cells, campaign__workspace=request.workspace, campaign=campaign_id, pk=cell_id)


def _channel(request: StudioRequest, seen: Overview) -> str:
    """The channel whose tab is asked for; the first one otherwise."""
    names = [channel.name for channel in seen.channels]
    asked = request.GET.get("channel", "")
    return asked if asked in names else next(iter(names), "")


def _mark(request: StudioRequest, campaign_id: int) -> Mark:
    return sheet_changes.mark(workspace_id=request.workspace.pk, campaign_id=campaign_id, now=clock.now())


def _head(found: Campaign, seen: Overview, *, channel: str, state: str) -> dict[str, object]:
    """What stands above the sheet: facts, bar, tabs, chips, and what one can do."""
    standing = launch.progress(campaign_id=found.pk)
    has_tabs = len(seen.channels) > 1 and not has_channel_columns(found)
    shown = seen.by_channel.get(channel, {}) if has_tabs else seen.counts
    return {
        "campaign": found,
        "overview": seen,
        "progress": standing,
        "bar": {name: seen.counts.get(name, 0) for name in STATES},
        "channel": channel,
        "has_tabs": has_tabs,
        "state": state,
        "chips": [(name, words, shown.get(name, 0)) for name, words in CHIPS if shown.get(name, 0) or name == state],
        "total": sum(shown.values()),
        "missing": _Again("missing", seen.count_of("canceled", "planned"), found.checkpoint),
        "again": [_Again(what, seen.count_of(*states), found.checkpoint) for what, states in AGAIN.items()],
        "is_moving": standing.waiting > 0,
        "model": _model(found.checkpoint),
    }


def _model(checkpoint: str) -> str:
    """The catalogue's name of a model, or its slug where the catalogue no longer has it."""
    entry = catalog.load().get(checkpoint)
    return entry.name if entry else checkpoint


@dataclass(frozen=True)
class _Again:
    """A button that asks for images once more: for which, how many, and what they cost at most, in words."""

    what: str
    images: int
    checkpoint: str

    @property
    def price(self) -> str:
        return price_of(self.checkpoint, self.images)


def price_of(checkpoint: str, images: int = 1) -> str:
    """What so many more images cost at most, in words."""
    entry = catalog.load().get(checkpoint)
    return in_words(pricing.estimate(images=images, entry=entry).maximum) if entry else ""


def _say_asked(request: StudioRequest, asked: int) -> None:
    words = f"{counted(asked, 'image')} asked for." if asked else "Every image is there or on its way."
    messages.success(request, words)


def _to_sheet(request: StudioRequest, found: Campaign) -> HttpResponseBase:
    return redirect("campaign", request.workspace.slug, found.pk)
