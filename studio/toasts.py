"""Messages of a view reach the page also when htmx asks for a fragment: as an event that base.js shows as toasts."""

from collections.abc import Callable

from django.contrib.messages import get_messages
from django.http import HttpRequest, HttpResponseBase
from django_htmx.http import trigger_client_event

Answer = Callable[[HttpRequest], HttpResponseBase]


def middleware(answer: Answer) -> Answer:
    """Move the messages added during an htmx request into its answer; after a redirect they wait for the next page."""

    def with_toasts(request: HttpRequest) -> HttpResponseBase:
        response = answer(request)
        if getattr(request, "htmx", False) and _is_shown(response) and _has_new(request):
            shown = [{"text": str(message), "level": message.level_tag} for message in get_messages(request)]
            trigger_client_event(response, "toasts", {"toasts": shown})
        return response

    return with_toasts


def _is_shown(response: HttpResponseBase) -> bool:
    """Whether the page stays: neither redirected nor loaded anew."""
    return response.status_code not in range(300, 400) and not {"HX-Redirect", "HX-Refresh"} & set(response.headers)


def _has_new(request: HttpRequest) -> bool:
    # Only what this request added: a poll must not read the session for messages.
    return bool(getattr(getattr(request, "_messages", None), "_queued_messages", ()))
