"""Bytes are stored under their own hash, whole or not at all."""

import hashlib
import os
import time
from pathlib import Path

import pytest
from django.core.exceptions import SuspiciousOperation
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from gallery import storage

DATA = b"a picture's bytes"
KEY = f"7/{hashlib.sha256(DATA).hexdigest()}.png"


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_bytes_are_found_again_under_their_workspace_and_hash(settings):
    assert storage.put(7, DATA, suffix=".png") == KEY
    assert storage.read(KEY) == DATA
    assert files(Path(settings.MEDIA_ROOT)) == [KEY]


def test_storing_the_same_bytes_again_changes_nothing(settings):
    storage.put(7, DATA, suffix=".png")
    path = Path(default_storage.path(KEY))
    os.utime(path, (1, 1))
    assert storage.put(7, DATA, suffix=".png") == KEY
    assert path.stat().st_mtime == 1
    assert files(Path(settings.MEDIA_ROOT)) == [KEY]


def test_the_same_bytes_of_two_workspaces_are_stored_apart(settings):
    assert storage.put(8, DATA, suffix=".png") != storage.put(7, DATA, suffix=".png")
    assert len(files(Path(settings.MEDIA_ROOT))) == 2


def test_a_file_cut_short_is_stored_anew():
    storage.put(7, DATA, suffix=".png")
    Path(default_storage.path(KEY)).write_bytes(DATA[:5])
    storage.put(7, DATA, suffix=".png")
    assert storage.read(KEY) == DATA


def test_reading_what_was_never_stored_says_so():
    with pytest.raises(FileNotFoundError):
        storage.read("7/nothing.png")


class Breaking(ContentFile):  # type: ignore[type-arg]  # generic in the stubs only
    """A disk that fills up half-way, seen from the writer."""

    def chunks(self, chunk_size=None):
        yield DATA[:5]
        raise OSError(28, "No space left on device")


def test_a_file_that_could_not_be_written_in_full_is_not_there_at_all(settings):
    with pytest.raises(OSError, match="No space left"):
        default_storage.save(KEY, Breaking(DATA))
    assert not default_storage.exists(KEY)
    assert files(Path(settings.MEDIA_ROOT)) == []


def test_the_file_that_was_there_before_survives_a_failed_replacement():
    storage.put(7, DATA, suffix=".png")
    with pytest.raises(OSError, match="No space left"):
        default_storage.save(KEY, Breaking(b"other bytes"))
    assert storage.read(KEY) == DATA


@pytest.mark.parametrize("key", ["../outside.png", "/etc/passwd"])
def test_no_key_leads_out_of_the_storage(key):
    with pytest.raises(SuspiciousOperation):
        storage.read(key)


def test_what_a_killed_writer_left_is_removed_after_an_hour_and_nothing_else(settings):
    storage.put(7, DATA, suffix=".png")
    left, written_now = (Path(settings.MEDIA_ROOT) / storage.DRAFTS / name for name in ("left", "written now"))
    for draft in (left, written_now):
        draft.write_bytes(DATA[:5])
    an_hour_ago = time.time() - storage.STALE_AFTER_S - 1
    os.utime(left, (an_hour_ago, an_hour_ago))
    os.utime(default_storage.path(KEY), (an_hour_ago, an_hour_ago))
    assert storage.sweep() == 1
    assert written_now.exists()
    assert not left.exists()
    assert storage.read(KEY) == DATA


def test_there_is_nothing_to_sweep_before_the_first_file():
    assert storage.sweep() == 0
