"""Files come in, or are refused in one sentence, and only a clean upload has anything to use."""

import hashlib
import io
import os
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction
from PIL import Image

from gallery import intake, storage
from gallery.intake import IllegalTransitionError, NormalizedImage, RefusedError
from gallery.models import Upload, UploadStatus
from tests.gallery.image_files import picture, png, saved

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
JPEG = saved(picture(), "JPEG")


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def taken(found: list[NormalizedImage | RefusedError]) -> NormalizedImage:
    (image,) = found
    assert isinstance(image, NormalizedImage)
    return image


# --- examine ---


def test_good_and_bad_files_are_told_apart_in_their_order(tmp_path: Path, scratch: Path, settings) -> None:
    settings.STUDIO_UPLOAD_MAX_BYTES = 100_000
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    (tmp_path / "link.png").symlink_to(put(tmp_path, "real.png", JPEG))
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    cases: list[tuple[Path, str]] = [
        (put(tmp_path, "cup.jpg", JPEG), ""),
        (put(tmp_path, "really-a-jpeg.png", JPEG), ""),
        (put(tmp_path, "text.jpg", b"hello " * 100), "text.jpg is not an image that can be read."),
        (put(tmp_path, "cut.jpg", JPEG[:-200]), "cut.jpg is damaged and cannot be decoded."),
        (put(tmp_path, "empty.jpg", b""), "empty.jpg is empty. Save it again from its original."),
        (put(tmp_path, "huge.jpg", JPEG + bytes(100_000)), "huge.jpg is larger than 0.1 MB."),
        (put(tmp_path, "bomb.png", png(50_000, 50_000, b"\0")), "bomb.png is 50,000 × 50,000 pixels; at most 64"),
        (tmp_path / "lost.jpg", "lost.jpg is not there. Check the name."),
        (tmp_path, f"{tmp_path.name} is a folder or a device. Name an image file."),
        (tmp_path / "pipe.png", "pipe.png is a folder or a device."),
        (tmp_path / "device.png", "device.png is a folder or a device."),
        (tmp_path / "loop.png", "loop.png cannot be opened ("),
        (tmp_path / ("n" * 300), "n" * 300 + " cannot be opened (File name too long)."),
        (tmp_path / "link.png", ""),
        (put(tmp_path, "last.png", saved(picture("RGBA"), "PNG")), ""),
    ]
    found = intake.examine([path for path, _ in cases], scratch=scratch)
    for (path, said), each in zip(cases, found, strict=True):
        if said:
            assert isinstance(each, RefusedError)
            assert str(each).startswith(said)
        else:
            assert isinstance(each, NormalizedImage)
            assert each.source_name == path.name
            assert each.source_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
            assert each.source_size_bytes == path.stat().st_size
    images = [each for each in found if isinstance(each, NormalizedImage)]
    assert [each.source_format for each in images] == ["JPEG", "JPEG", "JPEG", "PNG"]
    assert {each.path for each in images} == set(scratch.iterdir())


def test_a_mask_must_have_the_photos_size_and_something_white(tmp_path: Path, scratch: Path) -> None:
    paths = [
        put(tmp_path, name, saved(image, "PNG"))
        for name, image in (
            ("good.png", Image.new("L", (96, 64), 255)),
            ("turned.png", Image.new("L", (64, 96), 255)),
            ("black.png", Image.new("L", (96, 64), 127)),
        )
    ]
    photo = taken(intake.examine([put(tmp_path, "cup.jpg", JPEG)], scratch=scratch))
    good, turned, black = intake.examine_masks(paths, scratch=scratch)
    assert isinstance(good, NormalizedImage)
    assert isinstance(turned, NormalizedImage)
    assert isinstance(black, NormalizedImage)

    def check(mask: NormalizedImage) -> None:
        intake.check_mask(mask, width=photo.width, height=photo.height, photo=photo.source_name)

    check(good)
    with pytest.raises(RefusedError, match=r"turned\.png is 64 × 96 pixels and the photo cup\.jpg 96 × 64\. Make"):
        check(turned)
    with pytest.raises(RefusedError, match=r"black\.png is black all over\. Paint the product white"):
        check(black)


# --- accept ---


@pytest.mark.django_db
def test_an_accepted_image_is_clean_and_stored_under_the_hash_of_its_pixels(workspace, tmp_path, scratch) -> None:
    image = taken(intake.examine([put(tmp_path, "cup.jpg", JPEG)], scratch=scratch))
    upload = intake.accept(workspace_id=workspace.pk, image=image, now=NOW)
    stored = storage.read(upload.storage_key)
    assert stored == image.path.read_bytes()
    assert upload.storage_key == f"{workspace.pk}/{hashlib.sha256(stored).hexdigest()}.png"
    assert (upload.status, upload.name, upload.source_format) == (UploadStatus.CLEAN, "cup.jpg", "JPEG")
    assert (upload.width, upload.height, upload.has_alpha) == (96, 64, False)
    assert (upload.created_at, upload.decided_at) == (NOW, NOW)
    assert upload.source_sha256 == hashlib.sha256(JPEG).hexdigest()


@pytest.mark.django_db
def test_the_same_file_is_kept_once_a_workspace(make_workspace, tmp_path, scratch) -> None:
    ours, theirs = make_workspace("ours"), make_workspace("theirs")
    paths = [put(tmp_path, "cup.jpg", JPEG), put(tmp_path, "copy.jpg", JPEG)]
    first, copy = intake.examine(paths, scratch=scratch)
    assert isinstance(first, NormalizedImage)
    assert isinstance(copy, NormalizedImage)
    one = intake.accept(workspace_id=ours.pk, image=first, now=NOW)
    assert intake.accept(workspace_id=ours.pk, image=copy, now=NOW).pk == one.pk
    other = intake.accept(workspace_id=theirs.pk, image=first, now=NOW)
    assert other.pk != one.pk
    assert other.storage_key != one.storage_key
    assert Upload.objects.count() == 2


@pytest.mark.django_db
def test_one_file_may_be_a_photo_and_a_mask(workspace, tmp_path, scratch) -> None:
    path = put(tmp_path, "square.png", saved(Image.new("L", (96, 64), 200), "PNG"))
    photo = taken(intake.examine([path], scratch=scratch))
    mask = taken(intake.examine_masks([path], scratch=scratch))
    kept = [intake.accept(workspace_id=workspace.pk, image=image, now=NOW) for image in (photo, mask)]
    modes = [Image.open(io.BytesIO(storage.read(upload.storage_key))).mode for upload in kept]
    assert modes == ["RGB", "L"]


@pytest.mark.django_db
def test_nothing_is_recorded_when_storage_fails(workspace, tmp_path, scratch, monkeypatch) -> None:
    image = taken(intake.examine([put(tmp_path, "cup.jpg", JPEG)], scratch=scratch))

    def full(*_: object) -> str:
        raise OSError("No space left on device")

    monkeypatch.setattr(default_storage, "save", full)
    with pytest.raises(OSError, match="No space"):
        intake.accept(workspace_id=workspace.pk, image=image, now=NOW)
    assert not Upload.objects.exists()


# --- receive and admit ---


def received(workspace, data: bytes, name: str = "cup.jpg") -> Upload:
    return intake.receive(workspace_id=workspace.pk, source=io.BytesIO(data), name=name, now=NOW)


def quarantined() -> list[str]:
    root = Path(default_storage.path("quarantine"))
    return [path.name for path in root.rglob("*") if path.is_file()]


@pytest.mark.django_db
def test_a_received_file_waits_in_quarantine_and_a_good_one_becomes_clean(workspace) -> None:
    upload = received(workspace, JPEG, "../../a\x00b\n/c\tup.jpg")
    assert (upload.status, upload.name, upload.storage_key) == (UploadStatus.QUARANTINED, "cup.jpg", "")
    assert len(quarantined()) == 1
    clean = intake.admit(upload, now=NOW)
    assert (clean.pk, clean.status, clean.width) == (upload.pk, UploadStatus.CLEAN, 96)
    assert Image.open(io.BytesIO(storage.read(clean.storage_key))).size == (96, 64)
    assert quarantined() == []


@pytest.mark.django_db
def test_a_bad_file_is_refused_with_its_reason_and_its_bytes_are_gone(workspace) -> None:
    refused = intake.admit(received(workspace, b"MZ\x90 not a picture", "cup.jpg"), now=NOW)
    refused.refresh_from_db()
    assert (refused.status, refused.storage_key, refused.decided_at) == (UploadStatus.REFUSED, "", NOW)
    assert refused.refusal.startswith("cup.jpg is not an image that can be read. Save the picture as")
    assert quarantined() == []


@pytest.mark.django_db
def test_a_file_that_is_there_already_leads_to_the_clean_one(workspace) -> None:
    first = intake.admit(received(workspace, JPEG), now=NOW)
    second = received(workspace, JPEG, "again.jpg")
    assert intake.admit(second, now=NOW).pk == first.pk
    second.refresh_from_db()
    assert (second.status, second.refusal) == (
        UploadStatus.REFUSED,
        f"again.jpg is there already, as upload {first.pk}. Use that one.",
    )


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("data", "said"),
    [(b"", "is empty"), (bytes(2_000_001), "is larger than 2 MB")],
    ids=["empty", "oversized"],
)
def test_empty_and_oversized_files_leave_no_trace(workspace, settings, data, said) -> None:
    settings.STUDIO_UPLOAD_MAX_BYTES = 2_000_000
    with pytest.raises(RefusedError, match=f"cup.jpg {said}"):
        received(workspace, data)
    assert not Upload.objects.exists()
    assert not default_storage.exists("quarantine") or quarantined() == []


@pytest.mark.django_db
@pytest.mark.parametrize("status", [UploadStatus.RECEIVED, UploadStatus.CLEAN, UploadStatus.REFUSED])
def test_only_a_quarantined_upload_is_decided(workspace, status) -> None:
    upload = received(workspace, JPEG)
    Upload.objects.filter(pk=upload.pk).update(status=status, storage_key="x", width=1, height=1)
    with pytest.raises(IllegalTransitionError, match="not in quarantine"):
        intake.admit(Upload.objects.get(pk=upload.pk), now=NOW)
    # Seen in quarantine, and decided by somebody else meanwhile.
    with pytest.raises(IllegalTransitionError, match="no longer quarantined"):
        intake.admit(upload, now=NOW)
    assert Upload.objects.get(pk=upload.pk).status == status


@pytest.mark.django_db
def test_the_database_itself_knows_no_clean_upload_without_pixels(workspace) -> None:
    upload = received(workspace, JPEG)
    with pytest.raises(IntegrityError), transaction.atomic():
        Upload.objects.filter(pk=upload.pk).update(status=UploadStatus.CLEAN)


def test_the_documented_limits_are_the_ones_that_hold() -> None:
    docs = (Path(__file__).parents[2] / "docs" / "uploads.md").read_text()
    documented = dict(re.findall(r"^\| `(STUDIO_\w+)` \| (\d+) \|", docs, re.MULTILINE))
    assert len(documented) == 5
    assert {name: str(getattr(settings, name)) for name in documented} == documented
