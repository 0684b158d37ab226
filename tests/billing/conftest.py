"""What the ledger's tests share: a workspace whose plan grants nothing, so that every credit in a story is told."""

from datetime import datetime, timedelta

import pytest

from billing import audit, ledger
from billing.models import Account, GrantKind, Hold
from billing.plans import PLANS, Plan
from studio.models import Workspace
from tests.conftest import NOW


class Books:
    """A workspace's credits in whole credits, with short verbs for the stories."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace_id = workspace.pk
        self.now: datetime = NOW

    @property
    def account(self) -> Account:
        return Account.objects.get(workspace_id=self.workspace_id)

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)

    def grant(self, amount: int, key: str = "a gift", *, kind=GrantKind.PURCHASED, days: float | None = None) -> bool:
        return ledger.grant(
            workspace_id=self.workspace_id,
            kind=kind,
            amount=amount * ledger.MILLI,
            key=key,
            expires_at=None if days is None else self.now + timedelta(days=days),
            now=self.now,
        )

    def hold(self, *amounts: int, key: str = "a click", tier: str = "standard", budget_id: int | None = None) -> Hold:
        return ledger.hold(
            workspace_id=self.workspace_id,
            key=key,
            amounts=[amount * ledger.MILLI for amount in amounts],
            tier=tier,
            now=self.now,
            budget_id=budget_id,
        )

    def line(self, hold: Hold, position: int = 1) -> int:
        return hold.lines.get(position=position).pk

    def capture(self, hold: Hold, amount: int, position: int = 1) -> None:
        ledger.capture(line_id=self.line(hold, position), amount=amount * ledger.MILLI, now=self.now)

    def release(self, hold: Hold, position: int = 1) -> None:
        ledger.release(line_ids=[self.line(hold, position)], now=self.now)

    def settle(self, hold: Hold, *settled: tuple[int, int, int], now: datetime | None = None) -> None:
        """Settle lines on (position, cost in millicredits, millionths of a unit) each, together."""
        lines = dict(hold.lines.values_list("position", "pk"))
        settlements = [
            ledger.Settlement(line_id=lines[position], cost=cost, micro_units=units)
            for position, cost, units in settled
        ]
        ledger.settle(settlements=settlements, now=now or self.now)

    def refund(self, hold: Hold, key: str = "distorted", position: int = 1) -> int:
        """What came back, in whole credits."""
        return ledger.refund(line_id=self.line(hold, position), key=key, now=self.now) // ledger.MILLI

    def expire(self) -> int:
        return ledger.expire(now=self.now)

    def balance(self) -> dict[str, int]:
        """The figures that are not 0, in whole credits."""
        figures = ledger.balance(workspace_id=self.workspace_id)
        names = ("granted", "available", "held", "spent", "expired")
        return {name: getattr(figures, name) // ledger.MILLI for name in names if getattr(figures, name)}

    def bucket(self, key: str) -> dict[str, int]:
        """A bucket's figures that are not 0, in whole credits."""
        bucket = self.account.grants.get(key=key)
        names = ("available", "held", "spent", "expired")
        return {name: getattr(bucket, name) // ledger.MILLI for name in names if getattr(bucket, name)}


@pytest.fixture
def bare_plan(monkeypatch) -> str:
    plan = Plan(slug="bare", name="Bare", daily_credits=0, monthly_credits=0)
    monkeypatch.setitem(PLANS, "bare", plan)
    return plan.slug


@pytest.fixture
def books(db, make_workspace, bare_plan):
    """Empty books; every story ends with the audit finding nothing."""
    yield Books(make_workspace("bare", plan=bare_plan))
    broken = {name: count for name, count in audit.broken_invariants().items() if count}
    assert not broken
