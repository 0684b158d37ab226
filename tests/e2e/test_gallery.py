"""The gallery by mouse and keyboard: choosing many, coming back to the same place, folders, a ZIP that is opened."""

import csv
import hashlib
import io
import zipfile
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.site import Site

APPROVE = """
from billing import clock
from gallery import review
from gallery.models import Review
from studio.models import User
by = User.objects.get(email="reviewer@demo.example")
pending = Review.objects.filter(status="pending", workspace__slug="studio").order_by("-asset__created_at", "-asset")
print(*[review.approve(each.asset_id, by_id=by.pk, now=clock.now()) for each in pending[:2]])
"""
TAKE_BACK = """
from billing import clock
from gallery import review
from studio.models import User
by = User.objects.get(email="reviewer@demo.example")
for decision in ({decisions}):
    review.undo(decision, by_id=by.pk, now=clock.now())
"""
FOLDERS = """
from billing import clock
from gallery import projects
from studio.models import Workspace
for name in ("Posters", "Shop"):
    projects.create(workspace_id=Workspace.objects.get(slug="studio").pk, name=name, now=clock.now())
"""


@pytest.fixture
def gallery(campaign: str, sign_in) -> Page:
    """The shelf, in a window that shows a part of it."""
    page = sign_in("producer", height=420)
    page.goto("/w/studio/gallery/")
    return page


@pytest.fixture
def approved(site: Site, campaign: str) -> Iterator[int]:
    """How many images are approved while the test runs."""
    decisions = site.shell(APPROVE).split()
    yield len(decisions)
    site.shell(TAKE_BACK.format(decisions=", ".join([*decisions, ""])))


@pytest.fixture(scope="module")
def folders(site: Site) -> None:
    site.shell(FOLDERS)


def chosen(page: Page) -> int:
    return page.locator(".tile-pick input:checked").count()


def test_many_are_chosen_by_mouse_with_shift_and_put_away_and_brought_back(gallery):
    picks = gallery.locator(".tile-pick")
    before = picks.count()
    picks.nth(1).click()
    picks.nth(4).click(modifiers=["Shift"])
    expect(gallery.locator("[data-count]")).to_have_text("4 images chosen")
    gallery.get_by_role("button", name="Archive").click()
    expect(gallery.get_by_text("4 images archived.")).to_be_visible()
    expect(gallery.locator(".shelf .tile")).to_have_count(before - 4)
    gallery.get_by_role("button", name="Undo").click()
    expect(gallery.get_by_text("4 images restored.")).to_be_visible()
    expect(gallery.locator(".shelf .tile")).to_have_count(before)


def test_many_are_chosen_by_keyboard(gallery):
    gallery.locator(".shelf .tile a").first.focus()
    gallery.keyboard.press("x")
    assert chosen(gallery) == 1
    for _ in range(2):
        gallery.keyboard.press("ArrowRight")
    gallery.keyboard.press("Shift+X")
    expect(gallery.locator("[data-count]")).to_have_text("3 images chosen")
    gallery.keyboard.press("ArrowDown")
    below = gallery.evaluate("document.activeElement.getBoundingClientRect().top")
    gallery.keyboard.press("ArrowUp")
    assert gallery.evaluate("document.activeElement.getBoundingClientRect().top") < below
    gallery.keyboard.press("*")
    assert chosen(gallery) == gallery.locator(".shelf .tile").count()
    gallery.get_by_role("button", name="None").click()
    assert chosen(gallery) == 0
    expect(gallery.locator(".selection")).to_be_hidden()


@pytest.mark.parametrize("way", ["back", "crumb"])
def test_one_comes_back_from_an_image_to_the_same_place(gallery, way):
    last = gallery.locator(".shelf .tile a").last
    last.scroll_into_view_if_needed()
    name = last.get_attribute("id")
    top = gallery.evaluate("scrollY")
    assert top > 0
    last.click()
    gallery.wait_for_url("**/gallery/*/**")
    if way == "back":
        gallery.go_back()
    else:
        gallery.get_by_label("Where this is").get_by_role("link", name="Gallery").click()
    expect(gallery.get_by_role("heading", level=1)).to_have_text("Gallery")
    expect(gallery.locator(f"#{name}")).to_be_in_viewport()


def test_one_walks_from_image_to_image_by_keyboard_within_what_is_narrowed(gallery):
    gallery.get_by_label("SKU").fill("BLUE")
    gallery.get_by_role("button", name="Show", exact=True).click()
    gallery.wait_for_url("**sku=BLUE**")
    shown = gallery.locator(".shelf .tile a").evaluate_all("all => all.map((each) => each.id.split('-')[1])")
    gallery.locator(".shelf .tile a").first.click()
    for expected in [*shown[1:], None]:
        gallery.wait_for_url(f"**/gallery/{shown[0]}/**")
        expect(gallery.get_by_role("heading", level=1)).to_have_text("BLUE")
        if expected is None:
            break
        shown = shown[1:]
        gallery.keyboard.press("j")
    expect(gallery.get_by_role("link", name="Next image")).to_have_count(0)


def test_images_go_from_the_gallery_into_a_project_and_on_to_another(gallery, folders):
    for number in (0, 1):
        gallery.locator(".tile-pick").nth(number).click()
    gallery.get_by_label("Project").last.select_option("Posters")
    gallery.get_by_role("button", name="Add").click()
    expect(gallery.get_by_text("2 images added to “Posters”.")).to_be_visible()
    gallery.goto("/w/studio/projects/")
    gallery.get_by_role("link", name="Posters").click()
    gallery.locator(".tile-pick").first.click()
    gallery.get_by_label("Move to").select_option("Shop")
    gallery.get_by_role("button", name="Move").click()
    expect(gallery.get_by_text("1 image moved to “Shop”.")).to_be_visible()
    expect(gallery.locator(".shelf .tile")).to_have_count(1)


def test_the_approved_ones_are_downloaded_and_the_zip_holds_what_was_approved(gallery, approved):
    gallery.reload()
    gallery.keyboard.press("*")
    gallery.get_by_role("button", name="Download ZIP").click()
    expect(gallery.get_by_role("heading", name=f"{approved} approved images")).to_be_visible()
    with gallery.expect_download() as download:
        gallery.get_by_role("button", name=f"Download {approved} images").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.testzip() is None
        listed = list(csv.DictReader(io.StringIO(archive.read("manifest.csv").decode(), newline="")))
        hashes = [hashlib.sha256(archive.read(row["file"])).hexdigest() for row in listed]
    assert hashes == [row["sha256"] for row in listed]
    assert {row["decision"] for row in listed} == {"approved"}
    assert len(hashes) == approved


def test_putting_away_and_bringing_back_needs_no_javascript(campaign, sign_in):
    page = sign_in("producer", javascript=False)
    page.goto("/w/studio/gallery/")
    before = page.locator(".shelf .tile").count()
    page.locator(".tile-pick input").first.check()
    page.get_by_role("button", name="Archive").click()
    assert page.locator(".shelf .tile").count() == before - 1
    page.get_by_role("button", name="Undo").click()
    assert page.locator(".shelf .tile").count() == before
