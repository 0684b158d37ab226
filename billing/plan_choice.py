"""A workspace's plan: choosing another, and from when on it gives what. Knows no balances."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction

from billing.models import Account, Grant, PlanChange
from billing.plans import PLANS, Plan

CHANGES_SHOWN = 10


class PlanRefusedError(Exception):
    """The plan cannot be changed in this way; the sentence says what to do."""


@dataclass(frozen=True, kw_only=True)
class PlanOffer:
    """A plan, and the first days on which it would give its credits if it was chosen now, in the workspace's zone."""

    plan: Plan
    is_current: bool
    daily_from: date
    monthly_from: date


@dataclass(frozen=True, kw_only=True)
class PlanDecision:
    """Who chose which plan when."""

    at: datetime
    by: str
    before: str
    after: str


def offers(*, workspace_id: int, now: datetime) -> list[PlanOffer]:
    """Every plan. What today and this month were given already stays, so a plan begins with what was not given yet."""
    account = Account.objects.select_related("workspace").get(workspace_id=workspace_id)
    today = now.astimezone(ZoneInfo(account.workspace.time_zone)).date()
    daily, monthly = f"daily:{workspace_id}:{today}", f"monthly:{workspace_id}:{today:%Y-%m}"
    given = set(Grant.objects.filter(account=account, key__in=(daily, monthly)).values_list("key", flat=True))
    next_month = (today.replace(day=1) + timedelta(days=32)).replace(day=1)
    return [
        PlanOffer(
            plan=plan,
            is_current=plan.slug == account.plan,
            daily_from=today + timedelta(days=1) if daily in given else today,
            monthly_from=next_month if monthly in given else today,
        )
        for plan in PLANS.values()
    ]


@transaction.atomic
def choose(*, workspace_id: int, plan: str, instead_of: str, by_id: int, now: datetime) -> bool:
    """Put the workspace on another plan; False if it is on that one already.

    :param instead_of: the plan that the person saw, so that nobody's choice is overwritten unseen.
    :raises PlanRefusedError: there is no such plan, or somebody chose another one meanwhile.
    """
    if plan not in PLANS:
        raise PlanRefusedError("There is no such plan. Choose one of those that are shown.")
    account = Account.objects.select_for_update(no_key=True).get(workspace_id=workspace_id)
    if account.plan == plan:
        return False
    if account.plan != instead_of:
        name = PLANS[account.plan].name
        raise PlanRefusedError(f"Somebody chose {name} meanwhile. Look again, then choose.")
    Account.objects.filter(pk=account.pk).update(plan=plan)
    PlanChange.objects.create(account=account, before=account.plan, after=plan, created_by_id=by_id, created_at=now)
    return True


def decisions(*, workspace_id: int) -> list[PlanDecision]:
    """Who chose which plan, newest first, at most 10."""
    rows = PlanChange.objects.filter(account__workspace_id=workspace_id).select_related("created_by").order_by("-pk")
    return [
        PlanDecision(
            at=row.created_at,
            by=row.created_by.display_name,
            before=PLANS[row.before].name,
            after=PLANS[row.after].name,
        )
        for row in rows[:CHANGES_SHOWN]
    ]
