"""Pictures of the Image Studio's form: sent, chosen, removed, edited; by whom, and whose."""

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image

from gallery import library, storage
from gallery.models import Asset, Upload
from inference import catalog
from inference.catalog import Addon, CatalogEntry
from inference.models import Generation, Render
from inference.requests import ImageRequest
from studio.models import Workspace
from tests.conftest import NOW
from tests.studio.page_text import found_in, words

STUDIO = "/w/acme/studio/"
HTMX = {"HX-Request": "true"}
MUG = {"checkpoint": "starter", "style": "auto", "aspect": "base", "count": "1", "prompt": "a mug", "key": "k1"}


def png(width: int = 320, height: int = 240, color: object = "#8a2222", mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    Image.new(mode, (width, height), color).save(stream, "PNG")  # type: ignore[arg-type]
    return stream.getvalue()


def mask(box: tuple[int, int, int, int] | None = (40, 40, 100, 90), width: int = 320, height: int = 240) -> bytes:
    """White on what is kept, black in the box."""
    drawn = Image.new("L", (width, height), 255)
    if box is not None:
        drawn.paste(0, box)
    stream = io.BytesIO()
    drawn.save(stream, "PNG")
    return stream.getvalue()


def file(data: bytes, name: str = "table.png") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, data)


def made(workspace: Workspace, width: int = 320, height: int = 240) -> str:
    """The name of an image that was made."""
    key = storage.put(workspace.pk, png(width, height), suffix=".png")
    image = library.StoredImage(storage_key=key, sha256="0" * 64, width=width, height=height, size_bytes=1)
    generated = library.GeneratedImage(file=image, recipe={}, recipe_hash="")
    [pk] = library.add_generated(workspace_id=workspace.pk, images=[generated], now=NOW)
    return f"asset-{pk}"


@pytest.fixture
def producer(browser) -> Client:
    return browser("producer")


def send(client: Client, data: bytes, **form: object):
    return client.post(f"{STUDIO}references/", {**MUG, "base_file": file(data), **form}, headers=HTMX)


def asked() -> ImageRequest:
    return ImageRequest.from_json(Render.objects.latest("pk").request)


# --- a base image -----------------------------------------------------------------------------------------------------


def test_a_picture_that_is_sent_stands_in_the_form_with_its_strength_and_its_shape(producer):
    response = send(producer, png(), aspect="16:9")
    page = response.content.decode()
    upload = Upload.objects.get()
    assert found_in(page, r'name="base" value="([^"]+)"') == f"upload-{upload.pk}"
    assert "table.png 320 × 240 px" in words(response)
    assert found_in(page, r'id="strength"[^>]*value="([^"]+)"') == "0.6"
    assert re.search(r'value="base" checked', page)
    assert "references-changed" in response["HX-Trigger-After-Settle"]


def test_without_javascript_a_sent_picture_leads_back_to_the_page(producer):
    page = producer.post(f"{STUDIO}references/", {"base_file": file(png())}, follow=True)
    assert f'name="base" value="upload-{Upload.objects.get().pk}"' in page.content.decode()


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"GIF89a", "table.png is a GIF."), (b"", "empty"), (png(20, 20), "too small to work with")],
)
def test_what_is_no_picture_is_refused_in_words_and_the_form_stays(producer, data, said):
    response = send(producer, data, base="")
    assert said in words(response)
    assert "Begin from a picture" in words(response)


def test_a_click_begins_from_the_picture_in_its_shape_and_strength(producer):
    name = found_in(send(producer, png()).content.decode(), r'name="base" value="([^"]+)"')
    assert producer.post(STUDIO, {**MUG, "base": name, "strength": "0.35"}).status_code == 302
    request = asked()
    assert request.initial is not None
    assert request.initial.image == Upload.objects.get().storage_key
    assert (request.task, request.strength) == ("img2img", 0.35)
    assert (request.width, request.height) == (288, 216)  # 4:3, as large as the model paints


def test_an_image_that_was_made_is_begun_from_and_its_click_says_so(producer, workspace):
    name = made(workspace)
    page = producer.get(f"{STUDIO}?base={name}").content.decode()
    assert f'name="base" value="{name}"' in page
    assert producer.post(STUDIO, {**MUG, "base": name, "strength": "0.5"}).status_code == 302
    page = producer.get(STUDIO)
    assert "from a picture at 0.5 · 288 × 216" in words(page)
    # The form is left as it was, the picture included, and it comes back with an image's settings.
    assert f'name="base" value="{name}"' in page.content.decode()
    producer.post(f"{STUDIO}estimate/", {**MUG, "base": "", "shown": "starter"}, headers=HTMX)
    assert 'name="base" value' not in producer.get(STUDIO).content.decode()
    again = producer.get(f"{STUDIO}?from={Render.objects.get().pk}").content.decode()
    assert f'name="base" value="{name}"' in again


def test_a_removed_picture_takes_strength_and_shape_along(producer, workspace):
    form = {**MUG, "base": made(workspace), "strength": "0.2", "slot": "base", "chosen": ""}
    page = producer.post(f"{STUDIO}references/", form, headers=HTMX).content.decode()
    assert 'name="base" value' not in page
    assert 'id="strength"' not in page
    assert 'value="base"' not in page
    assert re.search(r'value="1:1" checked', page)


def test_a_model_that_cannot_begin_from_a_picture_says_so(producer, workspace, monkeypatch):
    entry = catalog.entry("starter")
    unable = replace(entry, capabilities=entry.capabilities - {"img2img"})
    monkeypatch.setattr(catalog, "load", lambda: {"starter": unable})
    assert "Starter cannot begin from a picture." in words(producer.get(STUDIO))
    sent = {**MUG, "base": made(workspace), "shown": "starter"}
    assert "Starter cannot begin from a picture." in words(producer.post(f"{STUDIO}estimate/", sent, headers=HTMX))
    assert producer.post(STUDIO, sent).status_code == 422
    assert not Generation.objects.exists()


@pytest.mark.parametrize("name", ["asset-{}", "upload-{}", "asset-999999", "nonsense", "asset-1x"])
def test_a_picture_that_is_not_of_this_workspace_is_not_there(producer, browser, people, name):
    elsewhere = Workspace.objects.get(slug="elsewhere")
    foreign = made(elsewhere)
    browser("stranger").post("/w/elsewhere/studio/references/", {"base_file": file(png())})
    pk = foreign.partition("-")[2] if name.startswith("asset") else Upload.objects.get().pk
    name = name.format(pk)
    assert producer.get(f"{STUDIO}?base={name}").status_code == 404
    for path in ("", "estimate/", "references/"):
        assert producer.post(f"{STUDIO}{path}", {**MUG, "base": name}).status_code == 404, path
    assert producer.post(f"{STUDIO}references/", {"chosen": name}).status_code == 404
    assert producer.get(f"{STUDIO}edit/{name}/").status_code == 404
    assert producer.get(f"/w/acme/pictures/{name}/original/").status_code == 404
    assert not Generation.objects.exists()


def test_who_makes_no_images_sends_none_and_sees_no_place_for_them(browser, workspace):
    viewer = browser("viewer")
    assert send(viewer, png()).status_code == 403
    assert "Begin from a picture" not in words(viewer.get(STUDIO))
    assert viewer.get(f"{STUDIO}edit/{made(workspace)}/").status_code == 403
    assert not Upload.objects.exists()


# --- a part of it -----------------------------------------------------------------------------------------------------


def edit(client: Client, name: str, data: bytes | None, **sides: object):
    sent = {"mask": file(data, "mask.png")} if data is not None else {}
    return client.post(f"{STUDIO}edit/{name}/", {**sent, **sides})


def hidden_of(page) -> dict[str, str]:
    """What the form says of its pictures."""
    return dict(re.findall(r'name="(base|lock|box|extend)" value="([^"]*)"', page.content.decode()))


def test_what_is_painted_over_is_asked_for_alone_with_a_margin(producer, workspace):
    name = made(workspace)
    done = edit(producer, name, mask())
    assert done.status_code == 302
    page = producer.get(done["Location"])
    assert "Only what you painted over is new" in words(page)
    assert "An edited picture keeps its size." in words(page)
    hidden = hidden_of(page)
    assert hidden["box"] == "40,40,100,90"
    assert producer.post(STUDIO, {**MUG, **hidden}).status_code == 302
    request = asked()
    assert request.product is not None
    assert request.product.frame is not None
    assert (request.width, request.height, request.task) == (320, 240, "inpaint")
    frame = request.product.frame
    assert (frame.x, frame.y, frame.width, frame.height) == (8, 8, 124, 114)
    assert request.product.photo == Asset.objects.get().storage_key
    kept = np.asarray(Image.open(io.BytesIO(storage.read(request.product.lock_mask))))
    assert (kept[40:90, 40:100] == 0).all()
    assert (kept == 0).sum() == 50 * 60
    assert "edited · 320 × 240" in words(producer.get(STUDIO))


def test_what_is_painted_over_widely_is_painted_in_one(producer, workspace):
    done = edit(producer, made(workspace), mask((10, 10, 300, 200)))
    hidden = hidden_of(producer.get(done["Location"]))
    producer.post(STUDIO, {**MUG, **hidden})
    product = asked().product
    assert product is not None
    assert product.frame is not None
    assert (product.frame.x, product.frame.y, product.frame.width, product.frame.height) == (0, 0, 320, 240)


def test_a_picture_is_extended_without_a_mask(producer, workspace):
    done = edit(producer, made(workspace), None, right="80", top="16")
    page = producer.get(done["Location"])
    assert "What is added around it is new" in words(page)
    hidden = hidden_of(page)
    assert hidden["extend"] == "0,16,80,0"
    producer.post(STUDIO, {**MUG, **hidden})
    request = asked()
    assert request.product is not None
    assert request.product.offset is not None
    assert (request.width, request.height) == (400, 256)
    assert (request.product.offset.x, request.product.offset.y) == (0, 16)


@pytest.mark.parametrize(
    ("data", "sides", "said"),
    [
        (None, {}, "Nothing is painted over yet."),
        (mask(None), {}, "Nothing is painted over yet."),
        (mask((0, 0, 320, 240)), {}, "All of it is painted over."),
        (mask(width=100, height=100), {}, "belongs to a picture of another size"),
        (b"no picture", {}, "is not an image that can be read"),
        (None, {"left": "-5"}, "greater than or equal to 0"),
        (None, {"left": "90000"}, "less than or equal to 4096"),
    ],
    ids=["nothing", "no box", "all", "other size", "no mask", "negative", "too far"],
)
def test_an_edit_that_cannot_be_made_says_why(producer, workspace, data, sides, said):
    response = edit(producer, made(workspace), data, **sides)
    assert response.status_code == 422
    assert said in words(response)


def test_a_transparent_picture_is_begun_from_but_not_edited(producer):
    page = send(producer, png(mode="RGBA", color=(200, 10, 10, 0))).content.decode()
    name = found_in(page, r'name="base" value="([^"]+)"')
    assert "Edit a part" not in page
    refused = producer.get(f"{STUDIO}edit/{name}/", follow=True)
    assert "transparent parts, which an edit cannot keep" in words(refused)


@pytest.mark.parametrize(
    "changes", [{"box": "1,2,3"}, {"box": "0,0,900,10"}, {"box": "9,9,9,9"}, {"extend": "a,b,c,d"}, {"box": ""}]
)
def test_an_edit_that_was_tampered_with_is_refused_and_nothing_is_queued(producer, workspace, changes):
    done = edit(producer, made(workspace), mask())
    hidden = hidden_of(producer.get(done["Location"]))
    response = producer.post(STUDIO, {**MUG, **hidden, **changes})
    assert response.status_code == 422
    assert not Generation.objects.exists()


def test_a_mask_of_another_picture_is_refused(producer, workspace):
    done = edit(producer, made(workspace), mask())
    lock = found_in(done["Location"], r"lock=([^&]+)")
    other = made(workspace, width=64, height=64)
    response = producer.post(STUDIO, {**MUG, "base": other, "lock": lock, "box": "1,1,9,9"})
    assert "belongs to another picture" in words(response)


def test_the_editor_opens_with_what_was_painted_over_before(producer, workspace):
    name = made(workspace)
    page = producer.get(edit(producer, name, mask(), left="8")["Location"]).content.decode()
    again = found_in(page, r'href="(/w/acme/studio/edit/[^"]+)"').replace("&amp;", "&")
    editor = producer.get(again).content.decode()
    assert re.search(r'data-lock="/w/acme/pictures/upload-\d+/original/"', editor)
    assert re.search(r'name="left" value="8"', editor)


# --- pictures that are followed ---------------------------------------------------------------------------------------


@pytest.fixture
def following(monkeypatch, settings, tmp_path) -> CatalogEntry:
    """The starter, as if a ControlNet and an IP-Adapter for it were installed."""
    starter = catalog.entry("starter")
    able = replace(
        starter,
        capabilities=starter.capabilities | {"control", "ip_adapter"},
        controls={"canny": Addon("edges", "maker/edges"), "lineart": Addon("lines", "maker/lines")},
        look=Addon("looks", "maker/looks"),
    )
    entries = {**catalog.load(), "starter": able}
    monkeypatch.setattr(catalog, "load", lambda: entries)
    settings.STUDIO_DATA = tmp_path / "own"
    for name in ("edges/config.json", "looks/ip-adapter_x.safetensors", "looks/image_encoder/config.json"):
        path = settings.STUDIO_DATA / "adapters" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return able


def test_following_is_offered_only_where_it_is_installed(producer, browser, following, settings):
    told = words(producer.get(STUDIO))
    assert "Follow a picture’s lines" in told
    assert "Take up a picture’s look" in told
    assert "Follow a picture’s lines" not in words(browser("viewer").get(STUDIO))
    settings.STUDIO_DATA = settings.STUDIO_DATA / "empty"
    told = words(producer.get(STUDIO))
    assert "Follow a picture’s lines" not in told
    assert "Take up a picture’s look" not in told


def test_a_click_follows_the_pictures_that_were_sent(producer, following):
    page = producer.post(f"{STUDIO}references/", {**MUG, "control_file": file(png())}, headers=HTMX).content.decode()
    control = found_in(page, r'name="control" value="([^"]+)"')
    assert re.search(r'name="control_kind" value="canny" checked', page)
    assert "Drawn lines" not in page  # its ControlNet is not installed
    sent = {**MUG, "control": control, "look_file": file(png(color="#1d4f91"))}
    page = producer.post(f"{STUDIO}references/", sent, headers=HTMX).content.decode()
    look = found_in(page, r'name="look" value="([^"]+)"')
    assert found_in(page, r'name="control" value="([^"]+)"') == control
    scales = {"control_kind": "canny", "control_scale": "0.7", "look_scale": "0.4"}
    clicked = {**MUG, "aspect": "1:1", "control": control, "look": look, **scales}
    assert producer.post(STUDIO, clicked).status_code == 302
    request = asked()
    assert request.control is not None
    assert request.look is not None
    assert (request.control.kind, request.control.scale, request.look.scale) == ("canny", 0.7, 0.4)
    assert {request.control.image, request.look.image} == {each.storage_key for each in Upload.objects.all()}
    page = producer.post(
        f"{STUDIO}references/", {**clicked, "slot": "look", "chosen": ""}, headers=HTMX
    ).content.decode()
    assert 'name="look" value' not in page
    assert found_in(page, r'name="control" value="([^"]+)"') == control


def test_what_is_not_installed_or_cannot_follow_is_refused_in_words(producer, workspace, following):
    sent = {**MUG, "aspect": "1:1", "control": made(workspace), "control_kind": "lineart"}
    refused = producer.post(STUDIO, sent)
    assert refused.status_code == 422
    assert "hf download maker/lines" in words(refused)
    refused = producer.post(STUDIO, {**sent, "checkpoint": "sdxl-base", "control_kind": "canny"})
    assert refused.status_code == 422
    assert not Generation.objects.exists()


@pytest.mark.parametrize("slot", ["control", "look", "lock"])
def test_no_slot_takes_a_picture_of_another_workspace(producer, people, slot):
    foreign = made(Workspace.objects.get(slug="elsewhere"))
    for path in ("", "estimate/", "references/"):
        assert producer.post(f"{STUDIO}{path}", {**MUG, slot: foreign}).status_code == 404
    assert producer.post(f"{STUDIO}references/", {"slot": slot, "chosen": foreign}).status_code == 404
    assert producer.get(f"{STUDIO}?{slot}={foreign}").status_code == 404
