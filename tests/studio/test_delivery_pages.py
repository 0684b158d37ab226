"""Handing over from the pages: what would leave and what not, and a ZIP whose files are those that were approved."""

import csv
import hashlib
import io
import zipfile

import pytest

from gallery import projects, review, storage
from gallery.models import Asset
from tests.conftest import NOW
from tests.gallery.review_samples import paid_asset
from tests.studio.page_text import words
from tests.studio.samples import Samples

DELIVERY = "/w/acme/delivery/"


@pytest.fixture
def images(workspace, people) -> list[Asset]:
    """Four images, the first three approved."""
    made = [paid_asset(workspace, created_by=people["producer"]) for _ in range(4)]
    for asset in made[:3]:
        review.approve(asset.pk, by_id=people["reviewer"].pk, now=NOW)
    return made


def ids(assets: list[Asset]) -> list[int]:
    return [asset.pk for asset in assets]


def opened(response) -> zipfile.ZipFile:
    assert response["Content-Type"] == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(b"".join(response.streaming_content)))
    assert archive.testzip() is None
    return archive


def rows(archive: zipfile.ZipFile, name: str = "manifest.csv") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(archive.read(name).decode(), newline="")))


def test_chosen_approved_images_come_at_once_each_with_the_hash_that_was_approved(browser, images):
    response = browser("viewer").post(DELIVERY, {"asset": ids(images[:3])})
    assert response["Content-Disposition"] == 'attachment; filename="images.zip"'
    assert "Content-Encoding" not in response
    archive = opened(response)
    listed = rows(archive)
    assert {row["sha256"] for row in listed} == {asset.sha256 for asset in images[:3]}
    for row in listed:
        assert hashlib.sha256(archive.read(row["file"])).hexdigest() == row["sha256"]


def test_where_something_stays_behind_it_is_said_before_anything_is_sent(browser, images):
    client = browser("viewer")
    page = client.post(DELIVERY, {"asset": ids(images)})
    assert page["Content-Type"].startswith("text/html")
    told = words(page)
    assert "3 approved images" in told
    assert "1 image left out In review: only approved images are delivered. 1" in told
    archive = opened(client.post(DELIVERY, {"asset": ids(images), "sure": "on"}))
    assert len(rows(archive)) == 3
    assert [row["name"] for row in rows(archive, "left-out.csv")] == [f"image--{images[3].pk}.png"]


def test_where_nothing_may_leave_the_page_says_where_to_go(browser, images):
    client = browser("viewer")
    page = client.post(DELIVERY, {"asset": images[3].pk, "sure": "on"})
    assert "Nothing here may leave yet" in words(page)
    assert 'href="/w/acme/review/"' in page.content.decode()
    assert "Choose images in the gallery" in words(client.get(DELIVERY))


def test_a_projects_zip_holds_its_images_and_its_campaigns_images_once(browser, workspace, people, images):
    made = Samples(workspace)
    spring = projects.create(workspace_id=workspace.pk, name="Spring: hero & co", now=NOW)
    projects.add(spring, images[:2], now=NOW)
    made["campaign"].project = spring
    made["campaign"].save()
    client = browser("viewer")
    page = client.get(f"{DELIVERY}?project={spring.pk}")
    assert "Download Spring: hero &amp; co" in words(page)
    assert "2 approved images" in words(page)
    response = client.post(DELIVERY, {"of_project": spring.pk, "sure": "on"})
    assert response["Content-Disposition"] == 'attachment; filename="spring-hero-co.zip"'
    assert {row["sha256"] for row in rows(opened(response))} == {asset.sha256 for asset in images[:2]}


def test_a_project_to_add_to_that_the_gallerys_form_has_chosen_is_not_packed(browser, workspace, images):
    spring = projects.create(workspace_id=workspace.pk, name="Spring", now=NOW)
    projects.add(spring, images[:2], now=NOW)
    for project in (spring.pk, ""):
        archive = opened(browser("viewer").post(DELIVERY, {"asset": images[2].pk, "project": project}))
        assert [row["sha256"] for row in rows(archive)] == [images[2].sha256]


def test_an_approval_that_was_taken_back_meanwhile_stays_behind(browser, people, images):
    client = browser("viewer")
    spring = projects.create(workspace_id=images[0].workspace_id, name="Spring", now=NOW)
    projects.add(spring, images[:2], now=NOW)
    assert "2 approved images" in words(client.get(f"{DELIVERY}?project={spring.pk}"))
    decision = images[0].review.decisions.get()
    review.undo(decision.pk, by_id=people["reviewer"].pk, now=NOW)
    sent = opened(client.post(DELIVERY, {"of_project": spring.pk, "sure": "on"}))
    assert [row["sha256"] for row in rows(sent)] == [images[1].sha256]


def test_bytes_that_changed_since_they_were_approved_do_not_leave(browser, images):
    key = storage.put(images[0].workspace_id, b"something else", suffix=".png")
    Asset.objects.filter(pk=images[0].pk).update(storage_key=key)
    archive = opened(browser("viewer").post(DELIVERY, {"asset": ids(images[:2])}))
    assert [row["sha256"] for row in rows(archive)] == [images[1].sha256]
    assert "not the one that was approved" in rows(archive, "left-out.csv")[0]["reason"]


@pytest.mark.parametrize("query", ["campaign=999999", "project=abc", "campaign="])
def test_what_is_not_there_is_not_found(browser, images, query):
    assert browser("viewer").get(f"{DELIVERY}?{query}").status_code == 404


def test_the_page_costs_as_many_queries_for_many_images_as_for_few(
    browser, workspace, people, images, django_assert_max_num_queries
):
    spring = projects.create(workspace_id=workspace.pk, name="Spring", now=NOW)
    projects.add(spring, images, now=NOW)
    client = browser("viewer")
    with django_assert_max_num_queries(15) as few:
        client.get(f"{DELIVERY}?project={spring.pk}")
    more = [paid_asset(workspace) for _ in range(20)]
    for asset in more[:10]:
        review.approve(asset.pk, by_id=people["reviewer"].pk, now=NOW)
    projects.add(spring, more, now=NOW)
    with django_assert_max_num_queries(15) as many:
        client.get(f"{DELIVERY}?project={spring.pk}")
    assert len(many) == len(few)
