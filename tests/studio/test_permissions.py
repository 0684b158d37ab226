"""Who may do what, and what a stranger can find out."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.http import Http404

from studio.models import Membership, Role
from studio.permissions import ALLOWED, Action, allows, membership_for

MAY = {
    "owner": {"view", "produce", "review", "manage"},
    "producer": {"view", "produce"},
    "reviewer": {"view", "review"},
    "viewer": {"view"},
}


@pytest.mark.parametrize("role", Role)
def test_each_role_includes_exactly_its_actions(role):
    assert {action.value for action in Action if allows(role, action)} == MAY[role]


def test_owners_may_all_that_anybody_may_and_everybody_may_view():
    assert set(ALLOWED) == set(Role)
    assert ALLOWED[Role.OWNER] == set(Action)
    assert all(Action.VIEW in actions for actions in ALLOWED.values())


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("role", Role)
def test_a_member_gets_the_workspace_where_the_role_includes_the_action_and_is_told_where_not(
    people, workspace, role, action
):
    if action.value in MAY[role]:
        assert membership_for(user=people[role], slug="acme", action=action).workspace == workspace
    else:
        with pytest.raises(PermissionDenied, match=f"Your role here is {role}, which does not include “{action}”"):
            membership_for(user=people[role], slug="acme", action=action)


@pytest.mark.parametrize("action", Action)
def test_a_stranger_cannot_tell_a_workspace_from_none(people, action):
    messages = set()
    for slug in ("acme", "there-is-none"):
        with pytest.raises(Http404) as refusal:
            membership_for(user=people["stranger"], slug=slug, action=action)
        messages.add(str(refusal.value))
    assert len(messages) == 1


def test_nobody_finds_nothing(workspace):
    with pytest.raises(Http404):
        membership_for(user=AnonymousUser(), slug="acme", action=Action.VIEW)


def test_a_removed_member_is_a_stranger_again(people):
    Membership.objects.filter(user=people["owner"]).delete()
    with pytest.raises(Http404):
        membership_for(user=people["owner"], slug="acme", action=Action.VIEW)


def test_a_person_has_one_role_in_a_workspace(people, workspace):
    with pytest.raises(IntegrityError), transaction.atomic():
        Membership.objects.create(workspace=workspace, user=people["owner"], role=Role.PRODUCER)


def test_an_unknown_role_is_refused_by_the_database(people, workspace):
    with pytest.raises(IntegrityError, match="membership_role_known"), transaction.atomic():
        Membership.objects.create(workspace=workspace, user=people["stranger"], role="emperor")
