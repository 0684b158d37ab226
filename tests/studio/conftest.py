"""What the pages' tests share: a workspace with a person in each role, a stranger, and a browser for each."""

from collections.abc import Callable

import pytest
from django.test import Client

from billing import ledger
from studio.models import Membership, Role, User, Workspace
from tests.conftest import NOW


@pytest.fixture
def people(workspace: Workspace) -> dict[str, User]:
    """One member in each role, by role, and a stranger with a workspace of their own."""
    people = {}
    for role in Role:
        people[role.value] = User.objects.create(email=f"{role}@example.com")
        Membership.objects.create(workspace=workspace, user=people[role.value], role=role)
    people["stranger"] = User.objects.create(email="stranger@example.com")
    elsewhere = Workspace.objects.create(slug="elsewhere", name="Elsewhere")
    ledger.open_account(workspace_id=elsewhere.pk, plan="self-hosted", now=NOW)
    Membership.objects.create(workspace=elsewhere, user=people["stranger"], role=Role.OWNER)
    return people


@pytest.fixture
def browser(people: dict[str, User]) -> Callable[[str], Client]:
    """A signed-in client by the person's role; "anonymous" for one who is not."""

    def sign_in(who: str) -> Client:
        client = Client()
        if who != "anonymous":
            client.force_login(people[who])
        return client

    return sign_in
