"""What the Generate button says: the cost, likely and at most, and in words why it cannot be clicked."""

from dataclasses import dataclass
from datetime import datetime

from billing import ledger
from inference import catalog, generate, offers
from inference.generate import Settings
from inference.references import RequestError
from studio.forms.studio import StudioForm

NEEDS_PROMPT = "Write a description first."


@dataclass(frozen=True, kw_only=True)
class GenerateButton:
    """The button in millicredits and words. `needs_prompt`: nothing but a description is missing."""

    likely: int = 0
    maximum: int = 0
    reason: str = ""
    needs_prompt: bool = False
    missing: int = 0


def of(form: StudioForm, *, workspace_id: int, now: datetime) -> GenerateButton:
    """The button for a form as it stands."""
    if not form.is_valid():
        return GenerateButton(reason=form.sentence())
    settings = form.settings()
    cost = generate.estimate(settings)
    missing = max(0, cost.maximum - _available(workspace_id, cost.maximum, now))
    reason = _refusal(settings, now=now)
    if missing and not reason:
        reason = f"Credits are short by {ledger.credits_text(missing)}."
    needs_prompt = not reason and not settings.prompt.strip()
    return GenerateButton(
        likely=cost.likely,
        maximum=cost.maximum,
        reason=NEEDS_PROMPT if needs_prompt else reason,
        needs_prompt=needs_prompt,
        missing=missing,
    )


def _refusal(settings: Settings, *, now: datetime) -> str:
    """Why these settings cannot be rendered, whatever the description will be."""
    entry = catalog.entry(settings.checkpoint)
    offer = offers.of(entry, today=now.date())
    if offer.state in ("missing", "broken"):
        return f"{entry.name} is not installed here. The list of models says what to do."
    if not offer.is_ready:
        return offer.sentence
    try:
        generate.requests(settings if settings.prompt.strip() else _described(settings), seed=0)
    except RequestError as error:
        return str(error)
    return ""


def _described(settings: Settings) -> Settings:
    return Settings.from_json({**settings.to_json(), "prompt": "a description"})


def _available(workspace_id: int, needed: int, now: datetime) -> int:
    available = ledger.balance(workspace_id=workspace_id).available
    if available < needed:
        # Today's credits are granted at their first use, which this is about to be.
        ledger.top_up(workspace_id=workspace_id, now=now)
        available = ledger.balance(workspace_id=workspace_id).available
    return available
