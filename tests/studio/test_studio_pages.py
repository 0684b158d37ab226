"""The Image Studio's page: what it costs, why it cannot be sent, what came of a click, stopping it, doing it again."""

import re
from datetime import timedelta

import pytest

from billing import budgets, clock, ledger
from billing.models import GrantKind
from inference import catalog, feed, generate, queue
from inference.models import Batch, Generation, Render
from tests.inference.desk import complete, take, worker
from tests.studio.page_text import found_in, words

STUDIO = "/w/acme/studio/"
HTMX = {"HX-Request": "true"}
MUG = {
    "checkpoint": "starter",
    "style": "auto",
    "aspect": "1:1",
    "count": "2",
    "prompt": "a mug on a table",
    "key": "k1",
}


@pytest.fixture
def producer(browser):
    return browser("producer")


@pytest.fixture
def clicked(producer) -> Generation:
    """Two images that were asked for a moment ago."""
    producer.post(STUDIO, MUG)
    return Generation.objects.get()


def spend_all_but(workspace, millicredits: int) -> None:
    ledger.top_up(workspace_id=workspace.pk, now=clock.now())
    available = ledger.balance(workspace_id=workspace.pk).available
    ledger.hold(
        workspace_id=workspace.pk, key="rest", amounts=[available - millicredits], tier="standard", now=clock.now()
    )


def estimate(client, **changes: str):
    return client.post(f"{STUDIO}estimate/", {**MUG, "shown": "starter", **changes}, headers=HTMX)


def seen_of(response) -> str:
    return found_in(response.content.decode(), r'id="poller"[^>]*hx-get="([^"]+)"')


# --- the form ---------------------------------------------------------------------------------------------------------


def test_the_empty_page_teaches_and_says_why_nothing_can_be_sent(producer):
    page = producer.get(STUDIO)
    told = words(page)
    for said in ("Your pictures appear here", "Write a description first.", "Be descriptive for better results"):
        assert said in told
    assert "0 / 2000" in told
    assert "Generate • 1 credit" in told
    assert page.content.decode().count('name="aspect"') == 6
    assert [catalog.entry("starter").name in told, "No worker is running" in told] == [True, False]


def test_the_button_follows_the_form(producer):
    assert "• 2 credits" in words(estimate(producer))
    assert "• 4 credits" in words(estimate(producer, count="4"))
    assert 'data-blocked=""' in estimate(producer).content.decode()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"prompt": "  "}, "Write a description first."),
        ({"prompt": "x" * 2001}, "at most 2000 characters"),
        ({"num_inference_steps": "999"}, "number of steps is 999"),
        ({"seed": "many"}, "Seed: Enter a whole number."),
        ({"aspect": "own"}, "Give the width and the height of your own size in pixels."),
        ({"checkpoint": "sdxl-base"}, "is not installed here. The list of models says what to do."),
        ({"style": "nonsense"}, "Style: Select a valid choice."),
    ],
)
def test_what_cannot_be_sent_says_why(producer, changes, said):
    response = estimate(producer, **changes)
    assert response.status_code == 200
    assert said in words(response)
    response = producer.post(STUDIO, {**MUG, **changes})
    assert response.status_code == 422
    assert not Generation.objects.exists()


def test_short_of_credits_says_by_how_much_and_a_click_still_holds_nothing(producer, workspace):
    spend_all_but(workspace, 1500)
    blocked = estimate(producer)
    assert "Credits are short by 0.5. See your credits" in words(blocked)
    assert 'data-blocked="yes"' in blocked.content.decode()
    refused = producer.post(STUDIO, MUG, headers=HTMX)
    assert (refused.status_code, refused["HX-Retarget"]) == (422, "#cost")
    assert not Generation.objects.exists()
    assert "• 1 credit" in words(estimate(producer, count="1"))


def cap_month(workspace, people, credits: int) -> None:
    budgets.set_month_ceiling(
        workspace_id=workspace.pk, amount=credits * 1000, key="first", by_id=people["owner"].pk, now=clock.now()
    )


def test_the_months_budget_stands_beside_the_cost_and_follows_the_form(producer, workspace, people):
    assert "budget" not in words(estimate(producer))
    cap_month(workspace, people, 3)
    told = words(estimate(producer))
    assert "at most 2 about 15 s, 25 s at the latest (95 %) 3 of 3 left of this month’s budget" in told
    producer.post(STUDIO, MUG)
    assert "1 of 3 left of this month’s budget" in words(estimate(producer, count="1"))


def test_a_click_above_the_months_budget_is_held_back_with_whom_to_ask(producer, browser, workspace, people):
    cap_month(workspace, people, 1)
    blocked = estimate(producer)
    assert 'data-blocked="yes"' in blocked.content.decode()
    assert "budget has 1 credit left. Ask for fewer images, or ask an owner to raise it." in words(blocked)
    owner = estimate(browser("owner"))
    assert 'href="/w/acme/credits/budgets/">Raise the budget' in owner.content.decode()
    assert 'data-blocked=""' in estimate(producer, count="1").content.decode()


def test_a_click_above_the_months_budget_says_so_and_holds_nothing(producer, workspace, people):
    cap_month(workspace, people, 1)
    refused = producer.post(STUDIO, MUG, headers=HTMX)
    assert (refused.status_code, refused["HX-Retarget"]) == (422, "#cost")
    assert "budget" in words(refused)
    assert not Generation.objects.exists()


# --- premium models ---------------------------------------------------------------------------------------------------


@pytest.fixture
def free(make_workspace, people):
    free = make_workspace("free", plan="free", now=clock.now())
    free.memberships.create(user=people["producer"], role="producer")
    return free


def test_a_premium_model_is_locked_where_the_plan_does_not_include_it(producer, free, premium):
    page = producer.get("/w/free/studio/")
    assert "Part of Go, Pro, Max and Self-hosted" in words(page)
    assert re.search(rf'value="{premium}" disabled', page.content.decode())
    open_to = producer.get(STUDIO)
    assert "Starter Premium Proofsheet Premium" in words(open_to)
    assert "Part of Go" not in words(open_to)
    assert not re.search(rf'value="{premium}" disabled', open_to.content.decode())


def test_a_click_on_a_locked_model_is_refused_in_words_before_anything_is_written(producer, free, premium):
    sent = {**MUG, "checkpoint": premium}
    said = "Premium models are part of Go, Pro, Max and Self-hosted; Free pays for standard ones."
    assert said in words(producer.post("/w/free/studio/estimate/", {**sent, "shown": premium}, headers=HTMX))
    refused = producer.post("/w/free/studio/", sent, headers=HTMX)
    assert (refused.status_code, refused["HX-Retarget"]) == (422, "#cost")
    assert said in words(refused)
    assert not Generation.objects.exists()


def test_bought_credits_pay_for_a_premium_model_and_only_they_count(producer, free, premium):
    ledger.grant(
        workspace_id=free.pk, kind=GrantKind.PURCHASED, amount=1000, key="order", expires_at=None, now=clock.now()
    )
    sent = {**MUG, "checkpoint": premium, "shown": premium}
    assert "Credits are short by 1." in words(producer.post("/w/free/studio/estimate/", sent, headers=HTMX))
    assert producer.post("/w/free/studio/", {**sent, "count": "1"}, headers=HTMX).status_code == 200
    assert ledger.balance(workspace_id=free.pk).held == 1000


def test_the_form_comes_back_as_it_was_left_and_only_to_who_left_it(producer, browser):
    estimate(producer, prompt="two mugs & a spoon", style="comic", aspect="9:16", seed="77")
    page = producer.get(STUDIO).content.decode()
    assert "two mugs &amp; a spoon</textarea>" in page
    assert re.search(r'value="9:16" checked', page)
    assert 'value="77"' in page
    assert "two mugs" not in browser("owner").get(STUDIO).content.decode()


def test_another_model_brings_its_own_fields_along(producer):
    page = estimate(producer, checkpoint="sdxl-base").content.decode()
    for part in ("model-card", "advanced", "negative"):
        assert re.search(rf'id="{part}"[^>]*hx-swap-oob="true"', page)
    assert "model-card" not in estimate(producer).content.decode()


def test_who_makes_no_images_sees_why_the_button_does_nothing(browser):
    page = browser("reviewer").get(STUDIO)
    assert "Your role here is reviewer, which makes no images." in words(page)
    assert re.search(r'id="generate"[^>]* disabled', page.content.decode())
    assert browser("reviewer").post(STUDIO, MUG).status_code == 403


# --- a click ----------------------------------------------------------------------------------------------------------


def test_a_click_without_javascript_leads_back_to_the_page_with_its_images(producer, workspace):
    done = producer.post(STUDIO, MUG, follow=True)
    assert done.redirect_chain == [(STUDIO, 302)]
    assert "Next in line" in words(done)
    assert "2nd in line" in words(done)
    assert ledger.balance(workspace_id=workspace.pk).held == 2000


def test_a_click_sent_twice_is_one(producer):
    for _ in range(2):
        response = producer.post(STUDIO, MUG, headers=HTMX)
        assert response.status_code == 200
    assert Generation.objects.count() == 1
    # The form gets a key for the next click, and the button asks anew what is left.
    assert found_in(response.content.decode(), r'id="key" value="(\w+)"') != MUG["key"]
    assert "credits-moved" in response["HX-Trigger"]


def test_one_persons_images_are_not_in_anothers_studio(browser, clicked):
    assert "a mug on a table" not in words(browser("owner").get(STUDIO))


# --- how far it is ----------------------------------------------------------------------------------------------------


def test_a_poll_with_nothing_new_has_no_body_and_asks_little(
    producer, clicked, monkeypatch, django_assert_max_num_queries
):
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)  # what waits is told anew every few seconds
    address = seen_of(producer.get(STUDIO))
    with django_assert_max_num_queries(5):  # session, person and membership among them
        unchanged = producer.get(address, headers=HTMX)
    assert (unchanged.status_code, unchanged.content) == (204, b"")


def test_a_poll_brings_the_step_then_the_picture_and_ends_when_all_is_over(producer, clicked):
    address = seen_of(producer.get(STUDIO))
    batch = take(worker(), now=clock.now())
    Batch.objects.filter(pk=batch.id).update(phase="step", step=9, steps=12)
    stepping = producer.get(address, headers=HTMX)
    assert stepping.status_code == 200
    assert words(stepping).count("Step 9 of 12") == 2
    address = seen_of(stepping)
    complete(batch.renders[0], now=clock.now())
    one_done = producer.get(address, headers=HTMX)
    assert one_done.status_code == 200
    asset = Render.objects.get(pk=batch.renders[0].id).asset_id
    assert f'href="/w/acme/gallery/{asset}/"' in one_done.content.decode()
    assert f"/w/acme/assets/{asset}/thumb/" in one_done.content.decode()
    assert "credits-moved" in one_done["HX-Trigger"]
    reason = "It broke. Nothing was charged."
    queue.fail(render=batch.renders[1], code="x", reason=reason, may_retry=False, now=clock.now())
    over = producer.get(seen_of(one_done), headers=HTMX)
    assert over.status_code == 286
    assert reason in words(over)
    assert "hx-get" not in found_in(over.content.decode(), r'(<div id="poller"[^>]*>)')
    gone = producer.get(f"/w/acme/renders/{batch.renders[0].id}/preview/")
    assert (gone.status_code, gone.content) == (204, b"")


def test_where_no_worker_comes_it_is_said_in_words_and_taken_back_once_one_does(producer, clicked, people):
    Render.objects.update(created_at=clock.now() - timedelta(seconds=30))
    page = producer.get(STUDIO)
    assert "No worker is running, so nothing is painted right now." in words(page)
    assert words(page).count("Waiting for a worker") == 2
    assert "See the workers" not in words(page)
    address = seen_of(page)
    take(worker(), now=clock.now())
    news = producer.get(address, headers=HTMX)
    assert re.search(r'id="workers"[^>]*hx-swap-oob="true"', news.content.decode())
    assert "No worker is running" not in words(news)


@pytest.mark.parametrize("seen", ["", "nonsense", "999999.paused", "1.x~" * 2000])
def test_a_poll_for_what_is_not_there_ends(producer, seen):
    assert producer.get(f"{STUDIO}poll/", {"seen": seen}, headers=HTMX).status_code == 286


# --- stopping, again --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "htmx"])
def test_one_image_is_canceled_and_its_credit_comes_back(producer, workspace, clicked, headers):
    first, second = clicked.renders.order_by("pk")
    for _ in range(2):  # as after a double click
        response = producer.post(f"{STUDIO}renders/{first.pk}/cancel/", headers=headers, follow=True)
        assert response.status_code == 200
    assert "Canceled. Nothing was charged." in words(response)
    assert ledger.balance(workspace_id=workspace.pk).held == 1000
    second.refresh_from_db()
    assert second.status == "queued"


def test_the_whole_click_is_canceled(producer, workspace, clicked):
    response = producer.post(f"{STUDIO}generations/{clicked.pk}/cancel/", follow=True)
    assert words(response).count("Canceled. Nothing was charged.") == 2
    assert ledger.balance(workspace_id=workspace.pk).held == 0


def test_using_an_images_settings_again_fills_the_form_with_them_and_its_seed(producer, clicked):
    producer.post(STUDIO, {**MUG, "key": "k2", "prompt": "something else", "style": "comic"})
    render = clicked.renders.order_by("pk")[1]
    page = producer.get(f"{STUDIO}?from={render.pk}").content.decode()
    assert "a mug on a table</textarea>" in page
    assert f'value="{render.seed}"' in page
    assert producer.get(f"{STUDIO}?from=999999").status_code == 404
    assert producer.get(f"{STUDIO}?from=abc").status_code == 200


def test_varying_makes_one_more_with_another_seed_and_twice_the_same_click_one(producer, clicked):
    batch = take(worker(), now=clock.now())
    complete(batch.renders[0], now=clock.now())
    done = Render.objects.get(pk=batch.renders[0].id)
    for _ in range(2):
        producer.post(f"{STUDIO}renders/{done.pk}/another/", {"key": "vary"}, headers=HTMX)
    [newest] = Generation.objects.exclude(pk=clicked.pk)
    [render] = newest.renders.all()
    assert render.seed != done.seed
    assert generate.settings_of(render).prompt == "a mug on a table"


def test_varying_without_credits_is_refused_in_words(producer, workspace, clicked):
    spend_all_but(workspace, 0)
    render = clicked.renders.first()
    page = producer.post(f"{STUDIO}renders/{render.pk}/another/", {"key": "v"}, follow=True)
    assert "credits" in found_in(page.content.decode(), r'(?s)class="toast error.*?<p>(.*?)</p>')
    assert Generation.objects.count() == 1


def test_two_finished_images_are_compared_side_by_side(producer, clicked):
    for render in take(worker(), now=clock.now()).renders:
        complete(render, now=clock.now())
    renders = list(clicked.renders.order_by("pk"))
    page = producer.get(f"{STUDIO}compare/", {"render": [render.pk for render in reversed(renders)]})
    shown = re.findall(r'href="/w/acme/gallery/(\d+)/"', page.content.decode())
    assert shown == [str(render.asset_id) for render in reversed(renders)]
    assert "Tick two to four finished images" in words(producer.get(f"{STUDIO}compare/?render=x"))


# --- many -------------------------------------------------------------------------------------------------------------


def test_earlier_clicks_are_one_click_away_without_a_gap(producer):
    for number in range(feed.PAGE + 3):
        producer.post(STUDIO, {**MUG, "key": str(number), "count": "1", "prompt": f"scene {number:02}"})
    page = producer.get(STUDIO)
    found = re.findall(r"title=\"(scene \d\d)\"", page.content.decode())
    rest = producer.get(found_in(page.content.decode(), r'hx-get="([^"]+before=[^"]+)"'), headers=HTMX)
    found += re.findall(r"title=\"(scene \d\d)\"", rest.content.decode())
    assert found == [f"scene {number:02}" for number in reversed(range(feed.PAGE + 3))]
    assert "<h2>" not in rest.content.decode()  # the same heading stands above already


def test_the_page_costs_as_many_queries_for_many_images_as_for_few(producer, clicked, django_assert_max_num_queries):
    with django_assert_max_num_queries(25) as few:
        producer.get(STUDIO)
    for number in range(6):
        producer.post(STUDIO, {**MUG, "key": f"more {number}", "count": "4"})
    with django_assert_max_num_queries(25) as many:
        producer.get(STUDIO)
    assert len(many) == len(few)
