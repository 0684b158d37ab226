"""Pages for what goes wrong say what happened and what to do, and look like the rest."""

import re

import pytest
from django.template.loader import render_to_string
from django.test import Client


def sentence(response) -> str:
    found = re.search(r"<p data-sentence>(.*?)</p>", response.content.decode(), re.DOTALL)
    assert found is not None
    return found[1]


def test_a_wrong_address_says_so_to_everybody(browser, client, db):
    for visitor in (client, browser("owner")):
        response = visitor.get("/there-is-nothing/")
        assert response.status_code == 404
        assert "The address is wrong" in sentence(response)


def test_a_missing_right_names_the_role_and_whom_to_ask(browser):
    response = browser("viewer").post("/w/acme/settings/", {"name": "Mine"})
    assert response.status_code == 403
    assert "Your role here is viewer" in sentence(response)


def test_an_expired_form_says_that_nothing_was_changed(people):
    client = Client(enforce_csrf_checks=True)
    client.force_login(people["owner"])
    response = client.post("/style/", {})
    assert response.status_code == 403
    assert "Nothing was changed" in sentence(response)


def test_too_much_at_once_is_413_and_nonsense_is_400(browser, settings):
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 3
    response = browser("owner").post("/w/acme/settings/", {f"field{n}": "x" for n in range(5)})
    assert (response.status_code, "Nothing was stored" in sentence(response)) == (413, True)
    response = browser("owner").get("/style/", headers={"Host": "elsewhere.example"})
    assert (response.status_code, "try again" in sentence(response)) == (400, True)


def test_the_page_for_our_own_fault_needs_neither_request_nor_database(client):
    page = render_to_string("500.html")
    assert "Nothing was charged" in page
    assert "components.css" in page


@pytest.mark.parametrize("name", ["400", "403", "403_csrf", "404", "413", "429"])
def test_every_error_page_has_a_way_on(name, rf, db):
    page = render_to_string(f"{name}.html", request=rf.get("/"))
    assert page.count("<h1>") == 1
    assert "data-sentence" in page
    assert '<a class="button" href="/">' in page
