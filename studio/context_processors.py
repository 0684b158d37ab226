"""What every page's frame shows: the workspace one is in, what one may do there, the balance, the other workspaces.

All of it is looked up only when a template asks.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from billing import clock, ledger
from billing.ledger import Balance
from inference import workloads
from studio import notifications
from studio.models import Membership
from studio.permissions import Action, allows


@dataclass(frozen=True)
class May:
    """What the member may do in this workspace, for templates: a button that would be refused is not offered."""

    produce: bool
    review: bool
    manage: bool


def shell(request: HttpRequest) -> dict[str, object]:
    """The frame's variables; inside: ``workspace``, ``membership``, ``may``, ``balance``, ``pause`` and ``unread``."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {}
    others = Membership.objects.filter(user=user.pk).select_related("workspace").order_by("workspace__name")
    context: dict[str, object] = {"memberships": others}
    membership: Membership | None = getattr(request, "membership", None) or _last(others, user.last_workspace_id)
    if membership is not None:
        context |= {
            "workspace": membership.workspace,
            "membership": membership,
            "may": May(*(allows(membership.role, action) for action in (Action.PRODUCE, Action.REVIEW, Action.MANAGE))),
            "balance": SimpleLazyObject(_balance_of(membership.workspace_id)),
            "pause": SimpleLazyObject(lambda: workloads.pause_of(membership.workspace_id)),
            "unread": SimpleLazyObject(lambda: notifications.unread(membership)),
        }
    return context


def _last(own: Iterable[Membership], workspace_id: int | None) -> Membership | None:
    """On pages outside of workspaces the frame stays that of the workspace one was in last, or of any of one's own."""
    return min(own, key=lambda membership: membership.workspace_id != workspace_id, default=None)


def _balance_of(workspace_id: int) -> Callable[[], Balance]:
    # Who looks in the morning sees the day's credits, not only who spends.
    return lambda: ledger.top_up(workspace_id=workspace_id, now=clock.now())
