"""The projects' pages: making, naming and putting away folders, and laying images and campaigns into them."""

import re

import pytest

from gallery import library, projects
from gallery.models import Asset, Project
from tests.conftest import NOW
from tests.gallery.review_samples import paid_asset
from tests.studio.page_text import found_in, words
from tests.studio.samples import Samples

PROJECTS = "/w/acme/projects/"


@pytest.fixture
def spring(workspace) -> Project:
    return projects.create(workspace_id=workspace.pk, name="Spring", now=NOW)


@pytest.fixture
def shop(workspace) -> Project:
    return projects.create(workspace_id=workspace.pk, name="Shop", now=NOW)


@pytest.fixture
def images(workspace) -> list[Asset]:
    return [paid_asset(workspace) for _ in range(3)]


def inside(project: Project) -> set[int]:
    return set(project.entries.values_list("asset_id", flat=True))


def ids(assets: list[Asset]) -> list[int]:
    return [asset.pk for asset in assets]


def test_the_first_project_is_explained_and_made_from_the_empty_page(browser):
    client = browser("producer")
    assert "No project yet" in words(client.get(PROJECTS))
    made = client.post(PROJECTS, {"name": "  Spring  2027 "}, follow=True)
    assert "<h1>Spring 2027</h1>" in made.content.decode()
    assert "Spring 2027 0 campaigns, 0 images" in words(client.get(PROJECTS))


@pytest.mark.parametrize(
    ("name", "said"),
    [("", "required"), ("SPRING", "There is a project named “SPRING” already"), ("x" * 121, "at most 120")],
)
def test_a_name_that_cannot_be_is_refused_at_the_form_and_nothing_is_made(browser, spring, name, said):
    page = browser("producer").post(PROJECTS, {"name": name})
    assert said in words(page)
    assert Project.objects.count() == 1


def test_a_double_click_makes_one_project(browser):
    client = browser("producer")
    for _ in range(2):
        client.post(PROJECTS, {"name": "Spring"})
    assert Project.objects.count() == 1


def test_renaming_keeps_the_menu_open_with_the_reason_when_the_name_is_taken(browser, spring, shop):
    client = browser("producer")
    address = f"{PROJECTS}{spring.pk}/"
    page = client.post(address, {"name": "shop"})
    assert "There is a project named “shop” already" in words(page)
    assert re.search(r'<details class="menu end" name="menus" open>', page.content.decode())
    assert "<h1>Autumn</h1>" in client.post(address, {"name": "Autumn"}, follow=True).content.decode()


def test_chosen_images_are_added_once_and_told_apart_from_those_that_lay_there(browser, spring, images):
    client = browser("producer")
    sent = {"asset": ids(images[:2]), "project": spring.pk, "next": "/w/acme/gallery/?tag=x"}
    done = client.post(f"{PROJECTS}add/", sent)
    assert done["Location"] == "/w/acme/gallery/?tag=x"
    again = client.post(f"{PROJECTS}add/", {"asset": ids(images), "project": spring.pk}, follow=True)
    assert "1 image added to “Spring”. 2 lay in it before." in words(again)
    assert inside(spring) == set(ids(images))


def test_chosen_images_are_moved_to_another_project(browser, spring, shop, images):
    projects.add(spring, images, now=NOW)
    client = browser("producer")
    page = client.get(f"{PROJECTS}{spring.pk}/").content.decode()
    move = found_in(page, r'formaction="([^"]+/move/)"')
    done = client.post(move, {"asset": ids(images[:2]), "target": shop.pk}, follow=True)
    assert "2 images moved to “Shop”." in words(done)
    assert (inside(spring), inside(shop)) == ({images[2].pk}, set(ids(images[:2])))
    assert "Choose images and the project to move them to." in words(
        client.post(move, {"asset": images[2].pk, "target": ""}, follow=True)
    )
    assert inside(spring) == {images[2].pk}


def test_images_that_are_taken_out_stay_in_the_gallery(browser, spring, images):
    projects.add(spring, images, now=NOW)
    client = browser("producer")
    done = client.post(f"{PROJECTS}{spring.pk}/remove/", {"asset": images[0].pk}, follow=True)
    assert "1 image taken out. They stay in the gallery." in words(done)
    assert inside(spring) == set(ids(images[1:]))
    assert f'id="image-{images[0].pk}"' in client.get("/w/acme/gallery/").content.decode()


def test_adding_without_images_or_project_says_what_is_missing(browser, spring, images):
    client = browser("producer")
    for sent in ({"project": spring.pk}, {"asset": images[0].pk, "project": ""}):
        assert "Choose images and a project." in words(client.post(f"{PROJECTS}add/", sent, follow=True))
    assert inside(spring) == set()


def test_a_campaign_is_laid_into_a_project_and_taken_out_again(browser, workspace, spring):
    campaign = Samples(workspace)["campaign"]
    client = browser("producer")
    done = client.post(f"{PROJECTS}campaign/", {"campaign": campaign.pk, "project": spring.pk}, follow=True)
    assert "Shelf is now in “Spring”." in words(done)
    assert "Spring 1 campaign, 0 images" in words(client.get(PROJECTS))
    client.post(f"{PROJECTS}campaign/", {"campaign": campaign.pk})
    campaign.refresh_from_db()
    assert campaign.project is None


def test_a_project_that_is_put_away_is_offered_nowhere_and_comes_back(browser, spring, images):
    client = browser("producer")
    client.post(f"{PROJECTS}{spring.pk}/archive/")
    listed = words(client.get(PROJECTS))
    assert "Spring" not in listed.replace("“Spring”", "")
    assert "1 archived" in listed
    assert "Spring" in words(client.get(f"{PROJECTS}?archived"))
    assert f'<option value="{spring.pk}">' not in client.get(f"/w/acme/gallery/{images[0].pk}/").content.decode()
    client.post(f"{PROJECTS}{spring.pk}/archive/")
    assert "Spring 0 campaigns, 0 images" in words(client.get(PROJECTS))


def test_a_front_counts_the_images_that_its_page_shows(browser, workspace, spring, images):
    projects.add(spring, images, now=NOW)
    library.archive(workspace_id=workspace.pk, asset_ids=[images[0].pk], now=NOW)
    client = browser("viewer")
    assert "0 campaigns, 2 images" in words(client.get(PROJECTS))
    assert client.get(f"{PROJECTS}{spring.pk}/").content.decode().count('id="image-') == 2


def test_who_only_looks_is_offered_nothing_that_changes(browser, spring, images):
    projects.add(spring, images, now=NOW)
    page = browser("viewer").get(f"{PROJECTS}{spring.pk}/").content.decode()
    assert "Download ZIP" in page
    for change in ("Rename", "Archive", "Take out", "Move"):
        assert change not in page


@pytest.mark.parametrize("is_one", [False, True], ids=["list", "project"])
def test_the_pages_cost_as_many_queries_for_many_as_for_few(
    browser, workspace, spring, images, is_one, django_assert_max_num_queries
):
    projects.add(spring, images, now=NOW)
    address = f"{PROJECTS}{spring.pk}/" if is_one else PROJECTS
    client = browser("viewer")
    with django_assert_max_num_queries(18) as few:
        client.get(address)
    for number in range(10):
        other = projects.create(workspace_id=workspace.pk, name=f"Folder {number}", now=NOW)
        more = [paid_asset(workspace) for _ in range(3)]
        projects.add(other, more, now=NOW)
        projects.add(spring, more, now=NOW)
    with django_assert_max_num_queries(18) as many:
        client.get(address)
    assert len(many) == len(few)
