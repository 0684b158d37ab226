"""The main job in the browser: photos in, a brief written and saved as one goes, launched, rendered, canceled."""

import tomllib
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.campaigns.shelf import mask, photo_of
from tests.e2e.accessibility import violations

PREFIX = "BROWSER"
DONE_MS = 120_000


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two product photos with their masks, as files to choose."""
    folder = tmp_path_factory.mktemp("photos")
    paths = []
    for name in ("MUG", "CUP"):
        for stem, data in ((name, photo_of(name)), (f"{name}-mask", mask())):
            path = folder / f"{PREFIX}-{stem}.png"
            path.write_bytes(data)
            paths.append(path)
    return paths


@pytest.fixture(scope="module")
def shelf(site, photos: list[Path]) -> list[str]:
    """The SKUs of those photos, on the site's shelf whichever test runs first."""
    site.shell(
        "from datetime import UTC, datetime; from pathlib import Path; from campaigns import photos, products;"
        "from studio.models import Workspace\n"
        "with photos.scratch_folder() as scratch:\n"
        f"    given = [products.GivenFile(name=Path(each).name, path=Path(each)) for each in {[*map(str, photos)]!r}]\n"
        f"    workspace = Workspace.objects.get(slug={site.slug!r})\n"
        "    products.import_photos(workspace_id=workspace.pk, files=given, scratch=Path(scratch),"
        " now=datetime.now(UTC))"
    )
    return [f"{PREFIX}-CUP", f"{PREFIX}-MUG"]


def write(page: Page, *, name: str, skus: list[str]) -> None:
    """Fill the new form in: these products, 2 scenes, a small channel."""
    page.goto("/w/studio/campaigns/new/")
    page.get_by_label("Name").first.fill(name)
    for sku in skus:
        page.get_by_role("checkbox", name=sku).check()
    page.get_by_label("Prompt", exact=True).fill("on {surface}")
    page.get_by_label("What varies").first.fill("surface")
    page.get_by_label("Values, one a line").first.fill("marble\nsand")
    page.get_by_label("Width, px").fill("256")
    page.get_by_label("Height, px").fill("256")


def saved(page: Page) -> None:
    expect(page.locator("#draft-state")).to_contain_text("Draft saved")
    page.wait_for_url("**/drafts/*/**")


def test_photos_are_dropped_and_become_products_with_their_masks(sign_in, photos, shoot):
    page = sign_in("producer")
    page.goto("/w/studio/products/")
    page.locator("input[name=photos]").set_input_files(photos)
    expect(page.locator("[data-chosen]").first).to_contain_text("4 files")
    page.get_by_role("button", name="Add photos").click()
    expect(page.locator("#toasts")).to_contain_text("Products: 2")
    tile = page.locator(".product").filter(has_text=f"{PREFIX}-MUG")
    expect(tile).to_contain_text("Mask from a file")
    tile.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Browser mug")
    shoot(page, "product")


def test_a_file_that_is_no_photo_is_refused_beside_its_name(sign_in, tmp_path):
    page = sign_in("producer")
    page.goto("/w/studio/products/")
    (tmp_path / "notes.png").write_text("words")
    page.locator("input[name=photos]").set_input_files(tmp_path / "notes.png")
    page.get_by_role("button", name="Add photos").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("notes.png")
    expect(alert).to_be_focused()
    assert not violations(page)


def test_a_brief_is_written_launched_and_rendered_and_its_toml_is_the_same(sign_in, shelf, shoot):
    page = sign_in("producer")
    write(page, name="Browser shelf", skus=shelf)
    outlook = page.get_by_role("complementary", name="What this comes to")
    expect(outlook).to_contain_text("4 images")
    expect(outlook).to_contain_text("2 products × 2 scenes × 1 channel")
    saved(page)
    # What is downloaded is what stands in the form, not what was saved a moment ago.
    page.get_by_label("Seed", exact=True).fill("77")
    page.locator("#draft-menu summary").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="brief.toml").click()
    brief = tomllib.loads(download.value.path().read_text())
    assert brief["campaign"]["seed"] == 77
    assert brief["products"]["only"] == shelf
    assert brief["axes"] == {"surface": ["marble", "sand"]}
    shoot(page, "brief")
    assert not violations(page)
    outlook.get_by_role("button", name="Launch 4 images • 4 credits").click()
    page.get_by_role("button", name="Launch 4 images • 4 credits").click()
    page.wait_for_url("**/campaigns/*/")
    page.goto("/w/studio/campaigns/")
    entry = page.locator(".campaigns > li").filter(has_text="Browser shelf")
    # The list itself says so, by its poll: nobody reloads it.
    expect(entry).to_contain_text("4 of 4 done", timeout=DONE_MS)
    expect(entry.locator("img")).to_have_count(4)
    shoot(page, "campaigns")


def test_typing_while_a_save_is_on_its_way_is_no_conflict_with_oneself(sign_in, shelf):
    page = sign_in("producer")
    write(page, name="Slow line", skus=shelf[:1])
    saved(page)
    held: list[Route] = []

    def hold(route: Route) -> None:
        if "act=auto" in (route.request.post_data or ""):
            held.append(route)
        else:
            route.continue_()

    page.route("**/*", hold)
    with page.expect_request(lambda request: "act=auto" in (request.post_data or "")):
        page.get_by_label("Seed", exact=True).fill("5")
    page.get_by_label("Negative prompt").fill("text")
    page.get_by_role("button", name="Story 1080 × 1920").click()
    page.wait_for_timeout(200)
    assert len(held) == 1  # the button waits for the save
    held.pop().continue_()
    page.unroute("**/*")
    expect(page.get_by_label("Name")).to_have_count(3)
    expect(page.get_by_label("Negative prompt")).to_have_value("text")
    expect(page.locator("#draft-state")).to_contain_text("Draft saved")


def test_whoever_comes_back_from_the_launch_page_meets_the_saved_draft(sign_in, shelf):
    page = sign_in("producer")
    write(page, name="There and back", skus=shelf[:1])
    saved(page)
    page.get_by_label("Seed", exact=True).fill("9")
    page.get_by_role("complementary").get_by_role("button", name="Launch 2 images • 2 credits").click()
    page.wait_for_url("**/launch/")
    page.go_back()
    expect(page.get_by_label("Seed", exact=True)).to_have_value("9")
    page.get_by_label("Name").first.fill("And once more")
    with page.expect_response(lambda response: response.request.method == "POST" and "/drafts/" in response.url):
        pass
    expect(page.locator("#draft-state")).to_contain_text("Draft saved")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_without_javascript_a_brief_is_written_with_plain_forms(sign_in, shelf):
    page = sign_in("producer", javascript=False)
    write(page, name="Plain forms", skus=shelf[:1])
    page.get_by_role("button", name="Story 1080 × 1920").click()
    expect(page.get_by_label("Height, px")).to_have_count(2)
    page.get_by_role("button", name="Remove the channel Story").click()
    expect(page.get_by_label("Height, px")).to_have_count(1)
    page.get_by_role("button", name="Launch 2 images").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Launch Plain forms?")
    page.get_by_role("link", name="Back to the draft").click()
    page.get_by_text("More", exact=True).last.click()
    page.get_by_role("link", name="Discard this draft").click()
    page.get_by_role("button", name="Discard draft").click()
    expect(page.locator("#toasts")).to_contain_text("is gone")


def test_a_launched_campaign_is_paused_resumed_and_canceled(sign_in, shelf):
    page = sign_in("producer")
    write(page, name="To be stopped", skus=shelf)
    page.get_by_label("Images per cell").fill("8")
    page.get_by_role("button", name="Launch 32 images").click()
    page.get_by_role("button", name="Launch 32 images").click()
    page.wait_for_url("**/campaigns/*/")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#toasts")).to_contain_text("Paused.")
    page.goto("/w/studio/campaigns/")
    expect(page.locator(".campaigns > li").filter(has_text="To be stopped")).to_contain_text("Paused")
    page.get_by_role("link", name="To be stopped").click()
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#toasts")).to_contain_text("It goes on.")
    page.locator("main details.menu summary").first.click()
    page.get_by_role("link", name="Cancel what waits").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#toasts")).to_contain_text("credits are available again")
