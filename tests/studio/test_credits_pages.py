"""Credits as a member reads them: balance, statement with its images, a launch's lines, usage, CSV."""

import csv
import io
import re
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from billing import clock, ledger
from inference import catalog, queue
from inference.catalog import Price
from inference.models import Generation, Render
from inference.pricing import Used
from tests.inference.desk import Desk, complete, take, worker
from tests.studio.page_text import found_in, words


@pytest.fixture
def desk(workspace) -> Desk:
    desk = Desk(workspace.pk)
    desk.now = clock.now()
    return desk


@pytest.fixture
def studio_images(desk) -> Generation:
    """Four images of one click: two charged, one of these refunded, one failed, one still on its way."""
    generation, _ = desk.ask(4, prompt="=a mug on a table")
    batch = take(worker(), at_most=3, now=desk.now)
    for render in batch.renders[:2]:
        complete(render, now=desk.now)
    queue.fail(render=batch.renders[2], code="x", reason="Out of memory.", may_retry=False, now=desk.now)
    line_id = Render.objects.get(pk=batch.renders[0].id).hold_line_id
    ledger.refund(line_id=line_id, key="distorted", now=desk.now)
    return generation


def test_the_page_tells_balance_buckets_and_what_was_granted(browser):
    page = words(browser("viewer").get("/w/acme/credits/"))
    assert "Daily credits" in page
    assert "Never" not in page
    assert "The Self-hosted plan gives 200 credits a day and 20,000 a month" in page
    assert "Standard models" in page


def test_who_looks_on_another_day_is_given_that_days_credits(browser, workspace):
    # The workspace was opened on a fixed day, long before or after the one on which this test runs.
    browser("viewer").get("/w/acme/credits/")
    today = f"daily:{workspace.pk}:{clock.now().date()}"
    assert workspace.account.grants.filter(key=today).exists()


def test_a_click_is_one_row_that_folds_out_into_its_images(browser, studio_images):
    client = browser("viewer")
    page = words(client.get("/w/acme/credits/"))
    assert page.count("Image Studio") == 2  # the launch, and the refund that names it
    assert "3 of 4 images settled: 2 charged, 1 still held." in page
    address = f"/w/acme/credits/holds/{studio_images.hold_id}/"
    assert f'hx-get="{address}"' in client.get("/w/acme/credits/").content.decode()
    fragment = client.get(address, headers={"HX-Request": "true"})
    assert b"<html" not in fragment.content
    told = words(fragment)
    for line in ("Charged 1, refunded after review", "Charged 1", "Nothing charged", "Held 1", "Out of memory."):
        assert line in told
    assert "Refunded after review 1" in words(client.get(address))
    image = Render.objects.filter(generation=studio_images, asset__isnull=False).earliest("pk").asset_id
    assert f'href="/w/acme/gallery/{image}/"' in fragment.content.decode()


def test_why_less_was_charged_than_estimated_is_said_in_words(browser, studio_images, desk):
    queue.cancel(generation_id=studio_images.pk, now=desk.now)
    page = words(browser("viewer").get("/w/acme/credits/"))
    assert "Estimated 4 credits, charged 2: 1 failed, 1 canceled, at no cost. 1 credit came back after review." in page


def test_real_units_are_told_image_by_image_with_the_price_they_were_asked_at(browser, workspace, desk, monkeypatch):
    first = Price(version=1, unit="image", credits=Decimal(9))
    second = Price(version=2, unit="megapixel-step", credits=Decimal(2))
    entry = replace(catalog.entry("starter"), prices=(first, second))
    monkeypatch.setattr(catalog, "load", lambda: {"starter": entry})
    generation, _ = desk.ask(3)
    used = (Used(pixel_steps=500_000), Used(pixel_steps=2_500_000))
    for render, taken in zip(take(worker(), at_most=2, now=desk.now).renders, used, strict=True):
        complete(render, used=taken, now=desk.now)
    queue.cancel(generation_id=generation.pk, now=desk.now)
    page = words(browser("viewer").get(f"/w/acme/credits/holds/{generation.hold_id}/"))
    held = 320 * 224 * 12 * 2 // 1000
    assert "2 credits a megapixel-step (price list 2 of Starter)" in page
    assert f"Took 0.5 megapixel-steps, held {ledger.credits_text(held)} credits" in page
    assert f"Took 2.5 megapixel-steps, {ledger.credits_text(5000 - held)} credits above what was held" in page
    assert "1 canceled, at no cost;" in page
    assert f"{ledger.credits_text(held - 1000)} credits less because images took fewer units" in page
    assert f"{ledger.credits_text(5000 - held)} credits above that are not yours to pay." in page


def test_the_statement_is_filtered_by_kind_and_unknown_filters_change_nothing(browser, studio_images):
    client = browser("viewer")
    charged = words(client.get("/w/acme/credits/?show=capture", headers={"HX-Request": "true"}))
    assert charged.count("Charged") == 2
    assert "Granted" not in charged
    assert "No entry matches" in words(client.get("/w/acme/credits/?show=expire"))
    for query in ("?show=nonsense&campaign=x", "?campaign=999999", "?before=abc", f"?before={'9' * 5000}"):
        assert client.get(f"/w/acme/credits/{query}").status_code == 200


def test_show_more_goes_on_where_the_page_ended_and_keeps_the_filter(browser, workspace, desk):
    for number in range(50):
        ledger.give_bonus(
            workspace_id=workspace.pk,
            amount=1000,
            key=str(number),
            note=f"Gift {number:02}",
            expires_at=None,
            created_by_id=workspace.memberships.get(role="owner").user_id,
            now=desk.now + timedelta(seconds=number),
        )
    client = browser("viewer")
    first = client.get("/w/acme/credits/?show=grant").content.decode()
    address = found_in(first, r'hx-get="([^"]+before=\d+)"')
    assert "show=grant" in address
    rest = client.get(address, headers={"HX-Request": "true"}).content.decode()
    found = [title for page in (first, rest) for title in re.findall(r"<b>(Gift \d\d)</b>", page)]
    assert found == [f"Gift {number:02}" for number in reversed(range(50))]


def test_low_credits_are_warned_of_and_enough_are_not(browser, workspace, desk):
    client = browser("viewer")
    assert "Credits are low" not in words(client.get("/w/acme/credits/"))
    available = ledger.balance(workspace_id=workspace.pk).available
    held = available - 2_019_000
    ledger.hold(workspace_id=workspace.pk, key="most of it", amounts=[held], tier="standard", now=clock.now())
    assert "Credits are low: 2,019 credits left." in words(client.get("/w/acme/credits/"))


def test_the_csv_holds_every_entry_and_no_formula(browser, studio_images):
    response = browser("viewer").get("/w/acme/credits/statement.csv")
    assert response["Content-Type"].startswith("text/csv")
    assert "attachment" in response["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))
    kinds = [row["kind"] for row in rows]
    assert kinds[:5] == ["refund", "release", "capture", "capture", "hold"]
    capture = rows[2]
    assert (capture["spent_change"], capture["held_change"], capture["for"]) == ("1", "-1", "'=a mug on a table")
    assert capture["image"].isdigit()
    only = browser("viewer").get("/w/acme/credits/statement.csv?show=refund")
    assert len(b"".join(only.streaming_content).decode().splitlines()) == 2


def test_usage_tells_who_spent_how_much_on_what(browser, studio_images):
    page = words(browser("viewer").get("/w/acme/credits/usage/"))
    assert "By campaign" in page
    assert re.search(r"Image Studio 1 2 0 –", page)
    assert re.search(r"Command line 1 2 0 –", page)
    assert re.search(r"starter 1 2 0 –", page)


def test_usage_of_days_without_charges_says_so_and_a_wrong_period_says_what_to_do(browser, studio_images):
    client = browser("viewer")
    old = words(client.get("/w/acme/credits/usage/?since=2020-01-01&until=2020-01-31"))
    assert "Nothing was charged in these days" in old
    assert "Choose a later day here" in words(client.get("/w/acme/credits/usage/?since=2020-02-01&until=2020-01-01"))
    assert "at most a year" in words(client.get("/w/acme/credits/usage/?since=2020-01-01&until=2026-01-01"))
    assert client.get("/w/acme/credits/usage/?since=nonsense").status_code == 200


@pytest.mark.parametrize("address", ["/w/acme/credits/", "/w/acme/credits/?show=all", "/w/acme/credits/usage/"])
def test_the_pages_cost_as_many_queries_for_many_entries_as_for_few(
    browser, desk, address, django_assert_max_num_queries
):
    client = browser("viewer")
    desk.ask(3)
    with django_assert_max_num_queries(20) as few:
        client.get(address)
    for _ in range(12):
        desk.ask(3)
        for render in take(worker(), at_most=3, now=desk.now).renders:
            complete(render, now=desk.now)
    with django_assert_max_num_queries(20) as many:
        client.get(address)
    # With images among the rows, these are looked up too: once.
    assert len(many) <= len(few) + 1
