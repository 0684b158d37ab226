"""Any order of ledger moves, refunds, expiries and owners' decisions leaves it where a much simpler model stands."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from billing import audit, budgets, ledger
from billing.budgets import BudgetRefusedError
from billing.ledger import (
    AlreadyResolvedError,
    InsufficientCreditsError,
    NotSettledError,
    OverBudgetError,
    Settlement,
)
from billing.models import Budget, BudgetScope, Grant, GrantKind, HoldLine
from billing.plans import PLANS, Plan
from studio.models import User, Workspace
from tests import machines
from tests.conftest import NOW

BUDGET = 40
AMOUNTS = st.lists(st.integers(0, 9), min_size=1, max_size=4)


@dataclass(eq=False)
class Bucket:
    key: str
    kind: GrantKind
    expires_at: datetime | None
    available: int
    held: int = 0
    spent: int = 0
    expired: int = 0

    def is_live(self, now: datetime) -> bool:
        return self.expires_at is None or self.expires_at > now

    @property
    def figures(self) -> tuple[int, int, int, int]:
        return self.available, self.held, self.spent, self.expired


@dataclass(eq=False)
class Line:
    pk: int
    amount: int
    hold: "HeldModel"
    is_resolved: bool = False
    captured: int = 0
    refund_key: str = ""


@dataclass(eq=False)
class HeldModel:
    """What of a hold is left and what was captured in which bucket, soonest to expire first."""

    parts: list[tuple[Bucket, int]]
    captured: list[tuple[Bucket, int]] = field(default_factory=list)
    is_budgeted: bool = False
    month: "MonthModel | None" = None
    lines: list[Line] = field(default_factory=list)

    def take(self, amount: int, *, from_the_end: bool) -> list[tuple[Bucket, int]]:
        taken = []
        for bucket, left in reversed(self.parts) if from_the_end else list(self.parts):
            part = min(left, amount)
            amount -= part
            taken.append((bucket, part))
        by_bucket = dict(taken)
        self.parts = [(bucket, left - by_bucket[bucket]) for bucket, left in self.parts]
        return taken


@dataclass(eq=False)
class MonthModel:
    """The workspace's budget of one month."""

    amount: int | None
    excess: int = 0
    held: int = 0
    spent: int = 0

    def has_room(self, amount: int) -> bool:
        return self.amount is None or self.held + self.spent + amount <= self.amount + self.excess

    @property
    def figures(self) -> tuple[int | None, int, int, int]:
        return self.amount, self.excess, self.held, self.spent


class LedgerMachine(machines.CountedMachine):
    """One workspace on a plan that grants nothing by itself, with one budget. Amounts in millicredits."""

    audit = staticmethod(audit.broken_invariants)

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.buckets: list[Bucket] = []
        self.lines: list[Line] = []
        self.holds = 0
        self.budget_held = self.budget_spent = 0
        self.months: dict[str, MonthModel] = {}
        self.month_ceiling: int | None = None
        self.forms = 0
        self.owner = User.objects.create(email="owner@example.com")
        self.workspace = Workspace.objects.create(slug="any", name="Any")
        ledger.open_account(workspace_id=self.workspace.pk, plan="bare", now=self.now)
        self.budget_id = ledger.open_budget(workspace_id=self.workspace.pk, name="Any", amount=BUDGET)

    @rule(kind=st.sampled_from(GrantKind), amount=st.integers(1, 20), days=st.sampled_from([None, 1, 2, 3, 40]))
    def grant(self, kind: GrantKind, amount: int, days: int | None) -> None:
        expires_at = None if days is None else self.now + timedelta(days=days)
        bucket = Bucket(f"grant {len(self.buckets)}", kind, expires_at, amount)
        for is_new in (True, False):
            granted = ledger.grant(
                workspace_id=self.workspace.pk,
                kind=kind,
                amount=amount,
                key=bucket.key,
                expires_at=expires_at,
                now=self.now,
            )
            assert granted is is_new
        self.buckets.append(bucket)

    @rule(amounts=AMOUNTS, tier=st.sampled_from(["standard", "standard", "premium"]), is_budgeted=st.booleans())
    def hold(self, amounts: list[int], tier: str, is_budgeted: bool) -> None:
        total = sum(amounts)
        month = self._month()
        if not month.has_room(total):
            with pytest.raises(OverBudgetError):
                self._hold(amounts, tier, is_budgeted)
            return
        if is_budgeted and self.budget_held + self.budget_spent + total > BUDGET:
            with pytest.raises(OverBudgetError):
                self._hold(amounts, tier, is_budgeted)
            return
        usable = [
            bucket
            for bucket in self.buckets
            if bucket.is_live(self.now) and (tier == "standard" or bucket.kind not in ("daily", "bonus"))
        ]
        if sum(bucket.available for bucket in usable) < total:
            with pytest.raises(InsufficientCreditsError):
                self._hold(amounts, tier, is_budgeted)
            return
        held = self._hold(amounts, tier, is_budgeted)
        model = HeldModel(parts=[], is_budgeted=is_budgeted, month=month)
        # A refused hold makes no row either.
        self.months[self._month_name()] = month
        month.held += total
        for bucket in sorted(usable, key=self._expiry):
            part = min(total, bucket.available)
            total -= part
            bucket.available -= part
            bucket.held += part
            model.parts.append((bucket, part))
        self.budget_held += sum(amounts) if is_budgeted else 0
        ids = held.lines.order_by("position").values_list("pk", flat=True)
        self.lines += [Line(pk, amount, model) for pk, amount in zip(ids, amounts, strict=True)]

    def _hold(self, amounts: list[int], tier: str, is_budgeted: bool):
        self.holds += 1
        return ledger.hold(
            workspace_id=self.workspace.pk,
            key=f"hold {self.holds}",
            amounts=amounts,
            tier=tier,
            now=self.now,
            budget_id=self.budget_id if is_budgeted else None,
        )

    def _month_name(self) -> str:
        return f"{self.now:%B %Y}"

    def _month(self) -> MonthModel:
        return self.months.get(self._month_name()) or MonthModel(amount=self.month_ceiling)

    @rule(amount=st.sampled_from([None, 1, 20, 40, 60]))
    def set_the_months_ceiling(self, amount: int | None) -> None:
        month = self._month()
        if amount is not None and amount < month.held + month.spent:
            with pytest.raises(BudgetRefusedError):
                self._decide(budgets.set_month_ceiling, amount)
            return
        self._decide(budgets.set_month_ceiling, amount)
        self.months[self._month_name()] = month
        self.month_ceiling = month.amount = amount
        month.excess = 0

    @rule(amount=st.integers(1, 9))
    def allow_more_this_month(self, amount: int) -> None:
        month = self._month()
        if month.amount is None:
            with pytest.raises(BudgetRefusedError):
                self._decide(budgets.allow_more, amount)
            return
        self._decide(budgets.allow_more, amount)
        self.months[self._month_name()] = month
        month.excess += amount

    def _decide(self, verb, amount: int | None) -> None:
        self.forms += 1
        decision = partial(
            verb,
            workspace_id=self.workspace.pk,
            amount=amount,
            key=f"form {self.forms}",
            by_id=self.owner.pk,
            now=self.now,
        )
        assert decision() is True
        assert decision() is False

    def _expiry(self, bucket: Bucket) -> tuple[bool, datetime, int]:
        return bucket.expires_at is None, bucket.expires_at or NOW, self.buckets.index(bucket)

    @precondition(lambda self: any(not line.is_resolved for line in self.lines))
    @rule(data=st.data(), share=st.sampled_from([None, 0.0, 0.5, 1.0, 1.0]))
    def resolve(self, data: st.DataObject, share: float | None) -> None:
        line = data.draw(st.sampled_from([line for line in self.lines if not line.is_resolved]))
        captured = int(line.amount * (share or 0))
        if share is None:
            ledger.release(line_ids=[line.pk], now=self.now)
        else:
            ledger.capture(line_id=line.pk, amount=captured, now=self.now)
        line.is_resolved = True
        line.captured = captured
        self._settle(line, captured)

    @precondition(lambda self: any(not line.is_resolved for line in self.lines))
    @rule(data=st.data(), costs=st.lists(st.integers(0, 12), min_size=1, max_size=4))
    def settle_on_real_units(self, data: st.DataObject, costs: list[int]) -> None:
        """What images really took may cost less than was held, or more: the rest is the operator's."""
        first = data.draw(st.sampled_from([line for line in self.lines if not line.is_resolved]))
        together = [line for line in self.lines if line.hold is first.hold and not line.is_resolved]
        settled = dict(zip((line.pk for line in together), costs, strict=False))
        settlements = [Settlement(line_id=pk, cost=cost, micro_units=cost * 7) for pk, cost in settled.items()]
        ledger.settle(settlements=settlements, now=self.now)
        for line, cost in zip(together, costs, strict=False):
            line.is_resolved = True
            line.captured = min(cost, line.amount)
            self._settle(line, line.captured)
            row = HoldLine.objects.get(pk=line.pk)
            assert (row.captured, row.overrun, row.micro_units) == (line.captured, cost - line.captured, cost * 7)

    def _settle(self, line: Line, captured: int) -> None:
        for bucket, part in line.hold.take(captured, from_the_end=False):
            bucket.held -= part
            bucket.spent += part
            line.hold.captured.append((bucket, part))
        returned = 0
        for bucket, part in line.hold.take(line.amount - captured, from_the_end=True):
            bucket.held -= part
            if bucket.is_live(self.now):
                bucket.available += part
            else:
                bucket.expired += part
                returned += part
        if returned:
            until = self.now + timedelta(days=30)
            self.buckets.append(Bucket(f"returned:{line.pk}", GrantKind.BONUS, until, returned))
        if line.hold.is_budgeted:
            self.budget_held -= line.amount
            self.budget_spent += captured
        assert line.hold.month
        line.hold.month.held -= line.amount
        line.hold.month.spent += captured

    @precondition(lambda self: any(line.is_resolved for line in self.lines))
    @rule(data=st.data(), is_capture=st.booleans())
    def resolve_again(self, data: st.DataObject, is_capture: bool) -> None:
        line = data.draw(st.sampled_from([line for line in self.lines if line.is_resolved]))
        own = [line.pk, *(each.pk for each in self.lines if each.hold is line.hold and not each.is_resolved)]
        settlements = [Settlement(line_id=pk, cost=line.amount, micro_units=1) for pk in own]
        settle = partial(ledger.settle, settlements=settlements)
        resolve = settle if is_capture else partial(ledger.release, line_ids=own)
        with pytest.raises(AlreadyResolvedError):
            resolve(now=self.now)

    @precondition(lambda self: any(line.captured and not line.refund_key for line in self.lines))
    @rule(data=st.data())
    def refund(self, data: st.DataObject) -> None:
        line = data.draw(st.sampled_from([line for line in self.lines if line.captured and not line.refund_key]))
        line.refund_key = f"distorted {line.pk}"
        assert ledger.refund(line_id=line.pk, key=line.refund_key, now=self.now) == line.captured
        self._take_back(line)

    @precondition(lambda self: self.lines)
    @rule(data=st.data(), is_same_key=st.booleans())
    def refund_what_cannot_be(self, data: st.DataObject, is_same_key: bool) -> None:
        refundable = {line for line in self.lines if line.captured and not line.refund_key}
        others = [line for line in self.lines if line not in refundable]
        if not others:
            return
        line = data.draw(st.sampled_from(others))
        if not line.is_resolved:
            with pytest.raises(NotSettledError):
                ledger.refund(line_id=line.pk, key="too early", now=self.now)
            return
        is_same_key = is_same_key and bool(line.refund_key)
        key = line.refund_key if is_same_key else f"another key for {line.pk}"
        assert ledger.refund(line_id=line.pk, key=key, now=self.now) == (line.captured if is_same_key else 0)

    def _take_back(self, line: Line) -> None:
        """Out of what the hold's captures used up, the bucket that expires last first."""
        wanted, returned = line.captured, 0
        spent: dict[Bucket, int] = {}
        for bucket, part in line.hold.captured:
            spent[bucket] = spent.get(bucket, 0) + part
        for bucket in sorted(spent, key=self._expiry, reverse=True):
            part = min(wanted, spent[bucket])
            wanted -= part
            line.hold.captured.append((bucket, -part))
            bucket.spent -= part
            if bucket.is_live(self.now):
                bucket.available += part
            else:
                bucket.expired += part
                returned += part
        if returned:
            until = self.now + timedelta(days=30)
            self.buckets.append(Bucket(f"refunded:{line.pk}", GrantKind.BONUS, until, returned))
        if line.hold.is_budgeted:
            self.budget_spent -= line.captured
        assert line.hold.month
        line.hold.month.spent -= line.captured

    @rule()
    def expire(self) -> None:
        due = [bucket for bucket in self.buckets if bucket.available and not bucket.is_live(self.now)]
        assert ledger.expire(now=self.now) == len(due)
        for bucket in due:
            bucket.expired += bucket.available
            bucket.available = 0

    @rule(hours=st.sampled_from([1, 24, 24, 72, 24 * 30]))
    def wait(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @invariant()
    def the_ledger_stands_where_the_model_stands(self) -> None:
        figures = Grant.objects.values_list("key", "available", "held", "spent", "expired")
        assert {key: tuple(rest) for key, *rest in figures} == {bucket.key: bucket.figures for bucket in self.buckets}
        balance = ledger.balance(workspace_id=self.workspace.pk)
        sums = tuple(sum(column) for column in zip(*(bucket.figures for bucket in self.buckets), strict=True))
        assert (balance.available, balance.held, balance.spent, balance.expired) == (sums or (0, 0, 0, 0))
        budget = Budget.objects.get(pk=self.budget_id)
        assert (budget.held, budget.spent) == (self.budget_held, self.budget_spent)
        months = Budget.objects.filter(scope=BudgetScope.WORKSPACE)
        rows = months.values_list("name", "amount", "excess", "held", "spent")
        assert {name: tuple(rest) for name, *rest in rows} == {name: m.figures for name, m in self.months.items()}


def test_the_ledger_agrees_with_a_simple_model_whatever_happens_in_whatever_order(db, monkeypatch):
    monkeypatch.setitem(PLANS, "bare", Plan(slug="bare", name="Bare", daily_credits=0, monthly_credits=0))
    machines.run(LedgerMachine, examples=16, steps=30)
