"""The contact sheet in the browser: it fills in live and nothing moves, keys walk it, it opens large, and it prints."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.accessibility import violations
from tests.e2e.campaigns import launched

DONE_MS = 120_000
SCENES = ("marble", "sand", "moss")
WATCH = """() => {
  window.shifts = [];
  new PerformanceObserver((list) => list.getEntries().forEach((entry) => window.shifts.push(entry.value)))
    .observe({ type: "layout-shift", buffered: false });
  document.querySelectorAll("[data-sheet] th").forEach((head) => (head.isSame = true));
}"""


@pytest.fixture(scope="module")
def filling(site) -> int:
    """Six images that nobody has begun."""
    return launched(site, "Filling sheet", skus=("PROOF-CUP", "PROOF-MUG"), scenes=SCENES, is_paused=True)


@pytest.fixture(scope="module")
def full(site) -> int:
    """Three images, done."""
    return launched(site, "Full sheet", skus=("PROOF-HAT",), scenes=SCENES)


def open_sheet(page: Page, campaign: int) -> None:
    page.goto(f"/w/studio/campaigns/{campaign}/")


def test_a_sheet_fills_in_while_one_looks_and_nothing_moves(sign_in, filling, shoot):
    page = sign_in("producer")
    open_sheet(page, filling)
    expect(page.locator(".facts")).to_contain_text("6 waiting, paused")
    shoot(page, "sheet-paused")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#toasts")).to_contain_text("It goes on.")
    page.evaluate(WATCH)
    last = page.locator("a.tile-frame").last
    last.focus()
    expect(page.locator(".tile.pending").first).to_be_visible(timeout=DONE_MS)
    page.locator(".tile.pending").first.evaluate("(tile) => (tile.isSame = true)")
    shoot(page, "sheet-filling")
    expect(page.locator(".tile.pending")).to_have_count(6, timeout=DONE_MS)
    expect(page.locator("#sheet-poll")).not_to_have_attribute("hx-get", re.compile("."))
    # Whoever stood on a tile stands on it still, though it was drawn anew.
    expect(last).to_be_focused()
    assert page.evaluate("() => [...document.querySelectorAll('[data-sheet] th')].every((head) => head.isSame)")
    assert page.locator(".tile.pending").first.evaluate("(tile) => tile.isSame")
    assert page.evaluate("window.shifts") == []
    expect(page.locator(".facts")).to_contain_text("6 credits settled")
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)
    shoot(page, "sheet-full")


def test_arrow_keys_walk_the_sheet_enter_opens_and_escape_comes_back_to_the_same_image(sign_in, full):
    page = sign_in("reviewer")
    open_sheet(page, full)
    page.get_by_role("region", name="Contact sheet").focus()
    page.keyboard.press("ArrowDown")
    tiles = page.locator("a.tile-frame")
    expect(tiles.nth(0)).to_be_focused()
    page.keyboard.press("End")
    expect(tiles.nth(2)).to_be_focused()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("The proof-hat")
    expect(page.locator(".facts")).to_contain_text("sand")
    expect(page.get_by_role("complementary", name="How it was made")).to_contain_text("Intact")
    picture = page.locator(".cell-picture img")
    expect(picture).to_have_js_property("complete", True)
    assert picture.evaluate("(image) => image.naturalWidth") == 256
    page.keyboard.press("j")
    expect(page.locator(".facts")).to_contain_text("moss")
    expect(page.locator("[data-key=j]")).to_have_count(0)
    page.keyboard.press("k")
    expect(page.locator(".facts")).to_contain_text("sand")
    page.keyboard.press("Escape")
    expect(tiles.nth(1)).to_be_focused()
    page.keyboard.press("v")
    page.wait_for_url("**/review/**")


def test_the_sheet_prints_as_a_proof_sheet(sign_in, full, shoot):
    page = sign_in("producer")
    open_sheet(page, full)
    page.evaluate("window.print = () => (window.isPrinted = true)")
    page.locator("#sheet-menu summary").click()
    page.get_by_role("button", name="Print the sheet").click()
    page.wait_for_function("window.isPrinted")
    assert page.evaluate("[...document.querySelectorAll('[data-sheet] img')].every((image) => image.complete)")
    page.emulate_media(media="print")
    expect(page.locator(".on-paper")).to_contain_text("square")
    for screen_only in (".sidebar", ".toolbar", ".page-head .actions"):
        expect(page.locator(screen_only)).to_be_hidden()
    assert page.pdf(prefer_css_page_size=True).count(b"/Subtype /Image") >= len(SCENES)


def test_on_a_phone_both_axes_stay_in_sight(sign_in, filling):
    page = sign_in("viewer", width=390, height=844)
    open_sheet(page, filling)
    frame = page.locator(".sheet-frame")
    frame.evaluate("(it) => it.scrollTo(120, 90)")
    box, corner = frame.bounding_box(), page.locator(".sheet thead th").first.bounding_box()
    side = page.locator(".sheet tbody th").last.bounding_box()
    assert box
    assert corner
    assert side
    assert (round(corner["x"] - box["x"]), round(corner["y"] - box["y"])) in {(0, 0), (0, 1), (1, 1)}
    assert round(side["x"] - box["x"]) in {0, 1}
    assert not violations(page)


def test_without_javascript_an_image_is_opened_and_made_again(sign_in, full):
    page = sign_in("producer", javascript=False)
    open_sheet(page, full)
    page.get_by_role("link", name="To review 3").click()
    page.locator("a.tile-frame").first.click()
    page.get_by_role("button", name="Make another version • 1 credit").click()
    expect(page.locator("#toasts")).to_contain_text("Another version is on its way.")
    expect(page.get_by_role("navigation", name="Versions").get_by_role("link")).to_have_count(2)
