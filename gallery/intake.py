"""Uploads: files are decoded in a child process, re-encoded from raw pixels, and accepted or refused with words.
The only writer of Upload.status: received → quarantined → clean or refused. Knows nothing of products or campaigns.
"""

import hashlib
import os
import stat
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, BinaryIO

from celery import current_app
from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction

from gallery import storage
from gallery.decode_child import Use
from gallery.decoder import Decoder, Limits
from gallery.models import Upload, UploadStatus

MAX_NAME_LENGTH = 255
CHUNK_BYTES = 1 << 20


class RefusedError(ValueError):
    """A file that is not taken: one sentence that names it and says what to do. ``reason`` leaves the name out."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        super().__init__(f"{name} {reason}")


class IllegalTransitionError(RuntimeError):
    """An upload was not in the state that a step starts from; somebody else took that step, or it was skipped."""


@dataclass(frozen=True, kw_only=True)
class NormalizedImage:
    """An image that was decoded and written anew: a lossless PNG of 8 bits a channel in the scratch folder.

    A photo is RGB or straight RGBA and keeps its RGB profile; a mask has one channel of 0 and 255, and
    ``lock_pixels`` of 255; ``dark_box`` (left, top, right, bottom) holds all that is 0, empty where nothing is. Sizes
    are pixels after the EXIF orientation was applied.
    """

    path: Path
    use: Use
    width: int
    height: int
    has_alpha: bool
    has_icc_profile: bool
    lock_pixels: int
    dark_box: tuple[int, ...]
    source_name: str
    source_sha256: str
    source_format: str
    source_size_bytes: int


def examine(paths: Sequence[Path], *, scratch: Path) -> list[NormalizedImage | RefusedError]:
    """Decode photos into the scratch folder, which has to exist; results in the order of the paths.

    :raises gallery.decoder.DecoderError: no decoder starts on this machine.
    """
    return _examine(paths, scratch=scratch, use="photo")


def examine_masks(paths: Sequence[Path], *, scratch: Path) -> list[NormalizedImage | RefusedError]:
    """Like `examine` for masks: light is the product, dark and transparent is not."""
    return _examine(paths, scratch=scratch, use="mask")


def check_mask(mask: NormalizedImage, *, width: int, height: int, photo: str) -> None:
    """Check that a mask can protect a product in a photo of this size and name.

    :raises RefusedError: it has another size, or nothing in it is white.
    """
    if (mask.width, mask.height) != (width, height):
        raise RefusedError(
            mask.source_name,
            f"is {mask.width} × {mask.height} pixels and the photo {photo} {width} × {height}. "
            "Make the mask as large as the photo.",
        )
    if mask.lock_pixels == 0:
        raise RefusedError(
            mask.source_name,
            "is black all over. Paint the product white, or leave the mask out to have one made.",
        )


def accept(*, workspace_id: int, image: NormalizedImage, now: datetime) -> Upload:
    """Keep an examined image: its normalized bytes in storage, and a clean upload; the same file is kept once.

    :param image: from `examine` or `examine_masks`, its scratch file still there.
    :raises OSError: storage cannot take it; there is then no upload.
    """
    data = image.path.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    if known := _clean(workspace_id, image.source_sha256, sha256):
        return known
    key = storage.put(workspace_id, data, suffix=".png")
    try:
        with transaction.atomic():
            upload = Upload.objects.create(
                workspace_id=workspace_id,
                name=_short(image.source_name),
                source_sha256=image.source_sha256,
                source_size_bytes=image.source_size_bytes,
                created_at=now,
            )
            _move(upload, UploadStatus.RECEIVED, UploadStatus.QUARANTINED)
            _move(upload, UploadStatus.QUARANTINED, UploadStatus.CLEAN, **_facts(image, key, sha256, now))
            _ask_for_renditions(workspace_id, key)
    except IntegrityError:
        if known := _clean(workspace_id, image.source_sha256, sha256):
            return known
        raise
    return upload


def receive(*, workspace_id: int, source: BinaryIO, name: str, now: datetime) -> Upload:
    """Put a file that somebody sends into quarantine, unread; `admit` decides about it.

    :raises RefusedError: it is empty or larger than STUDIO_UPLOAD_MAX_BYTES; nothing was kept.
    :raises OSError: storage cannot take it; the upload stays received and cannot be used.
    """
    shown = _short(Path(name).name) or "unnamed"
    with tempfile.TemporaryFile() as spool:
        sha256, size_bytes = _spool(source, spool, shown)
        spool.seek(0)
        upload = Upload.objects.create(
            workspace_id=workspace_id, name=shown, source_sha256=sha256, source_size_bytes=size_bytes, created_at=now
        )
        default_storage.save(_quarantine_key(upload), File(spool))
    _move(upload, UploadStatus.RECEIVED, UploadStatus.QUARANTINED)
    return upload


def admit(upload: Upload, *, now: datetime) -> Upload:
    """Decide about a quarantined upload. Returns the clean upload of this file, or this one, refused with its reason.

    :raises IllegalTransitionError: it is not in quarantine.
    :raises gallery.decoder.DecoderError: no decoder starts; the upload stays in quarantine.
    """
    if upload.status != UploadStatus.QUARANTINED:
        raise IllegalTransitionError(f"upload {upload.pk} is {upload.status}, not in quarantine")
    data = storage.read(_quarantine_key(upload))
    with tempfile.TemporaryDirectory() as scratch, Decoder(_limits()) as decoder:
        found = _decoded(decoder, data, name=upload.name, target=Path(scratch) / "upload.png", use="photo")
        decided = _refuse(upload, found.reason, now) if isinstance(found, RefusedError) else _keep(upload, found, now)
    default_storage.delete(_quarantine_key(upload))
    return decided


def _keep(upload: Upload, image: NormalizedImage, now: datetime) -> Upload:
    data = image.path.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    key = storage.put(upload.workspace_id, data, suffix=".png")
    try:
        with transaction.atomic():
            _move(upload, UploadStatus.QUARANTINED, UploadStatus.CLEAN, **_facts(image, key, sha256, now))
            _ask_for_renditions(upload.workspace_id, key)
    except IntegrityError:
        known = _clean(upload.workspace_id, upload.source_sha256, sha256)
        if known is None:
            raise
        _refuse(upload, f"is there already, as upload {known.pk}. Use that one.", now)
        return known
    return upload


def _refuse(upload: Upload, reason: str, now: datetime) -> Upload:
    _move(upload, UploadStatus.QUARANTINED, UploadStatus.REFUSED, refusal=f"{upload.name} {reason}", decided_at=now)
    return upload


def _move(upload: Upload, start: UploadStatus, end: UploadStatus, **facts: Any) -> None:
    """Change the state, and what is known with it, if the upload is still where the step starts."""
    if not Upload.objects.filter(pk=upload.pk, status=start).update(status=end, **facts):
        raise IllegalTransitionError(f"upload {upload.pk} is no longer {start}, so it cannot become {end}")
    upload.refresh_from_db()


def _ask_for_renditions(workspace_id: int, key: str) -> None:
    """Tell a worker, once this is committed. By name: the task's module loads Pillow; the sweep replaces a lost one."""
    transaction.on_commit(
        lambda: current_app.send_task("gallery.make_renditions", args=[workspace_id, key]), robust=True
    )


def _facts(image: NormalizedImage, key: str, sha256: str, now: datetime) -> dict[str, Any]:
    return {
        "source_format": image.source_format,
        "storage_key": key,
        "sha256": sha256,
        "width": image.width,
        "height": image.height,
        "has_alpha": image.has_alpha,
        "decided_at": now,
    }


def _clean(workspace_id: int, source_sha256: str, sha256: str) -> Upload | None:
    """The clean upload of this file with these pixels: one file may be a photo here and a mask there."""
    return Upload.objects.filter(
        workspace_id=workspace_id, source_sha256=source_sha256, sha256=sha256, status=UploadStatus.CLEAN
    ).first()


def _quarantine_key(upload: Upload) -> str:
    return f"quarantine/{upload.workspace_id}/{upload.pk}"


def _short(name: str) -> str:
    """A file's name without control characters, at most 255 characters long, its end kept."""
    return "".join(sign for sign in name if sign.isprintable())[-MAX_NAME_LENGTH:]


def _spool(source: BinaryIO, spool: IO[bytes], name: str) -> tuple[str, int]:
    digest = hashlib.sha256()
    size_bytes = 0
    while chunk := source.read(CHUNK_BYTES):
        size_bytes += len(chunk)
        _check_size(name, size_bytes)
        digest.update(chunk)
        spool.write(chunk)
    if not size_bytes:
        raise RefusedError(name, "is empty. Send the file again.")
    return digest.hexdigest(), size_bytes


def _check_size(name: str, size_bytes: int) -> None:
    most = settings.STUDIO_UPLOAD_MAX_BYTES
    if size_bytes > most:
        raise RefusedError(name, f"is larger than {most / 1e6:g} MB. Save it with fewer pixels or as JPEG.")


def _limits() -> Limits:
    return Limits(
        max_pixels=settings.STUDIO_UPLOAD_MAX_PIXELS,
        max_memory_bytes=settings.STUDIO_DECODE_MAX_MEMORY_BYTES,
        cpu_s=settings.STUDIO_DECODE_TIMEOUT_S,
    )


def _examine(paths: Sequence[Path], *, scratch: Path, use: Use) -> list[NormalizedImage | RefusedError]:
    with Decoder(_limits()) as decoder:
        return [
            _examined(decoder, path, target=scratch / f"{use}-{index}.png", use=use) for index, path in enumerate(paths)
        ]


def _examined(decoder: Decoder, path: Path, *, target: Path, use: Use) -> NormalizedImage | RefusedError:
    try:
        data = _read(path)
    except RefusedError as refusal:
        return refusal
    return _decoded(decoder, data, name=path.name, target=target, use=use)


def _decoded(decoder: Decoder, data: bytes, *, name: str, target: Path, use: Use) -> NormalizedImage | RefusedError:
    answer = decoder.decode(data, target=target, use=use)
    if answer.refusal:
        return RefusedError(name, answer.refusal)
    return NormalizedImage(
        path=target,
        use=use,
        width=answer.width,
        height=answer.height,
        has_alpha=answer.has_alpha,
        has_icc_profile=answer.has_icc_profile,
        lock_pixels=answer.lock_pixels,
        dark_box=answer.dark_box,
        source_name=name,
        source_sha256=hashlib.sha256(data).hexdigest(),
        source_format=answer.format,
        source_size_bytes=len(data),
    )


def _read(path: Path) -> bytes:
    """An ordinary file's bytes. What is looked at is what was opened, whatever the path leads to a moment later."""
    try:
        # A pipe without a writer would keep a plain open waiting for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise RefusedError(path.name, "is not there. Check the name.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RefusedError(path.name, f"cannot be opened ({reason}). Check its name and permissions.") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise RefusedError(path.name, "is a folder or a device. Name an image file.")
        if not status.st_size:
            raise RefusedError(path.name, "is empty. Save it again from its original.")
        _check_size(path.name, status.st_size)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(settings.STUDIO_UPLOAD_MAX_BYTES + 1)
    except OSError as error:
        raise RefusedError(path.name, f"cannot be read ({error.strerror}). Check the disk it is on.") from None
    finally:
        os.close(descriptor)
    _check_size(path.name, len(data))
    return data
