"""The browser tests' stage: a served studio with real workers, Chromium, people signed in, consoles that are watched.

They never touch a database themselves: what must exist is made by the site's own commands (``site.shell``).
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, StorageState, expect, sync_playwright

from tests.e2e.site import Site
from tests.stories.conftest import BRIEF, draw_bottle

REASON = "needs Chromium: apt-get install chromium, or name its executable in PLAYWRIGHT_CHROMIUM"
TIMEOUT_MS = 30_000
# What htmx says of a request that a newer one of the same element replaced. One that fails says more.
REPLACED = ("htmx:sendAbort", "htmx:afterRequest")
# Without the last ones Chromium looks for its maker's hosts at every start.
ARGUMENTS = ["--no-sandbox", "--no-first-run", "--disable-background-networking", "--disable-component-update",
             "--disable-sync"]  # fmt: skip


def executable() -> str | None:
    """Debian's Chromium; the browser that Playwright itself would fetch is not needed."""
    return os.environ.get("PLAYWRIGHT_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Every test of this folder is one of the browser's."""
    item.add_marker(pytest.mark.e2e)
    # One process has the site and the browser; several would start several. As early as this, so that xdist sees it.
    item.add_marker(pytest.mark.xdist_group("e2e"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("e2e") is None or executable():
        return
    if "e2e" in os.environ.get("STUDIO_REQUIRE", "").split(","):
        pytest.fail(f"STUDIO_REQUIRE asks for it, but it {REASON}", pytrace=False)
    pytest.skip(REASON)


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A studio with a person of each role and nothing made yet, rendering with the real engine."""
    with Site(tmp_path_factory.mktemp("site")) as served:
        yield served


@pytest.fixture(scope="package")
def campaign(site: Site, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a campaign that the site's own workers rendered: 2 products × 2 channels × 2 scenes."""
    folder = tmp_path_factory.mktemp("brief")
    for sku, color in (("blue", "#20508c"), ("red", "#7c1f1f")):
        photo, mask = draw_bottle(300, color)
        photo.save(folder / f"{sku}.png")
        mask.save(folder / f"{sku}-mask.png")
    rows = [f"{sku.upper()},{sku.title()} bottle,{sku}.png,{sku}-mask.png\n" for sku in ("blue", "red")]
    (folder / "products.csv").write_text("sku,title,photo,mask\n" + "".join(rows))
    (folder / "brief.toml").write_text(BRIEF)
    site.manage("run_campaign", str(folder / "brief.toml"), "--out", str(folder / "out"), timeout_s=600)
    return "Two bottles"


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    # Package, not session: while Playwright runs, Django takes every later test of this process for asynchronous.
    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def _sessions() -> dict[str, StorageState]:
    return {}


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """What the browser's console complained about, on any page of the test. It must be empty when the test ends;
    a test that provokes a complaint asserts it and clears the list."""
    found: list[str] = []
    yield found
    assert not found, "\n".join(found)


@pytest.fixture
def new_page(site: Site, chromium: Browser, complaints: list[str]) -> Iterator[Callable[..., Page]]:
    """Opens a page for nobody: ``new_page(width=390, scheme="dark", javascript=False)``."""
    contexts: list[BrowserContext] = []

    def make(
        *, width: int = 1280, height: int = 800, scheme: str = "light", javascript: bool = True,
        session: StorageState | None = None,
    ) -> Page:  # fmt: skip
        context = chromium.new_context(
            base_url=site.url,
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
            reduced_motion="reduce",
            java_script_enabled=javascript,
            storage_state=session,
        )
        contexts.append(context)
        context.set_default_timeout(TIMEOUT_MS)
        page = context.new_page()
        watch(page, complaints)
        return page

    yield make
    for context in contexts:
        for page in context.pages:
            page.unroute_all(behavior="ignoreErrors")  # an answer that a test held back may still be under way
        context.close()


@pytest.fixture
def sign_in(site: Site, new_page: Callable[..., Page], _sessions: dict[str, StorageState]) -> Callable[..., Page]:
    """Opens a page for the person of a role: ``sign_in("reviewer", width=390)``. Each signs in once by the form; with
    ``is_own`` once more, in a session that may be ended."""

    def fill(page: Page, role: str) -> Page:
        page.goto("/login/")
        page.locator("input[type=email]").fill(site.email(role))
        page.locator("input[type=password]").fill(site.password)
        page.locator("input[type=password]").press("Enter")
        page.wait_for_url(lambda address: "/login/" not in address)
        return page

    def enter(role: str = "owner", *, is_own: bool = False, **screen: object) -> Page:
        if is_own:
            return fill(new_page(**screen), role)
        if role not in _sessions:
            page = fill(new_page(), role)
            _sessions[role] = page.context.storage_state()
            page.context.close()
        return new_page(session=_sessions[role], **screen)

    return enter


@pytest.fixture
def shoot(site: Site) -> Callable[[Page, str], Path]:
    """Keeps a picture of the whole page under STUDIO_SHOTS, else in the site's folder."""
    folder = Path(os.environ.get("STUDIO_SHOTS") or site.folder / "shots")
    folder.mkdir(parents=True, exist_ok=True)

    def take(page: Page, name: str) -> Path:
        path = folder / f"{name}.png"
        # Hiding the caret leaves style attributes behind, which htmx carries over and the page's policy objects to.
        page.screenshot(path=path, full_page=True, caret="initial")
        return path

    return take


def watch(page: Page, complaints: list[str]) -> None:
    """Note each error and warning of the page's console: a script that fails, a policy that refuses, a lost file."""
    page.on("console", lambda said: _note(complaints, page, said.type, said.text))
    page.on("pageerror", lambda error: _note(complaints, page, "error", str(error)))


def _note(complaints: list[str], page: Page, kind: str, text: str) -> None:
    if kind in {"error", "warning"} and text.partition(",")[0] not in REPLACED:
        complaints.append(f"{page.url}: {text}")
