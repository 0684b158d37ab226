"""The main job as a new user does it, without a command line: from signing up to the approved images in a ZIP."""

import csv
import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.stories.conftest import draw_bottle

RENDERING_MS = 240_000
PASSWORD = "a long enough phrase"  # noqa: S105


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Photos of two bottles, each with its mask beside it."""
    files = []
    for sku, color in (("BLUE", "#20508c"), ("RED", "#7c1f1f")):
        for name, image in zip((f"{sku}.png", f"{sku}-mask.png"), draw_bottle(240, color), strict=True):
            image.save(tmp_path / name)
            files.append(tmp_path / name)
    return files


def sign_up(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name="Create an account").click()
    page.get_by_label("E-mail address").fill("mara@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.get_by_role("link", name="Make a workspace").click()
    page.get_by_label("Name").fill("Mara’s bottles")
    page.get_by_role("button", name="Make workspace").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Mara’s bottles")


def add_products(page: Page, photos: list[Path]) -> None:
    page.get_by_role("link", name="Plan a campaign").click()
    page.get_by_role("link", name="Add photos").click()
    page.locator("input[name=photos]").set_input_files(photos)
    page.get_by_role("button", name="Add photos").click()
    expect(page.locator("#toasts")).to_contain_text("2 added")


def write_brief(page: Page) -> None:
    page.get_by_role("link", name="Campaigns").first.click()
    page.get_by_role("link", name="New campaign").first.click()
    page.get_by_label("Name", exact=True).first.fill("Bottles outdoors")
    page.get_by_role("button", name="Select all").click()
    page.get_by_label("Prompt", exact=True).fill("A bottle on {surface}.")
    page.get_by_label("What varies").first.fill("surface")
    page.get_by_label("Values, one a line").first.fill("wood\nmarble")
    page.get_by_label("Width, px").fill("320")
    page.get_by_label("Height, px").fill("320")
    outlook = page.get_by_role("complementary", name="What this comes to")
    expect(outlook).to_contain_text("4 images")
    expect(outlook).to_contain_text("A bottle on marble.")


def launch(page: Page) -> None:
    page.get_by_role("button", name="Launch 4 images").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Launch Bottles outdoors?")
    page.get_by_role("button", name="Launch 4 images").dblclick()
    expect(page.get_by_role("heading", level=1)).to_have_text("Bottles outdoors")
    expect(page.locator("main img[src*='/assets/']")).to_have_count(4, timeout=RENDERING_MS)


def approve_three_and_reject_one(page: Page) -> None:
    page.get_by_role("link", name="Review").first.click()
    page.get_by_role("link", name="Review 4 images").click()
    for left in (4, 3, 2):
        expect(page.locator("main")).to_contain_text(f"{5 - left} of 4")
        page.keyboard.press("a")
    expect(page.locator("main")).to_contain_text("4 of 4")
    page.keyboard.press("r")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("1")
    expect(page.get_by_role("heading", name="decided")).to_be_visible()


def download(page: Page, folder: Path) -> zipfile.ZipFile:
    page.get_by_role("link", name="Download 3 approved images").click()
    with page.expect_download() as coming:
        page.get_by_role("button", name="Download 3 images").click()
    coming.value.save_as(folder / "approved.zip")
    return zipfile.ZipFile(folder / "approved.zip")


def test_from_signing_up_to_the_approved_images(new_page, photos, tmp_path):
    page = new_page()
    sign_up(page)
    add_products(page, photos)
    write_brief(page)
    launch(page)
    approve_three_and_reject_one(page)
    delivered = download(page, tmp_path)
    manifest = list(csv.DictReader(io.TextIOWrapper(delivered.open("manifest.csv"), "utf-8")))
    assert len(manifest) == 3
    for row in manifest:
        content = delivered.read(row["file"])
        assert hashlib.sha256(content).hexdigest() == row["sha256"]
        assert np.asarray(Image.open(io.BytesIO(content))).std() > 5
    page.get_by_role("link", name="Credits").first.click()
    expect(page.locator("main")).to_contain_text("Bottles outdoors")
