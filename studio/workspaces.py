"""Making workspaces and finding a person's own: where one lands, what they are called.

Knows nothing about who else is in them; that is studio.members.
"""

import uuid
from collections.abc import Iterator
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from billing import ledger
from studio import embedded
from studio.models import Membership, Role, User, Workspace

TRIES_IN_WORDS = 9  # "harbour-north", then "harbour-north-2" up to 9; after that the number would tell nobody anything


class NameTaken(Exception):
    """The person is in a workspace of this name already; nothing was made."""


@transaction.atomic
def create(*, name: str, owner: User, time_zone: str, now: datetime) -> Workspace:
    """Make a workspace with its account and its first owner.

    :raises NameTaken: the person has one of this name, as after a second click on the button.
    """
    # Two requests of one person wait for each other here.
    User.objects.select_for_update().get(pk=owner.pk)
    if Membership.objects.filter(user=owner, workspace__name__iexact=name).exists():
        raise NameTaken(f"You are in a workspace called “{name}” already. Choose another name, or go to that one.")
    workspace = _with_free_slug(name, time_zone)
    Membership.objects.create(workspace=workspace, user=owner, role=Role.OWNER)
    ledger.open_account(workspace_id=workspace.pk, plan=embedded.DEFAULT_PLAN, now=now)
    return workspace


def _with_free_slug(name: str, time_zone: str) -> Workspace:
    for slug in _slugs(name):
        try:
            with transaction.atomic():
                return Workspace.objects.create(name=name, slug=slug, time_zone=time_zone)
        except IntegrityError:
            continue
    raise AssertionError("unreachable: slugs never run out")


def _slugs(name: str) -> Iterator[str]:
    stem = slugify(name)[:40].strip("-") or "workspace"
    yield stem
    for number in range(2, TRIES_IN_WORDS + 1):
        yield f"{stem}-{number}"
    while True:
        yield f"{stem}-{uuid.uuid4().hex[:8]}"


def enter(*, user: User, workspace: Workspace) -> None:
    """Remember the workspace as the person's last; a query only where it is another one."""
    if user.last_workspace_id != workspace.pk:
        User.objects.filter(pk=user.pk).update(last_workspace=workspace)


def last_used(user: User) -> Workspace | None:
    """The workspace that the person was in last, or any of theirs; None where they are in none."""
    memberships = Membership.objects.filter(user=user).select_related("workspace")
    last = memberships.filter(workspace=user.last_workspace_id).first()
    found = last or memberships.order_by("workspace__name", "pk").first()
    return found.workspace if found else None
