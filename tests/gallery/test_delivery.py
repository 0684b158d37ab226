"""The ZIP that leaves the house: what is in it, what is not and why, and that it is never whole in memory."""

import csv
import io
import tracemalloc
import zipfile

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from gallery import delivery, library, review, storage
from gallery.csv_text import quoted
from gallery.delivery import Label
from gallery.models import Asset
from gallery.review import Requirement
from studio.models import User
from tests.conftest import NOW
from tests.gallery.review_samples import paid_asset, person


@pytest.fixture
def ann(workspace) -> User:
    return person(workspace, "ann")


def approved(workspace, by: User) -> Asset:
    asset = paid_asset(workspace)
    review.approve(asset.pk, by_id=by.pk, now=NOW)
    return asset


def packed(workspace, assets, **labels: Label) -> delivery.Package:
    named = {asset.pk: labels.get(f"n{number}", Label()) for number, asset in enumerate(assets)}
    return delivery.prepare(workspace_id=workspace.pk, asset_ids=[asset.pk for asset in assets], labels=named)


def opened(package: delivery.Package) -> zipfile.ZipFile:
    archive = zipfile.ZipFile(io.BytesIO(b"".join(delivery.stream(package))))
    assert archive.testzip() is None
    return archive


def rows(archive: zipfile.ZipFile, name: str = "manifest.csv") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(archive.read(name).decode(), newline="")))


def test_an_approved_image_leaves_with_its_bytes_and_its_story(workspace, ann):
    asset = paid_asset(workspace)
    ticks = (Requirement(text="whole", is_met=True), Requirement(text="room for text", is_met=False))
    review.approve(asset.pk, by_id=ann.pk, now=NOW, must_have=ticks)
    label = Label(sku="MUG", scene="marble, teal", channel="square", number=2)
    archive = opened(packed(workspace, [asset], n0=label))
    assert archive.namelist() == ["images/MUG--marble-teal--square--2.png", "manifest.csv"]
    assert archive.read("images/MUG--marble-teal--square--2.png") == storage.read(asset.storage_key)
    [row] = rows(archive)
    assert tuple(row) == delivery.COLUMNS
    assert (row["sku"], row["scene"], row["sha256"], row["recipe_sha256"]) == (
        "MUG", "marble, teal", asset.sha256, asset.recipe_hash,
    )  # fmt: skip
    assert (row["decision"], row["decided_by"], row["decided_at"]) == ("approved", "ann@example.com", NOW.isoformat())
    assert (row["credits"], row["not_ticked"]) == ("1", "room for text")


def test_only_what_is_approved_leaves_and_the_rest_is_told_why(workspace, ann):
    good, pending, rejected, archived = (paid_asset(workspace) for _ in range(4))
    for asset in (good, archived):
        review.approve(asset.pk, by_id=ann.pk, now=NOW)
    review.reject(rejected.pk, by_id=ann.pk, reason="bad_light", now=NOW)
    library.archive(workspace_id=workspace.pk, asset_ids=[archived.pk], now=NOW)
    package = packed(workspace, [good, pending, rejected, archived])
    assert [review.asset_id for _, review, _ in package.files] == [good.pk]
    assert {one.asset_id: one.reason.split(":")[0] for one in package.left_out} == {
        pending.pk: "In review",
        rejected.pk: "Rejected",
        archived.pk: "Archived. Restore it first.",
    }
    assert len(rows(opened(package), "left-out.csv")) == 3


def test_another_recipe_than_the_approved_one_stays_in(workspace, ann):
    asset = approved(workspace, ann)
    Asset.objects.update(recipe_hash="f" * 64)
    [left_out] = packed(workspace, [asset]).left_out
    assert "another recipe" in left_out.reason


@pytest.mark.parametrize("damage", ["other bytes", "lost"])
def test_bytes_that_are_no_longer_the_approved_ones_stay_in(workspace, ann, damage):
    good, bad = approved(workspace, ann), approved(workspace, ann)
    if damage == "lost":
        default_storage.delete(bad.storage_key)
    else:
        default_storage.save(bad.storage_key, ContentFile(b"something else"))
    archive = opened(packed(workspace, [good, bad]))
    assert [row["sha256"] for row in rows(archive)] == [good.sha256]
    [left_out] = rows(archive, "left-out.csv")
    assert left_out["name"] == f"image--{bad.pk}.png"
    assert "not the one that was approved" in left_out["reason"]


def test_names_are_unique_and_safe_and_cells_are_no_formulas(workspace, ann):
    assets = [approved(workspace, ann) for _ in range(4)]
    hostile = Label(sku="../../=cmd|' /C calc'!A0", scene="a/b\\c:d*?\x00", channel="")
    labels = {"n0": hostile, "n1": hostile, "n2": Label(sku="Müg", number=1), "n3": Label(sku="mÜG", number=1)}
    archive = opened(packed(workspace, assets, **labels))
    names = [name for name in archive.namelist() if name.endswith(".png")]
    assert len({name.casefold() for name in names}) == 4
    for name in names:
        folder, _, file = name.partition("/")
        assert folder == "images"
        assert not set(file) & set('/\\:*?"<>|\x00')
        assert ".." not in file
    assert rows(archive)[0]["sku"].startswith("../")  # no formula: as it is
    assert quoted("=1+1") == "'=1+1"
    assert [quoted(f"{sign}x")[0] for sign in "=+-@\t\r"] == ["'"] * 6


def test_nothing_of_another_workspace_is_packed(workspace, make_workspace, ann):
    elsewhere = make_workspace("elsewhere")
    other = approved(elsewhere, ann)
    package = packed(workspace, [other])
    assert (package.files, package.left_out) == ((), ())


def test_one_image_at_a_time_is_in_memory(workspace, ann):
    size = 2_000_000
    assets = []
    for number in range(12):
        asset = paid_asset(workspace)
        data = bytes([number]) * size
        key = storage.put(workspace.pk, data, suffix=".png")
        sha256 = key.partition("/")[2].removesuffix(".png")
        Asset.objects.filter(pk=asset.pk).update(storage_key=key, sha256=sha256, size_bytes=size)
        review.approve(asset.pk, by_id=ann.pk, now=NOW)
        assets.append(asset)
    package = packed(workspace, assets)
    assert package.size_bytes == 12 * size
    tracemalloc.start()
    try:
        sent = sum(len(chunk) for chunk in delivery.stream(package))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sent > 12 * size
    assert peak < 5 * size
