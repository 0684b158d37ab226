"""What each image of a cell would be made from today, as a digest: equal digests ask for the same picture.

Every try's seed follows from the first one, which counts; a model's own defaults do not, so that an update of the
studio leaves what was made alone. Knows no renders.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from campaigns.models import Campaign, Cell, Photo
from inference.references import LoraReference, Placement, ProductReference
from inference.requests import SEED_LIMIT

# Names of a request's fields, and what a person calls them.
WORDS: Mapping[str, str] = {
    "prompt": "prompt",
    "negative_prompt": "negative prompt",
    "checkpoint": "model",
    "size": "size",
    "photo": "photo",
    "lock_mask": "mask",
    "placement": "placement",
    "loras": "LoRAs",
}
_INPUTS = ("checkpoint", "prompt", "negative_prompt", "width", "height", "product", "loras")


@dataclass(frozen=True, kw_only=True)
class Edit:
    """What a person wrote over a cell's brief; None leaves the brief's."""

    prompt: str | None = None
    negative_prompt: str | None = None
    seed: int | None = None

    @property
    def is_empty(self) -> bool:
        return self == Edit()

    def to_json(self) -> dict[str, Any] | None:
        """As a cell keeps it: what is written over, or None where nothing is."""
        return {name: value for name, value in asdict(self).items() if value is not None} or None

    @classmethod
    def from_json(cls, values: Mapping[str, Any] | None) -> "Edit":
        """What `to_json` gave."""
        return cls(**values or {})


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a cell asks for in the end: its brief's words and seeds, and what a person wrote over them."""

    prompt: str
    negative_prompt: str
    seeds: Sequence[int]


def asked(cell: Any) -> Asked:
    """What a cell, or a row with the same fields, asks for.

    The seed that a person wrote is its first image's; the next ones have the numbers after it.
    """
    if not cell.edit:
        return Asked(prompt=cell.prompt, negative_prompt=cell.negative_prompt, seeds=cell.seeds)
    edit = Edit.from_json(cell.edit)
    seeds = cell.seeds
    if edit.seed is not None:
        seeds = [(edit.seed + at) % SEED_LIMIT for at in range(len(cell.seeds))]
    return Asked(
        prompt=cell.prompt if edit.prompt is None else edit.prompt,
        negative_prompt=cell.negative_prompt if edit.negative_prompt is None else edit.negative_prompt,
        seeds=seeds,
    )


def lora_references(campaign: Campaign) -> tuple[LoraReference, ...]:
    """The LoRAs that a campaign is made with; at a weight of 0 one does nothing, so that it is as if left out."""
    return tuple(LoraReference(file=each["file"], weight=each["weight"]) for each in campaign.loras if each["weight"])


def product_reference(photo: Photo | None, placement: Mapping[str, Any] | None) -> ProductReference | None:
    """What a cell shows of its product. The mask's key is empty until it is made.

    :param photo: its upload at hand.
    """
    if photo is None:
        return None
    placed = Placement(**placement) if placement else None
    return ProductReference(photo=photo.upload.storage_key, lock_mask=photo.mask_key, placement=placed)


def write(campaign: Campaign, cells: Sequence[Cell], *, photos: Mapping[int, Photo]) -> list[Cell]:
    """Set these cells' recipe hashes to what is so today, without saving; those of them that differed before.

    :param photos: by id, their uploads at hand.
    """
    loras = [asdict(each) for each in lora_references(campaign)]
    products: dict[tuple[object, ...], dict[str, Any] | None] = {}
    differing = []
    for cell in cells:
        # Thousands of cells show a few dozen photos, each in a handful of places.
        shown = (cell.photo_id, *(cell.placement or {}).items())
        if shown not in products:
            found = product_reference(photos[cell.photo_id], cell.placement) if cell.photo_id else None
            products[shown] = asdict(found) if found else None
        wanted = asked(cell)
        inputs = {
            "checkpoint": campaign.checkpoint,
            "prompt": wanted.prompt.strip(),
            "negative_prompt": wanted.negative_prompt.strip(),
            "width": cell.width,
            "height": cell.height,
            "product": products[shown],
            "loras": loras,
        }
        hashes = _digests(inputs, wanted.seeds)
        if hashes != cell.recipe_hashes:
            differing.append(cell)
        cell.recipe_hashes = hashes
    return differing


def of_request(request: Mapping[str, Any], *, seed: int) -> str:
    """The digest of what a request asks for, as its JSON has it.

    :param seed: the first try's: the request's own may be a later one's.
    """
    product = request.get("product")
    if product is not None:
        product = {"photo": product["photo"], "lock_mask": product["lock_mask"], "placement": product["placement"]}
    inputs = {name: request.get(name) for name in _INPUTS} | {"product": product, "loras": request.get("loras") or []}
    return _digests(inputs, [seed])[0]


def differences(request: Mapping[str, Any], cell: Cell, campaign: Campaign) -> tuple[str, ...]:
    """What is not as it was in a request, in the words of `WORDS`; the seed is not compared, as tries move it.

    :param cell: its photo with its upload at hand.
    """
    wanted = asked(cell)
    product = product_reference(cell.photo, cell.placement)
    today: dict[str, Any] = {
        "prompt": wanted.prompt.strip(),
        "negative_prompt": wanted.negative_prompt.strip(),
        "checkpoint": campaign.checkpoint,
        "size": (cell.width, cell.height),
        "photo": product.photo if product else None,
        "lock_mask": product.lock_mask if product else None,
        "placement": asdict(product.placement) if product and product.placement else None,
        "loras": [asdict(each) for each in lora_references(campaign)],
    }
    before = dict(request) | (request.get("product") or {})
    before |= {"size": (request.get("width"), request.get("height")), "loras": list(request.get("loras") or [])}
    return tuple(WORDS[name] for name, value in today.items() if (before.get(name) or None) != (value or None))


def _digests(inputs: Mapping[str, Any], seeds: Sequence[int]) -> list[str]:
    given = {name: value for name, value in inputs.items() if value}
    if product := given.get("product"):
        # Fields that no product has say nothing.
        given["product"] = {name: value for name, value in product.items() if value}
    text = json.dumps(given, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return [hashlib.sha256(f"{text}\n{seed}".encode()).hexdigest() for seed in seeds]
