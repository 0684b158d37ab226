"""Every page of studio.routes and of signing in: no axe violation, nothing to scroll sideways, a silent console.

A route that is added there is walked here without a line of its own.
"""

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import APIResponse, Page

from studio.routes import ROUTES
from tests.e2e.accessibility import violations
from tests.e2e.site import Site
from tests.studio.test_routes import FOR_ONESELF, OPEN_TO_ALL

OURS = [route for route in ROUTES if route.access.reads]
PUBLIC = {route.name for route in OURS if route.access.is_public} | OPEN_TO_ALL
ANSWERS = {200, 204, 286}  # a page or fragment; a poll with nothing new; a poll's last answer
SIDES = {"desk": 1280, "phone": 390}
# What the theme alone can change; the rest is the same in light and dark.
COLOR_RULES = ["color-contrast", "link-in-text-block"]


@pytest.fixture(scope="package")
def addresses(site: Site, campaign: str) -> dict[str, str]:
    """One address by route name, over the rendered campaign."""
    printed = site.shell(f"from tests.e2e.addresses import write; write({site.slug!r})")
    return dict(json.loads(printed.splitlines()[-1]))


@pytest.fixture
def visitor(sign_in: Callable[..., Page], new_page: Callable[..., Page]) -> Callable[[str], Page]:
    """Whoever opens a route: nobody where it is public, else the owner, who also runs the installation."""
    return lambda name: new_page() if name in PUBLIC else sign_in("owner")


def is_page(answer: APIResponse) -> bool:
    """Whether the answer is a whole page: neither a file nor a fragment that a poll swaps in."""
    return "text/html" in answer.headers.get("content-type", "") and "<html" in answer.text()


def faults(page: Page) -> list[str]:
    """What is wrong with a page as it stands, in each theme and at each width."""
    found = []
    for side, width in SIDES.items():
        page.set_viewport_size({"width": width, "height": 844})
        page.emulate_media(color_scheme="light")
        found += [f"{side}: {line}" for line in violations(page)]
        page.emulate_media(color_scheme="dark")
        found += [f"{side}, dark: {line}" for line in violations(page, rules=COLOR_RULES)]
        if (wide := page.evaluate("() => document.documentElement.scrollWidth")) > width:
            found.append(f"{side}: the page is {wide} px wide")
    return found


@pytest.mark.parametrize("name", [route.name for route in OURS])
def test_every_page_is_accessible_in_both_themes_and_widths(name, addresses, visitor):
    assert name in addresses, "tests.studio.samples makes no object of a kind that this address names"
    page = visitor(name)
    answer = page.context.request.get(addresses[name])
    assert answer.status in ANSWERS, f"{addresses[name]}: {answer.status}"
    if not is_page(answer):
        return
    page.goto(addresses[name])
    assert not (found := faults(page)), "\n".join([addresses[name], *found])


@pytest.mark.parametrize("name", sorted(OPEN_TO_ALL | FOR_ONESELF))
def test_pages_of_signing_in_and_security_are_accessible(name, addresses, visitor):
    if name not in addresses:
        pytest.skip("its address is known to a mail or a form only")
    page = visitor(name)
    answer = page.context.request.get(addresses[name])
    if answer.status != 200 or not is_page(answer):
        pytest.skip(f"answers {answer.status} to who comes by without a reason")
    page.goto(addresses[name])
    assert not (found := faults(page)), "\n".join([addresses[name], *found])


@pytest.mark.parametrize("who", ["nobody", "owner"])
def test_the_page_for_a_wrong_address_is_accessible(who, sign_in, new_page, complaints):
    page = sign_in("owner") if who == "owner" else new_page()
    page.goto("/there-is-nothing/")
    assert page.get_by_role("heading", level=1).inner_text() == "There is nothing here"
    assert not faults(page)
    assert all("404" in said for said in complaints)
    complaints.clear()


@pytest.mark.parametrize(
    "opener",
    ["[data-dialog=style-dialog]", "[data-dialog=style-wide]", "#frame .menu > summary", ".switcher > summary"],
)
def test_what_opens_is_accessible(opener, sign_in):
    page = sign_in("owner")
    page.goto("/style/")
    page.locator(opener).first.click()
    assert page.locator("dialog[open], details.menu[open]").count() == 1
    assert not faults(page)
