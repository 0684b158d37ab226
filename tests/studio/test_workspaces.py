"""Making workspaces, and which one a person lands in."""

import pytest

from billing import ledger
from studio import workspaces
from studio.models import Membership, Role, User, Workspace
from studio.workspaces import NameTaken
from tests.conftest import NOW


@pytest.fixture
def anna(db) -> User:
    return User.objects.create(email="anna@example.com")


def make(owner: User, name: str) -> Workspace:
    return workspaces.create(name=name, owner=owner, time_zone="Europe/Berlin", now=NOW)


def test_a_new_workspace_has_its_maker_as_owner_and_credits(anna):
    made = make(anna, "Harbour North")
    assert (made.slug, made.time_zone) == ("harbour-north", "Europe/Berlin")
    assert Membership.objects.get(workspace=made).role == Role.OWNER
    assert ledger.balance(workspace_id=made.pk).available == 20_200_000


def test_names_that_give_the_same_slug_get_slugs_of_their_own(db):
    slugs = [make(User.objects.create(email=f"{n}@example.com"), "Acme!").slug for n in range(11)]
    assert slugs[:9] == ["acme", *(f"acme-{n}" for n in range(2, 10))]
    assert len(set(slugs)) == 11


@pytest.mark.parametrize("name", ["東京", "!!!", "x" * 80, "ab " * 26])
def test_any_name_gets_an_address(anna, client, name):
    made = make(anna, name)
    client.force_login(anna)
    assert client.get(f"/w/{made.slug}/").status_code == 200


def test_a_second_click_makes_no_second_workspace(anna):
    make(anna, "Acme")
    with pytest.raises(NameTaken, match="You are in a workspace called “acme” already"):
        make(anna, "acme")
    assert Workspace.objects.count() == 1


def test_home_leads_to_the_workspace_one_was_in_last(anna, client):
    first, second = make(anna, "First"), make(anna, "Second")
    client.force_login(anna)
    assert client.get("/")["Location"] == f"/w/{first.slug}/"
    for one in (second, first, second):
        client.get(f"/w/{one.slug}/")
        assert client.get("/")["Location"] == f"/w/{one.slug}/"


def test_home_leads_to_another_one_after_the_last_was_left(anna, client):
    first, second = make(anna, "First"), make(anna, "Second")
    client.force_login(anna)
    client.get(f"/w/{second.slug}/")
    Membership.objects.get(workspace=second).delete()
    assert client.get("/")["Location"] == f"/w/{first.slug}/"


def test_people_are_told_apart_without_user_names_and_addresses_are_kept_small(db):
    pair = [User.objects.create(email=email) for email in ("Bea@Example.com", "carl@example.com")]
    assert pair[0].email == "bea@example.com"
    assert pair[0].username != pair[1].username
