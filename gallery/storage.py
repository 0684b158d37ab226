"""Where bytes are kept: under their own hash, whole or not at all. Knows keys and bytes, nothing of what they show."""

import hashlib
import os
import tempfile
from pathlib import Path

from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, default_storage

from billing.kill_points import kill_point


class AtomicFileSystemStorage(FileSystemStorage):
    """Local files that appear under their name only when complete, and survive a crash right after."""

    def __init__(self, location: str | None = None) -> None:
        super().__init__(location=location, allow_overwrite=True)

    def _save(self, name: str, content: "File[bytes]") -> str:
        path = Path(self.path(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
        try:
            with os.fdopen(descriptor, "wb") as file:
                for chunk in content.chunks():
                    file.write(chunk)
                kill_point("mid_put")
                file.flush()
                os.fsync(file.fileno())
            Path(draft).chmod(0o644)
            Path(draft).replace(path)
            _sync_folder(path.parent)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
        return name


def _sync_folder(folder: Path) -> None:
    """Make a rename in the folder survive a power cut, as fsync on the file itself does not."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def put(workspace_id: int, data: bytes, *, suffix: str) -> str:
    """Store data under ``{workspace}/{sha256}{suffix}`` and return that key; storing it again changes nothing.

    :raises OSError: the disk is full or the storage unreachable; nothing is then visible under the key.
    """
    key = f"{workspace_id}/{hashlib.sha256(data).hexdigest()}{suffix}"
    if not (default_storage.exists(key) and default_storage.size(key) == len(data)):
        default_storage.save(key, ContentFile(data))
    kill_point("after_put")
    return key


def read(key: str) -> bytes:
    """The bytes stored under a key.

    :raises FileNotFoundError: nothing is stored there.
    """
    with default_storage.open(key) as file:
        return bytes(file.read())
