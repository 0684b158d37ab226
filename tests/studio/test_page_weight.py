"""What a page weighs over the wire: its HTML, styles and scripts as they are served, without pictures."""

import gzip
import re

import pytest
from django.forms.models import model_to_dict
from django.urls import reverse

from gallery import search
from gallery.models import Asset
from studio.routes import ROUTES
from tests.conftest import NOW
from tests.studio.samples import Samples

LIMIT_BYTES = 120_000
# The pages that have no object in their address, and those of an object that are looked at most.
MAIN = {
    *("studio", "campaigns", "campaign_new", "products", "review", "gallery", "projects", "delivery"),
    *("credits", "credits_usage", "settings", "members", "notifications", "workspace"),
    *("campaign", "cell", "gallery_image", "project"),
}
TEXT = {"Accept-Encoding": "gzip"}


def address(name: str, samples: Samples) -> str:
    route = next(route for route in ROUTES if route.name == name)
    parameters = re.findall(r"<\w+:(\w+)>", route.path)
    ids = {each: samples.id(each.removesuffix("_id")) for each in parameters}
    return reverse(name, kwargs={"slug": samples.workspace.slug, **ids})


def body(response) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else response.content


@pytest.fixture
def full_shelf(workspace, people) -> Samples:
    """A workspace with more images than one page of the gallery shows."""
    samples = Samples(workspace)
    shown = model_to_dict(samples["asset"], fields=["origin", "storage_key", "sha256", "width", "height", "size_bytes"])
    prompt = "a mug on a table, morning light through a window, room for a headline on the left"
    row = {**shown, "workspace": workspace, "prompt": prompt, "recipe": {}, "recipe_hash": "", "created_at": NOW}
    Asset.objects.bulk_create(Asset(**row) for _ in range(search.PAGE + 1))
    return samples


def test_every_main_page_stays_light_over_the_wire(browser, full_shelf):
    client = browser("owner")
    weights: dict[str, int] = {}
    for name in sorted(MAIN):
        response = client.get(address(name, full_shelf), headers=TEXT)
        assert response.status_code == 200, name
        page = gzip.decompress(response.content).decode()
        needed = re.findall(r'<(?:link rel="stylesheet" href|script[^>]* src)="([^"]+)"', page)
        assert any("htmx" in each for each in needed), name
        for each in needed:
            weights.setdefault(each, len(body(client.get(each, headers=TEXT))))
        assert min(weights.values()) > 100, weights
        total = len(response.content) + sum(weights[each] for each in set(needed))
        assert total < LIMIT_BYTES, (name, total, weights)


def test_text_leaves_compressed_and_pictures_and_parts_of_files_as_they_are(browser, workspace, people):
    client = browser("viewer")
    script = client.get("/static/studio/js/base.js", headers=TEXT)
    assert script["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in script["Vary"]
    plain = body(client.get("/static/studio/js/base.js"))
    assert gzip.decompress(body(script)) == plain
    part = client.get("/static/studio/js/base.js", headers={**TEXT, "Range": "bytes=0-99"})
    assert body(part) == plain[:100]
    picture = client.get(reverse("asset_file", args=["acme", Samples(workspace).id("asset"), "original"]), headers=TEXT)
    assert "Content-Encoding" not in picture
