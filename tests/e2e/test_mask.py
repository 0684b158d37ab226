"""A lock mask corrected by hand: tinted is background, clear is protected; what is saved is what was painted."""

import io

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.campaigns.shelf import mask, photo_of
from tests.e2e.accessibility import violations
from tests.e2e.test_edit import painted, stroke

SKU = "HANDMADE"


@pytest.fixture
def painter(site, sign_in) -> Page:
    """The page on which the mask of a product is painted; the product has a photo and a mask."""
    page = sign_in("owner")
    page.goto("/w/studio/products/")
    if not page.get_by_role("link", name=SKU).count():
        page.locator("input[name=photos]").set_input_files(
            [
                {"name": f"{SKU}.png", "mimeType": "image/png", "buffer": photo_of(SKU)},
                {"name": f"{SKU}-mask.png", "mimeType": "image/png", "buffer": mask()},
            ]
        )
        page.get_by_role("button", name="Add photos").click()
    page.get_by_role("link", name=SKU).first.click()
    page.get_by_role("link", name="Correct the mask").click()
    expect(page.locator("#painted")).to_contain_text("%")
    return page


def stored(site) -> tuple[str, np.ndarray]:
    """How the product's mask came about, and the mask."""
    source, path = site.shell(
        "from campaigns.models import Product; from django.core.files.storage import default_storage as s; "
        f"p = Product.objects.get(sku={SKU!r}).photo; print(p.mask_source, s.path(p.mask_key))"
    ).split()
    with open(path, "rb") as file:
        return source, np.asarray(Image.open(io.BytesIO(file.read())))


def test_a_mask_is_corrected_and_saved_as_it_was_painted(painter, site):
    before = painted(painter)
    assert 50 < before < 95
    painter.get_by_role("radio", name="Protect").check()
    painter.get_by_label("Draw boxes").check()
    stroke(painter, (0.0, 0.0), (0.25, 0.25))
    after = painted(painter)
    assert before - 8 < after < before - 4
    painter.keyboard.press("u")
    assert painted(painter) == before
    painter.keyboard.press("y")
    assert painted(painter) == after
    painter.get_by_role("button", name="Save the mask").click()
    expect(painter.get_by_text("The mask is saved.")).to_be_visible()
    expect(painter.get_by_text("Mask painted by hand").first).to_be_visible()
    source, found = stored(site)
    assert source == "hand"
    assert set(np.unique(found)) == {0, 255}
    # The corner that was added, and the product that was there before.
    assert found[:18, :22].min() == 255
    assert found[30:50, 40:60].min() == 255
    assert found[70:, 80:].max() == 0


def test_what_cannot_be_used_is_told_and_nothing_that_was_painted_is_lost(painter, complaints):
    painter.get_by_role("button", name="Clear").click()
    stroke(painter, (0.5, 0.5), (0.6, 0.5))
    painter.keyboard.press("u")
    assert painted(painter) == 0
    painter.get_by_role("button", name="Save the mask").click()
    expect(painter.get_by_role("alert").get_by_text("All of the photo is protected")).to_be_visible()
    assert [each.count("422") for each in complaints] == [1]
    complaints.clear()
    expect(painter.locator("#painted")).to_have_text("All of the photo is protected.")
    expect(painter.get_by_role("button", name="Undo")).to_be_enabled()
    painter.get_by_role("button", name="Undo").click()
    expect(painter.locator("#painted")).to_contain_text("%")


def test_a_closer_look_keeps_the_brush_where_it_is(painter):
    frame = painter.locator(".edit-frame")
    width = frame.bounding_box()["width"]
    painter.get_by_role("button", name="Zoom in").click()
    painter.get_by_role("button", name="Zoom in").click()
    assert frame.bounding_box()["width"] == pytest.approx(2 * width, rel=0.05)
    painter.keyboard.press("-")
    painter.keyboard.press("-")
    expect(painter.get_by_role("button", name="Zoom out")).to_be_disabled()
    assert frame.bounding_box()["width"] == pytest.approx(width, rel=0.01)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_is_accessible(painter, width, theme):
    painter.set_viewport_size({"width": width, "height": 844})
    painter.emulate_media(color_scheme=theme)
    assert violations(painter) == []
    assert painter.evaluate("document.documentElement.scrollWidth <= innerWidth")
