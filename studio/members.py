"""Who is in a workspace: roles, removal, invitations. A workspace is never without an owner, whoever acts at once.

Knows neither pages nor mail: the token of an invitation is handed to the caller once, and only its hash is kept.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import QuerySet

from studio.models import Invitation, Membership, Role, User, Workspace

VALID_FOR: Final = timedelta(days=14)


class Refused(Exception):
    """What was asked cannot be done; the sentence says why, and nothing was changed."""


@dataclass(frozen=True, kw_only=True)
class Invited:
    """An invitation and its token, which is nowhere else."""

    invitation: Invitation
    token: str


# --- members ----------------------------------------------------------------------------------------------------------


@transaction.atomic
def change_role(*, workspace_id: int, membership_id: int, role: Role) -> Membership:
    """Give a member another role.

    :raises Refused: the workspace would be left without an owner, or the person is no member any more.
    """
    membership = _locked(workspace_id, membership_id)
    if role != Role.OWNER:
        _keep_an_owner(membership)
    membership.role = role
    membership.save(update_fields=["role"])
    return membership


@transaction.atomic
def remove(*, workspace_id: int, membership_id: int) -> None:
    """End a membership, by an owner or by the member; what the person made stays.

    :raises Refused: the workspace would be left without an owner, or the person is no member any more.
    """
    membership = _locked(workspace_id, membership_id)
    _keep_an_owner(membership)
    membership.delete()


def _locked(workspace_id: int, membership_id: int) -> Membership:
    """The membership, read after every other change to this workspace's members is done."""
    _lock(workspace_id)
    memberships = Membership.objects.select_related("user", "workspace")
    found = memberships.filter(workspace=workspace_id, pk=membership_id).first()
    if found is None:
        raise Refused("This person is not in the workspace any more.")
    return found


def _lock(workspace_id: int) -> Workspace:
    return Workspace.objects.select_for_update().get(pk=workspace_id)


def _keep_an_owner(membership: Membership) -> None:
    others = Membership.objects.filter(workspace=membership.workspace_id, role=Role.OWNER).exclude(pk=membership.pk)
    if membership.role == Role.OWNER and not others.exists():
        name = membership.user.display_name
        raise Refused(f"{name} is the only owner of {membership.workspace.name}. Make somebody else an owner first.")


# --- invitations ------------------------------------------------------------------------------------------------------


@transaction.atomic
def invite(*, workspace_id: int, email: str, role: Role, by_id: int, now: datetime) -> Invited:
    """Invite an address in a role. An invitation to it that has run out is replaced.

    :raises Refused: the address belongs to a member, or has an invitation that still stands.
    """
    email = email.lower()
    workspace = _lock(workspace_id)
    if Membership.objects.filter(workspace=workspace_id, user__email__iexact=email).exists():
        raise Refused(f"{email} is in {workspace.name} already. Change the role in the list below.")
    open_ones = Invitation.objects.filter(workspace=workspace_id, email=email, accepted_at=None, revoked_at=None)
    if open_ones.filter(expires_at__gt=now).exists():
        raise Refused(f"{email} is invited already. Send the link again, or withdraw it, in the list below.")
    open_ones.update(revoked_at=now)
    token = secrets.token_urlsafe(32)
    invitation = Invitation.objects.create(
        workspace=workspace,
        email=email,
        role=role,
        token_hash=_hash(token),
        invited_by_id=by_id,
        created_at=now,
        sent_at=now,
        expires_at=now + VALID_FOR,
    )
    return Invited(invitation=invitation, token=token)


def renew(*, workspace_id: int, invitation_id: int, now: datetime) -> Invited:
    """Give an open invitation a new token and its full time; the link sent before ends.

    :raises Refused: it was accepted or withdrawn meanwhile.
    """
    token = secrets.token_urlsafe(32)
    renewed = _open(workspace_id, invitation_id).update(
        token_hash=_hash(token), sent_at=now, expires_at=now + VALID_FOR
    )
    if not renewed:
        raise Refused("This invitation was accepted or withdrawn meanwhile.")
    invitation = Invitation.objects.select_related("workspace", "invited_by").get(pk=invitation_id)
    return Invited(invitation=invitation, token=token)


def revoke(*, workspace_id: int, invitation_id: int, now: datetime) -> None:
    """Withdraw an open invitation: its link ends.

    :raises Refused: it was accepted or withdrawn meanwhile.
    """
    if not _open(workspace_id, invitation_id).update(revoked_at=now):
        raise Refused("This invitation was accepted or withdrawn meanwhile.")


def pending(workspace_id: int) -> QuerySet[Invitation]:
    """Invitations that were neither accepted nor withdrawn, also those that ran out; the newest first."""
    found = Invitation.objects.filter(workspace=workspace_id, accepted_at=None, revoked_at=None)
    return found.select_related("invited_by").order_by("-sent_at", "-pk")


def waiting_for(*, emails: list[str], now: datetime) -> QuerySet[Invitation]:
    """Invitations that stand open for these addresses, which must have been confirmed as the person's own."""
    found = Invitation.objects.filter(email__in=emails, accepted_at=None, revoked_at=None, expires_at__gt=now)
    return found.select_related("workspace", "invited_by").order_by("-sent_at", "-pk")


def find(*, token: str, now: datetime) -> Invitation:
    """The invitation that a link leads to.

    :raises Refused: there is none, or it was accepted, was withdrawn or ran out.
    """
    found = Invitation.objects.select_related("workspace", "invited_by").filter(token_hash=_hash(token)).first()
    if found is None:
        raise Refused("This link leads to no invitation. A newer one may have been sent to you since.")
    if found.accepted_at:
        raise Refused(f"This invitation to {found.workspace.name} was accepted already. A link works once.")
    if found.revoked_at:
        raise Refused(f"This invitation to {found.workspace.name} was withdrawn. Ask an owner there for another.")
    if found.expires_at <= now:
        raise Refused(f"This invitation to {found.workspace.name} ran out. Ask an owner there for another.")
    return found


def is_open(*, token_hash: str, now: datetime) -> bool:
    """Whether an invitation with this hash still stands."""
    found = Invitation.objects.filter(token_hash=token_hash, accepted_at=None, revoked_at=None, expires_at__gt=now)
    return found.exists()


@transaction.atomic
def accept(*, invitation: Invitation, user: User, now: datetime) -> Membership:
    """Make the person a member in the invitation's role, once.

    :raises Refused: the person is a member already, or the invitation was used, withdrawn or ran out meanwhile.
    """
    workspace = _lock(invitation.workspace_id)
    if Membership.objects.filter(workspace=workspace, user=user).exists():
        raise Refused(f"You are in {workspace.name} already; {invitation.email} can still use this invitation.")
    standing = _open(invitation.workspace_id, invitation.pk).filter(
        token_hash=invitation.token_hash, expires_at__gt=now
    )
    if not standing.update(accepted_at=now, accepted_by=user):
        raise Refused("This invitation was accepted or withdrawn meanwhile. Ask an owner for another.")
    User.objects.filter(pk=user.pk).update(last_workspace=workspace)
    return Membership.objects.create(workspace=workspace, user=user, role=invitation.role)


def _open(workspace_id: int, invitation_id: int) -> QuerySet[Invitation]:
    return Invitation.objects.filter(workspace=workspace_id, pk=invitation_id, accepted_at=None, revoked_at=None)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
