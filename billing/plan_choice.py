"""A workspace's plan: choosing another, from when on it gives what, and which models it pays for."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Q, Sum

from billing.ledger import STANDARD_ONLY, InsufficientCreditsError
from billing.models import Account, Grant, PlanChange
from billing.plans import PLANS, Plan

CHANGES_SHOWN = 10
STANDARD = "standard"


class NotInPlanError(InsufficientCreditsError):
    """A premium model, and neither the plan nor bought credits pay for one; the sentence says which plans do."""


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


def spendable(*, workspace_id: int, tier: str, now: datetime) -> int:
    """Millicredits that pay for a model of this tier now: daily and bonus ones for the tier "standard" only."""
    if tier == STANDARD:
        return Account.objects.values_list("available", flat=True).get(workspace_id=workspace_id)
    live = Grant.objects.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=now), account__workspace_id=workspace_id)
    left: int = live.exclude(kind__in=STANDARD_ONLY).aggregate(left=Sum("available", default=0))["left"]
    return left


def barrier(tier: str, *, workspace_id: int, now: datetime) -> str:
    """Why a workspace may not use models of this tier, and what to do; empty where it may. One or two queries.

    A premium model is for plans that give monthly credits, and for whoever has credits that were bought.
    """
    if tier == STANDARD:
        return ""
    plan = PLANS[Account.objects.values_list("plan", flat=True).get(workspace_id=workspace_id)]
    if plan.includes_premium or spendable(workspace_id=workspace_id, tier=tier, now=now):
        return ""
    return (
        f"Premium models are part of {premium_plans()}; {plan.name} pays for standard ones. "
        "Choose another model, or ask an owner to choose another plan, under Credits, Plan."
    )


def require(tier: str, *, workspace_id: int, now: datetime) -> None:
    """Refuse what the plan does not include.

    :raises NotInPlanError: `barrier` has something to say.
    """
    if sentence := barrier(tier, workspace_id=workspace_id, now=now):
        raise NotInPlanError(sentence)


def premium_plans() -> str:
    """The plans that include premium models: "Go, Pro and Max"."""
    *names, last = [plan.name for plan in PLANS.values() if plan.includes_premium]
    return f"{', '.join(names)} and {last}" if names else last


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
