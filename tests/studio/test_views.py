"""The first pages, as a browser meets them."""

import re

import pytest
from django.db import DatabaseError, connection
from django.test import Client

from tests.inference.desk import Desk

# --- home and workspace ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "status"),
    [("owner", 200), ("producer", 200), ("reviewer", 200), ("viewer", 200), ("stranger", 404), ("anonymous", 302)],
)
def test_members_see_their_workspace_and_strangers_see_none(browser, who, status):
    assert browser(who).get("/w/acme/").status_code == status


def test_a_strangers_page_of_a_real_workspace_equals_that_of_none(browser):
    stranger = browser("stranger")
    pages = [stranger.get(f"/w/{slug}/").content.decode() for slug in ("acme", "nope")]
    real, none = (re.sub(r'(name="csrfmiddlewaretoken" value=|"X-CSRFToken": )"\w+"', "", page) for page in pages)
    assert real == none
    assert "Acme" not in real


def test_the_workspace_page_shows_what_is_available_held_and_spent(browser, workspace):
    Desk(workspace.pk).ask(3)
    page = browser("viewer").get("/w/acme/").content.decode()
    for label, figure in (("Credits available", "20,197"), ("Held for work in progress", "3"), ("Spent", "0")):
        assert f"<dt>{label}</dt><dd>{figure}</dd>" in page
    assert "No campaign yet" in page


@pytest.mark.parametrize("path", ["/", "/w/acme/", "/health/"])
def test_pages_are_read_not_written(browser, path):
    assert browser("owner").post(path).status_code == 405


def test_names_are_shown_as_text(browser, workspace):
    workspace.name = "<script>alert(1)</script>"
    workspace.save()
    for path in ("/workspaces/", "/w/acme/", "/w/acme/settings/", "/w/acme/settings/members/"):
        page = browser("owner").get(path).content.decode()
        assert "&lt;script&gt;" in page
        assert "<script>" not in page


def test_every_page_comes_with_a_policy_that_runs_nothing_foreign(browser):
    response = browser("owner").get("/w/acme/")
    assert "default-src 'self'" in response["Content-Security-Policy"]
    assert "unsafe" not in response["Content-Security-Policy"]
    assert (response["X-Frame-Options"], response["X-Content-Type-Options"]) == ("DENY", "nosniff")


# --- health ----------------------------------------------------------------------------------------------------------


def test_health_is_well_while_the_database_answers(client, db):
    response = client.get("/health/")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_health_is_not_well_when_the_database_does_not_answer(db):
    def fail(*_: object) -> None:
        raise DatabaseError("gone")

    with connection.execute_wrapper(fail):
        assert Client(raise_request_exception=False).get("/health/").status_code == 500
