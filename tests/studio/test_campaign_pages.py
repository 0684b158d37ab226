"""The pages of campaigns: the list, the form and what it comes to, drafts, files, launch, pause, resume, cancel."""

import io
import re
import uuid
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from billing import clock, ledger
from campaigns import launch, listing
from campaigns.entered import Entered
from campaigns.models import Campaign, Draft, Product
from inference import queue
from inference.models import Render, RenderStatus
from studio.models import Workspace
from tests.campaigns.shelf import entered, stock
from tests.campaigns.test_listing import many
from tests.conftest import NOW
from tests.inference.desk import complete, take, worker
from tests.studio.page_text import found_in, words

HTMX = {"HX-Request": "true"}
CAMPAIGNS = "/w/acme/campaigns/"
FORM = {
    "name": "Shelf",
    "checkpoint": "starter",
    "products": ["MUG", "CUP"],
    "template": "on {surface}",
    "axis_name": ["surface", ""],
    "axis_values": ["marble\r\nsand", ""],
    "channel_name": ["square"],
    "channel_way": ["place"],
    "channel_width": ["128"],
    "channel_height": ["128"],
    "channel_scale": ["0.6"],
    "channel_anchor": ["center"],
    "images_per_cell": "1",
    "seed": "7",
    "seed_policy": "per_scene",
}


@pytest.fixture
def producer(browser: Callable[[str], Client], workspace: Workspace) -> Client:
    stock(workspace.pk, "MUG", "CUP")
    return browser("producer")


def post(client: Client, path: str = "new/", *, htmx: bool = False, **changes: Any) -> Any:
    data = {key: value for key, value in (FORM | changes).items() if value is not None}
    address = path if path.startswith("/") else CAMPAIGNS + path
    return client.post(address, data, headers=HTMX if htmx else {})


def draft_of(client: Client, **changes: Any) -> tuple[Draft, str]:
    """A draft saved by the form, and its address."""
    answer = post(client, **{"key": str(uuid.uuid4()), "act": "save"} | changes)
    assert answer.status_code == 302
    return Draft.objects.latest("pk"), answer["Location"].partition("#")[0].partition("?")[0]


def launched(client: Client, **changes: Any) -> Campaign:
    _, address = draft_of(client, **changes)
    answer: Any = client.post(f"{address}launch/")
    assert answer.status_code == 302, words(answer)
    return Campaign.objects.latest("pk")


# --- the form and what it comes to ---


def test_what_the_form_comes_to_follows_what_is_typed_and_writes_nothing(producer):
    page = words(post(producer, "check/", htmx=True))
    assert "4 images 2 products × 2 scenes × 1 channel" in page
    assert "Launch 4 images • 4 credits" in page
    more = words(post(producer, "check/", htmx=True, axis_values=["marble\nsand\noak", ""], images_per_cell="3"))
    assert "18 images 2 products × 3 scenes × 1 channel × 3 each" in more
    assert "At most 18 credits" in more
    assert not Draft.objects.exists()


def test_a_problem_is_told_at_its_field_and_a_gap_only_as_something_to_do(producer):
    page = post(producer, "check/", htmx=True, template="on {surfce}", name="", channel_width=["10"]).content.decode()
    assert "{surfce} is not an axis. Did you mean" in found_in(page, r'id="error-template"[^>]*>(.*?)</ul>')
    assert "Write a whole number" in found_in(page, r'id="error-channel-0-width"[^>]*>(.*?)</ul>')
    assert not found_in(page, r'id="error-name"[^>]*>(.*?)</ul>')
    assert "Still to do" in page
    strict = post(producer, "check/", htmx=True, name="", strict="1").content.decode()
    assert "The name is empty" in found_in(strict, r'id="error-name"[^>]*>(.*?)</ul>')


def test_check_leads_back_to_the_form_with_every_gap_at_its_field(producer):
    answer = post(producer, name="", act="check", key=str(uuid.uuid4()))
    assert answer["Location"].endswith("/?checked")
    page = producer.get(answer["Location"]).content.decode()
    assert "The name is empty" in found_in(page, r'id="error-name"[^>]*>(.*?)</ul>')
    assert 'aria-invalid="true"' in found_in(page, r'<input id="name"([^>]*)>')


def test_short_of_credits_is_told_in_the_form_before_anything_is_launched(browser, make_workspace, people):
    free = make_workspace("free", plan="free")
    stock(free.pk, "MUG", "CUP")
    free.memberships.create(user=people["producer"], role="producer")
    short = post(browser("producer"), "/w/free/campaigns/check/", htmx=True, images_per_cell="8")
    page = words(short)
    assert "This needs 32 credits at most, and the workspace has 20." in page
    assert re.search(r"<button[^>]* disabled>Launch 32 images", short.content.decode())


@pytest.mark.parametrize("number", [2, 40])
def test_a_keystroke_costs_the_same_few_queries_for_few_and_for_many_products(
    producer, workspace, django_assert_max_num_queries, number
):
    skus = [*stock(workspace.pk, *(f"SKU-{at}" for at in range(number)))]
    with django_assert_max_num_queries(12):
        assert f"{number * 2} images" in words(post(producer, "check/", htmx=True, products=skus))


@pytest.mark.parametrize("number", [2, 40])
def test_the_forms_page_costs_the_same_queries_for_few_and_for_many_products(
    producer, workspace, django_assert_max_num_queries, number
):
    _, address = draft_of(producer, products=[*stock(workspace.pk, *(f"SKU-{at}" for at in range(number)))])
    with django_assert_max_num_queries(21):
        assert producer.get(address).status_code == 200


def test_two_thousand_products_can_be_chosen_at_once(producer, workspace):
    Product.objects.bulk_create(
        Product(workspace=workspace, sku=f"SKU-{at:04}", title="x", created_at=NOW) for at in range(2_000)
    )
    skus = [f"SKU-{at:04}" for at in range(2_000)]
    page = words(post(producer, "check/", htmx=True, products=skus, axis_values=["marble", ""], channel_way=["text"]))
    assert "2,000 images" in page


# --- saving ---


def test_a_form_becomes_a_draft_that_comes_back_as_it_was_typed(producer):
    draft, address = draft_of(producer)
    form = Entered.from_json(draft.entered)
    assert form.axes[0].values == "marble\nsand"
    page = producer.get(address).content.decode()
    assert 'value="MUG" checked' in page
    assert ">on {surface}</textarea>" in page
    assert "Draft saved" in page


def test_saving_as_one_goes_makes_one_draft_and_says_so(producer):
    key = str(uuid.uuid4())
    first = post(producer, htmx=True, key=key, revision="0", act="auto")
    assert "Draft saved" in words(first)
    assert first["HX-Replace-Url"].startswith("/w/acme/drafts/")
    assert "brief.toml" in words(first)  # what one can do with a draft, now that there is one
    revision = found_in(first.content.decode(), r'name="revision" value="(\d+)"')
    second = post(producer, htmx=True, key=key, revision=revision, act="auto", name="Spring")
    assert 'name="revision" value="2"' in second.content.decode()
    assert [draft.name for draft in Draft.objects.all()] == ["Spring"]


def test_the_same_form_sent_twice_is_one_draft(producer):
    key = str(uuid.uuid4())
    addresses = {post(producer, key=key, revision="0", act="save")["Location"] for _ in range(2)}
    assert len(addresses) == Draft.objects.count() == 1


def test_of_two_tabs_the_later_one_is_told_and_can_keep_its_own(producer):
    draft, address = draft_of(producer)
    post(producer, address, revision="1", act="save", name="First")
    answer = post(producer, address, revision="1", act="save", name="Second")
    page = words(answer)
    assert "This draft was saved meanwhile" in page
    assert "Keep mine" in page
    assert 'value="Second"' in answer.content.decode()
    assert Draft.objects.get().name == "First"
    live = post(producer, address, htmx=True, revision="1", act="auto", name="Second")
    assert "saved meanwhile" in words(live)
    assert "toasts" in live["HX-Trigger"]
    post(producer, address, revision="1", act="overwrite", name="Second")
    assert Draft.objects.get(pk=draft.pk).name == "Second"


@pytest.mark.parametrize(
    ("act", "has", "has_not"),
    [
        ("axis:add", 'id="axis-2-name"', 'id="axis-3-name"'),
        ("axis:remove:1", 'id="axis-0-name"', 'id="axis-1-name"'),
        ("channel:add:story", 'value="1920"', 'id="channel-2-name"'),
        ("channel:add", 'id="channel-1-name"', 'id="channel-2-name"'),
        ("channel:remove:0", 'id="channels"', 'id="channel-0-name"'),
        ("products:none", 'value="MUG"', "checked"),
        ("axis:remove:99", 'id="axis-1-name"', 'id="axis-2-name"'),
        ("nonsense", 'id="axis-1-name"', 'id="axis-2-name"'),
    ],
)
@pytest.mark.parametrize("htmx", [True, False])
def test_buttons_change_rows_with_and_without_javascript(producer, act, has, has_not, htmx):
    answer = post(producer, htmx=htmx, key=str(uuid.uuid4()), act=act)
    page = (answer if htmx else producer.get(answer["Location"])).content.decode()
    assert has in page
    assert has_not not in page


def test_what_only_databases_mind_is_taken_out(producer):
    draft, _ = draft_of(producer, name="She\0lf", template="on {surface},\r\nby day")
    form = Entered.from_json(draft.entered)
    assert (form.name, form.template) == ("Shelf", "on {surface},\nby day")


def test_a_draft_is_discarded_only_after_a_question(producer):
    _, address = draft_of(producer)
    assert "Discard Shelf?" in words(producer.get(f"{address}discard/"))
    assert Draft.objects.count() == 1
    answer = producer.post(f"{address}discard/", follow=True)
    assert "The draft “Shelf” is gone." in words(answer)
    assert not Draft.objects.exists()


def test_every_draft_can_be_found_again(producer):
    for number in range(14):
        draft_of(producer, name=f"Draft number {number}")
    page = words(producer.get(CAMPAIGNS))
    assert "Draft number 13" in page
    assert "Draft number 0" not in page
    assert "Show all drafts" in page
    assert "Draft number 0" in words(producer.get(f"{CAMPAIGNS}?drafts=all"))


# --- files ---


def test_an_exported_brief_comes_in_again_as_the_same_draft(producer):
    draft, address = draft_of(producer, must_have="the product is whole", negative="text\r\nwatermark")
    text = producer.get(f"{address}brief.toml").content
    answer = producer.post(f"{CAMPAIGNS}import/", {"file": SimpleUploadedFile("brief.toml", text)}, follow=True)
    assert "The brief is a draft now. Nothing was launched." in words(answer)
    again = Draft.objects.latest("pk")
    assert again.pk != draft.pk
    assert Entered.from_json(again.entered).text().encode() == text


def test_an_import_sent_twice_is_one_draft(producer):
    page = producer.get(f"{CAMPAIGNS}import/").content.decode()
    key = found_in(page, r'name="key" value="([^"]+)"')
    for _ in range(2):
        producer.post(f"{CAMPAIGNS}import/", {"text": entered("MUG").text(), "key": key})
    assert Draft.objects.count() == 1


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({}, "Choose the brief&#x27;s file, or paste its text."),
        ({"text": "name = Shelf"}, "this is not TOML"),
        ({"text": entered("MUGG").text()}, "Did you mean &quot;MUG&quot;"),
        ({"file": SimpleUploadedFile("brief.toml", b"\xff\xfe")}, "This is not UTF-8 text."),
    ],
)
def test_a_brief_that_cannot_be_used_says_why_and_makes_nothing(producer, sent, said):
    answer = producer.post(f"{CAMPAIGNS}import/", sent)
    assert said in answer.content.decode()
    assert not Draft.objects.exists()


def test_a_launched_campaign_gives_its_brief_and_its_zip_away(producer):
    campaign = launched(producer)
    text = producer.get(f"{CAMPAIGNS}{campaign.pk}/brief.toml")
    assert text["Content-Disposition"] == 'attachment; filename="brief.toml"'
    assert text.content.decode() == campaign.brief
    packed = producer.get(f"{CAMPAIGNS}{campaign.pk}/package.zip")
    assert packed["Content-Disposition"] == 'attachment; filename="Shelf.zip"'
    names = zipfile.ZipFile(io.BytesIO(b"".join(packed.streaming_content))).namelist()
    assert sorted(names) == [
        "brief.toml", "masks/CUP.png", "masks/MUG.png", "photos/CUP.png", "photos/MUG.png", "products.csv",
    ]  # fmt: skip


# --- launching, and after ---


def test_a_launch_shows_its_figures_asks_once_and_lands_on_the_sheet(producer, workspace):
    answer = post(producer, key=str(uuid.uuid4()), act="launch")
    page = producer.get(answer["Location"])
    assert "Launch 4 images • 4 credits" in words(page)
    revision = found_in(page.content.decode(), r'name="revision" value="(\d+)"')
    first, second = (producer.post(answer["Location"], {"revision": revision}) for _ in range(2))
    campaign = Campaign.objects.get()
    assert first["Location"] == second["Location"] == f"{CAMPAIGNS}{campaign.pk}/"
    assert Render.objects.count() == 4
    assert ledger.balance(workspace_id=workspace.pk).held == 4000
    assert campaign.created_by == Draft.objects.get().created_by
    draft = Draft.objects.get()
    assert producer.get(f"/w/acme/drafts/{draft.pk}/")["Location"] == f"{CAMPAIGNS}{campaign.pk}/"


def test_a_launch_whose_figures_changed_shows_the_new_ones_and_launches_nothing(producer):
    _, address = draft_of(producer)
    post(producer, address, revision="1", act="save", images_per_cell="2")
    page = words(producer.post(f"{address}launch/", {"revision": "1"}))
    assert "changed after its figures were shown" in page
    assert "Launch 8 images • 8 credits" in page
    assert not Campaign.objects.exists()


def test_a_draft_that_cannot_be_launched_says_why_and_that_nothing_is_held(producer):
    _, address = draft_of(producer, budget="1", name="")
    page = words(producer.get(f"{address}launch/"))
    assert "cannot be launched yet" in page
    assert "its budget is 1" in page
    assert "Nothing was launched and nothing is held." in page
    assert "The name is empty" in words(producer.post(f"{address}launch/")).replace("[campaign] name:", "The name")
    assert not Campaign.objects.exists()


def test_a_campaign_is_paused_resumed_and_canceled_and_its_credits_come_back(producer, workspace):
    campaign = launched(producer)
    address = f"{CAMPAIGNS}{campaign.pk}/"
    assert "Paused." in words(producer.post(f"{address}pause/", follow=True))
    assert "Paused" in words(producer.get(CAMPAIGNS))
    assert queue.claim(worker=worker(now=clock.now()), batch_size_of=lambda _: 4, now=clock.now()) is None
    assert "It goes on." in words(producer.post(f"{address}resume/", follow=True))
    complete(take(worker(now=clock.now()), at_most=1, now=clock.now()).renders[0], now=clock.now())
    page = words(producer.get(f"{address}cancel/"))
    assert "3 images of Shelf are waiting or being rendered." in page
    assert "3 credits held for them are available again at once. The 1 that is done stays." in page
    assert Render.objects.filter(status=RenderStatus.CANCELED).count() == 0
    assert "3 images canceled; 3 credits are available again." in words(producer.post(f"{address}cancel/", follow=True))
    assert "Nothing was left to cancel." in words(producer.post(f"{address}cancel/", follow=True))
    assert ledger.balance(workspace_id=workspace.pk).held == 0
    assert ledger.balance(workspace_id=workspace.pk).spent == 1000


def test_a_campaign_is_duplicated_into_a_draft_with_its_brief(producer):
    campaign = launched(producer)
    producer.post(f"{CAMPAIGNS}{campaign.pk}/duplicate/")
    copy = Draft.objects.latest("pk")
    assert copy.name == "Copy of Shelf"
    assert Entered.from_json(copy.entered).text() == campaign.brief.replace('"Shelf"', '"Copy of Shelf"')


# --- the list ---


def test_an_empty_list_teaches_and_begins_with_what_is_missing(browser, workspace):
    assert "Add product photos first" in words(browser("producer").get(CAMPAIGNS))
    assert "Your role here is viewer" in words(browser("viewer").get(CAMPAIGNS))
    stock(workspace.pk, "MUG")
    page = words(browser("producer").get(CAMPAIGNS))
    assert "New campaign" in page
    assert "Add product photos first" not in page


def test_the_poll_of_the_list_is_empty_while_nothing_moves_and_ends_with_the_last_image(
    producer, django_assert_max_num_queries
):
    campaign = launched(producer)
    poll = found_in(producer.get(CAMPAIGNS).content.decode(), r'hx-get="([^"]*progress/[^"]*)"')
    with django_assert_max_num_queries(5):
        assert producer.get(poll, headers=HTMX).status_code == 204
    hand = worker(now=clock.now())
    (first, *rest) = take(hand, now=clock.now()).renders
    complete(first, now=clock.now())
    moved = producer.get(poll, headers=HTMX)
    assert moved.status_code == 200
    assert "1 of 4 done" in words(moved)
    assert f'id="campaign-{campaign.pk}" hx-swap-oob="true"' in moved.content.decode()
    for render in rest:
        complete(render, now=clock.now())
    assert launch.progress(campaign_id=campaign.pk).waiting == 0
    last = producer.get(found_in(moved.content.decode(), r'hx-get="([^"]*progress/[^"]*)"'), headers=HTMX)
    assert last.status_code == 286
    assert "4 of 4 done" in words(last)


@pytest.mark.parametrize("number", [1, 25])
def test_the_list_costs_the_same_queries_for_few_and_for_many_campaigns(
    browser, workspace, django_assert_max_num_queries, number
):
    many(workspace, number)
    client = browser("viewer")
    with django_assert_max_num_queries(14):
        page = client.get(CAMPAIGNS).content.decode()
    assert len(re.findall(r'<li id="campaign-\d+"', page)) == min(number, listing.PAGE)


def test_older_campaigns_are_shown_behind_those_that_are_there(browser, workspace):
    many(workspace, 25)
    client = browser("viewer")
    more = found_in(client.get(CAMPAIGNS).content.decode(), r'hx-get="(\?after=\d+)"')
    fragment = client.get(CAMPAIGNS + more, headers=HTMX).content.decode()
    assert "<html" not in fragment
    assert len(re.findall(r'<li id="campaign-\d+"', fragment)) == 5
    assert "Campaign 0" in words(client.get(CAMPAIGNS + more))


@pytest.mark.parametrize("query", ["?after=0", "?after=9999999999999999999999", "?after=x", "?drafts=x"])
def test_addresses_that_nobody_offered_do_no_harm(browser, query):
    assert browser("viewer").get(CAMPAIGNS + query).status_code == 200
    assert browser("viewer").get(f"{CAMPAIGNS}progress/?ids=x,,9,-1&v=%00").status_code in {200, 204, 286}


def test_a_viewer_sees_drafts_and_takes_their_brief_but_changes_nothing(producer, browser):
    _, address = draft_of(producer)
    viewer = browser("viewer")
    page = words(viewer.get(CAMPAIGNS))
    assert "Shelf" in page
    assert "Discard" not in page
    assert viewer.get(f"{address}brief.toml").status_code == 200
    assert viewer.post(f"{address}discard/").status_code == 403
    assert Draft.objects.count() == 1


def test_htmx_without_a_session_is_sent_to_sign_in_as_a_whole_page(client, workspace):
    answer = post(client, "check/", htmx=True)
    assert "/login/" in answer["HX-Redirect"]
