"""What the Studio can offer here and now: each catalogue entry with whether it can be used, and what to do if not."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Final, Literal

from django.conf import settings

from inference import catalog
from inference.catalog import CatalogEntry, addon_sources
from inference.catalog.sources import CheckpointMissingError, CheckpointSource, CheckpointUnreadableError, resolve

OfferState = Literal["ready", "locked", "missing", "broken", "coming", "retired"]

Barrier = Callable[[str], str]
"""From a tier to the sentence that says why somebody may not use its models, or to nothing."""

# Shown first where its weights are installed; elsewhere the best of what is.
PREFERRED = "flux-dev"
# How the picker lists them.
ORDER: Final[tuple[OfferState, ...]] = ("ready", "locked", "missing", "broken", "coming", "retired")


class NotOfferedError(LookupError):
    """A model cannot be used here and now; the sentence says what to do."""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One model of the picker; `sentence` says what to do where it is not ready."""

    entry: CatalogEntry
    state: OfferState
    sentence: str = ""
    successor: CatalogEntry | None = None

    @property
    def is_ready(self) -> bool:
        """Whether images can be asked of it."""
        return self.state == "ready"


def source_of(entry: CatalogEntry) -> CheckpointSource:
    """Where this installation has an entry's weights.

    :raises CheckpointMissingError: nowhere; the message says how to install them.
    :raises CheckpointUnreadableError: the folder is no checkpoint.
    """
    return resolve(entry, overrides=settings.STUDIO_CHECKPOINTS, data_dir=settings.STUDIO_DATA)


def for_everybody(tier: str) -> str:
    """No barrier."""
    return ""


def all_offers(*, today: date, barrier: Barrier = for_everybody) -> tuple[Offer, ...]:
    """Every model that paints from a text, those that can be used first, then those that another plan includes."""
    # Asked once for each tier, not for each model.
    once = cache(barrier)
    entries = [entry for entry in catalog.load().values() if "text2img" in entry.capabilities]
    offers = [of(entry, today=today, barrier=once) for entry in entries]
    return tuple(sorted(offers, key=lambda offer: ORDER.index(offer.state)))


def of(entry: CatalogEntry, *, today: date, barrier: Barrier = for_everybody) -> Offer:
    """Whether one model can be used here and now."""
    if entry.retired_on is not None and entry.retired_on <= today:
        successor = catalog.entry(entry.replaced_by) if entry.replaced_by else None
        instead = f" Use {successor.name} instead." if successor else " Choose another model."
        sentence = f"{entry.maker} switched {entry.name} off on {entry.retired_on:%B %-d, %Y}.{instead}"
        return Offer(entry=entry, state="retired", sentence=sentence, successor=successor)
    if entry.available_from is not None and entry.available_from > today:
        sentence = f"{entry.name} is offered from {entry.available_from:%B %-d, %Y}."
        return Offer(entry=entry, state="coming", sentence=sentence)
    try:
        source_of(entry)
    except CheckpointMissingError as error:
        return Offer(entry=entry, state="missing", sentence=str(error))
    except CheckpointUnreadableError as error:
        return Offer(entry=entry, state="broken", sentence=str(error))
    lock = barrier(entry.tier)
    return Offer(entry=entry, state="locked" if lock else "ready", sentence=lock)


def default(offers: tuple[Offer, ...]) -> CatalogEntry:
    """The model that the form shows first."""
    ready = [offer.entry for offer in offers if offer.is_ready] or [offer.entry for offer in offers]
    return max(ready, key=lambda entry: (entry.slug == PREFERRED, entry.level == "easy", entry.quality))


def require_ready(entry: CatalogEntry, *, today: date, barrier: Barrier = for_everybody) -> CheckpointSource:
    """The weights of a model that can be used.

    :raises NotOfferedError: it cannot; the sentence says what to do.
    """
    offer = of(entry, today=today, barrier=barrier)
    if not offer.is_ready:
        raise NotOfferedError(offer.sentence)
    return source_of(entry)


def installed_controls(entry: CatalogEntry) -> tuple[str, ...]:
    """The kinds of a picture's maps that a model can follow here."""
    return addon_sources.installed_controls(entry, data_dir=settings.STUDIO_DATA)


def takes_look(entry: CatalogEntry) -> bool:
    """Whether a model can take up the look of a picture here."""
    return addon_sources.has_look(entry, data_dir=settings.STUDIO_DATA)
