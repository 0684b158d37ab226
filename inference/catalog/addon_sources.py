"""Where the ControlNets and IP-Adapters of a catalogue entry lie on this machine, and how to install what is missing.
Looks at files' names only: knows nothing about torch, pictures or queues.
"""

from __future__ import annotations

from pathlib import Path

from inference.catalog.entry import Addon, CatalogEntry
from inference.catalog.sources import CheckpointMissingError

ADAPTER_FILES = "ip-adapter*.safetensors"
ENCODER_CONFIG = Path("image_encoder") / "config.json"


class AddonMissingError(CheckpointMissingError):
    """What an entry needs beside its weights is not on this machine; the sentence says how to install it."""


def control(entry: CatalogEntry, kind: str, *, data_dir: Path) -> Path:
    """The folder of the entry's ControlNet for maps of a kind.

    :raises AddonMissingError: the entry has none, or it is not installed.
    """
    addon = entry.controls.get(kind)
    if addon is None:
        raise AddonMissingError(f"{entry.name} follows no {kind} of a picture. Choose another kind or model.")
    folder = _folder(addon, data_dir)
    if not (folder / "config.json").is_file():
        raise AddonMissingError(
            f"The ControlNet with which {entry.name} follows {kind} is not installed. Fetch it once with "
            f"`hf download {addon.repo} --local-dir {folder}`, or copy that folder there from another machine."
        )
    return folder


def look(entry: CatalogEntry, *, data_dir: Path) -> Path:
    """The folder of the entry's IP-Adapter.

    :raises AddonMissingError: the entry has none, or it is not installed.
    """
    if entry.look is None:
        raise AddonMissingError(f"{entry.name} takes up no picture's look. Choose a model that does.")
    folder = _folder(entry.look, data_dir)
    if not (any(folder.glob(ADAPTER_FILES)) and (folder / ENCODER_CONFIG).is_file()):
        raise AddonMissingError(
            f"The IP-Adapter of {entry.name} is not installed. Put one {ADAPTER_FILES} of {entry.look.repo} made for "
            f"this model, and the image_encoder folder that belongs to it, into {folder}."
        )
    return folder


def installed_controls(entry: CatalogEntry, *, data_dir: Path) -> tuple[str, ...]:
    """The kinds of maps that the entry can follow here and now."""
    return tuple(kind for kind in entry.controls if (_folder(entry.controls[kind], data_dir) / "config.json").is_file())


def has_look(entry: CatalogEntry, *, data_dir: Path) -> bool:
    """Whether the entry can take up the look of a picture here and now."""
    try:
        return bool(look(entry, data_dir=data_dir))
    except AddonMissingError:
        return False


def _folder(addon: Addon, data_dir: Path) -> Path:
    return data_dir / "adapters" / addon.folder
