"""The Image Studio with the real worker and the real engine: ask for two, watch them, stop one, use the other again."""

import re

import pytest
from playwright.sync_api import Page, expect

PAINTING_MS = 120_000
PROMPT = "a red mug on a wooden table, mountains, golden hour"


@pytest.fixture
def studio(sign_in) -> Page:
    page = sign_in("producer")
    page.goto("/w/studio/studio/")
    return page


def choose(page: Page, name: str, value: str) -> None:
    page.locator(f"label:has(> input[name={name}][value='{value}'])").click()


def balance(page: Page) -> int:
    return int(page.locator(".balance b").first.inner_text().replace(",", ""))


def test_two_are_asked_for_watched_one_stopped_and_the_other_used_again(studio):
    before = balance(studio)
    button = studio.locator("#generate")
    expect(button).to_be_disabled()
    expect(studio.locator("#reason")).to_have_text("Write a description first.")
    studio.locator("#prompt").fill(PROMPT)
    choose(studio, "count", "2")
    studio.locator("#advanced > summary").click()
    studio.locator("#num_inference_steps").fill("40")
    expect(button).to_have_text("Generate • 2 credits")
    expect(studio.locator("[data-counts=prompt]")).to_have_text(f"{len(PROMPT)} / 2000")
    studio.locator("#prompt").press("Control+Enter")

    results = studio.locator(".click").first.locator(".result")
    expect(results).to_have_count(2)
    expect(results.first).to_contain_text(re.compile(r"Step \d+ of 40"), timeout=PAINTING_MS)
    results.last.get_by_role("button", name="Cancel").click()
    expect(results.last).to_contain_text("Canceled. Nothing was charged.")
    expect(results.first.locator("a.tile-frame img")).to_be_visible(timeout=PAINTING_MS)
    expect(results.first.get_by_role("button", name="Cancel")).to_have_count(0)
    expect(studio.locator(".click").first.get_by_role("button", name="Cancel")).to_have_count(0)
    expect(studio.locator(".balance").first).to_contain_text("0 held")
    assert balance(studio) == before - 1

    seed = re.search(r"seed (\d+)", studio.locator(".click").first.inner_text())
    assert seed is not None
    studio.locator("#prompt").fill("something else")
    results.first.get_by_role("link", name=re.compile("again")).click()
    expect(studio.locator("#prompt")).to_have_value(PROMPT)
    expect(studio.locator("#seed")).to_have_value(seed[1])
    expect(studio.locator("#num_inference_steps")).to_have_value("40")
    expect(studio.locator("#generate")).to_have_text("Generate • 1 credit")


def test_a_finished_image_is_varied_and_opens_large_and_is_compared(studio):
    studio.locator("#prompt").fill(PROMPT)
    choose(studio, "aspect", "16:9")
    before = studio.locator(".click").count()
    studio.locator("#generate").click()
    expect(studio.locator(".click")).to_have_count(before + 1)
    first = studio.locator(".click").first.locator(".result").first
    expect(first.locator("a.tile-frame img")).to_be_visible(timeout=PAINTING_MS)
    clicks = before + 1
    first.get_by_role("button", name="Vary").click()
    expect(studio.locator(".click")).to_have_count(clicks + 1)
    newest = studio.locator(".click").first.locator(".result").first
    expect(newest.locator("a.tile-frame img")).to_be_visible(timeout=PAINTING_MS)
    for pick in studio.locator(".result .tile-pick input").all()[:2]:
        pick.check()
    studio.get_by_role("button", name="Compare", exact=True).click()
    expect(studio.locator(".compared figure")).to_have_count(2)
    studio.locator(".compared a").first.click()
    expect(studio.get_by_role("heading", name="Recipe")).to_be_visible()


def test_the_page_works_without_javascript(sign_in):
    page = sign_in("producer", javascript=False)
    page.goto("/w/studio/studio/")
    page.locator("#prompt").fill("a blue mug")
    page.locator("#generate").click()
    expect(page.locator(".click").first).to_contain_text("a blue mug")
    page.goto("/w/studio/studio/")
    cancel = page.locator(".click").first.get_by_role("button", name="Cancel")
    if cancel.count():  # the worker may have been quicker
        cancel.first.click()
        expect(page.locator(".click").first).to_contain_text(re.compile("Canceled|Vary"))


def test_a_click_while_the_cost_is_on_its_way_is_not_lost_and_never_costs_more_than_was_shown(studio):
    choose(studio, "count", "1")
    studio.locator("#prompt").fill("a green mug")
    expect(studio.locator("#generate")).to_have_text("Generate • 1 credit")
    studio.route("**/studio/estimate/", lambda route: (studio.wait_for_timeout(400), route.continue_()))
    clicks = studio.locator(".click").count()
    choose(studio, "count", "4")
    studio.locator("#generate").click(force=True)
    expect(studio.locator("#reason")).to_have_text("The cost has changed. Click again to go on.")
    expect(studio.locator("#generate")).to_have_text("Generate • 4 credits")
    assert studio.locator(".click").count() == clicks
    choose(studio, "aspect", "4:5")
    studio.locator("#generate").click(force=True)
    expect(studio.locator(".click")).to_have_count(clicks + 1)
    studio.locator(".click").first.locator("header").get_by_role("button", name="Cancel").click()
    expect(studio.locator(".balance").first).to_contain_text("0 held")


def test_the_list_of_models_is_searched_and_says_what_is_not_installed(studio):
    studio.locator("#model-card").click()
    dialog = studio.get_by_role("dialog", name="Models")
    expect(dialog).to_be_visible()
    dialog.get_by_label("Search models").fill("product photography")
    assert 0 < dialog.locator("[data-model]:visible").count() < dialog.locator("[data-model]").count()
    dialog.get_by_label("Search models").fill("no such word")
    expect(dialog.get_by_text("No model has all of these words.")).to_be_visible()
    dialog.get_by_label("Search models").fill("")  # Escape would only empty it
    studio.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(studio.locator("#model-card")).to_be_focused()


def test_an_owner_pauses_everything_where_campaigns_are_and_resumes_it_where_it_is_missed(sign_in, campaign):
    owner = sign_in("owner")
    owner.goto("/w/studio/settings/")
    owner.get_by_role("button", name="Pause everything").click()
    expect(owner.get_by_role("heading", name="Production")).to_be_visible()
    try:
        producer = sign_in("producer")
        producer.goto("/w/studio/studio/")
        expect(producer.get_by_text("Production is paused")).to_be_visible()
        expect(producer.get_by_role("button", name="Resume")).to_have_count(0)
        producer.locator("#prompt").fill(PROMPT)
        producer.locator("#generate").click()
        waits = producer.locator(".click").first.locator(".result").first
        expect(waits).to_contain_text("Paused")
    finally:
        owner.goto("/w/studio/studio/")
        owner.get_by_role("button", name="Resume").click()
    expect(owner).to_have_url(re.compile("/w/studio/studio/$"))
    expect(owner.get_by_text("Production is paused")).to_have_count(0)
    expect(waits.locator("a.tile-frame img")).to_be_visible(timeout=PAINTING_MS)


def test_the_months_budget_is_told_while_one_chooses_and_holds_the_button_back(sign_in, site):
    budget = "/w/studio/credits/budgets/"
    owner = sign_in("owner")
    owner.goto(budget)
    told = re.search(r"([\d,]+) credits? (?:is|are) held or spent", owner.locator("main").inner_text())
    assert told is not None
    used = int(told[1])
    owner.locator("#month-amount_credits").fill(str(used + 2))
    owner.get_by_role("button", name="Set the ceiling").click()
    try:
        owner.goto("/w/studio/studio/")
        owner.locator("#prompt").fill(PROMPT)
        choose(owner, "count", "2")
        expect(owner.locator("#cost-now")).to_contain_text(f"2 of {used + 2} left of this month’s budget")
        expect(owner.locator("#generate")).to_be_enabled()
        choose(owner, "count", "4")
        expect(owner.locator("#reason")).to_contain_text("This month’s budget has 2 credits left.")
        expect(owner.locator("#generate")).to_be_disabled()
        owner.get_by_role("link", name="Raise the budget").click()
        expect(owner).to_have_url(re.compile(f"{budget}$"))
    finally:
        owner.goto(budget)
        owner.locator("#month-amount_credits").fill("")
        owner.get_by_role("button", name="Set the ceiling").click()
    choose_again = sign_in("owner")
    choose_again.goto("/w/studio/studio/")
    expect(choose_again.locator("#cost-now")).not_to_contain_text("budget")
