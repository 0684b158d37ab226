"""What the Studio's settings say of pictures, read into a request's own values: begun from one, or one edited.
Knows the workspace's pictures; nothing of texts, prices or the page.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from django.conf import settings as django_settings

from inference import catalog, chosen, edits
from inference.catalog import CONTROLS, addon_sources
from inference.catalog.addon_sources import AddonMissingError
from inference.chosen import ChosenPicture
from inference.edits import Box, Edit, EditError, Sides
from inference.references import ControlReference, InitialImage, LookReference, ProductReference, RequestError
from inference.requests import Overrides, Size

if TYPE_CHECKING:
    from inference.generate import Settings

# Enough to follow a text, little enough to know the picture again.
BASE_STRENGTH = 0.6
CONTROL_SCALE = 0.8
LOOK_SCALE = 0.6
FOREIGN = "What was painted over belongs to another picture. Edit this one anew."
LOST = "The base image is no longer there. Remove it, or choose another one."


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """What a request is begun from, and the delivered (width, height) that it decides, None where it decides none."""

    base: ChosenPicture | None = None
    product: ProductReference | None = None
    size: Size | None = None
    overrides: Overrides = field(default_factory=lambda: Overrides())

    @property
    def shape(self) -> Size | None:
        """The base image's own (width, height)."""
        return None if self.base is None else self.base.size


def of(settings: Settings, *, workspace_id: int) -> Beginning:
    """What settings begin from, in a workspace.

    :raises RequestError: a picture is not, or no longer, there, or the edit does not belong to it.
    """
    begun = _begun(settings, workspace_id)
    return replace(begun, overrides=begun.overrides | _followed(settings, workspace_id))


def _begun(settings: Settings, workspace_id: int) -> Beginning:
    if not settings.base:
        return Beginning()
    base = chosen.find(settings.base, workspace_id=workspace_id)
    if base is None:
        raise RequestError(LOST)
    if not settings.lock:
        strength = BASE_STRENGTH if settings.strength is None else settings.strength
        overrides = Overrides(initial=InitialImage(image=base.storage_key), strength=strength)
        return Beginning(base=base, overrides=overrides)
    edit = _edit(settings, base, workspace_id)
    return Beginning(base=base, product=edits.product(base, edit), size=edits.canvas(base, edit.sides))


def without_lost(settings: Settings, *, workspace_id: int) -> Settings:
    """The settings without pictures that the workspace does not have."""
    names = {name for name in (settings.base, settings.lock, settings.control, settings.look) if name}
    lost = {name for name in names if chosen.find(name, workspace_id=workspace_id) is None}
    if lost & {settings.base, settings.lock}:
        settings = replace(settings, base="", lock="", box="", extend="")
    if settings.control in lost:
        settings = replace(settings, control="")
    return replace(settings, look="") if settings.look in lost else settings


def _followed(settings: Settings, workspace_id: int) -> Overrides:
    """The pictures whose lines are followed, and whose look is taken up."""
    entry, data_dir = catalog.entry(settings.checkpoint), django_settings.STUDIO_DATA
    overrides = Overrides()
    try:
        if settings.control:
            kind = settings.control_kind or next(iter(entry.controls), CONTROLS[0])
            # What the model cannot do at all, the request itself says.
            if "control" in entry.capabilities:
                addon_sources.control(entry, kind, data_dir=data_dir)
            scale = CONTROL_SCALE if settings.control_scale is None else settings.control_scale
            image = _picture(settings.control, "control image", workspace_id)
            overrides["control"] = ControlReference(kind=kind, image=image, scale=scale)
        if settings.look:
            if "ip_adapter" in entry.capabilities:
                addon_sources.look(entry, data_dir=data_dir)
            scale = LOOK_SCALE if settings.look_scale is None else settings.look_scale
            image = _picture(settings.look, "reference image", workspace_id)
            overrides["look"] = LookReference(image=image, scale=scale)
    except AddonMissingError as error:
        raise RequestError(str(error)) from error
    return overrides


def _picture(name: str, what: str, workspace_id: int) -> str:
    found = chosen.find(name, workspace_id=workspace_id)
    if found is None:
        raise RequestError(f"The {what} is no longer there. Remove it, or choose another one.")
    return found.storage_key


def _edit(settings: Settings, base: ChosenPicture, workspace_id: int) -> Edit:
    lock = chosen.find(settings.lock, workspace_id=workspace_id)
    if lock is None or lock.size != base.size or not lock.name.startswith("upload-"):
        raise RequestError(FOREIGN)
    if base.has_alpha:
        raise RequestError(edits.TRANSPARENT)
    try:
        edit = Edit(lock=lock, box=edits.read_box(settings.box), sides=Sides.read(settings.extend))
    except EditError as error:
        raise RequestError(str(error)) from error
    if not _lies_in(edit.box, base):
        raise RequestError(FOREIGN)
    if not edit.box and not edit.sides:
        raise RequestError("Nothing is painted over yet. Edit the picture anew.")
    return edit


def _lies_in(box: Box | None, base: ChosenPicture) -> bool:
    if box is None:
        return True
    left, top, right, bottom = box
    return left < right <= base.width and top < bottom <= base.height
