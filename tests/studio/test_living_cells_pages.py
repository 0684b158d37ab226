"""The pages of cells that live: the changed brief with its consequences, stale tiles, re-runs, one cell by hand."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from PIL import Image

from billing import clock
from campaigns.entered import EnteredChannel
from campaigns.models import Campaign, Cell, CellRender, Draft, Product
from gallery import review
from inference.models import Render, RenderStatus
from studio.models import User, Workspace
from tests.campaigns.sheets import finish, launched, spoil
from tests.campaigns.shelf import mask, photo_of
from tests.campaigns.test_living_cells import give_photo
from tests.studio.page_text import found_in, words

HTMX = {"HX-Request": "true"}
SQUARE = EnteredChannel(name="square", width="128", height="128", scale="0.6", anchor="center")


@pytest.fixture
def campaign(workspace: Workspace, people: dict[str, User]) -> Campaign:
    """MUG and CUP × marble and sand, all there; the first is approved."""
    made = launched(workspace.pk, by=people["producer"])
    finish(4)
    first = CellRender.objects.filter(cell__campaign=made).earliest("cell__position").render.asset_id
    assert first is not None
    review.approve(first, by_id=people["reviewer"].pk, now=clock.now())
    return made


@pytest.fixture
def producer(browser: Callable[[str], Client]) -> Client:
    return browser("producer")


def address(campaign: Campaign, rest: str = "") -> str:
    return f"/w/acme/campaigns/{campaign.pk}/{rest}"


def states(answer: Any) -> list[str]:
    return [classes.split()[-1] for classes in re.findall(r'<div class="(tile [a-z_]+)"', answer.content.decode())]


def fields(page: Any) -> dict[str, Any]:
    """Everything that the builder's form holds, as a browser would send it."""
    form = page.context["form"]
    return {
        "key": str(page.context["key"]),
        "revision": str(page.context["revision"]),
        "is_change": found_in(page.content.decode(), r'name="is_change" value="(1)"'),
        "name": form.name,
        "checkpoint": form.checkpoint,
        "images_per_cell": form.images_per_cell,
        "seed": form.seed,
        "seed_policy": form.seed_policy,
        "budget": form.budget,
        "products": list(form.skus),
        "template": form.template,
        "negative": form.negative,
        "must_have": form.must_have,
        "axis_name": [axis.name for axis in form.axes],
        "axis_values": [axis.values for axis in form.axes],
        **{
            f"channel_{field}": [getattr(channel, field) for channel in form.channels]
            for field in ("name", "way", "width", "height", "scale", "anchor")
        },
    }


def begin_change(client: Client, campaign: Campaign) -> Any:
    return client.post(address(campaign, "change/"), follow=True)


def save_change(client: Client, campaign: Campaign, **changes: Any) -> Any:
    """The whole way that a person goes: open, write, look, save."""
    page = begin_change(client, campaign)
    where = page.redirect_chain[-1][0]
    look: Any = client.post(where, {**fields(page), **changes, "act": "launch"}, follow=True)
    assert "Saving launches nothing and costs nothing." in words(look)
    revision = found_in(look.content.decode(), r'name="revision" value="(\d+)"')
    return client.post(look.redirect_chain[-1][0], {"revision": revision}, follow=True)


# --- the brief ---


def test_the_builder_says_before_what_a_change_does(campaign, producer) -> None:
    page = begin_change(producer, campaign)
    assert "Changes to Shelf" in words(page)
    assert "No image changes" in words(page)
    form = {**fields(page), "axis_values": ["marble\nwet sand\noak"]}
    said = words(producer.post("/w/acme/campaigns/check/", form, headers=HTMX))
    assert "2 images become stale" in said
    assert "New, to be launched 2 images" in said
    said = words(producer.post("/w/acme/campaigns/check/", fields(page) | {"template": "by {surface}"}, headers=HTMX))
    assert "3 images become stale" in said
    assert "Approved, stay as they are 1 image" in said
    said = words(producer.post("/w/acme/campaigns/check/", fields(page) | {"products": ["CUP"]}, headers=HTMX))
    assert "Set aside 2 images, 1 approved" in said
    assert "Launch" not in said


def test_a_saved_change_shows_stale_tiles_and_offers_to_re_run_them_with_their_price(campaign, producer) -> None:
    page = save_change(producer, campaign, template="by {surface}")
    assert "The brief is saved; nothing was launched. 3 images became stale." in words(page)
    assert states(page) == ["approved", "stale", "stale", "stale"]
    text = page.content.decode()
    assert 'alt="MUG, sand, square, stale"' in text
    assert "Re-run 3 stale • 3 credits" in words(page)
    assert "Stale 3" in words(page)
    narrowed = producer.get(address(campaign, "?state=stale"))
    assert states(narrowed) == ["approved", "stale", "stale", "stale"]
    answer = producer.post(address(campaign, "rerun/"), {"what": "stale", "images": "3"}, follow=True)
    assert "3 images asked for." in words(answer)
    assert states(answer) == ["approved", "waiting", "waiting", "waiting"]
    finish(3)
    assert states(producer.get(address(campaign))) == ["approved", "pending", "pending", "pending"]
    assert {render.request["prompt"] for render in Render.objects.order_by("-pk")[:3]} == {"by sand", "by marble"}


def test_a_second_click_on_re_run_asks_for_nothing_more(campaign, producer) -> None:
    save_change(producer, campaign, template="by {surface}")
    for said in ("3 images asked for.", "Every image is there or on its way."):
        answer = producer.post(address(campaign, "rerun/"), {"what": "stale", "images": "3"}, follow=True)
        assert said in words(answer)
    assert Render.objects.filter(status=RenderStatus.QUEUED).count() == 3


@pytest.mark.parametrize("form", [{}, {"what": "approved", "images": "9"}, {"what": "stale", "images": "x"}])
def test_a_re_run_of_nothing_in_particular_launches_nothing(campaign, producer, form) -> None:
    save_change(producer, campaign, template="by {surface}")
    assert producer.post(address(campaign, "rerun/"), form, follow=True).status_code == 200
    assert not Render.objects.filter(status=RenderStatus.QUEUED).exists()


def test_rejected_and_failed_ones_have_buttons_of_their_own(workspace, people, producer) -> None:
    campaign = launched(workspace.pk, by=people["producer"])
    spoil()
    finish(3)
    rejected = CellRender.objects.filter(cell__campaign=campaign, render__asset__isnull=False).latest("pk")
    assert rejected.render.asset_id is not None
    review.reject(rejected.render.asset_id, by_id=people["reviewer"].pk, reason="bad_light", now=clock.now())
    said = words(producer.get(address(campaign)))
    assert "Re-run 1 rejected • 1 credit" in said
    assert "Re-run 1 failed • 1 credit" in said
    answer = producer.post(address(campaign, "rerun/"), {"what": "rejected", "images": "1"}, follow=True)
    assert states(answer) == ["failed", "pending", "pending", "waiting"]


def test_new_cells_are_launched_without_the_failed_ones(workspace, people, producer) -> None:
    campaign = launched(workspace.pk, by=people["producer"])
    spoil()
    finish(3)
    page = save_change(producer, campaign, axis_values=["marble\nsand\noak"])
    assert "Launch 2 missing • 2 credits" in words(page)
    answer = producer.post(address(campaign, "launch-again/"), {"leaves_failed": "1"}, follow=True)
    assert "2 images asked for." in words(answer)
    assert states(answer).count("failed") == 1


def test_two_people_change_one_brief_and_the_later_save_is_told(campaign, producer, browser) -> None:
    mine, theirs = begin_change(producer, campaign), begin_change(browser("owner"), campaign)
    where = mine.redirect_chain[-1][0]
    assert theirs.redirect_chain[-1][0] == where
    save_change(producer, campaign, template="by {surface}")
    answer = browser("owner").post(where, fields(theirs) | {"template": "in {surface}", "act": "save"}, headers=HTMX)
    assert "These changes were saved to the campaign meanwhile" in words(answer)
    campaign.refresh_from_db()
    assert 'template = "by {surface}"' in campaign.brief
    # Saving twice saves once.
    draft = Draft.objects.get(revises=campaign)
    assert producer.post(f"/w/acme/drafts/{draft.pk}/launch/", {"revision": "1"}).status_code == 302
    campaign.refresh_from_db()
    assert campaign.revision == 2


def test_what_stands_against_a_save_is_said(campaign, producer) -> None:
    page = begin_change(producer, campaign)
    where = page.redirect_chain[-1][0]
    look = producer.post(where, {**fields(page), "budget": "1", "act": "launch"}, follow=True)
    assert "These changes cannot be saved yet" in words(look)
    assert "is changed under Credits, Budgets" in words(look)
    again = producer.post(look.redirect_chain[-1][0], {"revision": "2"}, follow=True)
    assert "is changed under Credits, Budgets" in words(again)
    assert Draft.objects.get(revises=campaign).campaign is None


def test_changes_that_were_begun_are_found_again_and_can_be_discarded(campaign, producer) -> None:
    begin_change(producer, campaign)
    draft = Draft.objects.get(revises=campaign)
    assert "Changes to Shelf" in words(producer.get("/w/acme/campaigns/"))
    assert "Discard the changes to Shelf?" in words(producer.get(f"/w/acme/drafts/{draft.pk}/discard/"))
    producer.post(f"/w/acme/drafts/{draft.pk}/discard/")
    assert not Draft.objects.filter(revises=campaign).exists()
    assert states(producer.get(address(campaign))) == ["approved", "pending", "pending", "pending"]


@pytest.mark.parametrize("who", ["viewer", "reviewer"])
def test_who_does_not_produce_changes_nothing(campaign, browser, producer, who) -> None:
    save_change(producer, campaign, template="by {surface}")
    cell = campaign.cells.latest("position")
    client = browser(who)
    said = words(client.get(address(campaign))) + words(client.get(address(campaign, f"cells/{cell.pk}/")))
    assert "Stale 3" in said
    assert not [lever for lever in ("Re-run 3", "Change the brief", "Edit") if lever in said]
    for rest in ("rerun/", "change/", f"cells/{cell.pk}/edit/"):
        assert client.post(address(campaign, rest)).status_code == 403
        assert browser("stranger").post(address(campaign, rest)).status_code == 404


# --- photos ---


def test_another_photo_of_a_product_makes_its_images_stale_and_says_so(campaign, producer, tmp_path) -> None:
    product = Product.objects.get(sku="MUG")
    assert "become stale" in words(producer.get(f"/w/acme/products/{product.pk}/"))
    for name, data in (("new.png", photo_of("OTHER")), ("new-mask.png", mask())):
        (tmp_path / name).write_bytes(data)
    assert Image.open(tmp_path / "new.png").size == Image.open(tmp_path / "new-mask.png").size
    with (tmp_path / "new.png").open("rb") as photo, (tmp_path / "new-mask.png").open("rb") as lock:
        answer = producer.post(f"/w/acme/products/{product.pk}/photo/", {"photo": photo, "mask": lock}, follow=True)
    assert "images that campaigns made from the old one are stale" in words(answer)
    assert states(producer.get(address(campaign))) == ["approved", "stale", "pending", "pending"]


# --- the live sheet ---


def poll_of(page: Any) -> str:
    return found_in(page.content.decode(), r'id="sheet-poll"[^>]*hx-get="([^"]+)"').replace("&amp;", "&")


def test_an_open_sheet_is_told_of_what_becomes_stale(campaign, producer) -> None:
    cell = campaign.cells.latest("position")
    version = CellRender.objects.get(cell=cell)
    producer.post(address(campaign, f"cells/{cell.pk}/run-again/"), {"image": "1", "seen": version.render_id})
    where = poll_of(producer.get(address(campaign)))
    assert producer.get(where, headers=HTMX).status_code == 204
    give_photo(Product.objects.get(sku="MUG"), photo_of("OTHER"), mask())
    news = producer.get(where, headers=HTMX)
    assert states(news).count("stale") == 1
    assert "Re-run 1 stale" in words(news)


def test_an_open_sheet_whose_brief_is_changed_is_loaded_anew(campaign, producer) -> None:
    cell = campaign.cells.latest("position")
    version = CellRender.objects.get(cell=cell)
    producer.post(address(campaign, f"cells/{cell.pk}/run-again/"), {"image": "1", "seen": version.render_id})
    where = poll_of(producer.get(address(campaign)))
    save_change(producer, campaign, axis_values=["marble\nsand\noak"])
    assert producer.get(where, headers=HTMX)["HX-Refresh"] == "true"


# --- review ---


def test_what_is_stale_is_not_offered_for_review_until_it_was_made_anew(campaign, producer, browser) -> None:
    reviewer = browser("reviewer")
    assert "Review 3 images" in words(reviewer.get("/w/acme/review/"))
    assert "Review 3 V" in words(reviewer.get(address(campaign)))
    save_change(producer, campaign, template="by {surface}")
    assert "Review 3" not in words(reviewer.get("/w/acme/review/")) + words(reviewer.get(address(campaign)))
    producer.post(address(campaign, "rerun/"), {"what": "stale", "images": "3"})
    finish(3)
    assert "Review 3 images" in words(reviewer.get("/w/acme/review/"))


# --- one cell ---


def edit_address(cell: Cell) -> str:
    return f"/w/acme/campaigns/{cell.campaign_id}/cells/{cell.pk}/edit/"


def edit_form(page: Any, **changes: str) -> dict[str, str]:
    form = page.context["form"]
    return {name: str(form[name].value() or "0") for name in ("prompt", "seed", "seen")} | {
        "negative_prompt": form["negative_prompt"].value() or "",
        "image": "1",
        **changes,
    }


def test_one_cell_is_edited_rendered_alone_and_put_back(campaign, producer) -> None:
    cell = campaign.cells.latest("position")
    page = producer.get(edit_address(cell))
    assert "Save and render • 1 credit" in words(page)
    answer = producer.post(edit_address(cell), edit_form(page, prompt="on black sand", act="render"), follow=True)
    assert "Saved, and this image is on its way." in words(answer)
    assert "Edited by hand" in words(answer)
    finish(1)
    assert Render.objects.latest("pk").request["prompt"] == "on black sand"
    sheet = producer.get(address(campaign))
    assert states(sheet) == ["approved", "pending", "pending", "pending"]
    assert words(sheet).count("Edited") == 1
    page = producer.get(edit_address(cell))
    assert "The brief says on sand" in words(page)
    answer = producer.post(edit_address(cell), {"act": "reset", "image": "1"}, follow=True)
    assert "It asks for what the brief says again." in words(answer)
    assert states(producer.get(address(campaign)))[-1] == "stale"


def test_a_saved_edit_says_what_it_would_be_made_from_and_launches_nothing(campaign, producer) -> None:
    cell = campaign.cells.latest("position")
    form = edit_form(producer.get(edit_address(cell)), prompt="on <b>black</b> sand", act="save")
    said = producer.post(edit_address(cell), form, follow=True)
    assert "Since it was asked for, this changed: prompt." in words(said)
    assert "Today it asks for: on &lt;b&gt;black" in words(said)
    assert "Re-run as it is asked for now • 1 credit" in words(said)
    assert not Render.objects.filter(status=RenderStatus.QUEUED).exists()


def test_a_wrong_edit_is_said_at_its_field_and_an_outdated_one_above(campaign, producer) -> None:
    cell = campaign.cells.latest("position")
    page = producer.get(edit_address(cell))
    wrong = producer.post(edit_address(cell), edit_form(page, seed="4294967296", act="save"))
    assert "less than or equal to 4294967295" in words(wrong)
    producer.post(edit_address(cell), edit_form(page, prompt="on black sand", act="save"))
    late = producer.post(edit_address(cell), edit_form(page, prompt="on oak", act="save"))
    assert "This cell was changed meanwhile, here or in the brief." in words(late)
    assert "It asks for this by now on black sand" in words(late)
    cell.refresh_from_db()
    assert cell.edit == {"prompt": "on black sand"}
    # Whoever has seen it may still have their way.
    producer.post(edit_address(cell), edit_form(late, act="save"))
    cell.refresh_from_db()
    assert cell.edit == {"prompt": "on oak"}


def test_an_approved_one_is_not_edited_and_only_says_that_it_is_older(campaign, producer) -> None:
    save_change(producer, campaign, template="by {surface}")
    cell = campaign.cells.earliest("position")
    page = producer.get(address(campaign, f"cells/{cell.pk}/"))
    assert "Made from an older brief (prompt). It is approved, so it stays as it is." in words(page)
    assert "Stale" not in words(page)
    assert "This image is approved, so it stays as it is." in words(producer.get(edit_address(cell)))
    form = {"prompt": "on oak", "negative_prompt": "", "seed": "1", "seen": str(cell.changed), "image": "1"}
    answer = producer.post(edit_address(cell), form | {"act": "render"})
    assert "Undo the approval first." in words(answer)
    cell.refresh_from_db()
    assert cell.edit is None
