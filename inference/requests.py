"""One image to make, frozen: the request that is priced, queued, recorded in the recipe and rendered.
Knows the catalogue's limits and nothing about queues, pixels or who is asking.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias, TypedDict, TypeVar, Unpack, cast, get_args, get_origin, get_type_hints

from inference import tiling
from inference.catalog import SCHEDULERS, CatalogEntry
from inference.catalog.entry import LCM_STEPS
from inference.references import (
    MAX_LORAS,
    ControlReference,
    InitialImage,
    LookReference,
    LoraReference,
    ProductReference,
    RequestError,
)
from inference.tiling import Grid

JSON: TypeAlias = "str | int | float | bool | list[JSON] | dict[str, JSON] | None"
Size = tuple[int, int]
RenderTask = Literal["text2img", "img2img", "inpaint", "upscale", "enlarge"]

SEED_LIMIT = 2**32
MAX_CLIP_SKIP = 4
# A picture that is made larger has no more pixels and tiles than this: they are held in memory at once.
MOST_LARGER_PX = 64_000_000
MOST_TILES = 400
# Enough for new detail in every tile, too little for another picture in it.
UPSCALE_STRENGTH = 0.3
# A flawed picture is painted again with another seed, twice at most; none of the tries that are thrown away is charged.
TRIES = 3

_Frozen = TypeVar("_Frozen")
_TASK_WORDS: Mapping[RenderTask, str] = {
    "text2img": "draw from a text alone",
    "img2img": "begin from a picture",
    "inpaint": "paint around what is kept",
    "upscale": "make a picture larger",
    "enlarge": "enlarge a picture",
}
_KINDS: Mapping[type, str] = {str: "a text", int: "a whole number", float: "a number"}


@dataclass(frozen=True, kw_only=True)
class ImageRequest:
    """Everything that decides one image; width and height are delivered pixels."""

    checkpoint: str
    prompt: str
    negative_prompt: str = ""
    seed: int
    width: int
    height: int
    num_inference_steps: int
    guidance_scale: float
    strength: float = 1.0
    scheduler: str
    product: ProductReference | None = None
    initial: InitialImage | None = None
    clip_skip: int = 0
    loras: tuple[LoraReference, ...] = ()
    control: ControlReference | None = None
    look: LookReference | None = None

    def __post_init__(self) -> None:
        # 5 and 5.0 are one request and must have one digest.
        object.__setattr__(self, "guidance_scale", float(self.guidance_scale))
        object.__setattr__(self, "strength", float(self.strength))

    @property
    def task(self) -> RenderTask:
        """What the model does: paint freely, over or around a picture, or make one larger; nothing for "enlarge"."""
        if self.initial is not None and self.initial.use != "img2img":
            return self.initial.use
        if self.product is not None:
            return "inpaint"
        return "text2img" if self.initial is None else self.initial.use

    @property
    def painted_size(self) -> Size:
        """Delivered (width, height) of what is painted: all of the image, or the part that is edited."""
        frame = None if self.product is None else self.product.frame
        return (self.width, self.height) if frame is None else (frame.width, frame.height)

    @property
    def files(self) -> tuple[str, ...]:
        """The storage keys of everything that it refers to."""
        pictures = (self.initial, self.control, self.look)
        product = () if self.product is None else (self.product.photo, self.product.lock_mask)
        return (
            *product,
            *(picture.image for picture in pictures if picture is not None),
            *(lora.file for lora in self.loras),
        )

    def to_json(self) -> dict[str, JSON]:
        """The request as plain JSON values; the fields of `_SINCE` only where they say something."""
        return _as_dict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The request that `to_json` wrote. Raises RequestError for unknown, missing or mistyped fields."""
        return _from_json(cls, values, "request")

    def canonical(self) -> str:
        """`to_json` as text: the same for equal requests, on every machine."""
        return self._canonical

    def digest(self) -> str:
        """SHA-256 (hex) of the canonical JSON."""
        return self._digest

    @functools.cached_property
    def _canonical(self) -> str:
        return _CANONICAL.encode(self.to_json())

    @functools.cached_property
    def _digest(self) -> str:
        return hashlib.sha256(self._canonical.encode()).hexdigest()


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
# Fields that came later, and what says nothing in each: without them, requests keep the digests that recipes hold.
_SINCE: Mapping[type, Mapping[str, Any]] = {
    ImageRequest: {"initial": None, "clip_skip": 0, "loras": (), "control": None, "look": None},
    ProductReference: {"frame": None, "offset": None},
}


class Overrides(TypedDict, total=False):
    """What a request may set differently from the entry's defaults."""

    num_inference_steps: int
    guidance_scale: float
    strength: float
    scheduler: str
    clip_skip: int
    loras: tuple[LoraReference, ...]
    control: ControlReference | None
    look: LookReference | None
    initial: InitialImage | None


def image_request(
    entry: CatalogEntry,
    *,
    prompt: str,
    seed: int,
    width: int,
    height: int,
    negative_prompt: str = "",
    product: ProductReference | None = None,
    **overrides: Unpack[Overrides],
) -> ImageRequest:
    """A request for an entry: its defaults, what differs from them, checked against what the entry can do.

    width and height are delivered pixels. Raises RequestError with one sentence that says what to change.
    """
    if unknown := sorted(set(overrides) - set(Overrides.__annotations__)):
        known = ", ".join(Overrides.__annotations__)
        raise RequestError(f'There is no setting "{unknown[0]}". A request can set: {known}.')
    request = ImageRequest.from_json(
        {
            "checkpoint": entry.slug,
            "prompt": prompt.strip(),
            "negative_prompt": negative_prompt.strip(),
            "seed": seed,
            "width": width,
            "height": height,
            "product": product,
            **vars(entry.defaults),
            **overrides,
        }
    )
    _check_frame(request)
    if request.task != "enlarge":
        _check_text(entry, request)
    _check_capabilities(entry, request)
    _check_numbers(entry, request)
    if request.task in ("upscale", "enlarge"):
        _check_larger(entry, request)
    return request


def model_size(entry_or_sizes: CatalogEntry | Sequence[Size], *, width: int, height: int) -> Size:
    """The (width, height) in pixels at which the model paints: the size whose aspect is nearest, by log ratio."""
    sizes = entry_or_sizes.sizes if isinstance(entry_or_sizes, CatalogEntry) else entry_or_sizes
    return _nearest(tuple(sizes), width, height)


# A launch asks for thousands of images in a handful of shapes.
@functools.lru_cache(maxsize=256)
def _nearest(sizes: tuple[Size, ...], width: int, height: int) -> Size:
    aspect = math.log(width / height)
    return min(sizes, key=lambda size: abs(math.log(size[0] / size[1]) - aspect))


def _check_frame(request: ImageRequest) -> None:
    frame = None if request.product is None else request.product.frame
    if frame and (frame.x + frame.width > request.width or frame.y + frame.height > request.height):
        raise RequestError("The part to paint lies outside of the picture. Mark it again.")


def _check_larger(entry: CatalogEntry, request: ImageRequest) -> None:
    if request.product is not None and (request.product.frame or request.product.offset):
        raise RequestError("An edited picture is enlarged as it is. Leave the edit out.")
    if request.control is not None or request.look is not None:
        raise RequestError("A picture that is made larger follows no other one. Leave the others out.")
    if request.width * request.height > MOST_LARGER_PX:
        asked, most = (f"{pixels / 1e6:.0f}" for pixels in (request.width * request.height, MOST_LARGER_PX))
        raise RequestError(f"It would have {asked} megapixels; {most} are the most. Enlarge it less.")
    if request.task == "upscale" and (tiles := tiles_of(request, entry.sizes).count) > MOST_TILES:
        raise RequestError(
            f"{entry.name} would paint it in {tiles:,} tiles; {MOST_TILES} are the most. Enlarge it less, enlarge it "
            "without a model, or choose one that paints at a larger size."
        )


def tiles_of(request: ImageRequest, sizes: Sequence[Size]) -> Grid:
    """The tiles in which a request to make a picture larger is painted, by a model of these (width, height) sizes."""
    size = (request.width, request.height)
    return tiling.grid(size, tiling.tile_size(sizes, size))


def _check_text(entry: CatalogEntry, request: ImageRequest) -> None:
    if not request.prompt:
        raise RequestError("The prompt is empty. Describe the picture in a few words.")
    limit = entry.limits.prompt_characters
    for name, text in (("prompt", request.prompt), ("negative prompt", request.negative_prompt)):
        if len(text) > limit:
            raise RequestError(f"The {name} has {len(text)} characters. Shorten it to {limit}.")


def _check_capabilities(entry: CatalogEntry, request: ImageRequest) -> None:
    for name, is_asked, words in (
        (request.task, request.task != "enlarge", _TASK_WORDS[request.task]),
        ("outpaint", request.product is not None and request.product.offset is not None, "extend a picture"),
        ("lora", bool(request.loras), "take LoRAs"),
        ("control", request.control is not None, "follow the lines of a picture"),
        ("ip_adapter", request.look is not None, "take up the look of a picture"),
        ("clip_skip", bool(request.clip_skip), "skip layers of its text encoder (CLIP skip)"),
    ):
        if is_asked and name not in entry.capabilities:
            raise RequestError(f"{entry.name} cannot {words}. Choose a model that can.")
    if request.negative_prompt and "negative_prompt" not in entry.capabilities:
        raise RequestError(f"{entry.name} takes no negative prompt. Leave it empty.")
    if request.scheduler not in SCHEDULERS:
        raise RequestError(f'There is no scheduler "{request.scheduler}". Choose one of: {", ".join(SCHEDULERS)}.')
    if request.scheduler != entry.defaults.scheduler and "schedulers" not in entry.capabilities:
        raise RequestError(f'{entry.name} runs with "{entry.defaults.scheduler}" only. Leave the scheduler out.')


def _check_numbers(entry: CatalogEntry, request: ImageRequest) -> None:
    if not 0 <= request.seed < SEED_LIMIT:
        raise RequestError(f"The seed is {request.seed}. Give a whole number from 0 to {SEED_LIMIT - 1}.")
    limits = entry.limits
    for name, value, allowed in (
        ("width", request.width, limits.side_px),
        ("height", request.height, limits.side_px),
        ("number of steps", request.num_inference_steps, limits.num_inference_steps),
        ("guidance scale", request.guidance_scale, limits.guidance_scale),
    ):
        if value not in allowed:
            raise RequestError(f"The {name} is {value:g}. {entry.name} takes {allowed}.")
    if request.scheduler == "LCM" and request.num_inference_steps > LCM_STEPS:
        raise RequestError(f"LCM paints in at most {LCM_STEPS} steps; 4 to 8 are usual. Ask for fewer.")
    if len(request.loras) > MAX_LORAS:
        raise RequestError(f"{len(request.loras)} LoRAs were chosen. Take at most {MAX_LORAS}.")
    if not 0 <= request.clip_skip <= MAX_CLIP_SKIP:
        raise RequestError(f"CLIP skip is {request.clip_skip}. Give a whole number from 0 to {MAX_CLIP_SKIP}.")
    if not 0 < request.strength <= 1:
        raise RequestError(f"The strength is {request.strength:g}. Give a number above 0 and up to 1.")
    # diffusers runs int(steps * strength) steps; with none of them nothing would be painted.
    if int(request.num_inference_steps * request.strength) < 1:
        steps, strength = request.num_inference_steps, request.strength
        raise RequestError(f"{steps} steps at strength {strength:g} leave none to run. Raise one of them.")


def _from_json(cls: type[_Frozen], values: Any, where: str) -> _Frozen:
    """One of this module's dataclasses from plain JSON values, field by field, by its own annotations."""
    if not isinstance(values, Mapping):
        raise RequestError(f"The {where} must be an object, not {values!r}.")
    kinds, exact, required = _fields(cast("Hashable", cls))
    if unknown := sorted(values.keys() - kinds.keys()):
        raise RequestError(f'The {where} has no field "{unknown[0]}". Its fields are: {", ".join(kinds)}.')
    for name in required:
        if name not in values:
            raise RequestError(f'The {where} lacks its field "{name}".')
    return cls(
        **{
            name: value if type(value) in exact[name] else _checked(kinds[name], value, name)
            for name, value in values.items()
        }
    )


@functools.cache
def _fields(cls: Hashable) -> tuple[Mapping[str, Any], Mapping[str, tuple[Any, ...]], tuple[str, ...]]:
    """A dataclass's fields in order: their kinds, the types whose values need no look, and those that must be given."""
    kind = cast("type[Any]", cls)
    hints = get_type_hints(kind)
    fields = dataclasses.fields(kind)
    kinds = {field.name: hints[field.name] for field in fields}
    exact = {name: (kind,) if isinstance(kind, type) else get_args(kind) for name, kind in kinds.items()}
    required = tuple(field.name for field in fields if field.default is dataclasses.MISSING)
    return kinds, exact, required


def _checked(kind: Any, value: Any, name: str) -> Any:
    """A value of the annotated kind: str, int, float (whole numbers pass), a dataclass, one or none, or many."""
    if type(value) is kind:
        return value
    if get_origin(kind) is tuple:
        if not isinstance(value, (list, tuple)):
            raise RequestError(f'The field "{name}" is {value!r}; it must be a list.')
        return tuple(_checked(get_args(kind)[0], each, name) for each in value)
    options = get_args(kind) or (kind,)
    if value is None and type(None) in options:
        return None
    wanted = str if get_origin(kind) is Literal else options[0]
    if dataclasses.is_dataclass(wanted):
        return value if type(value) is wanted else _from_json(cast("type[Any]", wanted), value, name)
    accepted = (int, float) if wanted is float else (wanted,)
    if type(value) not in accepted:
        raise RequestError(f'The field "{name}" is {value!r}; it must be {_KINDS[wanted]}.')
    return value


def _as_dict(frozen: Any) -> dict[str, Any]:
    """dataclasses.asdict without its deep copies: nothing in these can change, and a launch asks for thousands."""
    kind = type(frozen)
    nothing = _SINCE.get(kind, {})
    values = vars(frozen)
    return {
        name: values[name] if type(values[name]) in _KINDS else _as_value(values[name])
        for name in _fields(cast("Hashable", kind))[0]
        if name not in nothing or values[name] != nothing[name]
    }


def _as_value(value: Any) -> Any:
    if type(value) in _KINDS or value is None:
        return value
    if isinstance(value, tuple):
        return tuple(_as_value(each) for each in value)
    return _as_dict(value) if dataclasses.is_dataclass(value) else value


def retry_seed(seed: int, attempt: int) -> int:
    """The seed of the attempt-th try, 0 <= seed < 2**32; attempt 0 is the seed itself."""
    if attempt == 0:
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed}:{attempt}".encode()).digest()[:4], "big") % SEED_LIMIT
