"""What a request refers to beside its text: the product and its place, pictures to begin from or to follow, LoRAs.
Knows their values alone, by storage key: nothing about files, pixels or models.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, get_args

ANCHORS: Final = (
    *("center", "top", "bottom", "left", "right"),
    *("top-left", "top-right", "bottom-left", "bottom-right"),
)
ControlKind = Literal["canny", "lineart", "depth", "pose"]
InitialUse = Literal["img2img", "upscale", "enlarge"]
# Beyond this a LoRA tears the picture apart, whoever trained it.
LORA_WEIGHT_LIMIT = 2.0
MAX_LORAS = 5


class RequestError(ValueError):
    """What was asked for cannot be rendered; the sentence says what to change."""


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where the product stands: its share of the canvas (0 < scale <= 1 unless enlarged) and the side it keeps to."""

    scale: float
    anchor: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", float(self.scale))
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise RequestError(f"The placement's scale is {self.scale:g}; give a number above 0, such as 0.6.")
        if self.anchor not in ANCHORS:
            raise RequestError(f'There is no anchor "{self.anchor}". Choose one of: {", ".join(ANCHORS)}.')


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The part of the canvas that is painted, in delivered pixels; everything outside stays as it is."""

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if min(self.x, self.y) < 0 or min(self.width, self.height) < 1:
            raise RequestError("The part to paint lies outside of the picture. Mark it again.")

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom; right and bottom exclusive."""
        return self.x, self.y, self.x + self.width, self.y + self.height


@dataclass(frozen=True, kw_only=True)
class Offset:
    """Where the top left corner of a picture lies on a canvas that was extended around it, in delivered pixels."""

    x: int
    y: int

    def __post_init__(self) -> None:
        if min(self.x, self.y) < 0:
            raise RequestError("A picture is extended by 0 pixels or more on each side. Correct the numbers.")


@dataclass(frozen=True, kw_only=True)
class ProductReference:
    """What is kept, and painted around: a photo and its lock mask, by storage key of the normalized files.

    placement None keeps it in place. A picture that is edited is its own product, locked wherever it is not painted
    over; `frame` is then what is painted anew, and `offset` where it lies on a canvas that is larger than it. Both are
    None for a product.
    """

    photo: str
    lock_mask: str
    placement: Placement | None = None
    frame: Frame | None = None
    offset: Offset | None = None

    def __post_init__(self) -> None:
        if self.placement is not None and (self.frame or self.offset):
            raise RequestError("A picture that is edited stays where it is. Leave the placement out.")


@dataclass(frozen=True, kw_only=True)
class InitialImage:
    """The picture to begin from, by storage key: painted over as far as the strength says, made larger and its tiles
    painted over ("upscale"), or made larger alone ("enlarge")."""

    image: str
    use: InitialUse = "img2img"

    def __post_init__(self) -> None:
        if self.use not in get_args(InitialUse):
            uses = ", ".join(f'"{use}"' for use in get_args(InitialUse))
            raise RequestError(f'A picture is begun from by one of {uses}, not by "{self.use}".')


@dataclass(frozen=True, kw_only=True)
class LoraReference:
    """A LoRA, by storage key of its checked safetensors file, and how strongly it acts; 0 is not at all."""

    file: str
    weight: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", float(self.weight))
        if not abs(self.weight) <= LORA_WEIGHT_LIMIT:
            limit = f"{-LORA_WEIGHT_LIMIT:g} to {LORA_WEIGHT_LIMIT:g}"
            raise RequestError(f"The LoRA's weight is {self.weight:g}. Give a number from {limit}.")


@dataclass(frozen=True, kw_only=True)
class ControlReference:
    """A picture whose edges or lines are followed, by storage key, from `start` to `end` (shares of the steps)."""

    kind: str
    image: str
    scale: float = 1.0
    start: float = 0.0
    end: float = 1.0

    def __post_init__(self) -> None:
        for name in ("scale", "start", "end"):
            object.__setattr__(self, name, float(getattr(self, name)))
        if self.kind not in get_args(ControlKind):
            raise RequestError(f'There is no control "{self.kind}". Choose one of: {", ".join(get_args(ControlKind))}.')
        if not 0 <= self.scale <= 2:
            raise RequestError(f"The control's scale is {self.scale:g}. Give a number from 0 to 2.")
        if not 0 <= self.start < self.end <= 1:
            raise RequestError("The control must start before it ends, both within 0 to 1.")


@dataclass(frozen=True, kw_only=True)
class LookReference:
    """A picture whose look is taken up (IP-Adapter), by storage key, and how strongly; 0 is not at all."""

    image: str
    scale: float = 0.6

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", float(self.scale))
        if not 0 <= self.scale <= 1:
            raise RequestError(f"The reference's strength is {self.scale:g}. Give a number from 0 to 1.")
