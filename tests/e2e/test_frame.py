"""What every page does by itself: keys, dialogs, menus, toasts, forms that are sent once, errors in words, weight."""

import pytest
from playwright.sync_api import Page, expect

from studio.templatetags.look import STATES

WEIGHT_LIMIT_BYTES = 120_000


@pytest.fixture
def style(sign_in) -> Page:
    page = sign_in("owner")
    page.goto("/style/")
    return page


def toast(page: Page, text: str):
    return page.locator("#toasts .toast").filter(has_text=text)


def test_the_question_mark_shows_every_key_of_the_page_and_escape_closes_it(style):
    style.keyboard.press("?")
    dialog = style.locator("dialog#keys")
    expect(dialog).to_be_visible()
    for key, words in (("A", "Approve"), ("O", "Overlay the original"), ("/", "Search"), ("?", "These keys")):
        row = dialog.locator("dt", has=style.locator("kbd", has_text=key)).first
        expect(row.locator("xpath=following-sibling::dd[1]")).to_have_text(words)
    style.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    style.keyboard.press("?")
    assert dialog.locator("dt", has=style.get_by_text("A", exact=True)).count() == 1


def test_a_key_clicks_its_button_but_not_while_one_writes(style):
    style.evaluate("document.addEventListener('click', (e) => (window.clicked = e.target.textContent.trim()))")
    style.keyboard.press("v")
    assert style.evaluate("window.clicked").startswith("Review 9")
    style.keyboard.press("/")
    expect(style.get_by_label("Search")).to_be_focused()
    style.keyboard.type("a?v")
    expect(style.get_by_label("Search")).to_have_value("a?v")
    assert style.evaluate("window.clicked").startswith("Review 9")
    expect(style.locator("dialog#keys")).to_be_hidden()


def test_a_dialog_takes_the_focus_and_gives_it_back(style):
    opener = style.get_by_role("button", name="Open a dialog")
    opener.click()
    dialog = style.get_by_role("dialog", name="Cancel this campaign?")
    expect(dialog).to_be_visible()
    assert dialog.evaluate("(it) => it.contains(document.activeElement)")
    dialog.get_by_role("button", name="Keep it").click()
    expect(dialog).to_be_hidden()
    expect(opener).to_be_focused()


def test_a_menu_closes_on_escape_and_on_a_click_elsewhere(style):
    menu = style.locator("main details.menu").first
    menu.locator("summary").click()
    expect(menu.locator(".menu-panel")).to_be_visible()
    menu.get_by_role("link", name="Tag").focus()
    style.keyboard.press("Escape")
    expect(menu.locator(".menu-panel")).to_be_hidden()
    expect(menu.locator("summary")).to_be_focused()
    menu.locator("summary").click()
    style.get_by_role("heading", level=1).click()
    expect(menu.locator(".menu-panel")).to_be_hidden()


def test_a_form_is_sent_once_and_its_button_works_again_after_going_back(style):
    posts = []
    style.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    button = style.locator("#buttons form button")
    button.evaluate("(it) => { it.click(); it.click(); it.closest('form').requestSubmit(); }")
    expect(toast(style, "Saved 3 products.")).to_be_visible()
    assert len(posts) == 1
    style.goto("/workspaces/")
    style.go_back()
    expect(button).to_be_enabled()


def test_forms_and_messages_work_without_javascript(sign_in):
    page = sign_in("owner", javascript=False)
    page.goto("/style/")
    page.locator("#buttons form button").click()
    expect(toast(page, "Saved 3 products.")).to_be_visible()


@pytest.mark.parametrize(
    ("path", "sentence"),
    [("/there-is-nothing/", "The address is wrong, or it belongs to a workspace you are not in.")],
)
def test_a_fragment_that_fails_says_so_in_words_and_stays_until_dismissed(style, complaints, path, sentence):
    style.evaluate("(path) => void htmx.ajax('GET', path, { target: '#messages', swap: 'innerHTML' })", path)
    expect(toast(style, sentence)).to_be_visible()
    expect(style.get_by_role("heading", name="Messages")).to_be_visible()
    toast(style, sentence).get_by_role("button", name="Dismiss").click()
    expect(toast(style, sentence)).to_have_count(0)
    assert complaints
    complaints.clear()


def test_a_studio_that_cannot_be_reached_says_so(style, complaints):
    style.context.set_offline(True)
    style.evaluate("void htmx.ajax('GET', '/style/', '#messages').catch(() => {})")
    expect(toast(style, "The studio cannot be reached. Nothing was changed")).to_be_visible()
    complaints.clear()


def test_the_counter_counts_as_the_server_does(style):
    style.locator("#filled_prompt").fill("naïve 🫙\nsecond line")
    expect(style.locator("[data-counts=filled_prompt]")).to_have_text("19 / 2000")


def test_on_a_phone_the_sidebar_is_a_tab_bar_with_the_rest_under_more(sign_in):
    page = sign_in("owner", is_own=True, width=390, height=844)
    page.goto("/style/")
    bar = page.get_by_role("navigation", name="Main")
    box = bar.bounding_box()
    assert box is not None
    assert round(box["y"] + box["height"]) == 844
    expect(bar.get_by_role("link", name="Settings")).to_be_hidden()
    bar.get_by_text("More", exact=True).click()
    expect(bar.get_by_role("link", name="Settings")).to_be_visible()
    bar.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login/**")


def test_who_tabs_in_can_skip_the_sidebar(style):
    style.keyboard.press("Tab")
    expect(style.get_by_role("link", name="Skip to content")).to_be_focused()
    style.keyboard.press("Enter")
    expect(style.locator("main")).to_be_focused()


def test_states_differ_in_shape_and_word_not_only_in_color():
    assert len({state.word for state in STATES.values()}) == len(STATES)
    assert len({state.icon for state in STATES.values()}) == len(STATES)


def test_a_page_weighs_little(sign_in):
    page = sign_in("owner")
    sizes: dict[str, int] = {}

    def weigh(response) -> None:
        if response.request.resource_type in {"document", "stylesheet", "script"}:
            sizes[response.url] = len(response.body())

    page.on("response", weigh)
    page.goto("/w/studio/")
    page.wait_for_load_state("networkidle")
    assert any("htmx" in url for url in sizes)
    assert sum(sizes.values()) < WEIGHT_LIMIT_BYTES, sizes
