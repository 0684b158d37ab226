"""A picture of the workspace made larger: painted in tiles by a model, or enlarged without one.
Knows what was asked for a picture before; nothing of pixels or of the page.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gallery.models import Asset
from inference import catalog, chosen
from inference.catalog.sources import STARTER
from inference.chosen import ChosenPicture
from inference.references import InitialImage, ProductReference, RequestError
from inference.requests import UPSCALE_STRENGTH, ImageRequest, Overrides, image_request

if TYPE_CHECKING:
    from inference.catalog import CatalogEntry
    from inference.generate import Settings

FACTORS = (2, 4)
# For a picture that nobody described.
DESCRIPTION = "a detailed photograph, sharp focus"
# What enlarges without a model asks for none: the one that every installation has stands in its request.
PLAIN_CHECKPOINT = STARTER
LOST = "The picture is no longer there. Choose another one."
TRANSPARENT = "It has transparent parts, which are lost when it is made larger. Put it on a plain background first."
EDITED = "A part of it was edited by hand, and what was kept then would be painted anew. Enlarge it without a model."


@dataclass(frozen=True, kw_only=True)
class Original:
    """A picture with the request that it was made from, None where it was not made here."""

    picture: ChosenPicture
    request: ImageRequest | None

    @property
    def product(self) -> ProductReference | None:
        """The product that is locked in it; an edited picture is its own, which says nothing of a larger one."""
        return None if self.request is None or self.is_edit else self.request.product

    @property
    def is_edit(self) -> bool:
        """Whether a part of it was painted over by hand, or it was extended."""
        product = None if self.request is None else self.request.product
        return product is not None and (product.frame is not None or product.offset is not None)

    @property
    def description(self) -> str:
        """What it shows, as it was asked for."""
        return "" if self.request is None else self.request.prompt


def find(name: str, *, workspace_id: int) -> Original | None:
    """A picture by its name in inference.chosen; None where the workspace has none."""
    picture = chosen.find(name, workspace_id=workspace_id)
    return None if picture is None else Original(picture=picture, request=_request_of(picture, workspace_id))


def _request_of(picture: ChosenPicture, workspace_id: int) -> ImageRequest | None:
    kind, _, pk = picture.name.partition("-")
    if kind != "asset":
        return None
    recipe: dict[str, Any] = Asset.objects.values_list("recipe", flat=True).get(workspace_id=workspace_id, pk=int(pk))
    try:
        return ImageRequest.from_json(recipe["request"]) if "request" in recipe else None
    except RequestError:
        return None  # of a version that is gone


def request(settings: Settings, *, seed: int, workspace_id: int) -> ImageRequest:
    """What settings with a factor ask for.

    :raises RequestError: it cannot be made larger so; the sentence says what to change.
    """
    original = find(settings.base, workspace_id=workspace_id)
    if original is None:
        raise RequestError(LOST)
    picture = original.picture
    if settings.factor not in FACTORS:
        raise RequestError(f"A picture is made {' or '.join(map(str, FACTORS))} times as large. Choose one of them.")
    if picture.has_alpha:
        raise RequestError(TRANSPARENT)
    width, height = settings.factor * picture.width, settings.factor * picture.height
    entry = catalog.entry(settings.checkpoint)
    if settings.is_plain:
        initial = InitialImage(image=picture.storage_key, use="enlarge")
        prompt = original.description
        # No chance plays a part in it: the same picture is the same request.
        return image_request(
            entry, prompt=prompt, seed=0, width=width, height=height, product=original.product, initial=initial
        )
    if original.is_edit:
        raise RequestError(EDITED)
    return image_request(
        entry,
        prompt=settings.prompt.strip() or original.description or DESCRIPTION,
        negative_prompt=_negative_prompt(original, entry),
        seed=seed,
        width=width,
        height=height,
        product=original.product,
        **_overrides(settings, original),
    )


def _negative_prompt(original: Original, entry: CatalogEntry) -> str:
    takes_it = original.request is not None and "negative_prompt" in entry.capabilities
    return original.request.negative_prompt if takes_it and original.request is not None else ""


def _overrides(settings: Settings, original: Original) -> Overrides:
    """As the picture was made, where the same model paints its tiles; so it keeps its style."""
    overrides = Overrides(
        initial=InitialImage(image=original.picture.storage_key, use="upscale"),
        strength=UPSCALE_STRENGTH if settings.strength is None else settings.strength,
    )
    made = original.request
    if made is not None and made.checkpoint == settings.checkpoint and made.task != "enlarge":
        overrides["num_inference_steps"] = made.num_inference_steps
        overrides["guidance_scale"] = made.guidance_scale
        overrides["scheduler"] = made.scheduler
        overrides["clip_skip"] = made.clip_skip
        overrides["loras"] = made.loras
    return overrides


def plainly(settings: Settings) -> Settings:
    """The same without a model."""
    return replace(settings, is_plain=True, checkpoint=PLAIN_CHECKPOINT, strength=None)
