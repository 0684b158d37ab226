"""What a brief would come to before it is launched: images, credits, minutes, and what still stands against it.

Reads only. The brief may be half written: what can be told is told.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial

from billing import budgets, ledger, plan_choice
from billing.budgets import BudgetState
from campaigns import planning
from campaigns.brief import MAX_IMAGES, Brief, Channel
from campaigns.entered import Entered
from campaigns.models import Product
from campaigns.planning import PhotoSize
from campaigns.products import rows_of
from campaigns.toml_tables import Problem
from inference import catalog, eta, loras, queue
from inference.catalog import CatalogEntry
from inference.catalog.sources import CheckpointMissingError, CheckpointUnreadableError
from inference.eta import Forecast
from inference.pricing import Estimate
from inference.references import Placement

SAMPLES = 3
SKUS_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What a form's values come to. Amounts in millicredits.

    ``problems`` are the brief's own; ``blockers`` are sentences about what is around it: masks, credits, budget,
    weights, the plan. It can be launched when there are neither. ``is_unpaid``: nothing but credits or a budget stands
    against it. ``month`` is the workspace's budget where it has a ceiling, ``own_budget`` the campaign's as it is
    written. ``cost`` is None without a known checkpoint; ``forecast``, when the last image would be there, also without
    images and while the workspace is paused.
    """

    brief: Brief | None
    problems: tuple[Problem, ...]
    blockers: tuple[str, ...]
    products: int
    scenes: int
    channels: int
    images_per_cell: int
    available: int
    month: BudgetState | None
    own_budget: int | None
    is_unpaid: bool
    cost: Estimate | None
    forecast: Forecast | None
    samples: tuple[str, ...]
    unsure: tuple[str, ...]

    @property
    def cells(self) -> int:
        return self.products * self.scenes * self.channels

    @property
    def images(self) -> int:
        return self.cells * self.images_per_cell

    @property
    def is_over_month(self) -> bool:
        """Whether what it may cost at most passes the workspace's month, which owners can raise."""
        return bool(self.cost and self.month and self.month.refusal(self.cost.maximum))

    @property
    def can_launch(self) -> bool:
        return self.brief is not None and not self.problems and not self.blockers


@dataclass(frozen=True, kw_only=True)
class CheckpointChoice:
    """A catalogue entry as a form offers it; ``reason`` says why it cannot be chosen, or is empty."""

    entry: CatalogEntry
    reason: str


def chosen(*, workspace_id: int, form: Entered) -> list[Product]:
    """The products that a form chose, with their photos, in the order that it names them in."""
    found = Product.objects.filter(workspace_id=workspace_id, sku__in=form.skus).select_related("photo__upload")
    by_sku = {product.sku: product for product in found}
    return [by_sku[sku] for sku in form.skus if sku in by_sku]


def look(*, workspace_id: int, form: Entered, now: datetime) -> Outlook:
    """What a form's values would come to in this workspace; a handful of queries, whatever is chosen."""
    products = chosen(workspace_id=workspace_id, form=form)
    known = loras.known(workspace_id=workspace_id) if form.loras else ()
    reading = form.read(rows_of(products), loras=known)
    brief = reading.brief
    entry = catalog.load().get(brief.checkpoint) if brief else None
    counts = _counts(brief, form)
    images = math.prod(counts)
    cost = planning.estimate(images=images, entry=entry) if entry else None
    tier = entry.tier if entry else plan_choice.STANDARD
    available = plan_choice.spendable(workspace_id=workspace_id, tier=tier, now=now)
    month = budgets.month(workspace_id=workspace_id, now=now)
    around, money = [], []
    if brief and images:
        barrier = plan_choice.barrier(tier, workspace_id=workspace_id, now=now)
        around = _blockers(brief, entry, products) + ([barrier] if barrier else [])
        # Who may not use the model at all need not hear of its price.
        money = _money_blockers(brief, cost, month, available) if cost and not barrier else []
    return Outlook(
        brief=brief,
        problems=reading.problems,
        blockers=(*around, *money),
        is_unpaid=bool(money) and not around,
        month=month if month.ceiling is not None else None,
        own_budget=_own_budget(brief),
        products=counts[0],
        scenes=counts[1],
        channels=counts[2],
        images_per_cell=counts[3],
        available=available,
        cost=cost,
        forecast=_forecast(entry, images, workspace_id=workspace_id, now=now),
        samples=tuple(_samples(brief)) if brief else (),
        unsure=tuple(product.sku for product in products if product.photo and product.photo.needs_a_look),
    )


def checkpoints(*, is_placed: bool, workspace_id: int, now: datetime) -> list[CheckpointChoice]:
    """Every entry of the catalogue, those that can do what is asked first."""
    barrier = cache(partial(plan_choice.barrier, workspace_id=workspace_id, now=now))
    choices = [
        CheckpointChoice(entry=entry, reason=_reason(entry, is_placed) or _lock(barrier(entry.tier)))
        for entry in catalog.load().values()
    ]
    return sorted(choices, key=lambda choice: bool(choice.reason))


def _lock(barrier: str) -> str:
    return f"part of {plan_choice.premium_plans()}" if barrier else ""


def _reason(entry: CatalogEntry, is_placed: bool) -> str:
    needed = "inpaint" if is_placed else "text2img"
    if needed not in entry.capabilities:
        return "cannot paint around a product" if is_placed else "cannot paint from the text alone"
    try:
        planning.source_of(entry)
    except (CheckpointMissingError, CheckpointUnreadableError):
        return "its weights are not installed here"
    return ""


def _counts(brief: Brief | None, form: Entered) -> tuple[int, int, int, int]:
    """Products, scenes, channels and images per cell, as the brief multiplies them."""
    if brief is None:
        return 0, 0, 0, 0
    products = len(brief.products) if form.is_placed or brief.products else 1
    scenes = math.prod(len(axis.values) for axis in brief.axes)
    return products, scenes, len(brief.channels), brief.images_per_cell


def _samples(brief: Brief) -> list[str]:
    """The first, the middle and the last prompt, as far as the template can be filled."""
    product = next(iter(brief.products), None)
    names = {"sku": product.sku, "title": product.title} if product else {}
    scenes = list(itertools.islice(itertools.product(*(axis.values for axis in brief.axes)), 10_000))
    picked = sorted({0, len(scenes) // 2, len(scenes) - 1} & set(range(len(scenes))))
    filled = []
    for index in picked[:SAMPLES]:
        values = dict(zip((axis.name for axis in brief.axes), scenes[index], strict=True))
        try:
            filled.append(brief.template.filled({**names, **values}))
        except KeyError:
            return []
    return [prompt for prompt in dict.fromkeys(filled) if prompt]


def _blockers(brief: Brief, entry: CatalogEntry | None, products: Sequence[Product]) -> list[str]:
    blockers = []
    if entry and (reason := _reason(entry, _is_placed(brief.channels))) and "weights" in reason:
        blockers.append(f"{entry.name} cannot be used: {reason}. Choose another model, or have it installed.")
    if _is_placed(brief.channels):
        blockers += _mask_blockers(products)
        blockers += _size_blockers(brief, products) if entry else []
    return blockers


def _is_placed(channels: Sequence[Channel]) -> bool:
    return any(channel.placement == "keep" or isinstance(channel.placement, Placement) for channel in channels)


def _mask_blockers(products: Sequence[Product]) -> list[str]:
    """What the photos wait for: lock masks that are being made, or cannot be."""
    photos = [(product.sku, product.photo) for product in products if product.photo]
    failed = [sku for sku, photo in photos if photo.mask_failure]
    waiting = [sku for sku, photo in photos if not photo.mask_key and not photo.mask_failure]
    sentences = []
    if failed:
        sentences.append(
            f"No lock mask could be made for {_named(failed)}. Give a mask under Products, or leave {_it(failed)} out."
        )
    if waiting:
        verb = "is" if len(waiting) == 1 else "are"
        masks = "lock mask" if len(waiting) == 1 else "lock masks"
        sentences.append(f"The {masks} of {_named(waiting)} {verb} still being made. Try again in a moment.")
    return sentences


def _size_blockers(brief: Brief, products: Sequence[Product]) -> list[str]:
    sizes = {
        product.sku: PhotoSize(upload.name, upload.width, upload.height)
        for product in products
        if product.photo and (upload := product.photo.upload)
    }
    return planning.kept_size_faults(brief, sizes=sizes)


def _forecast(entry: CatalogEntry | None, images: int, *, workspace_id: int, now: datetime) -> Forecast | None:
    # Beyond what one launch takes, nobody needs to know.
    if entry is None or not 0 < images <= MAX_IMAGES or queue.is_workspace_paused(workspace_id):
        return None
    return eta.forecast(images=images, entry=entry, priority=0, workspace_id=workspace_id, now=now)


def _own_budget(brief: Brief | None) -> int | None:
    """The campaign's budget in millicredits, as the brief has it."""
    return None if brief is None or brief.budget_credits is None else int(brief.budget_credits * ledger.MILLI)


def _money_blockers(brief: Brief, cost: Estimate, month: BudgetState, available: int) -> list[str]:
    blockers = []
    own = _own_budget(brief)
    if own is not None and own < cost.maximum:
        blockers.append(
            f"This needs {ledger.credits_text(cost.maximum)} credits at most, and its budget is "
            f"{brief.budget_credits}. Raise the budget or ask for fewer images."
        )
    if over := month.refusal(cost.maximum):
        blockers.append(over)
    if available < cost.maximum:
        blockers.append(
            f"This needs {ledger.credits_text(cost.maximum)} credits at most, and the workspace has "
            f"{ledger.credits_text(available)}. Ask for fewer images, or wait for the next grant."
        )
    return blockers


def _named(skus: Sequence[str]) -> str:
    shown = ", ".join(skus[:SKUS_NAMED])
    return f"{shown} and {len(skus) - SKUS_NAMED} more" if len(skus) > SKUS_NAMED else shown


def _it(skus: Sequence[str]) -> str:
    return "it" if len(skus) == 1 else "them"
