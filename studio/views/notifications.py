"""Notifications: what happened in the workspace, and how far one has read."""

from datetime import datetime

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.dateparse import parse_datetime

from billing import clock
from studio import notifications
from studio.http import StudioRequest


def overview(request: StudioRequest) -> HttpResponse:
    """What happened, newest first; for htmx only what comes after ``before``."""
    before = _moment(request.GET.get("before", ""))
    notices, following = notifications.feed(request.membership, before=before)
    context = {
        "notices": notices,
        "next": following.isoformat() if following else "",
        "seen_until": notifications.seen_until(request.membership),
        "loaded_at": clock.now().isoformat(),
    }
    if request.htmx:
        return render(request, "notifications/notifications.html#notices", context)
    context["now"] = notifications.now(request.membership, moment=clock.now())
    return render(request, "notifications/notifications.html", context)


def seen(request: StudioRequest) -> HttpResponse:
    """Everything up to when the page was made is seen; what happened since stays new."""
    now = clock.now()
    until = _moment(request.POST.get("until", "")) or now
    notifications.mark_seen(request.membership, until=min(until, now))
    if request.htmx:
        return render(request, "notifications/seen.html")
    return redirect("notifications", request.workspace.slug)


def _moment(text: str) -> datetime | None:
    try:
        moment = parse_datetime(text)
    except ValueError:
        return None
    return moment if moment and moment.tzinfo else None
