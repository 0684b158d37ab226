"""Messages added while htmx asks for a fragment travel in its answer, or wait for the next page."""

import json

import pytest
from django.contrib import messages
from django.contrib.messages import get_messages
from django.contrib.messages.storage.cookie import CookieStorage
from django.http import HttpResponse, HttpResponseRedirect
from django.test import RequestFactory
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from studio import toasts


def ask(answer: HttpResponse, *said: str, htmx: bool = True):
    request = RequestFactory().get("/", headers={"HX-Request": "true"} if htmx else {})
    vars(request).update(htmx=HtmxDetails(request), _messages=CookieStorage(request))

    def view(_):
        for text in said:
            messages.warning(request, text)
        return answer

    return request, toasts.middleware(view)(request)


def test_a_fragment_brings_its_messages_along():
    _, response = ask(HttpResponse("row"), "Somebody else decided “Mug” first.")
    event = json.loads(response["HX-Trigger"])
    assert event == {"toasts": {"toasts": [{"text": "Somebody else decided “Mug” first.", "level": "warning"}]}}
    assert response["HX-Trigger"].isascii()


@pytest.mark.parametrize(
    "answer", [HttpResponseRedirect("/"), HttpResponseClientRedirect("/")], ids=["redirect", "htmx redirect"]
)
def test_after_a_redirect_they_wait_for_the_next_page(answer):
    request, response = ask(answer, "Saved.")
    assert "HX-Trigger" not in response
    assert [str(message) for message in get_messages(request)] == ["Saved."]


def test_a_poll_without_messages_and_a_whole_page_are_left_alone():
    assert "HX-Trigger" not in ask(HttpResponse(status=204))[1]
    assert "HX-Trigger" not in ask(HttpResponse("page"), "Saved.", htmx=False)[1]
