"""A picture edited by hand: what of it is painted anew, how far it is extended, and the part that is painted by itself.
Knows masks as files and boxes in pixels; nothing of models or of how the mask was drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from PIL import Image

from gallery import intake
from gallery.intake import RefusedError
from inference import chosen
from inference.chosen import ChosenPicture
from inference.references import Frame, Offset, ProductReference

# A box of at most this share of the canvas is painted by itself, at the model's own size.
PART_SHARE = 0.25
# What is painted with it, so that it fits in: this share of the box's longer side, and so many pixels at least.
MARGIN_SHARE = 1 / 8
MARGIN_PX = 32

Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels, right and bottom exclusive


TRANSPARENT = "It has transparent parts, which an edit cannot keep. Put it on a plain background and upload that."


class EditError(ValueError):
    """An edit that cannot be made; the sentence says what to change."""


@dataclass(frozen=True, kw_only=True)
class Sides:
    """By how many pixels a picture is extended on each side."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    def __bool__(self) -> bool:
        return any((self.left, self.top, self.right, self.bottom))

    def __str__(self) -> str:
        return f"{self.left},{self.top},{self.right},{self.bottom}" if self else ""

    @classmethod
    def read(cls, text: str) -> Self:
        """What `str` wrote. Raises EditError for anything else."""
        if not text:
            return cls()
        left, top, right, bottom = _four(text)
        return cls(left=left, top=top, right=right, bottom=bottom)


@dataclass(frozen=True, kw_only=True)
class Edit:
    """What a hand decided about a picture: `lock` names the mask that is white on what is kept, `box` (of the picture)
    holds all that is painted over, None where nothing is."""

    lock: ChosenPicture
    box: Box | None
    sides: Sides

    @property
    def box_text(self) -> str:
        """The box as `read_box` takes it."""
        return ",".join(str(side) for side in self.box or ())


def read_box(text: str) -> Box | None:
    """Four whole numbers with commas, or None for nothing. Raises EditError for anything else."""
    return _four(text) if text else None


def take_in(
    *, workspace_id: int, picture: ChosenPicture, mask: Path | None, sides: Sides, scratch: Path, now: datetime
) -> Edit:
    """Keep what was painted over a picture; without a mask, the picture is only extended.

    :param mask: an image file as large as the picture: light is kept, dark is painted anew.
    :param scratch: a folder for files on their way.
    :raises EditError: the mask does not fit or leaves nothing to do; nothing is kept then.
    """
    if picture.has_alpha:
        raise EditError(TRANSPARENT)
    [examined] = intake.examine_masks([mask or _all_kept(picture, scratch)], scratch=scratch)
    if isinstance(examined, RefusedError):
        raise EditError(f"The mask {examined.reason}")
    if (examined.width, examined.height) != picture.size:
        raise EditError("The mask belongs to a picture of another size. Open the picture anew and paint it again.")
    if not examined.dark_box and not sides:
        raise EditError("Nothing is painted over yet. Paint over what shall change, or extend a side.")
    if not examined.lock_pixels:
        raise EditError("All of it is painted over. Leave some of it, or begin from it as a base image.")
    left, top, right, bottom = examined.dark_box or (0, 0, 0, 0)
    return Edit(
        lock=chosen.of_upload(intake.accept(workspace_id=workspace_id, image=examined, now=now)),
        box=(left, top, right, bottom) if examined.dark_box else None,
        sides=sides,
    )


def canvas(picture: ChosenPicture, sides: Sides) -> tuple[int, int]:
    """Delivered (width, height) of a picture with its sides extended."""
    return picture.width + sides.left + sides.right, picture.height + sides.top + sides.bottom


def product(picture: ChosenPicture, edit: Edit) -> ProductReference:
    """The picture as its own product, locked wherever it is not painted over."""
    width, height = canvas(picture, edit.sides)
    frame = Frame(x=0, y=0, width=width, height=height)
    if not edit.sides and edit.box is not None:
        frame = frame_around(edit.box, width=width, height=height)
    offset = Offset(x=edit.sides.left, y=edit.sides.top) if edit.sides else None
    return ProductReference(photo=picture.storage_key, lock_mask=edit.lock.storage_key, frame=frame, offset=offset)


def frame_around(box: Box, *, width: int, height: int) -> Frame:
    """What is painted for a box of a canvas, in pixels: it with a margin where it is small, all of the canvas else."""
    left, top, right, bottom = box
    if (right - left) * (bottom - top) > PART_SHARE * width * height:
        return Frame(x=0, y=0, width=width, height=height)
    margin = max(MARGIN_PX, round(MARGIN_SHARE * max(right - left, bottom - top)))
    x, y = max(0, left - margin), max(0, top - margin)
    return Frame(x=x, y=y, width=min(width, right + margin) - x, height=min(height, bottom + margin) - y)


def _all_kept(picture: ChosenPicture, scratch: Path) -> Path:
    path = scratch / "all-kept.png"
    Image.new("L", picture.size, 255).save(path, compress_level=1)
    return path


def _four(text: str) -> Box:
    parts = text.split(",")
    if len(parts) != 4 or not all(part.isdecimal() and len(part) < 6 for part in parts):
        raise EditError("The edit cannot be read. Open the picture anew and paint it again.")
    left, top, right, bottom = (int(part) for part in parts)
    return left, top, right, bottom
