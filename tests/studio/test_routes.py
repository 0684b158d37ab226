"""Every address, tried as everybody who could come along: the table studio.routes says what they meet.

Generated from the table: a row added there is tried here, and needs nothing but a maker in tests.studio.samples for
each kind of object that it names. An address that is not in the table fails.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.contrib.sessions.models import Session
from django.db import transaction
from django.forms.models import model_to_dict
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from studio.http import Route
from studio.models import Membership, Role, User, Workspace
from studio.permissions import allows
from studio.routes import ROUTES
from tests.studio.samples import MAKERS, PARAMETERS, Samples

PARAMETER = re.compile(r"<(?:(\w+):)?(\w+)>")
# What is not ours: Django's admin, and allauth's pages by name, so that a new version cannot bring one unseen.
ADMIN = "admin/"
OPEN_TO_ALL = {
    "account_login",
    "account_logout",
    "account_inactive",
    "account_signup",
    "account_email_verification_sent",
    "account_confirm_email",
    "account_reset_password",
    "account_reset_password_done",
    "account_reset_password_from_key",
    "account_reset_password_from_key_done",
    "account_confirm_login_code",
    "mfa_authenticate",
    "mfa_login_webauthn",
}
FOR_ONESELF = {
    "account_reauthenticate",
    "account_email",
    "account_change_password",
    "account_set_password",
    "mfa_index",
    "mfa_reauthenticate",
    "mfa_activate_totp",
    "mfa_deactivate_totp",
    "mfa_view_recovery_codes",
    "mfa_generate_recovery_codes",
    "mfa_download_recovery_codes",
    "mfa_list_webauthn",
    "mfa_add_webauthn",
    "mfa_reauthenticate_webauthn",
    "mfa_remove_webauthn",
    "mfa_edit_webauthn",
    "usersessions_list",
}

INSIDE = [route for route in ROUTES if route.access.is_inside_workspace]
OUTSIDE = [route for route in ROUTES if not route.access.is_inside_workspace]
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")


def named(routes: list[Route]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("route", routes, ids=lambda route: route.name)


with_and_without_htmx = pytest.mark.parametrize("htmx", [False, True], ids=["page", "htmx"])


# --- the table and the URLconf ---------------------------------------------------------------------------------------


def addresses(patterns: list[URLPattern | URLResolver], before: str = "") -> Iterator[tuple[str, str | None]]:
    for pattern in patterns:
        full = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, full)
        else:
            yield full, pattern.name


def test_every_address_is_a_row_of_the_table_or_one_of_the_few_that_are_not_ours():
    ours = {(route.full_path, route.name) for route in ROUTES}
    found = {(path, name) for path, name in addresses(get_resolver().url_patterns) if not path.startswith(ADMIN)}
    assert {path for path, name in found - ours if name not in OPEN_TO_ALL | FOR_ONESELF} == set()
    assert ours <= found
    assert {name for _, name in found - ours} == OPEN_TO_ALL | FOR_ONESELF


def test_no_two_rows_share_a_name_or_an_address():
    assert len({route.name for route in ROUTES}) == len(ROUTES)
    assert len({route.full_path for route in ROUTES}) == len(ROUTES)


@named(list(ROUTES))
def test_whatever_an_address_names_has_a_sample(route):
    kinds = {*route.objects, *(kind for _, kind in route.body)}
    assert kinds <= set(MAKERS), f"{route.name}: add makers to tests/studio/samples.py"
    for converter, name in PARAMETER.findall(route.path):
        is_object = name.removesuffix("_id") in route.objects
        assert is_object or name in PARAMETERS, f"{route.name}: <{name}> is neither in objects nor in PARAMETERS"
        assert is_object or converter not in ("int", "uuid"), f"{route.name}: <{name}> is an id; name its kind"
    in_path = {name.removesuffix("_id") for _, name in PARAMETER.findall(route.path)}
    assert set(route.objects) <= in_path, f"{route.name}: objects names what is not in the path"


# --- who comes along -------------------------------------------------------------------------------------------------


@pytest.fixture
def here(people, workspace) -> Samples:
    return Samples(workspace)


@pytest.fixture
def elsewhere(people) -> Samples:
    """The stranger's workspace, with objects of its own."""
    return Samples(Workspace.objects.get(slug="elsewhere"))


@pytest.fixture
def removed(workspace) -> Client:
    """Somebody who was an owner until a moment ago and is still signed in."""
    user = User.objects.create(email="removed@example.com")
    membership = Membership.objects.create(workspace=workspace, user=user, role=Role.OWNER)
    client = Client()
    client.force_login(user)
    membership.delete()
    return client


@pytest.fixture
def expired(people) -> Client:
    """An owner whose session has ended."""
    client = Client()
    client.force_login(people["owner"])
    Session.objects.filter(session_key=client.session.session_key).delete()
    return client


def address(route: Route, samples: Samples, **foreign: object) -> str:
    """The row's address with the workspace's own objects, or others where they are given by kind."""
    ids: dict[str, object] = {"slug": samples.workspace.slug} if route.access.is_inside_workspace else {}
    for _, name in PARAMETER.findall(route.path):
        kind = name.removesuffix("_id")
        ids[name] = foreign.get(kind) or samples.id(kind) if kind in route.objects else PARAMETERS[name]
    return reverse(route.name, kwargs=ids)


def body(route: Route, samples: Samples) -> dict[str, list[object]]:
    return {field: [samples.id(kind)] for field, kind in route.body}


@contextmanager
def undone() -> Iterator[None]:
    """Whatever is written inside is gone afterwards: the next one meets the same studio."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def ask(client: Client, method: str, url: str, *, htmx: bool = False, data: object = None) -> HttpResponse:
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/w/acme/"} if htmx else {}
    form = {"data": data} if data and method == "POST" else {}
    with undone():
        return getattr(client, method.lower())(url, headers=headers, **form)


def is_sent_to_sign_in(response: HttpResponse) -> bool:
    if response.status_code == 302:
        return response["Location"].startswith("/login/?next=/")
    return response.status_code == 200 and response.get("HX-Redirect", "").startswith("/login/?next=/")


def is_page(response: HttpResponse) -> bool:
    """A page, a fragment, a redirect or a form with its errors; no refusal and no breakdown."""
    return response.status_code < 500 and response.status_code not in (403, 404, 405, 429)


def told(route: Route, who: str, method: str, response: HttpResponse) -> str:
    return f"{who}: {method} {route.full_path} → {response.status_code} {response.get('Location', '')}"


# --- inside a workspace ----------------------------------------------------------------------------------------------


@with_and_without_htmx
@named(INSIDE)
def test_nobody_comes_in_without_a_session(route, htmx, here, expired):
    url = address(route, here)
    for who, client in (("anonymous", Client()), ("expired", expired)):
        for method in METHODS:
            response = ask(client, method, url, htmx=htmx)
            assert is_sent_to_sign_in(response), told(route, who, method, response)


@with_and_without_htmx
@named(INSIDE)
def test_who_is_no_member_learns_nothing(route, htmx, here, browser, removed):
    url = address(route, here)
    for who, client in (("stranger", browser("stranger")), ("removed", removed)):
        for method in METHODS:
            response = ask(client, method, url, htmx=htmx)
            assert response.status_code == 404, told(route, who, method, response)


@with_and_without_htmx
@named(INSIDE)
def test_every_role_meets_what_the_table_says(route, htmx, here, browser):
    url, data = address(route, here), body(route, here)
    for role in Role:
        client = browser(role.value)
        for method in METHODS:
            response = ask(client, method, url, htmx=htmx, data=data)
            action = route.access.action(method)
            if action is None:
                assert response.status_code == 405, told(route, role, method, response)
            elif not allows(role, action):
                assert response.status_code == 403, told(route, role, method, response)
            else:
                assert is_page(response), told(route, role, method, response)


@named([route for route in INSIDE if route.objects])
def test_an_object_of_another_workspace_is_not_there(route, here, elsewhere, browser):
    owner = browser("owner")
    for kind in route.objects:
        for method in route.access.methods():
            response = ask(owner, method, address(route, here, **{kind: elsewhere.id(kind)}))
            assert response.status_code == 404, told(route, f"foreign {kind}", method, response)


@named([route for route in INSIDE if route.body])
def test_an_object_of_another_workspace_in_a_form_is_not_there(route, here, elsewhere, browser):
    owner = browser("owner")
    for field, kind in route.body:
        foreign = elsewhere["asset" if kind == "picture" else kind]
        before = model_to_dict(foreign)
        data = body(route, here) | {field: [here.id(kind), elsewhere.id(kind)]}
        with undone():
            response = owner.post(address(route, here), data)
            foreign.refresh_from_db()
        assert response.status_code == 404, told(route, f"foreign {field}", "POST", response)
        assert model_to_dict(foreign) == before


# --- outside of workspaces -------------------------------------------------------------------------------------------


@with_and_without_htmx
@named([route for route in OUTSIDE if route.access.is_public])
def test_a_public_address_answers_everybody(route, htmx, here, browser):
    for who in ("anonymous", "stranger", "owner"):
        for method in METHODS:
            response = ask(browser(who), method, address(route, here), htmx=htmx)
            allowed = method in route.access.methods()
            assert is_page(response) if allowed else response.status_code == 405, told(route, who, method, response)


@with_and_without_htmx
@named([route for route in OUTSIDE if not route.access.is_public])
def test_a_persons_and_the_operators_pages_need_a_session(route, htmx, here, expired):
    for who, client in (("anonymous", Client()), ("expired", expired)):
        for method in METHODS:
            response = ask(client, method, address(route, here), htmx=htmx)
            assert is_sent_to_sign_in(response), told(route, who, method, response)


@with_and_without_htmx
@named([route for route in OUTSIDE if route.access.is_personal])
def test_a_persons_own_pages_open_for_every_person_and_their_objects_for_no_other(route, htmx, here, browser):
    for who in ("stranger", "viewer", "owner"):
        for method in METHODS:
            response = ask(browser(who), method, address(route, here), htmx=htmx)
            if method not in route.access.methods():
                assert response.status_code == 405, told(route, who, method, response)
            elif route.objects:
                assert response.status_code == 404, told(route, who, method, response)
            else:
                assert is_page(response), told(route, who, method, response)


@with_and_without_htmx
@named([route for route in OUTSIDE if route.access.is_staff])
def test_the_operators_pages_are_not_there_for_others(route, htmx, here, browser, people):
    url = address(route, here)
    for method in METHODS:
        response = ask(browser("owner"), method, url, htmx=htmx)
        assert response.status_code == 404, told(route, "owner", method, response)
    people["viewer"].is_staff = True
    people["viewer"].save()
    for method in METHODS:
        response = ask(browser("viewer"), method, url, htmx=htmx, data=body(route, here))
        allowed = method in route.access.methods()
        assert is_page(response) if allowed else response.status_code == 405, told(route, "staff", method, response)


# --- what allauth brings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(FOR_ONESELF))
def test_a_persons_security_pages_need_a_session(name, client, db):
    kwargs = {"pk": 1} if name in ("mfa_remove_webauthn", "mfa_edit_webauthn") else {}
    response = client.get(reverse(name, kwargs=kwargs))
    assert response.status_code == 302
    assert response["Location"].startswith("/login/")
