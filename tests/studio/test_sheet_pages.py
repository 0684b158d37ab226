"""The contact sheet's pages: the matrix, its poll, narrowing and paging, one cell through its versions, run again."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils.html import escape

from billing import clock
from campaigns import launch, sheet, sheet_changes
from campaigns.entered import EnteredAxis, EnteredChannel
from campaigns.models import Campaign, CellRender
from gallery import review
from inference import queue
from inference.models import Batch, Render
from studio.models import User, Workspace
from tests.campaigns.sheets import begin, finish, launched, render_all, spoil
from tests.studio.page_text import found_in, words

HTMX = {"HX-Request": "true"}
CHANNELS = tuple(
    EnteredChannel(name=name, width=width, height="128", scale="0.6", anchor="center")
    for name, width in (("square", "128"), ("story", "96"))
)
SheetOf = Callable[..., Campaign]


@pytest.fixture
def make(workspace: Workspace, people: dict[str, User]) -> SheetOf:
    return lambda *skus, **changes: launched(workspace.pk, *skus, by=people["producer"], **changes)


@pytest.fixture
def producer(browser: Callable[[str], Client]) -> Client:
    return browser("producer")


def address(campaign: Campaign, rest: str = "") -> str:
    return f"/w/acme/campaigns/{campaign.pk}/{rest}"


def states(answer: Any) -> list[str]:
    return [classes.split()[-1] for classes in re.findall(r'<div class="(tile [a-z_]+)"', answer.content.decode())]


def poll_of(page: Any) -> str:
    """The address that the page asks for what changed."""
    return found_in(page.content.decode(), r'id="sheet-poll"[^>]*hx-get="([^"]+)"')


def poll(client: Client, where: str) -> Any:
    return client.get(where, headers=HTMX)


def decide(people: dict[str, User], verdict: str = "approve") -> int:
    asset_id = Render.objects.filter(asset__isnull=False).values_list("asset_id", flat=True).earliest("pk")
    by_id = people["reviewer"].pk
    if verdict == "approve":
        return review.approve(asset_id, by_id=by_id, now=clock.now())
    return review.reject(asset_id, by_id=by_id, reason="bad_light", note="Too <b>dark</b>.", now=clock.now())


# --- the sheet ---


def test_the_sheet_is_a_table_of_products_by_scenes_with_tabs_for_channels(make, producer) -> None:
    page = producer.get(address(make(channels=CHANNELS)))
    text = page.content.decode()
    assert re.findall(r'<th scope="row">.*?<b>(.*?)</b>', text, re.DOTALL) == ["MUG", "CUP"]
    assert re.findall(r'<th scope="col"><b>(.*?)</b>', text) == ["marble", "sand"]
    assert states(page) == ["waiting"] * 4
    said = words(page)
    assert "8 images" in said
    assert "0 of at most 8 credits settled" in said
    assert "square 128 × 128" in said
    assert "Next in line" in said
    assert [name in said for name in ("Pause", "Cancel what waits")] == [True, True]


def test_another_channel_is_another_tab(make, producer) -> None:
    campaign = make(channels=CHANNELS)
    finish(8)
    first, second = producer.get(address(campaign)), producer.get(address(campaign, "?channel=story"))
    assert 'alt="MUG, marble, square, to review"' in first.content.decode()
    assert 'alt="MUG, marble, story, to review"' in second.content.decode()
    nonsense = producer.get(address(campaign, "?channel=nobody&state=nothing&after=x"))
    assert 'alt="MUG, marble, square, to review"' in nonsense.content.decode()


def test_verdicts_are_marked_over_the_picture_and_said_in_its_text(make, producer, people) -> None:
    campaign = make()
    finish(2)
    decide(people)
    page = producer.get(address(campaign))
    assert states(page) == ["approved", "pending", "waiting", "waiting"]
    text = page.content.decode()
    assert text.count('<svg class="pencil approved"') == 1
    assert 'alt="MUG, marble, square, approved"' in text


def test_a_failed_image_says_that_nothing_was_charged_and_can_be_rendered_again(make, producer) -> None:
    campaign = make()
    spoil()
    finish(3)
    page = words(producer.get(address(campaign)))
    assert "Failed Nothing was charged" in page
    assert "1 failed, not charged" in page
    assert "Re-run 1 failed" in page
    answer = producer.post(address(campaign, "launch-again/"), follow=True)
    assert "1 image asked for." in words(answer)
    assert states(answer)[0] == "waiting"
    assert "Every image is there or on its way." in words(
        producer.post(address(campaign, "launch-again/"), follow=True)
    )


def test_a_state_narrows_the_rows_and_an_empty_one_leads_back(make, producer) -> None:
    campaign = make()
    finish(1)
    page = producer.get(address(campaign, "?state=pending"))
    assert states(page) == ["pending", "waiting"]
    assert "To review 1" in words(page)
    nothing = producer.get(address(campaign, "?state=rejected"))
    assert states(nothing) == []
    assert "No image of square is in this state now." in words(nothing)
    assert "Show all" in words(nothing)


def test_rows_go_on_where_the_page_ends_with_and_without_htmx(make, producer, monkeypatch) -> None:
    monkeypatch.setattr(sheet, "TILES_PER_PAGE", 4)
    campaign = make("A", "B", "C")
    page = producer.get(address(campaign))
    assert states(page) == ["waiting"] * 4
    more = found_in(page.content.decode(), r'class="button" href="(\?[^"]+)"[^>]*>Show more')
    fragment = producer.get(address(campaign, more), headers=HTMX)
    assert "<html" not in fragment.content.decode()
    assert re.findall(r"<b>(.*?)</b>", fragment.content.decode()) == ["C"]
    assert "Show more" not in words(fragment)
    whole = producer.get(address(campaign, more))
    assert "<html" in whole.content.decode()
    assert states(whole) == ["waiting"] * 2


def test_a_title_is_data_not_markup(make, producer) -> None:
    nasty = '<img src=x onerror=alert(1)>"'
    campaign = make("MUG", axes=(EnteredAxis(name="surface", values=nasty),), name=nasty)
    page = producer.get(address(campaign)).content.decode()
    assert "<img src=x" not in page
    assert escape(nasty) in page


def test_a_large_sheet_takes_no_more_queries_and_weighs_little(make, producer, django_assert_max_num_queries) -> None:
    values = "\n".join(f"surface number {n}" for n in range(20))
    large = make(*(f"SKU-{n}" for n in range(12)), axes=(EnteredAxis(name="surface", values=values),))
    finish(4)
    begin(2)
    for campaign in (make("A"), large):
        with django_assert_max_num_queries(31):
            page = producer.get(address(campaign))
    assert len(states(page)) == sheet.TILES_PER_PAGE
    assert len(page.content) < 100_000


@pytest.mark.parametrize("who", ["viewer", "reviewer"])
def test_who_does_not_produce_sees_the_sheet_and_none_of_its_levers(make, browser, who) -> None:
    campaign = make()
    spoil()
    said = words(browser(who).get(address(campaign)))
    assert "4 images" in said
    assert not [lever for lever in ("Pause", "Re-run", "Duplicate", "Cancel what waits") if lever in said]
    assert browser(who).post(address(campaign, "launch-again/")).status_code == 403


# --- the poll ---


def test_a_poll_with_nothing_new_is_204_without_a_body(make, producer, django_assert_max_num_queries) -> None:
    campaign = make()
    begin()
    where = poll_of(producer.get(address(campaign)))
    # Session, person and membership; launches, what runs, the newest decision.
    with django_assert_max_num_queries(6):
        answer = poll(producer, where)
    assert (answer.status_code, answer.content) == (204, b"")


def test_a_poll_brings_what_changed_in_a_template_and_the_next_mark(make, producer) -> None:
    campaign = make(channels=CHANNELS)
    where = poll_of(producer.get(address(campaign)))
    finish(1)
    news = poll(producer, where)
    assert news.status_code == 200
    text = news.content.decode()
    assert text.index("<template>") < text.index('id="sheet-top"') < text.index('<div class="tile pending"')
    assert "story, " not in re.sub(r'id="sheet-tools".*?</nav>', "", text, flags=re.DOTALL)
    assert poll(producer, poll_of(news)).status_code == 204


def test_the_last_poll_says_so_and_the_page_asks_no_more(make, producer) -> None:
    campaign = make()
    where = poll_of(producer.get(address(campaign)))
    finish(4)
    last = poll(producer, where)
    assert last.status_code == 286
    assert states(last).count("pending") == 4
    assert "hx-get" not in found_in(last.content.decode(), r'(<div id="sheet-poll"[^>]*>)')
    assert "hx-get" not in found_in(producer.get(address(campaign)).content.decode(), r'(<div id="sheet-poll"[^>]*>)')


@pytest.mark.parametrize("v", ["", "nonsense", "0-0-0-0-abcdefabcdef-0"])
def test_a_poll_with_a_mark_of_its_own_making_gets_news_not_an_error(make, producer, v) -> None:
    assert poll(producer, address(make(), f"changes/?v={v}")).status_code == 200


def test_a_stranger_learns_nothing_from_the_poll(make, browser, make_workspace, people) -> None:
    campaign = make()
    stranger = browser("stranger")
    empty = sheet_changes.mark(workspace_id=0, campaign_id=campaign.pk, now=clock.now())
    for workspace in ("acme", "elsewhere"):
        answer = poll(stranger, f"/w/{workspace}/campaigns/{campaign.pk}/changes/?v={empty}")
        assert answer.status_code == 404


def test_a_poll_after_the_session_ended_leads_the_whole_page_to_the_sign_in(make, browser) -> None:
    campaign = make()
    answer = browser("anonymous").get(
        address(campaign, "changes/"), headers=HTMX | {"HX-Current-URL": f"http://testserver{address(campaign)}"}
    )
    assert answer["HX-Redirect"].startswith("/login/?next=/w/acme/campaigns/")
    assert "changes" not in answer["HX-Redirect"]


def test_a_decision_elsewhere_moves_the_sheet(make, producer, people) -> None:
    campaign = make()
    finish(1)
    where = poll_of(producer.get(address(campaign)))
    decide(people)
    assert "approved" in states(poll(producer, where))


# --- one cell ---


def cell_address(campaign: Campaign, rest: str = "") -> str:
    return address(campaign, f"cells/{campaign.cells.earliest('position').pk}/{rest}")


def test_a_finished_image_shows_certificate_recipe_cost_and_where_to_go(make, producer) -> None:
    campaign = make()
    render_all()
    page = producer.get(cell_address(campaign))
    said = words(page)
    for part in ("The mug", "on marble", "Product lock Intact", "Cost 1 credit", "Sampler", "Make another version"):
        assert part in said, part
    assert re.search(r"\d+ × \d+ at -?\d+, -?\d+", said)
    text = page.content.decode()
    second = campaign.cells.order_by("position")[1]
    assert f"cells/{second.pk}/?image=1" in found_in(text, r'href="([^"]+)"[^>]*data-key="j"')
    assert f"#open-{campaign.cells.earliest('position').pk}-1" in found_in(text, r'href="([^"]+)" data-key="Escape"')


def test_what_was_decided_stands_beside_the_image_in_words(make, producer, people) -> None:
    campaign = make()
    finish(1)
    decide(people, "reject")
    page = producer.get(cell_address(campaign))
    assert re.search(r"Decision Rejected By .*? ago : bad light\.", words(page))
    assert "Too &lt;b&gt;dark&lt;/b&gt;." in page.content.decode()


def test_a_failure_is_told_in_words(make, producer) -> None:
    campaign = make()
    spoil("The product's photo is gone. Nothing was charged.")
    said = words(producer.get(cell_address(campaign)))
    assert "The product&#x27;s photo is gone. Nothing was charged." in said
    assert "Try again • 1 credit" in said


def again(client: Client, campaign: Campaign, page: Any) -> Any:
    seen = found_in(page.content.decode(), r'name="seen" value="(\d*)"')
    return client.post(cell_address(campaign, "run-again/"), {"image": "1", "seen": seen}, follow=True)


def test_a_second_click_on_another_version_makes_one(make, producer) -> None:
    campaign = make()
    finish(4)
    page = producer.get(cell_address(campaign))
    assert "Another version is on its way." in words(again(producer, campaign, page))
    assert "There is a newer version of it already." in words(again(producer, campaign, page))
    assert CellRender.objects.filter(cell__campaign=campaign).count() == 5


def test_an_approved_image_is_not_made_again_from_a_page_that_is_out_of_date(make, producer, people) -> None:
    campaign = make()
    finish(4)
    page = producer.get(cell_address(campaign))
    decide(people)
    answer = again(producer, campaign, page)
    assert "This image is approved, so it stays as it is." in words(answer)
    assert "Make another version" not in words(answer)
    assert CellRender.objects.filter(cell__campaign=campaign).count() == 4


def test_versions_can_be_leafed_through(make, producer) -> None:
    campaign = make()
    finish(4)
    again(producer, campaign, producer.get(cell_address(campaign)))
    finish(1)
    text = producer.get(cell_address(campaign, "?version=1")).content.decode()
    assert re.findall(r'href="\?image=1&amp;version=(\d)"( aria-current="true")?', text) == [
        ("1", ' aria-current="true"'), ("2", ""),
    ]  # fmt: skip
    assert producer.get(cell_address(campaign, "?version=77&image=9")).status_code == 200


def test_a_cell_that_renders_polls_and_one_that_is_done_does_not(make, producer) -> None:
    campaign = make()
    batch = begin()
    page = producer.get(cell_address(campaign))
    where = found_in(page.content.decode(), r'id="cell" name="poll" hx-get="([^"]+)"')
    assert poll(producer, cell_address(campaign, where)).status_code == 204
    hand = Batch.objects.select_related("worker").latest("pk").worker
    queue.heartbeat(batch=batch, worker=hand, phase="step", step=5, steps=12, now=clock.now())
    news = poll(producer, cell_address(campaign, where))
    assert "Step 5 of 12" in words(news)
    assert "<html" not in news.content.decode()
    launch.cancel(campaign_id=campaign.pk, now=clock.now())
    assert 'name="poll"' not in producer.get(cell_address(campaign)).content.decode()


def test_a_cell_is_found_in_its_own_campaign_only(make, producer) -> None:
    campaign, other = make(), make("HAT")
    theirs = other.cells.earliest("position")
    assert producer.get(address(campaign, f"cells/{theirs.pk}/")).status_code == 404


def test_a_cells_page_takes_no_more_queries_with_more_versions(make, producer, django_assert_max_num_queries) -> None:
    campaign = make()
    finish(4)
    for _ in range(3):
        with django_assert_max_num_queries(18):
            page = producer.get(cell_address(campaign))
        again(producer, campaign, page)
        finish(1)


def test_what_is_approved_can_be_downloaded_once_nothing_waits(producer, make, people):
    campaign = make("BLUE", channels=CHANNELS[:1])
    render_all()
    link = f'href="/w/acme/delivery/?campaign={campaign.pk}"'
    assert link not in producer.get(address(campaign)).content.decode()
    for pk in Render.objects.filter(asset__isnull=False).values_list("asset_id", flat=True):
        review.approve(pk, by_id=people["reviewer"].pk, now=clock.now())
    page = producer.get(address(campaign))
    assert page.content.decode().count(link) == 2
    assert re.search(r"Download \d+ approved", words(page))
