"""Signing up, signing in, passwords, second factors and mail, as a browser meets them."""

import re
from pathlib import Path

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.core import mail
from django.core.mail import EmailMessage
from django.test import Client

from studio.models import User

PASSWORD = "correct horse battery staple"  # noqa: S105
FOLDER = "django.core.mail.backends.filebased.EmailBackend"


@pytest.fixture(autouse=True)
def _quick_passwords(settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def anna(db) -> User:
    return User.objects.create_user("anna@example.com", PASSWORD)


def sign_in(client: Client, email: str, password: str, **more: str):
    return client.post("/login/", {"login": email, "password": password, **more})


def sign_up(client: Client, email: str = "new@example.com", password: str = PASSWORD, **more: str):
    return client.post("/signup/", {"email": email, "password1": password, **more})


def confirm_password(client: Client) -> None:
    """As allauth asks for before what protects an account is changed."""
    client.post("/reauthenticate/", {"password": PASSWORD, "next": "/"})


def is_signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def link_in(message: EmailMessage) -> str:
    found = re.search(r"http://testserver(/\S+)", str(message.body))
    assert found is not None, message.body
    return found[1]


# --- signing in ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/w/acme/", "/w/there-is-none/"])
def test_who_is_not_signed_in_is_sent_to_sign_in_and_back(client, workspace, path):
    response = client.get(path)
    assert (response.status_code, response["Location"]) == (302, f"/login/?next={path}")


def test_the_sign_in_page_asks_for_an_e_mail_address_and_remembers_where_one_wanted_to_go(client, db):
    page = client.get("/login/?next=/w/acme/").content.decode()
    assert re.search(r'<input type="email" name="login"', page)
    assert '<input type="hidden" name="next" value="/w/acme/">' in page


@pytest.mark.parametrize("email", ["anna@example.com", "Anna@Example.COM"])
def test_the_right_password_leads_to_where_one_wanted_to_go(client, anna, email):
    assert sign_in(client, email, PASSWORD)["Location"] == "/"
    assert sign_in(Client(), email, PASSWORD, next="/w/acme/")["Location"] == "/w/acme/"
    assert "anna@example.com" in client.get("/", follow=True).content.decode()


def test_nobody_is_sent_to_another_site_after_signing_in(client, anna):
    assert sign_in(client, "anna@example.com", PASSWORD, next="https://evil.example/")["Location"] == "/"


@pytest.mark.parametrize(("email", "password"), [("anna@example.com", "guess"), ("nobody@example.com", PASSWORD)])
def test_a_wrong_password_and_an_unknown_address_look_alike(client, anna, email, password):
    response = sign_in(client, email, password)
    assert response.status_code == 200
    assert "This e-mail address and password do not match." in response.content.decode()
    assert not is_signed_in(client)


def test_a_closed_account_stays_closed_and_only_its_owner_is_told(client, anna):
    anna.is_active = False
    anna.save()
    assert "do not match" in sign_in(client, "anna@example.com", "guess").content.decode()
    assert sign_in(client, "anna@example.com", PASSWORD)["Location"] == "/inactive/"
    assert "This account is closed" in client.get("/inactive/").content.decode()
    assert not is_signed_in(client)


def test_signing_out_takes_a_click_and_then_everything_is_closed(browser):
    client = browser("viewer")
    assert "Sign out?" in client.get("/logout/").content.decode()
    assert is_signed_in(client)
    assert client.post("/logout/")["Location"] == "/login/"
    assert client.get("/").status_code == 302


def test_a_form_without_its_token_is_refused(anna):
    client = Client(enforce_csrf_checks=True)
    assert sign_in(client, "anna@example.com", PASSWORD).status_code == 403


def test_guessing_a_password_ends_after_five_tries_even_for_the_right_one(client, anna):
    for _ in range(5):
        sign_in(client, "anna@example.com", "guess")
    refused = sign_in(client, "anna@example.com", PASSWORD)
    assert "Too many attempts. Wait five minutes" in refused.content.decode()
    assert not is_signed_in(client)


def test_the_admin_is_no_way_around_the_second_factor_and_the_rate_limit(client, db):
    response = client.post("/admin/login/", {"username": "anna@example.com", "password": PASSWORD})
    assert response["Location"].startswith("/login/?next=")


# --- signing up ------------------------------------------------------------------------------------------------------


def test_a_new_person_is_in_after_one_form_and_is_led_to_a_workspace(client, db):
    response = client.post("/signup/", {"email": "New@Example.com", "password1": PASSWORD}, follow=True)
    assert response.redirect_chain[-1][0] == "/workspaces/"
    assert "Make a workspace" in response.content.decode()
    made = client.post("/workspaces/new/", {"name": "Harbour North", "time_zone": "Europe/Berlin"})
    assert made["Location"] == "/w/harbour-north/"
    page = client.get("/", follow=True).content.decode()
    assert "Harbour North" in page
    assert User.objects.get().email == "new@example.com"


@pytest.mark.parametrize("password", ["short", "password", "new@example"])
def test_a_password_that_is_easily_guessed_is_refused_with_the_reason(client, db, password):
    page = sign_up(client, password=password).content.decode()
    assert 'id="id_password1_error"' in page or "errorlist" in page
    assert not User.objects.exists()


def test_an_address_that_has_an_account_gets_no_second_one(client, anna):
    response = sign_up(client, email="Anna@example.com")
    assert "There is an account with this address already" in response.content.decode()
    assert User.objects.count() == 1


def test_signing_up_can_be_by_invitation_only(client, db, settings):
    settings.STUDIO_SIGNUP = "invited"
    assert "Accounts here are by invitation" in client.get("/signup/").content.decode()
    sign_up(client)
    assert not User.objects.exists()
    assert "Create an account" not in client.get("/login/").content.decode()


def test_many_accounts_from_one_place_are_stopped(db):
    codes = [sign_up(Client(), email=f"n{n}@example.com").status_code for n in range(21)]
    assert codes[:20] == [302] * 20
    assert codes[20] == 429
    assert User.objects.count() == 20


# --- confirming the address ------------------------------------------------------------------------------------------


def test_the_link_in_the_mail_confirms_the_address(client, db):
    sign_up(client)
    address = link_in(mail.outbox[0])
    assert "Is this your address?" in client.get(address).content.decode()
    assert not EmailAddress.objects.get().verified  # a mail scanner that opens links confirms nothing
    client.post(address)
    assert EmailAddress.objects.get().verified


def test_where_the_operator_asks_for_it_nobody_is_in_before_the_address_is_confirmed(client, db, settings):
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    response = client.post("/signup/", {"email": "new@example.com", "password1": PASSWORD}, follow=True)
    assert "Confirm your address" in response.content.decode()
    assert not is_signed_in(client)
    client.post(link_in(mail.outbox[0]))
    assert is_signed_in(client)


# --- forgotten passwords ---------------------------------------------------------------------------------------------


def test_a_forgotten_password_is_chosen_anew_by_mail(client, anna):
    assert client.post("/password/reset/", {"email": "anna@example.com"})["Location"] == "/password/reset/done/"
    response = client.get(link_in(mail.outbox[0]), follow=True)
    form = response.redirect_chain[-1][0]
    assert client.post(form, {"password1": "another good horse"})["Location"] == "/"
    assert is_signed_in(client)
    anna.refresh_from_db()
    assert anna.check_password("another good horse")


def test_a_reset_link_works_once(client, anna):
    client.post("/password/reset/", {"email": "anna@example.com"})
    address = link_in(mail.outbox[0])
    client.post(client.get(address, follow=True).redirect_chain[-1][0], {"password1": "another good horse"})
    assert "This link is over" in Client().get(address, follow=True).content.decode()


def test_asking_for_an_unknown_address_looks_the_same_and_writes_to_nobody(client, anna):
    known, unknown = (
        client.post("/password/reset/", {"email": email}, follow=True).content.decode()
        for email in ("anna@example.com", "nobody@example.com")
    )
    assert re.sub(r'"X-CSRFToken": "\w+"', "", known) == re.sub(r'"X-CSRFToken": "\w+"', "", unknown)
    assert [message.to for message in mail.outbox] == [["anna@example.com"]]


def test_one_address_is_written_to_five_times_an_hour(client, anna):
    codes = [client.post("/password/reset/", {"email": "anna@example.com"}).status_code for _ in range(6)]
    assert codes == [302] * 5 + [429]
    assert len(mail.outbox) == 5


# --- the second factor -----------------------------------------------------------------------------------------------


@pytest.fixture
def with_app(anna) -> str:
    """Anna with an authenticator app and recovery codes; the app's secret."""
    client = Client()
    sign_in(client, "anna@example.com", PASSWORD)
    confirm_password(client)
    client.get("/two-factor/totp/activate/")
    secret = client.session["mfa.totp.secret"]
    response = client.post("/two-factor/totp/activate/", {"code": code_of(secret)})
    assert response["Location"] == "/two-factor/recovery-codes/"
    return secret


def code_of(secret: str) -> str:
    return totp.format_hotp_value(totp.hotp_value(secret, next(totp.yield_hotp_counters_from_time())))


def test_the_password_alone_is_not_enough_any_more(client, with_app):
    assert sign_in(client, "anna@example.com", PASSWORD)["Location"] == "/two-factor/authenticate/"
    assert not is_signed_in(client)
    assert "This code is not right" in client.post("/two-factor/authenticate/", {"code": "000000"}).content.decode()
    assert not is_signed_in(client)


def test_a_recovery_code_lets_in_once(client, with_app):
    codes = Authenticator.objects.get(type=Authenticator.Type.RECOVERY_CODES).wrap().get_unused_codes()
    sign_in(client, "anna@example.com", PASSWORD)
    client.post("/two-factor/authenticate/", {"code": codes[0]})
    assert is_signed_in(client)
    again = Client()
    sign_in(again, "anna@example.com", PASSWORD)
    again.post("/two-factor/authenticate/", {"code": codes[0]})
    assert not is_signed_in(again)


def test_the_page_to_set_up_an_app_shows_the_code_and_runs_nothing_inline(client, anna):
    sign_in(client, "anna@example.com", PASSWORD)
    confirm_password(client)
    page = client.get("/two-factor/totp/activate/").content.decode()
    assert 'src="data:image/svg+xml;base64,' in page
    assert client.session["mfa.totp.secret"] in page
    assert not re.search(r"<script(?![^>]*(src=|application/json))", page)
    assert "style=" not in page


def test_what_protects_the_account_is_changed_only_after_the_password_again(client, anna):
    sign_in(client, "anna@example.com", PASSWORD)
    for path in ("/two-factor/totp/activate/", "/two-factor/webauthn/add/"):
        assert client.get(path)["Location"].startswith("/reauthenticate/?next=")


def test_a_change_of_the_password_is_told_by_mail(client, anna):
    sign_in(client, "anna@example.com", PASSWORD)
    client.post("/password/change/", {"oldpassword": PASSWORD, "password1": "another good horse"})
    assert [message.subject for message in mail.outbox] == ["Your password was changed"]
    assert "Was it not you?" in mail.outbox[0].body


# --- one's own pages -------------------------------------------------------------------------------------------------

OWN = ("/profile/", "/email/", "/password/change/", "/two-factor/", "/sessions/", "/workspaces/", "/workspaces/new/")


@pytest.mark.parametrize("path", OWN)
def test_ones_own_pages_open_and_run_nothing_inline(browser, path):
    response = browser("viewer").get(path)
    page = response.content.decode()
    assert response.status_code == 200
    assert not re.search(r"<script(?![^>]*(src=|application/json))", page)
    assert "style=" not in page


def test_a_name_can_be_given_and_is_what_others_see(browser, people):
    assert browser("viewer").post("/profile/", {"first_name": "Vera Vogel"})["Location"] == "/profile/"
    people["viewer"].refresh_from_db()
    assert people["viewer"].display_name == "Vera Vogel"
    assert "Vera Vogel" in browser("reviewer").get("/w/acme/settings/members/").content.decode()


def test_another_address_takes_effect_when_it_is_confirmed(client, anna):
    EmailAddress.objects.create(user=anna, email=anna.email, verified=True, primary=True)
    sign_in(client, "anna@example.com", PASSWORD)
    confirm_password(client)
    client.post("/email/", {"email": "anna@new.example", "action_add": "1"})
    anna.refresh_from_db()
    assert anna.email == "anna@example.com"
    client.post(link_in(mail.outbox[0]))
    anna.refresh_from_db()
    assert anna.email == "anna@new.example"


# --- mail ------------------------------------------------------------------------------------------------------------


def test_without_a_mail_server_mail_lies_in_the_folder_and_the_page_says_so(client, anna, settings):
    settings.EMAIL_BACKEND, settings.STUDIO_HAS_MAIL_SERVER = FOLDER, False
    response = client.post("/password/reset/", {"email": "anna@example.com"}, follow=True)
    assert "STUDIO_DATA/mail" in response.content.decode()
    (file,) = Path(settings.MAIL_FOLDER).iterdir()
    assert "To: anna@example.com" in file.read_text()


def test_with_a_mail_server_no_page_speaks_of_a_folder(client, anna, settings):
    settings.STUDIO_HAS_MAIL_SERVER = True
    response = client.post("/password/reset/", {"email": "anna@example.com"}, follow=True)
    assert "STUDIO_DATA" not in response.content.decode()


def test_what_the_mail_server_does_not_take_is_kept_and_logged(client, anna, settings, caplog):
    settings.EMAIL_BACKEND, settings.STUDIO_HAS_MAIL_SERVER = "studio.mail.ServerElseFolder", True
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1  # nobody listens there
    response = client.post("/password/reset/", {"email": "anna@example.com"})
    assert response.status_code == 302
    (file,) = Path(settings.MAIL_FOLDER).iterdir()
    assert "To: anna@example.com" in file.read_text()
    assert "it is kept in" in caplog.text
