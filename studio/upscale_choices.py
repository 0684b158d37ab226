"""What a picture can be made: each size and way with its price, its tiles, and in words why it cannot be had."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial

from billing import plan_choice
from inference import catalog, offers, pricing, upscales
from inference.catalog import CatalogEntry
from inference.generate import Settings
from inference.pricing import Estimate
from inference.references import RequestError
from inference.requests import tiles_of
from inference.upscales import Original
from studio import generate_button
from studio.forms.upscale import UpscaleForm
from studio.generate_button import GenerateButton

NO_MODEL = "No model that is installed here makes pictures larger. Enlarge it without one."


@dataclass(frozen=True, kw_only=True)
class UpscaleChoice:
    """One way to make a picture larger, in delivered pixels; `tiles` are 0 where no model paints."""

    width: int
    height: int
    tiles: int
    button: GenerateButton


def models(*, workspace_id: int, now: datetime) -> list[CatalogEntry]:
    """The models that can paint a picture's tiles here and now."""
    barrier = partial(plan_choice.barrier, workspace_id=workspace_id, now=now)
    able = [each for each in offers.all_offers(today=now.date(), barrier=barrier) if each.is_ready]
    return [each.entry for each in able if {"upscale", "img2img"} <= each.entry.capabilities]


def first_model(original: Original, entries: list[CatalogEntry]) -> str:
    """The one that the picture was made with, else the best; empty where there is none."""
    slugs = [entry.slug for entry in entries]
    if original.request is not None and original.request.checkpoint in slugs:
        return original.request.checkpoint
    return max(entries, key=lambda entry: entry.quality).slug if entries else ""


def of(form: UpscaleForm, *, factor: int, is_plain: bool, workspace_id: int, now: datetime) -> UpscaleChoice:
    """One choice, with everything else as a valid form has it."""
    settings, picture = form.settings_for(factor, is_plain=is_plain), form.original.picture
    size = (factor * picture.width, factor * picture.height)
    if not is_plain and not form.chosen("checkpoint"):
        return UpscaleChoice(width=size[0], height=size[1], tiles=0, button=GenerateButton(reason=NO_MODEL))
    cost, tiles = _cost(settings, workspace_id=workspace_id)
    button = generate_button.priced(settings, cost, images=max(1, tiles), workspace_id=workspace_id, now=now)
    return UpscaleChoice(width=size[0], height=size[1], tiles=tiles, button=button)


def _cost(settings: Settings, *, workspace_id: int) -> tuple[Estimate, int]:
    """What it costs and how many tiles it takes; nothing where it cannot be asked for."""
    entry = catalog.entry(settings.checkpoint)
    try:
        request = upscales.request(settings, seed=0, workspace_id=workspace_id)
    except RequestError:
        return Estimate(likely=0, maximum=0), 0
    tiles = tiles_of(request, entry.sizes).count if request.task == "upscale" else 0
    return Estimate(likely=pricing.likely(request, entry), maximum=pricing.maximum(request, entry)), tiles
