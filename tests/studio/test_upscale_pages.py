"""The page that makes a picture larger: what it offers and costs, who may, and what comes of a click."""

import io
import re
from dataclasses import replace

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image

from billing import ledger
from gallery import library, storage
from gallery.models import Asset, Upload
from inference import catalog
from inference.models import Generation, Render
from inference.references import Frame, ProductReference
from inference.requests import ImageRequest, image_request
from studio.models import Workspace
from tests.conftest import NOW
from tests.studio.page_text import found_in, words

HTMX = {"HX-Request": "true"}
STARTER = catalog.entry("starter")


def png(width: int = 256, height: int = 256, mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    Image.new(mode, (width, height), "#8a2222").save(stream, "PNG")
    return stream.getvalue()


def made(workspace: Workspace, request: ImageRequest | None = None, width: int = 256, height: int = 256) -> str:
    key = storage.put(workspace.pk, png(width, height), suffix=".png")
    image = library.StoredImage(storage_key=key, sha256="0" * 64, width=width, height=height, size_bytes=1)
    recipe = {} if request is None else {"request": request.to_json()}
    generated = library.GeneratedImage(file=image, recipe=recipe, recipe_hash="")
    [pk] = library.add_generated(workspace_id=workspace.pk, images=[generated], now=NOW)
    return f"asset-{pk}"


def address(name: str, query: str = "") -> str:
    return f"/w/acme/studio/upscale/{name}/{query}"


@pytest.fixture
def producer(browser) -> Client:
    return browser("producer")


def button_of(response) -> str:
    return " ".join(
        re.sub(
            r"<[^>]+>", " ", found_in(response.content.decode(), r"(<button class=\"button primary\".*?)</button>")
        ).split()
    )


def test_the_page_offers_both_sizes_and_both_ways_with_their_prices(producer, workspace):
    page = producer.get(address(made(workspace)))
    told = words(page)
    assert "2× 512 × 512" in told
    assert "4× 1024 × 1024" in told
    assert "Refine in tiles • 6 credits" in told
    assert "A model paints over 6 tiles" in told
    assert "Plain, without a model • free" in told
    assert button_of(page) == "Upscale to 512 × 512 • 6 credits"


def test_a_change_brings_the_new_price_and_nothing_else(producer, workspace):
    part = producer.get(address(made(workspace), "?factor=4&way=refine"), headers=HTMX)
    assert button_of(part) == "Upscale to 1024 × 1024 • 24 credits"
    assert "<html" not in part.content.decode()
    plain = producer.get(address(made(workspace), "?factor=4&way=plain"), headers=HTMX)
    assert button_of(plain) == "Upscale to 1024 × 1024 • free"


def test_a_click_holds_what_the_button_said_and_stands_among_the_results(producer, workspace):
    name = made(workspace)
    sent = {"factor": "2", "way": "refine", "checkpoint": "starter", "strength": "0.4", "prompt": "a mug", "key": "k"}
    done = producer.post(address(name), sent)
    assert (done.status_code, done["Location"]) == (302, "/w/acme/studio/")
    request = ImageRequest.from_json(Render.objects.get().request)
    assert (request.task, request.width, request.strength, request.prompt) == ("upscale", 512, 0.4, "a mug")
    assert request.initial is not None
    assert request.initial.image == Asset.objects.get().storage_key
    assert ledger.balance(workspace_id=workspace.pk).held == 6000
    told = words(producer.get("/w/acme/studio/"))
    assert "upscaled 2× · Starter at 0.4 · 512 × 512" in told
    # The same click sent twice is one.
    producer.post(address(name), sent)
    assert Generation.objects.count() == 1


def test_a_plain_click_holds_nothing(producer, workspace):
    assert producer.post(address(made(workspace)), {"factor": "4", "way": "plain", "key": "k"}).status_code == 302
    request = ImageRequest.from_json(Render.objects.get().request)
    assert (request.task, request.width) == ("enlarge", 1024)
    assert ledger.balance(workspace_id=workspace.pk).held == 0
    assert "upscaled 4× without a model" in words(producer.get("/w/acme/studio/"))


def test_the_settings_of_a_result_lead_back_to_its_form(producer, workspace):
    name = made(workspace)
    producer.post(address(name), {"factor": "4", "way": "refine", "strength": "0.25", "key": "k"})
    back = producer.get(f"/w/acme/studio/?from={Render.objects.get().pk}")
    assert back.status_code == 302
    page = producer.get(back["Location"]).content.decode()
    assert re.search(r'id="factor-4" value="4" checked', page)
    assert re.search(r'name="strength"[^>]*value="0.25"', page)


def test_an_uploaded_picture_is_made_larger_too_but_not_one_with_transparent_parts(producer):
    for mode, data in (("RGB", png()), ("RGBA", png(mode="RGBA"))):
        file = SimpleUploadedFile(f"{mode}.png", data if mode == "RGB" else _clear())
        producer.post("/w/acme/studio/references/", {"base_file": file})
    opaque, clear = Upload.objects.order_by("pk")
    assert button_of(producer.get(address(f"upload-{opaque.pk}"))) == "Upscale to 512 × 512 • 6 credits"
    refused = producer.get(address(f"upload-{clear.pk}"))
    assert "It has transparent parts" in words(refused)
    assert re.search(r"<button class=\"button primary\"[^>]* disabled", refused.content.decode())
    assert producer.post(address(f"upload-{clear.pk}"), {"key": "k"}).status_code == 422
    assert not Generation.objects.exists()


def _clear() -> bytes:
    stream = io.BytesIO()
    Image.new("RGBA", (256, 256), (200, 10, 10, 0)).save(stream, "PNG")
    return stream.getvalue()


def test_an_edited_picture_opens_with_the_plain_way_and_says_why_not_the_other(producer, workspace):
    edited = ProductReference(photo="1/a.png", lock_mask="1/b.png", frame=Frame(x=0, y=0, width=256, height=256))
    request = replace(image_request(STARTER, prompt="x", seed=1, width=256, height=256), product=edited)
    name = made(workspace, request)
    page = producer.get(address(name))
    assert "edited by hand" in words(page)
    assert button_of(page) == "Upscale to 512 × 512 • free"
    refused = producer.post(address(name), {"way": "refine", "key": "k"})
    assert refused.status_code == 422
    assert not Generation.objects.exists()


def test_without_a_model_that_can_there_is_the_plain_way(producer, workspace, monkeypatch):
    unable = replace(STARTER, capabilities=STARTER.capabilities - {"upscale"})
    monkeypatch.setattr(catalog, "load", lambda: {"starter": unable})
    name = made(workspace)
    page = producer.get(address(name))
    assert "No model that is installed here makes pictures larger." in words(page)
    assert button_of(page) == "Upscale to 512 × 512 • free"
    assert producer.post(address(name), {"way": "plain", "key": "k"}).status_code == 302


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"strength": "7"}, "less than or equal to 1"),
        ({"factor": "3"}, "3 is not one of the available choices"),
        ({"checkpoint": "sdxl-base"}, "sdxl-base is not one of the available choices"),
        ({"strength": "0.05"}, "leave none to run"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_held(producer, workspace, changes, said):
    response = producer.post(address(made(workspace)), {"way": "refine", "key": "k", **changes})
    assert response.status_code == 422
    assert said in words(response)
    assert not Generation.objects.exists()


def test_too_few_credits_disable_the_button_with_what_is_missing(producer, workspace, monkeypatch):
    dear = replace(STARTER, prices=(replace(STARTER.price, credits=STARTER.price.credits * 100_000),))
    monkeypatch.setattr(catalog, "load", lambda: {"starter": dear})
    page = producer.get(address(made(workspace)))
    assert "Credits are short by" in words(page)
    assert re.search(r"<button class=\"button primary\"[^>]* disabled", page.content.decode())


def test_the_image_and_the_result_lead_there_and_the_larger_one_back(producer, browser, workspace):
    name = made(workspace)
    pk = name.removeprefix("asset-")
    link = f'href="{address(name)}"'
    assert link in producer.get(f"/w/acme/gallery/{pk}/").content.decode()
    assert link not in browser("viewer").get(f"/w/acme/gallery/{pk}/").content.decode()
    assert link in producer.get(f"/w/acme/studio/?base={name}").content.decode()
    larger = Asset.objects.get(pk=made(workspace, width=512, height=512).removeprefix("asset-"))
    larger.recipe = {"settings": {"base": name, "factor": 2}}
    larger.save(update_fields=["recipe"])
    page = producer.get(f"/w/acme/gallery/{larger.pk}/")
    assert f"Upscaled from Image {pk} , 256 × 256" in words(page) or f"Upscaled from Image {pk}, 256 × 256" in words(
        page
    )
    assert f'href="/w/acme/gallery/{pk}/"' in page.content.decode()


@pytest.mark.parametrize("name", ["asset-999999", "nonsense"])
def test_a_picture_that_is_not_there_is_not_found(producer, name):
    assert producer.get(address(name)).status_code == 404
    assert producer.post(address(name), {"key": "k"}).status_code == 404


def test_a_strangers_picture_is_not_there_and_a_viewer_makes_none(producer, browser, workspace):
    foreign = made(Workspace.objects.get(slug="elsewhere"))
    assert producer.get(address(foreign)).status_code == 404
    assert producer.post(address(foreign), {"key": "k"}).status_code == 404
    assert browser("viewer").get(address(made(workspace))).status_code == 403
    assert not Generation.objects.exists()
