"""All workspaces' credits together, for who watches the installation. Only reads; names no workspace."""

from dataclasses import dataclass

from django.db.models import Sum

from billing.models import Account, Hold


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Millicredits. ``captured`` and ``refunded`` only ever grow; what was spent is their difference."""

    available: int
    held: int
    captured: int
    refunded: int


def totals() -> Totals:
    """What all accounts hold now, and what was ever charged and refunded; two queries."""
    accounts = Account.objects.aggregate(available=Sum("available", default=0), held=Sum("held", default=0))
    holds = Hold.objects.aggregate(captured=Sum("captured", default=0), refunded=Sum("refunded", default=0))
    return Totals(**accounts, **holds)
