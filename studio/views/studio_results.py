"""What came of clicks in the Image Studio: how far images are, stopping them, looking at some side by side."""

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django_htmx.http import trigger_client_event

from billing import clock
from inference import feed, previews, progress, queue
from inference.models import Generation, Render
from studio import studio_feed
from studio.http import StudioRequest, finished, unchanged
from studio.ids import object_ids
from studio.views.studio import CREDITS_MOVED

COMPARED = (2, 4)


@never_cache
def poll(request: StudioRequest) -> HttpResponseBase:
    """What is new among the images that the page shows on their way; nothing at all where nothing is."""
    now, workspace_id = clock.now(), request.workspace.pk
    shown = studio_feed.seen(request.GET.get("seen", ""))
    marks = progress.marks(shown, workspace_id=workspace_id, now=now)
    changed = {pk for pk, mark in marks.items() if mark != shown[pk]}
    if marks and not changed:
        return unchanged()
    clicks = feed.with_renders(render_ids=changed, workspace_id=workspace_id, now=now)
    results = [result for click in clicks for result in click.results if result.render_id in changed]
    newer = {result.render_id: result for result in results}
    left = [(pk, newer[pk].mark if pk in newer else mark) for pk, mark in marks.items() if not _is_over(newer.get(pk))]
    context = {
        "ended": [click for click in clicks if click.is_over],
        "results": results,
        "seen": studio_feed.as_seen(left),
        "has_ended": any(result.progress.is_over for result in results),
        "tells_of_workers": not left or not all(result.progress.is_over for result in results),
        "is_unattended": feed.is_unattended(results),
    }
    response = render(request, "studio/feed.html#news", context)
    if context["has_ended"]:
        trigger_client_event(response, CREDITS_MOVED)
    return response if left else finished(response)


def _is_over(result: feed.Result | None) -> bool:
    return result is not None and result.progress.is_over


def cancel(request: StudioRequest, *, generation_id: int) -> HttpResponseBase:
    """Stop all that is left of a click."""
    asked = Generation.objects.filter(settings__isnull=False)
    found = get_object_or_404(asked, workspace=request.workspace, pk=generation_id)
    queue.cancel(generation_id=found.pk, now=clock.now())
    return _as_it_is_now(request, found.pk)


def cancel_render(request: StudioRequest, *, render_id: int) -> HttpResponseBase:
    """Stop one image."""
    asked = Render.objects.filter(generation__settings__isnull=False)
    found = get_object_or_404(asked, workspace=request.workspace, pk=render_id)
    queue.cancel_render(render_id=found.pk, now=clock.now())
    return _as_it_is_now(request, found.generation_id)


def compare(request: StudioRequest) -> HttpResponseBase:
    """Two to four images side by side."""
    chosen = object_ids(request.GET.getlist("render"))
    clicks = feed.with_renders(render_ids=chosen, workspace_id=request.workspace.pk, now=clock.now())
    pairs = [(click, result) for click in clicks for result in click.results if result.render_id in chosen]
    done = [pair for pair in pairs if pair[1].progress.asset_id]
    done.sort(key=lambda pair: chosen.index(pair[1].render_id))
    least, most = COMPARED
    return render(request, "studio/compare.html", {"pairs": done[:most], "is_enough": len(done) >= least})


def preview_file(request: StudioRequest, *, render_id: int) -> HttpResponse:
    """The small picture of a render on its way; each newer one replaces it under the same address.

    Once the image is there, its preview is gone: 204, since who asked had no way to know.
    """
    found = get_object_or_404(Render, workspace=request.workspace, pk=render_id)
    try:
        data = previews.read(found.pk)
    except FileNotFoundError:
        return HttpResponse(status=204)
    response = HttpResponse(data, content_type="image/webp")
    response["Cache-Control"] = "private, no-store"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _as_it_is_now(request: StudioRequest, generation_id: int) -> HttpResponseBase:
    if not request.htmx:
        return redirect("studio", request.workspace.slug)
    clicks = feed.of(generation_ids=[generation_id], workspace_id=request.workspace.pk, now=clock.now())
    return trigger_client_event(render(request, "studio/feed.html#click_again", {"clicks": clicks}), CREDITS_MOVED)
