"""Where bytes are kept: under their own hash, whole or not at all. Knows keys and bytes, nothing of what they show."""

import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, default_storage

from billing.kill_points import kill_point

DRAFTS = ".drafts"
# No file takes as long to write; what is older was left by a writer that was killed.
STALE_AFTER_S = 3600.0


class AtomicFileSystemStorage(FileSystemStorage):
    """Local files that appear under their name only when complete, and survive a crash right after."""

    def __init__(self, location: str | None = None) -> None:
        super().__init__(location=location, allow_overwrite=True)

    def _save(self, name: str, content: "File[bytes]") -> str:
        path = Path(self.path(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        # One folder on the same disk for all that is unfinished, so that what killed writers left is found at once.
        self._drafts.mkdir(exist_ok=True)
        descriptor, draft = tempfile.mkstemp(dir=self._drafts)
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

    def drafts(self) -> Iterator[Path]:
        """The files that are being written now, or were when their writer was killed."""
        return self._drafts.iterdir() if self._drafts.is_dir() else iter(())

    @property
    def _drafts(self) -> Path:
        return Path(self.location) / DRAFTS


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


def put_file(workspace_id: int, path: Path, *, sha256: str, suffix: str) -> str:
    """Like `put` for a file that may be larger than memory; its hash is known.

    :raises OSError: as `put`.
    """
    key = f"{workspace_id}/{sha256}{suffix}"
    if not (default_storage.exists(key) and default_storage.size(key) == path.stat().st_size):
        with path.open("rb") as file:
            default_storage.save(key, File(file))
    kill_point("after_put")
    return key


def path_of(key: str) -> Path | None:
    """Where a key's bytes lie on this machine, whether or not they are there; None where storage is elsewhere."""
    try:
        return Path(default_storage.path(key))
    except NotImplementedError:
        return None


@contextmanager
def on_disk(key: str) -> Iterator[Path]:
    """A key's bytes as a file of this machine, for as long as the block lasts.

    :raises OSError: nothing is stored there, or it cannot be read.
    """
    if (path := path_of(key)) is not None:
        yield path
        return
    with tempfile.NamedTemporaryFile() as copy:
        fetch(key, copy)
        copy.flush()
        yield Path(copy.name)


def fetch(key: str, target: IO[bytes]) -> None:
    """Copy a key's bytes piece by piece.

    :raises OSError: nothing is stored there, or it cannot be read.
    """
    with default_storage.open(key) as file:
        for chunk in file.chunks():
            target.write(chunk)


def read(key: str) -> bytes:
    """The bytes stored under a key.

    :raises FileNotFoundError: nothing is stored there.
    """
    with default_storage.open(key) as file:
        return bytes(file.read())


def sweep() -> int:
    """Remove the drafts that killed writers left behind; returns how many."""
    if not isinstance(default_storage, AtomicFileSystemStorage):
        return 0  # an object store keeps no drafts that anybody could see
    stale = [draft for draft in default_storage.drafts() if _age_s(draft) > STALE_AFTER_S]
    for draft in stale:
        draft.unlink(missing_ok=True)
    return len(stale)


def _age_s(draft: Path) -> float:
    try:
        return time.time() - draft.stat().st_mtime
    except FileNotFoundError:
        return 0.0  # finished in between
