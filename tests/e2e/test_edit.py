"""A part of a picture painted over by hand: mouse, keyboard, undo, erase, invert; what leaves is what was painted."""

import io
import re

import numpy as np
import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Page, expect

PAINTING_MS = 120_000


def table(width: int = 300, height: int = 200) -> bytes:
    image = Image.new("RGB", (width, height), "#c8b89a")
    ImageDraw.Draw(image).rectangle((100, 60, 180, 150), fill="#23508c")
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def editor(sign_in) -> Page:
    """The editor, opened from a picture that was sent to the Studio."""
    page = sign_in("owner")
    page.goto("/w/studio/studio/?base=")
    page.locator("input[data-reference=base]").set_input_files(
        [{"name": "table.png", "mimeType": "image/png", "buffer": table()}]
    )
    page.get_by_role("link", name="Edit a part", exact=True).click()
    expect(page.locator(".edit canvas")).to_be_visible()
    return page


def stroke(page: Page, *shares: tuple[float, float]) -> None:
    box = page.locator(".edit canvas").bounding_box()
    assert box is not None
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in shares]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=8)
    page.mouse.up()


def painted(page: Page) -> int:
    """How many percent are painted over, as the page says."""
    told = page.locator("#painted").inner_text()
    found = re.search(r"(\d+) %", told)
    return int(found[1]) if found else 0


def test_strokes_are_painted_erased_inverted_and_taken_back_one_by_one(editor):
    assert painted(editor) == 0
    expect(editor.get_by_role("button", name="Undo")).to_be_disabled()
    editor.locator("#size").fill("100")
    stroke(editor, (0.2, 0.5), (0.8, 0.5))
    first = painted(editor)
    assert 10 < first < 40
    stroke(editor, (0.5, 0.1), (0.5, 0.9))
    second = painted(editor)
    assert second > first
    editor.keyboard.press("e")
    stroke(editor, (0.2, 0.5), (0.8, 0.5))
    assert painted(editor) < second
    editor.keyboard.press("i")
    assert painted(editor) > 60
    editor.keyboard.press("u")
    editor.keyboard.press("Control+z")
    assert painted(editor) == second
    editor.get_by_role("button", name="Clear").click()
    assert painted(editor) == 0
    editor.get_by_role("button", name="Undo").click()
    assert painted(editor) == second


def test_the_keyboard_alone_paints(editor):
    canvas = editor.locator(".edit canvas")
    canvas.focus()
    expect(editor.locator(".edit-brush")).to_be_visible()
    for _ in range(6):
        editor.keyboard.press("]")
    editor.keyboard.down(" ")
    for _ in range(6):
        editor.keyboard.press("Shift+ArrowRight")
    editor.keyboard.up(" ")
    share = painted(editor)
    assert share > 1
    editor.keyboard.press("Shift+ArrowDown")
    assert painted(editor) == share


def test_what_is_painted_over_is_new_and_the_rest_stays_to_the_pixel(editor, site):
    editor.locator("#size").fill("60")
    stroke(editor, (0.35, 0.4), (0.55, 0.4), (0.55, 0.6))
    editor.get_by_role("button", name="Describe what belongs there").click()
    expect(editor.get_by_text("Only what you painted over is new")).to_be_visible()
    editor.locator("#prompt").fill("a red ball")
    editor.locator("#generate").click()
    result = editor.locator(".click").first.locator(".result").first
    expect(editor.locator(".click").first).to_contain_text("edited · 300 × 200")
    expect(result.locator("a.tile-frame img")).to_be_visible(timeout=PAINTING_MS)
    files = site.shell(
        "from inference.models import Render; from django.core.files.storage import default_storage as s; "
        "r = Render.objects.filter(status='succeeded').latest('pk'); p = r.request['product']; "
        "print(*(s.path(k) for k in (p['photo'], p['lock_mask'], r.asset.storage_key)), sep='\\n')"
    ).splitlines()
    photo, mask, master = (np.asarray(Image.open(file)) for file in files)
    is_kept = mask == 255
    assert 0.02 < (~is_kept).mean() < 0.3
    is_same = (photo == master).all(axis=2)
    assert is_same[is_kept].all()
    assert is_same[~is_kept].mean() < 0.5


def test_an_edit_is_opened_again_as_it_was_painted(editor):
    editor.locator("#size").fill("100")
    stroke(editor, (0.3, 0.3), (0.7, 0.3))
    share = painted(editor)
    editor.get_by_label("Right").fill("60")
    editor.get_by_role("button", name="Describe what belongs there").click()
    expect(editor.get_by_text("What you painted over and what is added around it is new")).to_be_visible()
    editor.get_by_role("link", name="Edit again").click()
    expect(editor.locator("#painted")).to_contain_text("%")
    assert abs(painted(editor) - share) <= 1
    expect(editor.get_by_label("Right")).to_have_value("60")


def test_a_finger_paints_on_a_phone(sign_in, editor):
    phone = sign_in("owner", width=390, height=844)
    phone.goto(editor.url)
    canvas = phone.locator(".edit canvas")
    expect(canvas).to_be_visible()
    box = canvas.bounding_box()
    assert box is not None
    touch = phone.context.new_cdp_session(phone)
    touch.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    for kind, share in (("touchStart", 0.2), ("touchMove", 0.5), ("touchMove", 0.8), ("touchEnd", None)):
        points = [] if share is None else [{"x": box["x"] + share * box["width"], "y": box["y"] + 0.5 * box["height"]}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    expect(phone.locator("#painted")).to_contain_text("%")
    assert painted(phone) > 0
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")
