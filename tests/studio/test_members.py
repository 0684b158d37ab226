"""Members and invitations: never a workspace without an owner, every invitation accepted once at most."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connections

from studio import members, workspaces
from studio.members import Refused
from studio.models import Invitation, Membership, Role, User
from tests.conftest import NOW


def membership(people, who: str) -> Membership:
    return Membership.objects.get(user=people[who], workspace__slug="acme")


def invite(workspace, email: str = "new@example.com", role: Role = Role.REVIEWER, now=NOW):
    owner = Membership.objects.filter(workspace=workspace, role=Role.OWNER).first()
    by = owner.user_id if owner else User.objects.create(email="someone@example.com").pk
    return members.invite(workspace_id=workspace.pk, email=email, role=role, by_id=by, now=now)


# --- roles and removal -----------------------------------------------------------------------------------------------


def test_a_member_gets_another_role(people, workspace):
    viewer = membership(people, "viewer")
    members.change_role(workspace_id=workspace.pk, membership_id=viewer.pk, role=Role.PRODUCER)
    assert membership(people, "viewer").role == Role.PRODUCER


def test_the_only_owner_cannot_be_made_anything_else_nor_removed(people, workspace):
    owner = membership(people, "owner")
    with pytest.raises(Refused, match=r"owner@example.com is the only owner of Acme\. Make somebody else an owner"):
        members.change_role(workspace_id=workspace.pk, membership_id=owner.pk, role=Role.VIEWER)
    with pytest.raises(Refused, match="is the only owner of Acme"):
        members.remove(workspace_id=workspace.pk, membership_id=owner.pk)
    assert membership(people, "owner").role == Role.OWNER


def test_an_owner_beside_another_can_go(people, workspace):
    second = membership(people, "viewer")
    members.change_role(workspace_id=workspace.pk, membership_id=second.pk, role=Role.OWNER)
    members.remove(workspace_id=workspace.pk, membership_id=membership(people, "owner").pk)
    assert list(Membership.objects.filter(workspace=workspace, role=Role.OWNER)) == [second]


def test_a_member_of_another_workspace_is_not_reached(people, workspace):
    elsewhere = Membership.objects.get(user=people["stranger"])
    with pytest.raises(Refused, match="not in the workspace any more"):
        members.remove(workspace_id=workspace.pk, membership_id=elsewhere.pk)
    assert Membership.objects.filter(pk=elsewhere.pk).exists()


def at_once(*actions: Callable[[], object]) -> list[str]:
    """Do all of it at the same moment, each in a thread and connection of its own; what was refused comes back."""
    refused = []
    start = threading.Barrier(len(actions))

    def act(action: Callable[[], object]) -> None:
        start.wait()
        try:
            action()
        except Refused as refusal:
            refused.append(str(refusal))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=act, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return refused


def test_two_owners_who_remove_each_other_at_once_leave_one(transactional_db, make_workspace):
    workspace = make_workspace()
    pair = [
        Membership.objects.create(
            workspace=workspace, user=User.objects.create(email=f"{name}@example.com"), role=Role.OWNER
        )
        for name in ("anna", "bea")
    ]
    refused = at_once(
        lambda: members.remove(workspace_id=workspace.pk, membership_id=pair[0].pk),
        lambda: members.change_role(workspace_id=workspace.pk, membership_id=pair[1].pk, role=Role.VIEWER),
    )
    assert len(refused) == 1
    assert "is the only owner" in refused[0]
    assert Membership.objects.filter(workspace=workspace, role=Role.OWNER).count() == 1


# --- invitations -----------------------------------------------------------------------------------------------------


def test_an_invited_person_becomes_a_member_in_the_role(people, workspace):
    found = members.find(token=invite(workspace).token, now=NOW)
    accepted = members.accept(invitation=found, user=people["stranger"], now=NOW)
    assert (accepted.workspace, accepted.role) == (workspace, Role.REVIEWER)
    people["stranger"].refresh_from_db()
    assert workspaces.last_used(people["stranger"]) == workspace


def test_only_the_hash_of_a_token_is_stored(people, workspace):
    invited = invite(workspace)
    stored = Invitation.objects.filter(pk=invited.invitation.pk).values().get()
    assert len(invited.token) >= 43
    assert all(invited.token not in str(value) for value in stored.values())


def test_an_invitation_is_accepted_once(people, workspace):
    invited = invite(workspace)
    members.accept(invitation=members.find(token=invited.token, now=NOW), user=people["stranger"], now=NOW)
    with pytest.raises(Refused, match="was accepted already"):
        members.find(token=invited.token, now=NOW)
    late = User.objects.create(email="late@example.com")
    with pytest.raises(Refused, match="accepted or withdrawn meanwhile"):
        members.accept(invitation=invited.invitation, user=late, now=NOW)
    assert not Membership.objects.filter(user=late).exists()


def test_two_people_who_accept_one_invitation_at_once_are_one_member(transactional_db, make_workspace):
    workspace = make_workspace()
    invited = invite(workspace).invitation
    pair = [User.objects.create(email=f"{name}@example.com") for name in ("anna", "bea")]
    refused = at_once(*(lambda p=p: members.accept(invitation=invited, user=p, now=NOW) for p in pair))
    assert len(refused) == 1
    assert Membership.objects.filter(workspace=workspace).count() == 1


def test_an_invitation_runs_out(people, workspace):
    invited = invite(workspace)
    late = NOW + members.VALID_FOR
    members.find(token=invited.token, now=late - timedelta(seconds=1))
    with pytest.raises(Refused, match="ran out"):
        members.find(token=invited.token, now=late)
    with pytest.raises(Refused, match="meanwhile"):
        members.accept(invitation=invited.invitation, user=people["stranger"], now=late)


def test_a_withdrawn_invitation_is_over(people, workspace):
    invited = invite(workspace)
    members.revoke(workspace_id=workspace.pk, invitation_id=invited.invitation.pk, now=NOW)
    with pytest.raises(Refused, match="was withdrawn"):
        members.find(token=invited.token, now=NOW)
    with pytest.raises(Refused, match="meanwhile"):
        members.revoke(workspace_id=workspace.pk, invitation_id=invited.invitation.pk, now=NOW)
    assert not members.pending(workspace.pk).exists()


def test_sending_again_ends_the_link_sent_before_and_starts_the_time_anew(people, workspace):
    first = invite(workspace)
    later = NOW + timedelta(days=10)
    second = members.renew(workspace_id=workspace.pk, invitation_id=first.invitation.pk, now=later)
    with pytest.raises(Refused, match="leads to no invitation"):
        members.find(token=first.token, now=later)
    assert members.find(token=second.token, now=later + members.VALID_FOR - timedelta(seconds=1)) == first.invitation
    with pytest.raises(Refused, match="meanwhile"):
        members.accept(invitation=first.invitation, user=people["stranger"], now=later)


def test_a_second_click_on_invite_makes_no_second_invitation(people, workspace):
    invite(workspace)
    with pytest.raises(Refused, match="is invited already"):
        invite(workspace, email="New@Example.com")
    assert members.pending(workspace.pk).count() == 1


def test_one_that_ran_out_is_replaced(people, workspace):
    invite(workspace)
    again = invite(workspace, role=Role.PRODUCER, now=NOW + members.VALID_FOR)
    assert list(members.pending(workspace.pk)) == [again.invitation]


def test_a_member_is_not_invited_again_in_whatever_case_the_address_is_typed(people, workspace):
    with pytest.raises(Refused, match=r"viewer@example.com is in Acme already"):
        invite(workspace, email="Viewer@Example.com")


def test_a_member_does_not_use_up_somebody_elses_invitation(people, workspace):
    invited = invite(workspace)
    with pytest.raises(Refused, match=r"You are in Acme already; new@example.com can still use"):
        members.accept(invitation=invited.invitation, user=people["viewer"], now=NOW)
    assert members.find(token=invited.token, now=NOW)
    assert membership(people, "viewer").role == Role.VIEWER


def test_an_invitation_of_another_workspace_is_not_reached(people, workspace, make_workspace):
    invited = invite(make_workspace("other"))
    with pytest.raises(Refused):
        members.revoke(workspace_id=workspace.pk, invitation_id=invited.invitation.pk, now=NOW)
    with pytest.raises(Refused):
        members.renew(workspace_id=workspace.pk, invitation_id=invited.invitation.pk, now=NOW)
