"""Many rows at once are the rows that one at a time would be: in order, with defaults, under every constraint."""

import pytest
from django.db import IntegrityError, transaction

from billing import bulk, ledger
from billing.models import Hold, HoldLine
from tests.conftest import NOW


@pytest.fixture
def held(workspace) -> Hold:
    return ledger.hold(workspace_id=workspace.pk, key="one", amounts=[1000], tier="standard", now=NOW)


def test_rows_have_their_own_values_and_the_fields_defaults_and_rising_ids(held):
    bulk.insert(HoldLine, ("position", "amount"), [(9, 70), (8, 80), (7, 90)], hold=held)
    lines = HoldLine.objects.filter(hold=held, position__gt=1).order_by("pk")
    rows = lines.values_list("position", "amount", "captured", "refunded", "micro_units", "resolved_at")
    assert list(rows) == [(9, 70, 0, 0, None, None), (8, 80, 0, 0, None, None), (7, 90, 0, 0, None, None)]


def test_one_row_that_a_constraint_refuses_leaves_none(held):
    with pytest.raises(IntegrityError), transaction.atomic():
        bulk.insert(HoldLine, ("position", "amount"), [(2, 10), (3, -10)], hold=held)
    assert HoldLine.objects.filter(hold=held).count() == 1


def test_no_rows_are_no_error(held):
    bulk.insert(HoldLine, ("position", "amount"), [], hold=held)
    assert HoldLine.objects.filter(hold=held).count() == 1
