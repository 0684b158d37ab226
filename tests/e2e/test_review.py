"""Review in the browser: the whole walk by keyboard, the overlay and the difference, two reviewers at two desks."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.accessibility import violations
from tests.e2e.campaigns import launched

MUST_HAVE = "the product is whole\nthe surface is visible"


@pytest.fixture(scope="module")
def walk(site) -> int:
    """Four images to decide on."""
    return launched(
        site, "Keyboard walk", skus=("WALK-CUP", "WALK-MUG"), scenes=("marble", "sand"), must_have=MUST_HAVE
    )


@pytest.fixture(scope="module")
def shared(site) -> int:
    """Three images for two reviewers."""
    return launched(site, "Two desks", skus=("DESK-CUP",), scenes=("marble", "sand", "moss"))


def start(page: Page, campaign: int) -> str:
    page.goto(f"/w/studio/review/next/?campaign={campaign}")
    return image(page)


def image(page: Page) -> str:
    """The id of the image on the table."""
    return str(page.locator("#table").get_attribute("data-image"))


def arrive_from(page: Page, before: str) -> str:
    """Wait for another image than the one before; its id."""
    expect(page.locator("#table")).not_to_have_attribute("data-image", before)
    return image(page)


def statuses(site, campaign: int) -> list[str]:
    code = (
        "from campaigns import proofing; from studio.models import Workspace;"
        f"line = proofing.sheet(workspace_id=Workspace.objects.get(slug={site.slug!r}).pk, campaign_id={campaign});"
        "print(' '.join(proof.status for proof in line))"
    )
    return site.shell(code).splitlines()[-1].split()


def test_a_whole_campaign_is_decided_without_the_mouse(sign_in, site, walk, shoot):
    page = sign_in("reviewer")
    first = start(page, walk)
    proof, stage = page.locator(".proof"), page.locator(".stage")

    page.keyboard.press("o")
    expect(proof).to_have_attribute("data-show", "original")
    expect(page.get_by_text("The product’s photo, where the product stands")).to_be_visible()
    page.keyboard.press("d")
    expect(page.get_by_text("Black is the product’s own pixels, unchanged.")).to_be_visible(timeout=30_000)
    shoot(page, "review-difference")
    page.keyboard.press("d")
    expect(proof).to_have_attribute("data-show", "")
    page.keyboard.press("z")
    expect(stage).to_have_class(re.compile("zoomed"))
    page.keyboard.press("z")
    page.keyboard.press("z")
    expect(stage).not_to_have_class(re.compile("zoomed"))

    page.keyboard.press("1")
    page.keyboard.press("2")
    expect(page.get_by_role("checkbox", name="The product is whole")).to_be_checked()
    page.keyboard.press("a")
    second = arrive_from(page, first)
    assert second in page.url

    page.keyboard.press("1")
    page.keyboard.press("a")
    asked = page.get_by_role("dialog", name="Approve with 1 open point?")
    expect(asked).to_be_visible()
    assert not violations(page)
    page.keyboard.press("Escape")
    expect(asked).to_be_hidden()
    expect(page.get_by_role("checkbox", name="The product is whole")).to_be_checked()
    page.keyboard.press("r")
    expect(page.get_by_role("dialog", name="Why is it rejected?")).to_be_visible()
    page.keyboard.press("3")
    third = arrive_from(page, second)

    page.keyboard.press("c")
    expect(page.get_by_label("In words for whoever makes the next version")).to_be_focused()
    page.keyboard.type("A softer shadow, please. A, r, u and z are words here.")
    page.keyboard.press("Control+Enter")
    fourth = arrive_from(page, third)

    page.keyboard.press("k")
    assert arrive_from(page, fourth) == third
    expect(page.locator(".table-panel")).to_contain_text("A softer shadow, please.")
    page.keyboard.press("j")
    assert arrive_from(page, third) == fourth
    page.keyboard.press("u")
    assert arrive_from(page, fourth) == third
    expect(page.get_by_role("button", name="Approve", exact=False).first).to_be_visible()
    assert statuses(site, walk) == ["approved", "rejected", "pending", "pending"]

    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keys on this page")
    for words in ("Approve", "Reject", "Ask for changes", "Undo your last decision", "Next image"):
        expect(keys).to_contain_text(words)
    page.keyboard.press("Escape")

    # The whole row at once: with what is still open in it.
    page.keyboard.press("Shift+A")
    expect(page.get_by_role("dialog", name="Approve these 2 images?")).to_be_visible()
    page.keyboard.press("a")
    expect(page.get_by_role("heading", level=1)).to_have_text("Everything here is decided")
    shoot(page, "review-done")
    assert statuses(site, walk) == ["approved", "rejected", "approved", "approved"]
    page.keyboard.press("u")
    expect(page.locator("#toasts")).to_contain_text("2 decisions taken back.")
    assert statuses(site, walk) == ["approved", "rejected", "pending", "pending"]


def test_two_reviewers_at_two_desks_never_have_the_same_image(sign_in, site, shared):
    ann, ben = sign_in("reviewer"), sign_in("owner")
    hers, his = start(ann, shared), start(ben, shared)
    assert hers != his

    ben.goto(f"/w/studio/review/{hers}/?campaign={shared}")
    expect(ben.get_by_role("complementary", name="About this image")).to_contain_text(
        "is looking at this image right now"
    )
    expect(ben.locator("#approve")).to_have_count(0)
    ben.get_by_role("link", name="Go on with the next one").click()
    expect(ben.locator("#approve")).to_be_visible()
    his = image(ben)
    assert his != hers

    ann.keyboard.press("a")
    hers_next = arrive_from(ann, hers)
    assert hers_next not in {hers, his}
    ben.keyboard.press("a")
    # The last one is open at her desk.
    expect(ben.get_by_role("heading", level=1)).to_have_text("The rest is open at others")
    ann.goto("/w/studio/campaigns/")  # and now she has left it
    ben.get_by_role("link", name="Look again").click()
    expect(ben.locator("#table")).to_have_attribute("data-image", hers_next)
    ben.keyboard.press("a")
    expect(ben.get_by_role("heading", level=1)).to_have_text("Everything here is decided")
    assert statuses(site, shared) == ["approved"] * 3


def test_without_javascript_an_image_is_rejected_by_plain_forms(sign_in, site, walk):
    page = sign_in("reviewer", javascript=False)
    page.goto(f"/w/studio/review/next/?campaign={walk}")
    before = image(page)
    page.get_by_role("button", name="Reject").click()
    page.get_by_label("Note, if the reason does not say it all").fill("A seam runs through it.")
    page.get_by_role("button", name="Text or artifact").click()
    expect(page.locator("#table")).not_to_have_attribute("data-image", before)
    page.goto(f"/w/studio/review/{before}/")
    expect(page.locator(".table-panel")).to_contain_text("A seam runs through it.")
