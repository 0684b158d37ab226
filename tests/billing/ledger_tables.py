"""What the ledger's tables hold, to be compared before and after; and a budget of a workspace's."""

from billing import ledger
from billing.models import Account, Budget, Entry, Grant, Hold, HoldAllocation, HoldLine

TABLES = (Account, Grant, Budget, Hold, HoldAllocation, HoldLine, Entry)


def snapshot() -> dict[str, list[tuple[object, ...]]]:
    return {model.__name__: sorted(model.objects.values_list()) for model in TABLES}


def budget(books, amount: int) -> int:
    return ledger.open_budget(workspace_id=books.workspace_id, name="Autumn", amount=amount * ledger.MILLI)
