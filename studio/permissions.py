"""Who may do what: the one table from role to actions, and the lookup that every way in starts with.

The lookup is the check: a stranger learns nothing (404), a member without the right is told so (403).
"""

from enum import StrEnum
from typing import Final

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import Http404

from studio.models import Membership, Role, User


class Action(StrEnum):
    VIEW = "view"
    PRODUCE = "produce"  # import products, write briefs, launch, cancel: whatever may cost credits
    REVIEW = "review"
    MANAGE = "manage"  # members, plan, budgets


ALLOWED: Final = {
    Role.OWNER: frozenset(Action),
    Role.PRODUCER: frozenset({Action.VIEW, Action.PRODUCE}),
    Role.REVIEWER: frozenset({Action.VIEW, Action.REVIEW}),
    Role.VIEWER: frozenset({Action.VIEW}),
}
IN_WORDS: Final = {
    Action.VIEW: "See campaigns, images, reviews and credits",
    Action.PRODUCE: "Import products, write briefs, generate, launch and cancel, which may cost credits",
    Action.REVIEW: "Approve, reject and ask for changes",
    Action.MANAGE: "Invite and remove people, give roles, set budgets, choose the plan, pause and cancel everything, "
    "change the workspace itself",
}


def allows(role: str, action: Action) -> bool:
    """Whether a role includes an action."""
    return action in ALLOWED[Role(role)]


def roles_that(action: Action) -> list[Role]:
    """The roles that include an action."""
    return [role for role, actions in ALLOWED.items() if action in actions]


def in_words(role: str) -> list[str]:
    """What a role may do, a phrase for each action."""
    return [words for action, words in IN_WORDS.items() if allows(role, action)]


def membership_for(*, user: User | AnonymousUser, slug: str, action: Action | None) -> Membership:
    """The membership, with its workspace, of a person who may do this there; any member's where action is None.

    :raises Http404: there is no such workspace, or the person is no member: the two look alike from outside.
    :raises PermissionDenied: a member whose role does not include the action.
    """
    if not user.is_authenticated:
        raise Http404
    membership = Membership.objects.select_related("workspace").filter(workspace__slug=slug, user=user).first()
    if membership is None:
        raise Http404
    if action is not None and not allows(membership.role, action):
        raise PermissionDenied(f"Your role here is {membership.role}, which does not include “{action}”. Ask an owner.")
    return membership
