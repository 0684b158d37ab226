"""One click in the Image Studio: from the form's settings to requests with a seed each, an estimate, and renders.

Knows models, styles and shapes; who may click, and what the form looks like, it does not know.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from functools import partial
from typing import Any, Final, Self

from billing import plan_choice
from inference import beginnings, catalog, loras, offers, pricing, queue, styles, trigger_words, upscales
from inference.catalog import CatalogEntry
from inference.engine.batching import batch_key
from inference.loras import ChosenLora
from inference.models import Generation, Render, RenderStatus, StudioDraft
from inference.pricing import Estimate
from inference.queue import FLAWED, QueuedRequest
from inference.references import RequestError
from inference.requests import JSON, SEED_LIMIT, ImageRequest, Overrides, Size, image_request, model_size

ASPECTS: Final[Mapping[str, Size]] = {"16:9": (16, 9), "1:1": (1, 1), "9:16": (9, 16), "4:5": (4, 5), "3:2": (3, 2)}
OWN_SIZE: Final = "own"
# The shape of the base image.
BASE_SHAPE: Final = "base"
COUNTS: Final = (1, 2, 3, 4)
# Somebody sits there and waits: before a campaign of hundreds, their own included.
PRIORITY: Final = 10


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The form as a person filled it in. None leaves to the model what it is, and the seed to chance.

    width and height (delivered pixels) count only with the aspect "own". Pictures are named as inference.chosen has
    them: `base` is begun from as far as `strength` says, or edited where there is a `lock`, in the `box` that was
    painted over and on the sides by which `extend` makes it larger (both as inference.edits writes them). `control`
    is a picture whose lines are followed, `look` one whose look is taken up, each with how strongly. With a
    `factor` the base is made so many times as large, in tiles or, where it `is_plain`, without a model.
    """

    checkpoint: str
    style: str = styles.AUTO
    aspect: str = "1:1"
    width: int | None = None
    height: int | None = None
    count: int = 1
    prompt: str = ""
    negative_prompt: str = ""
    seed: int | None = None
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    scheduler: str | None = None
    base: str = ""
    strength: float | None = None
    lock: str = ""
    box: str = ""
    extend: str = ""
    control: str = ""
    control_kind: str = ""
    control_scale: float | None = None
    look: str = ""
    look_scale: float | None = None
    loras: tuple[ChosenLora, ...] = ()
    factor: int | None = None
    is_plain: bool = False

    def to_json(self) -> dict[str, JSON]:
        """The settings as plain JSON values, every field present."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The settings that `to_json` wrote, fields that are gone since left out."""
        known = {field.name for field in fields(cls)}
        given = {name: value for name, value in values.items() if name in known}
        return cls(**given | {"loras": tuple(ChosenLora.from_json(each) for each in given.get("loras", ()))})

    def digest(self) -> str:
        """SHA-256 (hex): equal for equal settings."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()


def size(settings: Settings, entry: CatalogEntry, *, base: Size | None = None) -> Size:
    """Delivered (width, height) in pixels: the aspect exactly, as large as the model paints without enlarging.

    :param base: the base image's (width, height), whose shape the aspect "base" takes.

    :raises RequestError: there is no such aspect, or a size of one's own lacks a side.
    """
    if settings.aspect == OWN_SIZE:
        if not settings.width or not settings.height:
            raise RequestError("Give the width and the height of your own size in pixels.")
        return settings.width, settings.height
    if settings.aspect == BASE_SHAPE and base is not None:
        return _largest(base, entry)
    if settings.aspect not in ASPECTS:
        raise RequestError(f'There is no aspect ratio "{settings.aspect}". Choose one of: {", ".join(ASPECTS)}.')
    return _largest(ASPECTS[settings.aspect], entry)


def _largest(shape: Size, entry: CatalogEntry) -> Size:
    across, down = shape
    width, height = model_size(entry, width=across, height=down)
    if width * down > height * across:
        return round(height * across / down), height
    return width, round(width * down / across)


def requests(settings: Settings, *, seed: int, workspace_id: int) -> tuple[ImageRequest, ...]:
    """One request for each image; their seeds follow `seed` one by one, so that the first is the same at any count.

    :raises RequestError: the settings ask for what the model cannot do; the sentence says what to change.
    """
    if settings.factor is not None:
        return (upscales.request(settings, seed=seed, workspace_id=workspace_id),)
    if settings.count not in COUNTS:
        raise RequestError(f"{settings.count} images cannot be made at once. Choose 1 to {COUNTS[-1]}.")
    entry = catalog.entry(settings.checkpoint)
    begun = beginnings.of(settings, workspace_id=workspace_id)
    width, height = begun.size or size(settings, entry, base=begun.shape)
    used = loras.used(settings.loras, workspace_id=workspace_id, entry=entry)
    texts = styles.combine(
        prompt=settings.prompt,
        negative_prompt=settings.negative_prompt,
        style=styles.style(settings.style),
        entry=entry,
    )
    texts = replace(texts, prompt=trigger_words.join(texts.prompt, [each.trigger_words for each in used]))
    _check_length(settings, texts, entry)
    return tuple(
        image_request(
            entry,
            prompt=texts.prompt,
            negative_prompt=texts.negative_prompt,
            seed=(seed + number) % SEED_LIMIT,
            width=width,
            height=height,
            product=begun.product,
            **_overrides(settings) | begun.overrides | {"loras": tuple(each.reference for each in used)},
        )
        for number in range(settings.count)
    )


def estimate(settings: Settings) -> Estimate:
    """What a click would cost, in millicredits; holds whatever the prompt says."""
    entry = catalog.entry(settings.checkpoint)
    try:
        delivered = size(settings, entry)
    except RequestError:
        delivered = None  # the sides are not typed yet
    return pricing.estimate(
        images=settings.count, entry=entry, size=delivered, num_inference_steps=settings.num_inference_steps
    )


def check(settings: Settings, *, workspace_id: int, now: datetime) -> None:
    """Refuse what a click could not render.

    :raises RequestError: the settings ask for what the model cannot do.
    :raises inference.offers.NotOfferedError: the model is not installed here, or no longer offered.
    """
    offers.require_ready(catalog.entry(settings.checkpoint), today=now.date())
    requests(settings, seed=0 if settings.seed is None else settings.seed, workspace_id=workspace_id)


def generate(*, workspace_id: int, created_by_id: int, key: str, settings: Settings, now: datetime) -> Generation:
    """Hold the credits and queue the images. The same key with the same settings is the same click.

    :param key: made with the form, at most 64 characters; it also decides the seed where none is given, so that a
        click sent twice asks for the same images.
    :raises RequestError: as `check`.
    :raises inference.offers.NotOfferedError: as `check`, or the workspace's plan does not include the model.
    :raises billing.ledger.InsufficientCreditsError: the workspace is short of credits; nothing is written.
    """
    entry = catalog.entry(settings.checkpoint)
    barrier = partial(plan_choice.barrier, workspace_id=workspace_id, now=now)
    source = offers.require_ready(entry, today=now.date(), barrier=barrier)
    once = f"studio:{created_by_id}:{key[:64]}:{settings.digest()[:32]}"
    seed = _seed_of(once) if settings.seed is None else settings.seed
    wanted = requests(settings, seed=seed, workspace_id=workspace_id)
    generation, _ = queue.enqueue(
        workspace_id=workspace_id,
        key=once,
        requests=[QueuedRequest(request=each, batch_key=batch_key(each, source.sizes).digest()) for each in wanted],
        entry=entry,
        created_by_id=created_by_id,
        priority=PRIORITY,
        settings=settings.to_json(),
        now=now,
    )
    return generation


def settings_of(render: Render) -> Settings:
    """The settings that make this very image again: the form as it was sent, for one image of this seed.

    :raises ValueError: the image was not asked for in the Studio.
    """
    asked = render.generation.settings
    if asked is None:
        raise ValueError(f"Render {render.pk} was asked for by a campaign.")
    return replace(Settings.from_json(asked), count=1, seed=render.seed)


def another(render: Render) -> Settings:
    """The settings for one more image like this one: another seed, except where it failed by no fault of its seed."""
    settings = settings_of(render)
    keeps_seed = render.status != RenderStatus.SUCCEEDED and render.failure_code != FLAWED
    return settings if keeps_seed else replace(settings, seed=None)


def remembered(*, workspace_id: int, created_by_id: int) -> Settings | None:
    """The form as a person left it here, if the model it names still exists; without pictures that are gone."""
    draft = StudioDraft.objects.filter(workspace_id=workspace_id, created_by_id=created_by_id).first()
    if draft is None or draft.settings.get("checkpoint") not in catalog.load():
        return None
    return beginnings.without_lost(Settings.from_json(draft.settings), workspace_id=workspace_id)


def remember(*, workspace_id: int, created_by_id: int, settings: Settings) -> None:
    """Keep the form as a person left it."""
    StudioDraft.objects.update_or_create(
        workspace_id=workspace_id, created_by_id=created_by_id, defaults={"settings": settings.to_json()}
    )


def _overrides(settings: Settings) -> Overrides:
    chosen: Overrides = {}
    if settings.num_inference_steps is not None:
        chosen["num_inference_steps"] = settings.num_inference_steps
    if settings.guidance_scale is not None:
        chosen["guidance_scale"] = settings.guidance_scale
    if settings.scheduler is not None:
        chosen["scheduler"] = settings.scheduler
    return chosen


def _check_length(settings: Settings, texts: styles.Combined, entry: CatalogEntry) -> None:
    limit = entry.limits.prompt_characters
    for name, typed, text in (
        ("prompt", settings.prompt, texts.prompt),
        ("negative prompt", settings.negative_prompt, texts.negative_prompt),
    ):
        if len(typed.strip()) <= limit < len(text):
            over = len(text) - limit
            raise RequestError(
                f"With the words of its style and LoRAs, the {name} is too long. Shorten it by {over} characters."
            )


def _seed_of(key: str) -> int:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") % SEED_LIMIT
