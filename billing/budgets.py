"""Ceilings on what is held and spent: of the workspace's month, of a campaign. Knows no buckets and no balances.

A budget is checked when a hold opens, by one conditional UPDATE; owners raise it or allow an excess, on the record.
Whoever locks several budgets locks them by id, and all of them before the account.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import F, Q

from billing.amounts import credits_text
from billing.models import Account, Budget, BudgetChange, BudgetChangeKind, BudgetScope, BudgetUse, Hold

CHANGES_SHOWN = 20
BUDGETS_SHOWN = 100
_SIGNED_64_BITS = 2**63


class OverBudgetError(Exception):
    """A hold would pass a budget, counting what is held and spent already."""


class BudgetRefusedError(Exception):
    """A budget cannot be changed in this way; the sentence says what to do."""


@dataclass(frozen=True, kw_only=True)
class BudgetState:
    """A budget as it stands, in millicredits. ``amount`` None: no ceiling. ``id`` None: nothing was held in it yet."""

    id: int | None
    scope: str
    name: str
    amount: int | None
    excess: int
    held: int
    spent: int
    month_date: date | None = None

    @property
    def used(self) -> int:
        """What is held and spent."""
        return self.held + self.spent

    @property
    def ceiling(self) -> int | None:
        """The most that may be held and spent; None: no limit."""
        return None if self.amount is None else self.amount + self.excess

    @property
    def left(self) -> int | None:
        """What may still be held; None: no limit."""
        return None if self.ceiling is None else self.ceiling - self.used

    def refusal(self, amount: int) -> str:
        """Why a hold of so many millicredits would pass the ceiling, and what to do; empty while it would not."""
        if self.left is None or amount <= self.left:
            return ""
        left = f"has {credits_text(self.left)} left of {credits_text(self.ceiling or 0)}"
        if self.scope == BudgetScope.WORKSPACE:
            return (
                f"This needs {credits_text(amount)} credits, and the workspace's budget for {self.name} {left}. "
                "Ask for fewer images, or ask an owner to raise it or to allow more this month, under Credits, Budgets."
            )
        return (
            f"This needs {credits_text(amount)} credits, and the budget of “{self.name}” {left}. "
            "Ask for fewer images, or ask an owner to raise it, under Credits, Budgets."
        )

    @property
    def percent(self) -> int:
        """How much of the ceiling is held and spent, 0 without one."""
        return self.used * 100 // self.ceiling if self.ceiling else 0


@dataclass(frozen=True, kw_only=True)
class Decision:
    """An owner's decision on a budget: its ceiling, or its excess, before and after, in millicredits."""

    at: datetime
    by: str
    budget: str
    kind: str
    before: int | None
    after: int | None


def open_budget(*, workspace_id: int, name: str, amount: int) -> int:
    """Open a ceiling for a campaign and return its id. Amount in millicredits, above 0."""
    account = Account.objects.get(workspace_id=workspace_id)
    return Budget.objects.create(account=account, name=name, amount=amount).pk


def of_holds(account: Account, *, budget_id: int | None, now: datetime) -> list[int]:
    """The ids of the budgets in which a hold opened now counts: the workspace's month's, and the one that is named.

    :param account: with its workspace.
    :raises Budget.DoesNotExist: this workspace has no budget of that id.
    """
    found = [_of_month(account, now=now).pk]
    if budget_id is not None:
        found.append(Budget.objects.get(pk=budget_id, account=account, scope=BudgetScope.CAMPAIGN).pk)
    return sorted(found)


def take(budget_ids: Sequence[int], *, total: int) -> list[BudgetUse]:
    """Let a hold of ``total`` millicredits count in these budgets, all or none, in the caller's transaction.

    :param budget_ids: in ascending order.
    :returns: where each stands afterwards, to be saved with the hold.
    :raises OverBudgetError: held + spent + total would pass one of them.
    """
    uses = []
    for pk in budget_ids:
        has_room = Q(amount__isnull=True) | Q(amount__gte=F("held") + F("spent") + total - F("excess"))
        taken = Budget.objects.filter(has_room, pk=pk).update(held=F("held") + total)
        budget = Budget.objects.get(pk=pk)
        if not taken:
            raise OverBudgetError(_state(budget).refusal(total))
        uses.append(BudgetUse(budget=budget, used=budget.used, ceiling=budget.ceiling))
    return uses


def move(hold: Hold, *, held: int, spent: int) -> None:
    """Add to what the budgets of a hold have held and spent; the hold's row is locked, its account is not yet."""
    for pk in BudgetUse.objects.filter(hold=hold).order_by("budget").values_list("budget", flat=True):
        Budget.objects.filter(pk=pk).update(held=F("held") + held, spent=F("spent") + spent)


def set_month_ceiling(*, workspace_id: int, amount: int | None, key: str, by_id: int, now: datetime) -> bool:
    """Give the workspace a ceiling for this month and those that follow; what was allowed above the old one ends.

    :param amount: millicredits, above 0; None for no ceiling.
    :param key: made with the form; False if it was used before, and nothing changes.
    :raises BudgetRefusedError: more than that is held and spent this month.
    """
    account = Account.objects.select_related("workspace").get(workspace_id=workspace_id)
    with transaction.atomic():
        return _set_ceiling(_of_month(account, now=now), amount, key=key, by_id=by_id, now=now)


def set_campaign_ceiling(
    *, workspace_id: int, budget_id: int, amount: int, key: str, by_id: int, now: datetime
) -> bool:
    """Give a campaign's budget another ceiling, in millicredits.

    :param key: made with the form; False if it was used before, and nothing changes.
    :raises BudgetRefusedError: more than that is held and spent already.
    :raises Budget.DoesNotExist: this workspace has no such campaign's budget.
    """
    budget = Budget.objects.get(pk=budget_id, account__workspace_id=workspace_id, scope=BudgetScope.CAMPAIGN)
    return _set_ceiling(budget, amount, key=key, by_id=by_id, now=now)


@transaction.atomic
def allow_more(*, workspace_id: int, amount: int, key: str, by_id: int, now: datetime) -> bool:
    """Let this month pass its ceiling by so many more millicredits, this once.

    :param key: made with the form; False if it was used before, and nothing changes.
    :raises BudgetRefusedError: there is no ceiling to pass.
    """
    _check(amount)
    account = Account.objects.select_related("workspace").get(workspace_id=workspace_id)
    budget = _locked(_of_month(account, now=now).pk)
    if _is_known(budget, key):
        return False
    if budget.amount is None:
        raise BudgetRefusedError("This month has no ceiling, so there is nothing to allow above it.")
    after = budget.excess + amount
    Budget.objects.filter(pk=budget.pk).update(excess=after)
    _note(budget, BudgetChangeKind.EXCESS, (budget.excess, after), key=key, by_id=by_id, now=now)
    return True


def month(*, workspace_id: int, now: datetime) -> BudgetState:
    """The workspace's budget of the present month, as it stands; looking makes no row."""
    account = Account.objects.select_related("workspace").get(workspace_id=workspace_id)
    first = _first_of_month(account, now)
    found = Budget.objects.filter(account=account, scope=BudgetScope.WORKSPACE, month_date=first).first()
    return _state(found or Budget(**_new_month(account, first)))


def campaigns(*, workspace_id: int) -> list[BudgetState]:
    """The campaigns' budgets, newest first, at most 100."""
    rows = Budget.objects.filter(account__workspace_id=workspace_id, scope=BudgetScope.CAMPAIGN).order_by("-pk")
    return [_state(budget) for budget in rows[:BUDGETS_SHOWN]]


def decisions(*, workspace_id: int) -> list[Decision]:
    """What owners decided last, newest first, at most 20."""
    rows = BudgetChange.objects.filter(account__workspace_id=workspace_id).select_related("budget", "created_by")
    return [
        Decision(
            at=row.created_at,
            by=row.created_by.display_name,
            budget=row.budget.name,
            kind=row.kind,
            before=row.before,
            after=row.after,
        )
        for row in rows.order_by("-pk")[:CHANGES_SHOWN]
    ]


def _state(budget: Budget) -> BudgetState:
    return BudgetState(
        id=budget.pk,
        scope=budget.scope,
        name=budget.name,
        amount=budget.amount,
        excess=budget.excess,
        held=budget.held,
        spent=budget.spent,
        month_date=budget.month_date,
    )


def _first_of_month(account: Account, now: datetime) -> date:
    return now.astimezone(ZoneInfo(account.workspace.time_zone)).date().replace(day=1)


def _of_month(account: Account, *, now: datetime) -> Budget:
    first = _first_of_month(account, now)
    found = Budget.objects.filter(account=account, scope=BudgetScope.WORKSPACE, month_date=first).first()
    if found:
        return found
    new = _new_month(account, first)
    return Budget.objects.get_or_create(account=account, scope=new.pop("scope"), month_date=first, defaults=new)[0]


def _new_month(account: Account, first: date) -> dict[str, object]:
    """A month begins with the ceiling that was set last, and with nothing allowed above it."""
    set_last = BudgetChange.objects.filter(
        account=account, kind=BudgetChangeKind.CEILING, budget__scope=BudgetScope.WORKSPACE
    ).order_by("-pk")
    return {
        "account": account,
        "scope": BudgetScope.WORKSPACE,
        "name": f"{first:%B %Y}",
        "month_date": first,
        "amount": set_last.values_list("after", flat=True).first(),
    }


@transaction.atomic
def _set_ceiling(named: Budget, amount: int | None, *, key: str, by_id: int, now: datetime) -> bool:
    if amount is not None:
        _check(amount)
    budget = _locked(named.pk)
    if _is_known(budget, key):
        return False
    if amount is not None and amount < budget.used:
        raise BudgetRefusedError(
            f"{credits_text(budget.used)} credits of {budget.name} are held or spent already. Set at least that many."
        )
    Budget.objects.filter(pk=budget.pk).update(amount=amount, excess=0)
    _note(budget, BudgetChangeKind.CEILING, (budget.amount, amount), key=key, by_id=by_id, now=now)
    return True


def _check(amount: int) -> None:
    if not 0 < amount < _SIGNED_64_BITS:
        raise BudgetRefusedError("A budget is a number of credits above 0.")


def _locked(pk: int) -> Budget:
    # Changes of a budget wait for one another here; new rows may still refer to it.
    return Budget.objects.select_for_update(no_key=True).get(pk=pk)


def _is_known(budget: Budget, key: str) -> bool:
    return BudgetChange.objects.filter(account=budget.account_id, key=key).exists()


def _note(
    budget: Budget,
    kind: BudgetChangeKind,
    figures: tuple[int | None, int | None],
    *,
    key: str,
    by_id: int,
    now: datetime,
) -> None:
    before, after = figures
    BudgetChange.objects.create(
        account_id=budget.account_id,
        budget=budget,
        key=key,
        kind=kind,
        before=before,
        after=after,
        created_by_id=by_id,
        created_at=now,
    )
