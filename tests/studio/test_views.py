"""Signing in and the first pages, as a browser meets them."""

import re

import pytest
from django.db import DatabaseError, connection
from django.test import Client

from studio.models import User
from tests.inference.desk import Desk

PASSWORD = "correct horse battery staple"  # noqa: S105


@pytest.fixture
def anna(db, settings) -> User:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return User.objects.create_user("anna", "anna@example.com", PASSWORD)


def sign_in(client: Client, email: str, password: str, **more: str):
    return client.post("/login/", {"username": email, "password": password, **more})


# --- signing in ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/w/acme/", "/w/there-is-none/"])
def test_who_is_not_signed_in_is_sent_to_sign_in_and_back(client, workspace, path):
    response = client.get(path)
    assert (response.status_code, response["Location"]) == (302, f"/login/?next={path}")


def test_the_sign_in_page_asks_for_an_e_mail_address(client, db):
    page = client.get("/login/?next=/w/acme/").content.decode()
    assert '<input type="email" name="username"' in page
    assert '<input type="hidden" name="next" value="/w/acme/">' in page


def test_the_right_password_leads_to_where_one_wanted_to_go(client, anna):
    assert sign_in(client, "anna@example.com", PASSWORD)["Location"] == "/"
    assert sign_in(Client(), "anna@example.com", PASSWORD, next="/w/acme/")["Location"] == "/w/acme/"
    assert "anna@example.com" in client.get("/").content.decode()


def test_nobody_is_sent_to_another_site_after_signing_in(client, anna):
    assert sign_in(client, "anna@example.com", PASSWORD, next="https://evil.example/")["Location"] == "/"


@pytest.mark.parametrize(("email", "password"), [("anna@example.com", "guess"), ("nobody@example.com", PASSWORD)])
def test_a_wrong_password_and_an_unknown_address_look_alike(client, anna, email, password):
    response = sign_in(client, email, password)
    assert response.status_code == 200
    assert "This e-mail address and password do not match." in response.content.decode()
    assert "_auth_user_id" not in client.session


def test_a_closed_account_stays_closed(client, anna):
    anna.is_active = False
    anna.save()
    response = sign_in(client, "anna@example.com", PASSWORD)
    assert "do not match" in response.content.decode()
    assert "_auth_user_id" not in client.session


def test_signing_out_takes_a_click_and_then_everything_is_closed(browser):
    client = browser("viewer")
    assert client.get("/logout/").status_code == 405
    assert client.post("/logout/")["Location"] == "/login/"
    assert client.get("/").status_code == 302


def test_a_form_without_its_token_is_refused(anna):
    client = Client(enforce_csrf_checks=True)
    assert sign_in(client, "anna@example.com", PASSWORD).status_code == 403


# --- home and workspace ----------------------------------------------------------------------------------------------


def test_home_lists_ones_own_workspaces_with_ones_role_and_no_others(browser):
    page = browser("reviewer").get("/").content.decode()
    assert '<a href="/w/acme/">Acme</a>' in page
    assert "Reviewer" in page
    assert "Elsewhere" not in page


def test_home_tells_who_is_in_no_workspace_what_to_do(client, anna):
    client.force_login(anna)
    assert "Ask an owner to add anna@example.com to theirs" in client.get("/").content.decode()


@pytest.mark.parametrize(
    ("who", "status"),
    [("owner", 200), ("producer", 200), ("reviewer", 200), ("viewer", 200), ("stranger", 404), ("anonymous", 302)],
)
def test_members_see_their_workspace_and_strangers_see_none(browser, who, status):
    assert browser(who).get("/w/acme/").status_code == status


def test_a_strangers_page_of_a_real_workspace_equals_that_of_none(browser):
    stranger = browser("stranger")
    pages = [stranger.get(f"/w/{slug}/").content.decode() for slug in ("acme", "nope")]
    real, none = (re.sub('name="csrfmiddlewaretoken" value="[^"]*"', "", page) for page in pages)
    assert real == none
    assert "Acme" not in real


def test_the_workspace_page_shows_what_is_available_held_and_spent(browser, workspace):
    Desk(workspace.pk).ask(3)
    page = browser("viewer").get("/w/acme/").content.decode()
    for label, figure in (("Credits available", "20197"), ("Held for work in progress", "3"), ("Spent", "0")):
        assert f"<dt>{label}</dt><dd>{figure}</dd>" in page
    assert "No campaign yet" in page


@pytest.mark.parametrize("path", ["/", "/w/acme/", "/health/"])
def test_pages_are_read_not_written(browser, path):
    assert browser("owner").post(path).status_code == 405


def test_names_are_shown_as_text(browser, workspace):
    workspace.name = "<script>alert(1)</script>"
    workspace.save()
    for path in ("/", "/w/acme/"):
        page = browser("owner").get(path).content.decode()
        assert "&lt;script&gt;" in page
        assert "<script" not in page


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
