"""The files beside a checkpoint that a batch needs, on this machine's disk: what its key names by storage key.
Knows storage and names; what the engine does with the files, it does not know.
"""

import os
import tempfile
from dataclasses import replace
from pathlib import Path

from django.conf import settings

from gallery import storage
from inference import catalog, loras
from inference.catalog import addon_sources, sources
from inference.engine.batching import BatchKey
from inference.engine.interface import Addons, EngineError


class MissingFileError(EngineError):
    """A file that a batch needs is not in storage any more; the sentence names it and says what to do."""


def of(key: BatchKey) -> Addons:
    """The files of a batch, each LoRA's in the key's order, its ControlNet's folder and its IP-Adapter's.

    :raises MissingFileError: one of them is gone, or was never installed on this machine.
    :raises OSError: storage does not answer.
    """
    entry, data_dir = catalog.entry(key.checkpoint), settings.STUDIO_DATA
    try:
        control = None if key.control is None else addon_sources.control(entry, key.control.kind, data_dir=data_dir)
        look = None if key.look_scale is None else addon_sources.look(entry, data_dir=data_dir)
    except addon_sources.AddonMissingError as error:
        raise MissingFileError(str(error)) from error
    return Addons(loras=tuple(_lora(each.file) for each in key.loras), control=control, look=look)


def fingerprints(key: BatchKey) -> dict[str, str]:
    """SHA-256 (hex) of the batch's ControlNet and IP-Adapter, by "control" and "look"; nothing where it has none.

    :raises MissingFileError: one of them was never installed on this machine.
    """
    used = of(replace(key, loras=()))
    folders = {"control": used.control, "look": used.look}
    return {name: sources.folder_fingerprint(folder) for name, folder in folders.items() if folder is not None}


def _lora(key: str) -> Path:
    try:
        return on_disk(key)
    except FileNotFoundError:
        name = loras.names([key]).get(key, key)
        raise MissingFileError(
            f"The file of the LoRA “{name}” is not in storage any more. Upload the same file again, or leave it out."
        ) from None


def on_disk(key: str) -> Path:
    """A stored file on this machine: itself, or a copy that is kept, since files never change under their key.

    :raises FileNotFoundError: nothing is stored there.
    :raises OSError: storage does not answer, or the disk is full.
    """
    path = storage.path_of(key)
    if path is None:
        path = settings.STUDIO_DATA / "cache" / "addons" / key
        if not path.is_file():
            _fetch(key, path)
    if not path.is_file():
        raise FileNotFoundError(key)
    return path


def _fetch(key: str, path: Path) -> None:
    """Copy it whole or not at all: several workers may want it at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            storage.fetch(key, file)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
