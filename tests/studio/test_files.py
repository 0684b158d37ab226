"""Stored files over HTTP: to members only, kept by the browser for ever, and never run by it."""

import io

import pytest
from django.urls import reverse
from PIL import Image

from campaigns.models import Photo, Product
from gallery import library, renditions, storage
from gallery.models import Asset, Upload, UploadStatus
from tests.conftest import NOW


def png(color: str, size: tuple[int, int] = (900, 600)) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, color).save(stream, "PNG")
    return stream.getvalue()


def body(response) -> bytes:
    return b"".join(response.streaming_content)


@pytest.fixture
def asset(workspace) -> Asset:
    key = storage.put(workspace.pk, png("#8a2222"), suffix=".png")
    mask = storage.put(workspace.pk, png("white"), suffix=".png")
    image = library.StoredImage(
        storage_key=key, sha256="0" * 64, width=900, height=600, size_bytes=1, lock_mask_key=mask
    )
    generated = library.GeneratedImage(file=image, recipe={}, recipe_hash="")
    [pk] = library.add_generated(workspace_id=workspace.pk, images=[generated], now=NOW)
    return Asset.objects.get(pk=pk)


@pytest.fixture
def photo(workspace) -> Photo:
    upload = Upload.objects.create(
        workspace=workspace,
        status=UploadStatus.CLEAN,
        name="mug.png",
        source_sha256="1" * 64,
        source_size_bytes=1,
        storage_key=storage.put(workspace.pk, png("#224488"), suffix=".png"),
        width=900,
        height=600,
        created_at=NOW,
    )
    product = Product.objects.create(workspace=workspace, sku="MUG", title="A mug", created_at=NOW)
    return Photo.objects.create(workspace=workspace, product=product, upload=upload, created_at=NOW)


def make_renditions() -> None:
    for workspace_id, key in renditions.missing():
        renditions.make(workspace_id=workspace_id, source_key=key, now=NOW)


def address(kind: str, *, asset: Asset | None = None, photo: Photo | None = None) -> str:
    if asset is not None:
        return reverse("asset_file", args=["acme", asset.pk, kind])
    assert photo is not None
    return reverse("photo_file", args=["acme", photo.pk, kind])


def test_a_thumb_is_a_small_webp_that_the_browser_keeps_and_never_runs(browser, asset):
    make_renditions()
    response = browser("viewer").get(address("thumb", asset=asset))
    assert Image.open(io.BytesIO(body(response))).size == (400, 267)
    assert response["Content-Type"] == "image/webp"
    assert response["Cache-Control"] == "private, max-age=31536000, immutable"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"] == "sandbox; default-src 'none'"


def test_while_a_rendition_is_missing_the_original_stands_in_and_is_asked_for_again(browser, asset):
    response = browser("viewer").get(address("view", asset=asset))
    assert body(response) == storage.read(asset.storage_key)
    assert response["Cache-Control"] == "private, no-cache"


def test_the_original_is_saved_under_a_name(browser, asset):
    response = browser("viewer").get(address("original", asset=asset) + "?download")
    assert response["Content-Disposition"] == f'attachment; filename="image-{asset.pk}.png"'
    assert body(response) == storage.read(asset.storage_key)


def test_the_lock_mask_lies_beside_its_asset(browser, asset):
    response = browser("viewer").get(address("lock_mask", asset=asset))
    assert body(response) == storage.read(asset.lock_mask_key)


def test_a_photo_has_its_renditions_too_and_its_mask_is_not_kept_by_the_browser(browser, photo):
    make_renditions()
    client = browser("viewer")
    assert Image.open(io.BytesIO(body(client.get(address("view", photo=photo))))).size == (900, 600)
    assert client.get(address("lock_mask", photo=photo)).status_code == 404
    Photo.objects.update(mask_key=photo.upload.storage_key, mask_source="opencv")
    assert client.get(address("lock_mask", photo=photo))["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize("kind", ["poster", "storage_key", "difference"])
def test_there_is_nothing_under_a_kind_that_was_never_made(browser, asset, kind):
    assert browser("viewer").get(address(kind, asset=asset)).status_code == 404


def test_files_of_another_workspace_do_not_exist(browser, people, asset, photo):
    client = browser("stranger")
    for kind in ("thumb", "view", "original", "lock_mask"):
        assert client.get(address(kind, asset=asset)).status_code == 404
        # In the stranger's own workspace their ids name nothing.
        assert client.get(reverse("asset_file", args=["elsewhere", asset.pk, kind])).status_code == 404
        assert client.get(reverse("photo_file", args=["elsewhere", photo.pk, kind])).status_code == 404
    assert browser("anonymous").get(address("thumb", asset=asset)).status_code == 302


def test_a_file_that_storage_lost_is_not_found(browser, asset):
    Asset.objects.update(storage_key=f"1/{'f' * 64}.png")
    assert browser("viewer").get(address("original", asset=asset)).status_code == 404
