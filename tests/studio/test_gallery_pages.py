"""The gallery's pages: what is on the shelf, narrowed, kept at its place, and what is done to many at once."""

import re
from datetime import timedelta

import pytest
from django.forms.models import model_to_dict
from django.test import Client

from campaigns.models import Campaign, Cell, CellRender
from gallery import library, projects, review, search
from gallery.models import Asset, ReviewStatus, Tag
from tests.conftest import NOW
from tests.gallery.review_samples import paid_asset
from tests.inference.desk import Desk, complete, take, worker
from tests.studio.page_text import found_in, words
from tests.studio.samples import Samples

GALLERY = "/w/acme/gallery/"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def shelf(workspace, people) -> list[Asset]:
    """Seven images, the newest first, a minute apart."""
    assets = [paid_asset(workspace, created_by=people["producer"]) for _ in range(7)]
    for age, asset in enumerate(reversed(assets)):
        Asset.objects.filter(pk=asset.pk).update(created_at=NOW - timedelta(minutes=age))
    return assets[::-1]


@pytest.fixture
def short_pages(monkeypatch) -> None:
    monkeypatch.setattr(search, "PAGE", 2)


def shown(response) -> list[int]:
    """The images on the page, in order."""
    return [int(pk) for pk in re.findall(r'id="image-(\d+)"', response.content.decode())]


def ids(assets: list[Asset]) -> list[int]:
    return [asset.pk for asset in assets]


def archived() -> set[int]:
    return set(Asset.objects.filter(archived_at__isnull=False).values_list("pk", flat=True))


# --- the shelf --------------------------------------------------------------------------------------------------------


def test_an_empty_gallery_says_what_it_is_for_and_has_the_button_that_starts_it(browser):
    page = browser("producer").get(GALLERY)
    assert "Nothing made yet" in words(page)
    assert 'href="/w/acme/campaigns/new/"' in page.content.decode()
    assert "Plan a campaign" not in words(browser("viewer").get(GALLERY))


def test_show_more_goes_on_where_the_page_ended_and_the_address_shows_it_all_again(browser, shelf, short_pages):
    client = browser("viewer")
    first = client.get(GALLERY)
    assert shown(first) == ids(shelf[:2])
    address = GALLERY + found_in(first.content.decode(), r'hx-get="(\?[^"]+)"')
    fragment = client.get(address, headers=HTMX)
    assert shown(fragment) == ids(shelf[2:4])
    assert b"<html" not in fragment.content
    # What is done to many leads back to the longer shelf.
    assert f'id="place" value="{address}" hx-swap-oob="true"' in fragment.content.decode()
    assert shown(client.get(address)) == ids(shelf[:4])


def test_a_place_that_nobody_offered_is_not_found(browser, shelf):
    for place in ("x", "1", "9" * 50 + "-1"):
        assert browser("viewer").get(f"{GALLERY}?after={place}").status_code == 404


def test_the_shelf_is_narrowed_by_state_words_tag_project_and_what_is_archived(browser, people, shelf):
    first, second, third, *_ = shelf
    review.approve(first.pk, by_id=people["reviewer"].pk, now=NOW)
    library.tag(workspace_id=first.workspace_id, asset_ids=[second.pk], name="Hero")
    spring = projects.create(workspace_id=first.workspace_id, name="Spring", now=NOW)
    projects.add(spring, [third], now=NOW)
    library.archive(workspace_id=first.workspace_id, asset_ids=[shelf[6].pk], now=NOW)
    client = browser("viewer")
    for query, expected in (
        ("status=approved", [first]),
        ("tag=Hero", [second]),
        (f"project={spring.pk}", [third]),
        (f"text={shelf[3].prompt.upper()}", [shelf[3]]),
        ("archived=on", [shelf[6]]),
        ("status=approved&tag=Hero", []),
        ("sku=MUG", []),
        # What nobody offered narrows nothing.
        ("status=nonsense&tag=nobodys&project=abc&campaign=99999", shelf[:6]),
    ):
        assert shown(client.get(f"{GALLERY}?{query}")) == ids(expected), query
    nothing = words(client.get(f"{GALLERY}?text=zeppelin"))
    assert "No image is like that" in nothing
    assert "Words in the prompt: zeppelin , take away" in nothing


@pytest.fixture
def campaign_images(workspace) -> list[Asset]:
    """A campaign's two images: of a mug on wood, and on glass."""
    made = Samples(workspace)
    desk = Desk(workspace.pk)
    _, render_ids = desk.ask(2)
    for render in take(worker(), now=desk.now).renders:
        complete(render, now=desk.now)
    wood = made["cell"]
    glass = Cell.objects.get(pk=wood.pk)
    glass.pk, glass.position, glass.key, glass.axes = None, 2, "MUG/square/glass", {"surface": "glass"}
    glass.save()
    for cell, render_id in zip((wood, glass), render_ids, strict=True):
        CellRender.objects.create(cell=cell, image=1, render_id=render_id, recipe_hash="")
    return [Asset.objects.get(render=render_id) for render_id in render_ids]


def test_a_campaign_narrows_to_its_images_and_offers_its_scenes_and_channels(browser, shelf, campaign_images):
    wood, glass = campaign_images
    campaign = Campaign.objects.get()
    client = browser("viewer")
    page = client.get(f"{GALLERY}?campaign={campaign.pk}")
    assert set(shown(page)) == {wood.pk, glass.pk}
    assert "Campaign: Shelf" in words(page)
    assert "MUG glass · square" in words(page)
    scene = found_in(page.content.decode(), r'<option value="([^"]+)">glass</option>')
    narrowed = client.get(GALLERY, {"campaign": campaign.pk, "axis": scene, "channel": "square", "sku": "mug"})
    assert shown(narrowed) == [glass.pk]
    assert 'alt="MUG, glass, square, to review"' in narrowed.content.decode()
    # Without the campaign, its scenes mean nothing and go with it.
    assert shown(client.get(GALLERY, {"axis": scene, "sku": "MUG"})) == sorted([wood.pk, glass.pk], reverse=True)


@pytest.mark.parametrize("address", [GALLERY, f"{GALLERY}?archived=on&text=scene&status=pending"])
def test_the_shelf_costs_as_many_queries_for_many_images_as_for_few(
    browser, workspace, shelf, address, django_assert_max_num_queries
):
    client = browser("viewer")
    with django_assert_max_num_queries(20) as few:
        client.get(address)
    for _ in range(30):
        paid_asset(workspace)
    with django_assert_max_num_queries(20) as many:
        assert client.get(address).status_code == 200
    assert len(many) == len(few)


# --- one image --------------------------------------------------------------------------------------------------------


def test_an_image_lies_between_its_neighbors_of_the_same_shelf_and_leads_back_to_its_place(browser, shelf, short_pages):
    first, second, third, fourth, *_ = shelf
    library.tag(workspace_id=first.workspace_id, asset_ids=ids([second, third, fourth]), name="Hero")
    client = browser("viewer")
    page = client.get(f"{GALLERY}{third.pk}/?tag=Hero").content.decode()
    assert found_in(page, r'href="([^"]+)" rel="prev"') == f"{GALLERY}{second.pk}/?tag=Hero"
    assert found_in(page, r'href="([^"]+)" rel="next"') == f"{GALLERY}{fourth.pk}/?tag=Hero"
    way_back = found_in(page, rf'href="([^"]+#image-{third.pk})"')
    assert shown(client.get(way_back.partition("#")[0])) == ids([second, third, fourth])
    newest = client.get(f"{GALLERY}{first.pk}/").content.decode()
    assert 'rel="prev"' not in newest
    assert found_in(newest, r'href="([^"]+)" rel="next"') == f"{GALLERY}{second.pk}/"


def test_who_comes_from_a_project_goes_back_to_it(browser, shelf):
    spring = projects.create(workspace_id=shelf[0].workspace_id, name="Spring", now=NOW)
    projects.add(spring, shelf[2:4], now=NOW)
    client = browser("viewer")
    listed = client.get(f"/w/acme/projects/{spring.pk}/").content.decode()
    address = found_in(listed, rf'href="([^"]+)" id="image-{shelf[3].pk}"')
    page = client.get(address).content.decode()
    assert found_in(page, r'href="([^"]+)" rel="prev"') == f"{GALLERY}{shelf[2].pk}/?project={spring.pk}"
    way_back = found_in(page, rf'href="([^"]+#image-{shelf[3].pk})"')
    assert way_back.startswith(f"/w/acme/projects/{spring.pk}/")
    assert shown(client.get(way_back.partition("#")[0])) == ids(shelf[2:4])


def test_an_image_tells_its_state_its_price_who_asked_and_who_decided(browser, people, shelf):
    asset = shelf[0]
    review.reject(asset.pk, by_id=people["reviewer"].pk, reason="bad_light", note="Too dark.", now=NOW)
    page = words(browser("viewer").get(f"{GALLERY}{asset.pk}/"))
    for said in ("Rejected", "1 credit", "Asked for by", "bad light", "Too dark.", asset.prompt):
        assert said in page


@pytest.mark.parametrize("name", ["gallery/999999/", "gallery/999999/?tag=x"])
def test_an_image_that_is_not_there_is_not_found(browser, people, name):
    assert browser("viewer").get(f"/w/acme/{name}").status_code == 404


def test_an_image_costs_no_more_queries_with_many_beside_it(browser, workspace, shelf, django_assert_max_num_queries):
    client = browser("viewer")
    with django_assert_max_num_queries(25) as few:
        client.get(f"{GALLERY}{shelf[3].pk}/")
    for number in range(12):
        library.tag(workspace_id=workspace.pk, asset_ids=ids(shelf), name=f"tag {number}")
    with django_assert_max_num_queries(25) as many:
        client.get(f"{GALLERY}{shelf[3].pk}/")
    assert len(many) == len(few)


# --- what is done to many ---------------------------------------------------------------------------------------------


def test_archiving_many_is_told_and_undone_from_the_page_that_follows(browser, shelf):
    client = browser("producer")
    chosen = ids(shelf[:3])
    place = f"{GALLERY}?status={ReviewStatus.PENDING}"
    done = client.post(f"{GALLERY}archive/", {"asset": chosen, "next": place}, follow=True)
    assert done.redirect_chain == [(place, 302)]
    assert "3 images archived." in words(done)
    assert shown(done) == ids(shelf[3:])
    assert archived() == set(chosen)
    assert "3 images archived." not in words(client.get(place))  # offered once
    restored = client.post(f"{GALLERY}restore/", {"asset": chosen}, follow=True)
    assert "3 images restored." in words(restored)
    assert archived() == set()


def test_the_undo_that_is_offered_brings_all_of_them_back(browser, shelf):
    client = browser("producer")
    page = client.post(f"{GALLERY}archive/", {"asset": ids(shelf[:2])}, follow=True).content.decode()
    form = found_in(page, r'(?s)<form class="banner ok undo"(.*?)</form>')
    client.post(found_in(form, r'action="([^"]+)"'), {"asset": re.findall(r'name="asset" value="(\d+)"', form)})
    assert archived() == set()


def test_archiving_twice_or_nothing_says_so_and_does_no_harm(browser, shelf):
    client = browser("producer")
    client.post(f"{GALLERY}archive/", {"asset": ids(shelf[:1])})
    again = client.post(f"{GALLERY}archive/", {"asset": ids(shelf[:1])}, follow=True)
    assert "Nothing was archived: no image was chosen, or all of them were so before." in words(again)
    assert archived() == {shelf[0].pk}
    assert "Nothing was archived" in words(client.post(f"{GALLERY}archive/", follow=True))


def test_more_images_than_a_form_has_fields_by_default_are_archived_at_once(browser, workspace, shelf):
    like = Asset.objects.get(pk=shelf[0].pk)
    row = model_to_dict(like, fields=["origin", "storage_key", "sha256", "width", "height", "size_bytes"])
    many = [Asset(**row, workspace=workspace, recipe={}, recipe_hash="", created_at=NOW) for _ in range(1500)]
    made = Asset.objects.bulk_create(many)
    response = browser("producer").post(f"{GALLERY}archive/", {"asset": ids(made)})
    assert response.status_code == 302
    assert len(archived()) == 1500


def test_tagging_makes_the_tag_known_to_the_filters_and_taking_it_off_forgets_it(browser, shelf):
    client = browser("producer")
    done = client.post(f"{GALLERY}tag/", {"asset": ids(shelf[:2]), "tag": " summer   sale "}, follow=True)
    assert "2 images tagged “summer sale”." in words(done)
    assert '<option value="summer sale">' in done.content.decode()
    tag = Tag.objects.get()
    for asset in shelf[:2]:
        client.post(f"{GALLERY}{asset.pk}/tags/{tag.pk}/remove/")
    assert not Tag.objects.exists()


@pytest.mark.parametrize(
    ("sent", "said"),
    [({"tag": "x"}, "Choose images and name a tag."), ({"asset": 1, "tag": " "}, "Name the tag first.")],
)
def test_a_tag_without_a_name_or_an_image_is_refused_in_words(browser, shelf, sent, said):
    sent = {**sent, **({"asset": shelf[0].pk} if "asset" in sent else {})}
    assert said in words(browser("producer").post(f"{GALLERY}tag/", sent, follow=True))
    assert not Tag.objects.exists()


def test_one_strange_id_among_many_and_nothing_is_done(browser, shelf, people):
    client: Client = browser("producer")
    for strange in ("999999", "abc", "-1", "9" * 40):
        response = client.post(f"{GALLERY}archive/", {"asset": [shelf[0].pk, strange]})
        assert response.status_code == 404
    assert archived() == set()


def test_the_way_back_leads_nowhere_else(browser, shelf):
    for target in ("https://evil.example/", "//evil.example/", "javascript:alert(1)", "\\\\evil.example"):
        response = browser("producer").post(f"{GALLERY}archive/", {"asset": shelf[0].pk, "next": target})
        assert response["Location"] == GALLERY


def test_who_only_looks_is_offered_nothing_that_changes(browser, shelf):
    page = browser("viewer").get(GALLERY).content.decode()
    assert "Download ZIP" in page
    assert f"{GALLERY}archive/" not in page
    assert f"{GALLERY}tag/" not in page
