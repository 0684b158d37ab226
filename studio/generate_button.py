"""What the Generate button says: the cost, likely and at most, the budget, and in words why it cannot be clicked."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial

from billing import budgets, ledger, plan_choice
from billing.budgets import BudgetState
from inference import catalog, eta, generate, offers, queue
from inference.eta import Forecast
from inference.generate import Settings
from inference.pricing import Estimate
from inference.references import RequestError
from studio.forms.studio import StudioForm
from studio.templatetags.credits import in_words

NEEDS_PROMPT = "Write a description first."


@dataclass(frozen=True, kw_only=True)
class GenerateButton:
    """The button in millicredits and words.

    ``needs_prompt``: nothing but a description is missing. ``missing``: credits that are short. ``month``: the budget
    of the workspace's month where it has a ceiling, which the click would pass if ``is_over_month``. ``forecast``: when
    the last image would be there, where the button can be clicked.
    """

    likely: int = 0
    maximum: int = 0
    reason: str = ""
    needs_prompt: bool = False
    missing: int = 0
    month: BudgetState | None = None
    is_over_month: bool = False
    forecast: Forecast | None = None


def of(form: StudioForm, *, workspace_id: int, now: datetime) -> GenerateButton:
    """The button for a form as it stands."""
    if not form.is_valid():
        return GenerateButton(reason=form.sentence())
    settings = form.settings()
    return priced(settings, generate.estimate(settings), images=settings.count, workspace_id=workspace_id, now=now)


def priced(settings: Settings, cost: Estimate, *, images: int, workspace_id: int, now: datetime) -> GenerateButton:
    """The button for settings that cost so much and take as long as so many images."""
    reason = _refusal(settings, workspace_id=workspace_id, now=now)
    month = budgets.month(workspace_id=workspace_id, now=now)
    is_over = not reason and month.refusal(cost.maximum) != ""
    if is_over:
        reason = f"This month’s budget has {in_words(max(0, month.left or 0))} left."
    tier = catalog.entry(settings.checkpoint).tier
    missing = 0 if reason else max(0, cost.maximum - _available(workspace_id, tier, cost.maximum, now))
    if missing:
        reason = f"Credits are short by {ledger.credits_text(missing)}."
    needs_prompt = not reason and settings.factor is None and not settings.prompt.strip()
    return GenerateButton(
        likely=cost.likely,
        maximum=cost.maximum,
        reason=NEEDS_PROMPT if needs_prompt else reason,
        needs_prompt=needs_prompt,
        missing=missing,
        month=month if month.ceiling is not None else None,
        is_over_month=is_over,
        forecast=None if reason else _forecast(settings, images, workspace_id=workspace_id, now=now),
    )


def _forecast(settings: Settings, images: int, *, workspace_id: int, now: datetime) -> Forecast | None:
    if queue.is_workspace_paused(workspace_id):
        return None
    entry = catalog.entry(settings.checkpoint)
    return eta.forecast(images=images, entry=entry, priority=generate.PRIORITY, workspace_id=workspace_id, now=now)


def _refusal(settings: Settings, *, workspace_id: int, now: datetime) -> str:
    """Why these settings cannot be rendered, whatever the description will be."""
    entry = catalog.entry(settings.checkpoint)
    barrier = partial(plan_choice.barrier, workspace_id=workspace_id, now=now)
    offer = offers.of(entry, today=now.date(), barrier=barrier)
    if offer.state in ("missing", "broken"):
        return f"{entry.name} is not installed here. The list of models says what to do."
    if not offer.is_ready:
        return offer.sentence
    try:
        asked = settings if settings.prompt.strip() or settings.factor else _described(settings)
        generate.requests(asked, seed=0, workspace_id=workspace_id)
    except RequestError as error:
        return str(error)
    return ""


def _described(settings: Settings) -> Settings:
    return Settings.from_json({**settings.to_json(), "prompt": "a description"})


def _available(workspace_id: int, tier: str, needed: int, now: datetime) -> int:
    available = plan_choice.spendable(workspace_id=workspace_id, tier=tier, now=now)
    if available < needed:
        # Today's credits are granted at their first use, which this is about to be.
        ledger.top_up(workspace_id=workspace_id, now=now)
        available = plan_choice.spendable(workspace_id=workspace_id, tier=tier, now=now)
    return available
