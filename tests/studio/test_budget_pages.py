"""Budgets and the plan on their pages: everybody reads them, owners decide, and what is refused says what to do."""

import uuid

import pytest

from billing import budgets, clock, ledger, plan_choice
from billing.budgets import OverBudgetError
from tests.inference.desk import Desk
from tests.studio.page_text import words

MONTH, MORE, PAGE = "/w/acme/credits/budgets/month/", "/w/acme/credits/budgets/more/", "/w/acme/credits/budgets/"


def send(client, address, amount, key=None):
    return client.post(address, {"amount_credits": amount, "key": str(key or uuid.uuid4())})


@pytest.fixture
def desk(workspace) -> Desk:
    desk = Desk(workspace.pk)
    desk.now = clock.now()
    return desk


def month(workspace):
    return budgets.month(workspace_id=workspace.pk, now=clock.now())


def test_an_owner_caps_the_month_and_a_launch_over_it_is_told_whom_to_ask(browser, workspace, desk):
    owner = browser("owner")
    desk.ask(3)
    assert "No limit. 3 credits are held or spent so far." in words(owner.get(PAGE))
    assert send(owner, MONTH, "4").headers["Location"] == PAGE
    page = words(owner.get(PAGE))
    assert "3 of 4 credits: 0 spent, 3 held, 1 left" in page
    with pytest.raises(OverBudgetError, match="ask an owner to raise it or to allow more this month"):
        desk.ask(2)
    send(owner, MORE, "1.5")
    desk.ask(2)
    page = words(owner.get(PAGE))
    assert "5 of 5.5 credits: 0 spent, 5 held, 0.5 left (1.5 of it allowed once)" in page
    assert "90 % of the budget for" in page
    assert "allowed 1.5 credits more in" in page
    assert "to 4 credits; there was none before." in page


def test_a_form_sent_twice_counts_once(browser, workspace):
    owner, key = browser("owner"), uuid.uuid4()
    send(owner, MONTH, "10")
    for _ in range(2):
        assert send(owner, MORE, "5", key).status_code == 302
    assert month(workspace).ceiling == 15_000


def test_an_empty_ceiling_is_none_and_an_impossible_one_is_said_at_its_field(browser, workspace, desk):
    owner = browser("owner")
    send(owner, MONTH, "10")
    desk.ask(3)
    refused = send(owner, MONTH, "2")
    assert refused.status_code == 422
    assert "are held or spent already. Set at least that many." in words(refused)
    for wrong in ("0", "-1", "a lot", "NaN", "1e99", "0.0001"):
        assert send(owner, MONTH, wrong).status_code == 422, wrong
        assert send(owner, MORE, wrong).status_code == 422, wrong
    assert send(owner, MORE, "").status_code == 422
    assert month(workspace).ceiling == 10_000
    send(owner, MONTH, "")
    assert month(workspace).ceiling is None
    assert "there is nothing to allow above it" in words(send(owner, MORE, "5"))


def test_an_owner_changes_a_campaigns_budget(browser, workspace, desk):
    autumn = ledger.open_budget(workspace_id=workspace.pk, name="Autumn", amount=2000)
    desk.ask(2, budget_id=autumn)
    owner, address = browser("owner"), f"{PAGE}{autumn}/"
    assert "Autumn" in words(owner.get(PAGE))
    refused = send(owner, address, "1")
    assert refused.status_code == 422
    assert "2 credits of Autumn are held or spent already" in words(refused)
    send(owner, address, "6")
    assert "2 of 6 credits" in words(owner.get(PAGE))
    assert send(owner, f"{PAGE}999999/", "6").status_code == 404


def test_others_read_but_find_no_form(browser, workspace):
    for who in ("viewer", "producer", "reviewer"):
        client = browser(who)
        for page in (PAGE, "/w/acme/credits/plan/"):
            shown = client.get(page)
            assert shown.status_code == 200
            assert b'name="amount_credits"' not in shown.content
            assert b'name="instead_of"' not in shown.content
            assert "Owners can" in words(shown)
        assert send(client, MONTH, "4").status_code == 403
        assert client.post("/w/acme/credits/plan/", {"plan": "max", "instead_of": "self-hosted"}).status_code == 403
    assert month(workspace).ceiling is None


def test_the_budgets_page_asks_as_often_with_many_budgets(browser, workspace, django_assert_max_num_queries):
    owner = browser("owner")
    owner.get(PAGE)
    for number in range(20):
        ledger.open_budget(workspace_id=workspace.pk, name=f"Campaign {number}", amount=1000)
    with django_assert_max_num_queries(16):
        assert "Campaign 19" in words(owner.get(PAGE))


def test_an_owner_chooses_a_plan_and_reads_what_changes_when(browser, workspace):
    owner, address = browser("owner"), "/w/acme/credits/plan/"
    page = words(owner.get(address))
    assert "This workspace is on Self-hosted" in page
    assert "20 credits a day from tomorrow, no monthly credits from 1" in page
    choice = {"plan": "pro", "instead_of": "self-hosted"}
    page = words(owner.post(address, choice, follow=True))
    assert "This workspace is on Pro" in page
    assert "owner@example.com chose Pro instead of Self-hosted." in page
    owner.post(address, choice)  # a second click
    assert "Somebody chose Pro meanwhile" in words(
        owner.post(address, {"plan": "max", "instead_of": "self-hosted"}, follow=True)
    )
    assert "There is no such plan" in words(owner.post(address, {"plan": "gold", "instead_of": "pro"}, follow=True))
    assert len(plan_choice.decisions(workspace_id=workspace.pk)) == 1
