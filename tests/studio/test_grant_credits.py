"""manage.py grant_credits: purchased credits under an order's key, in a member of staff's name."""

import pytest
from django.core.management import CommandError, call_command

from billing import ledger
from studio.models import User


@pytest.fixture
def staff(workspace) -> User:
    return User.objects.create(email="staff@example.com", username="staff", is_staff=True)


def grant(*arguments: str, by: str = "staff@example.com", key: str = "order 7") -> None:
    call_command("grant_credits", "acme", *arguments, "--key", key, "--by", by)


def test_an_order_is_granted_once_and_stands_in_the_statement_with_its_reason(workspace, staff, capsys):
    before = ledger.balance(workspace_id=workspace.pk).available
    for _ in range(2):
        grant("500", "--note", "Order 7 of 21 November")
    told = capsys.readouterr().out
    assert "500 purchased credits granted to Acme." in told
    assert "500 purchased credits were granted before" in told
    assert ledger.balance(workspace_id=workspace.pk).available == before + 500_000
    bucket = workspace.account.grants.get(key="order:order 7")
    assert (bucket.kind, bucket.expires_at, bucket.created_by, bucket.note) == (
        "purchased",
        None,
        staff,
        "Order 7 of 21 November",
    )


def test_an_orders_key_grants_nothing_else(workspace, staff):
    grant("500")
    with pytest.raises(CommandError, match=r"500 purchased credits were granted\. Give this grant a key of its own"):
        grant("600")
    with pytest.raises(CommandError, match="key of its own"):
        grant("500", "--kind", "bonus")
    assert workspace.account.grants.filter(key__startswith="order:").count() == 1


def test_bonus_credits_may_expire(workspace, staff):
    grant("1.5", "--kind", "bonus", "--days", "10")
    bucket = workspace.account.grants.get(key="order:order 7")
    assert (bucket.kind, bucket.amount, (bucket.expires_at - bucket.created_at).days) == ("bonus", 1500, 10)


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (("0",), {}, "no number of credits above 0"),
        (("-5",), {}, "."),
        (("many",), {}, "no number of credits"),
        (("0.0001",), {}, "three decimals"),
        (("5", "--days", "0"), {}, "give 1 to 3650"),
        (("5",), {"by": "owner@example.com"}, "no member of staff"),
        (("5",), {"key": ""}, "key"),
    ],
)
def test_what_cannot_be_granted_is_refused_in_words(workspace, staff, arguments, options, words):
    with pytest.raises(CommandError, match=words):
        grant(*arguments, **options)
    assert not workspace.account.grants.filter(key__startswith="order:").exists()


def test_an_unknown_workspace_is_said(staff):
    with pytest.raises(CommandError, match="no workspace “nowhere”"):
        call_command("grant_credits", "nowhere", "5", "--key", "1", "--by", "staff@example.com")
