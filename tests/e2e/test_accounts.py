"""Accounts as people use them: an invitation handed over, an authenticator app, a passkey, a session that has ended."""

from collections.abc import Callable

import pytest
from allauth.mfa.totp.internal import auth as totp
from playwright.sync_api import Page, expect

from tests.e2e.site import Site

PASSWORD = "a long enough phrase"  # noqa: S105


@pytest.fixture
def sign_up(site: Site, new_page: Callable[..., Page]) -> Callable[[str], Page]:
    """A page of a new person. By name, not by number: passkeys are for host names."""

    def enter(email: str) -> Page:
        page = new_page()
        page.goto(f"{site.url}/signup/".replace("127.0.0.1", "localhost"))
        page.get_by_label("E-mail address").fill(email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Create account").click()
        expect(page.get_by_role("heading", name="Your first workspace")).to_be_visible()
        return page

    return enter


def set_up(page: Page, what: str) -> None:
    """Open the page that adds a second factor; the password is asked for again first, unless it just was."""
    page.goto(page.url.split("/workspaces")[0] + "/two-factor/")
    page.get_by_role("link", name=what).click()
    if page.get_by_label("Password").count():
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")


def sign_out(page: Page) -> None:
    page.locator(".sidebar-end summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_an_invited_person_makes_an_account_and_is_in(site, sign_in, new_page):
    owner = sign_in("owner")
    owner.goto(site.address("settings/members/"))
    owner.get_by_label("E-mail address").fill("invited@example.com")
    owner.locator("main select").first.select_option("reviewer")
    owner.get_by_role("button", name="Invite").click()
    link = owner.get_by_role("textbox", name="The invitation's link").input_value()
    guest = new_page()
    guest.goto(link)
    guest.get_by_role("link", name="Create an account").click()
    expect(guest.get_by_label("E-mail address")).to_have_value("invited@example.com")
    guest.get_by_label("Password").fill(PASSWORD)
    guest.get_by_role("button", name="Create account").click()
    guest.get_by_role("button", name="Join as invited@example.com").click()
    guest.wait_for_url(f"**/w/{site.slug}/")
    owner.reload()
    expect(owner.get_by_role("row", name="invited@example.com")).to_contain_text("Reviewer")


def test_an_authenticator_app_is_asked_for_once_it_is_set_up(sign_up):
    page = sign_up("app@example.com")
    set_up(page, "Set up")
    secret = page.locator("code.secret").inner_text().strip()
    page.get_by_label("code").fill(code_of(secret))
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_text("Recovery codes").first).to_be_visible()


def test_a_passkey_is_made_and_signs_in_by_itself(sign_up):
    page = sign_up("passkey@example.com")
    device = page.context.new_cdp_session(page)
    device.send("WebAuthn.enable")
    abilities = {"hasResidentKey": True, "hasUserVerification": True, "isUserVerified": True}
    options = {"protocol": "ctap2", "transport": "internal", **abilities}
    device.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    set_up(page, "Add a passkey")
    page.get_by_label("Name").fill("Laptop")
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Add").click()
    expect(page.locator("main")).to_contain_text("ecovery codes")
    sign_out(page)
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("heading", name="Your first workspace")).to_be_visible()


def test_a_session_that_has_ended_leads_to_sign_in_and_back_to_the_page(site, sign_in):
    page = sign_in("producer")
    page.goto(site.address("studio/"))
    page.get_by_role("textbox", name="Description").fill("A mug")
    page.context.clear_cookies(name="sessionid")
    page.get_by_role("textbox", name="Description").fill("A mug on a table")
    page.wait_for_url(lambda address: "/login/" in address)
    page.get_by_label("E-mail address").fill(site.email("producer"))
    page.get_by_label("Password").fill(site.password)
    page.keyboard.press("Enter")
    page.wait_for_url(site.address("studio/"))


def code_of(secret: str) -> str:
    return str(totp.format_hotp_value(totp.hotp_value(secret, next(totp.yield_hotp_counters_from_time()))))
