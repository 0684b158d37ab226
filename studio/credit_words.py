"""The statement in words: what each entry was for, why an estimate and a charge differ. Knows no request."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from billing.budgets import Decision
from billing.plan_choice import PlanOffer
from billing.statements import Line, LinePage, Row, Settlement
from campaigns import charges
from campaigns.charges import ChargedImage, Origin, PricedAt
from studio.templatetags.credits import counted, grouped, in_credits, in_words

GRANTS = {
    "daily": "Daily credits",
    "monthly": "Monthly credits",
    "purchased": "Purchased credits",
    "bonus": "Bonus credits",
}
MOVES = {
    "hold": "Held",
    "capture": "Charged",
    "release": "Given back",
    "refund": "Refunded",
    "grant": "Granted",
    "expire": "Expired",
}


UNITS = {"megapixel-step": "megapixel-steps", "provider-unit": "units"}
MICRO = 1_000_000


@dataclass(frozen=True, kw_only=True)
class ToldRow:
    """An entry with its words; ``image`` where it is one image's, ``origin`` where it belongs to a hold."""

    row: Row
    title: str
    detail: str
    image: ChargedImage | None
    origin: Origin | None

    @property
    def move(self) -> str:
        """The kind of move in one word."""
        return MOVES[self.row.kind]


@dataclass(frozen=True, kw_only=True)
class ToldLine:
    """An image's line with its words; ``tone`` is a state's class of the components."""

    line: Line
    image: ChargedImage | None
    words: str
    tone: str
    units: str


def rows(page: Sequence[Row]) -> list[ToldRow]:
    """Entries with their words, in two queries."""
    origins = charges.origins_of({row.hold_id for row in page if row.hold_id})
    images = charges.images_of([row.line_id for row in page if row.line_id])
    return [_row(row, origins.get(row.hold_id or 0), images.get(row.line_id or 0)) for row in page]


def lines(page: LinePage, *, unit: str = "image") -> list[ToldLine]:
    """A hold's lines with their words, in one query."""
    images = charges.images_of([line.id for line in page.lines])
    return [_line(line, images.get(line.id), unit) for line in page.lines]


def settlement(settled: Settlement, origin: Origin | None) -> str:
    """Why what was charged is what it is: "Estimated 48 credits, charged 46: 2 images failed and cost nothing"."""
    if settled.closed_at is None:
        if not settled.settled:
            return f"Nothing is settled yet; {in_words(settled.held)} held."
        return (
            f"{settled.settled:,} of {counted(settled.images, 'image')} settled: "
            f"{in_credits(settled.captured)} charged, {in_credits(settled.held)} still held."
        )
    refund = f" {in_words(settled.refunded)} came back after review." if settled.refunded else ""
    refund += f" {in_words(settled.overrun)} above that are not yours to pay." if settled.overrun else ""
    if not settled.released:
        return f"Charged as estimated: {in_words(settled.captured)}.{refund}"
    why = _why_less(settled, origin)
    return f"Estimated {in_words(settled.amount)}, charged {in_credits(settled.captured)}{why}.{refund}"


def plan_change(offer: PlanOffer, *, today: date) -> str:
    """What choosing a plan changes, and when: "200 credits a day from tomorrow, 5,000 a month from 1 December."."""
    plan = offer.plan
    daily = f"{grouped(plan.daily_credits)} credits a day" if plan.daily_credits else "No daily credits"
    monthly = f"{grouped(plan.monthly_credits)} a month" if plan.monthly_credits else "no monthly credits"
    return f"{daily} {_from(offer.daily_from, today)}, {monthly} {_from(offer.monthly_from, today)}."


def _from(day: date, today: date) -> str:
    if day == today:
        return "at once"
    return "from tomorrow" if day == today + timedelta(days=1) else f"from {day.day} {day:%B}"


def budget_decision(decision: Decision) -> str:
    """What an owner decided on a budget, in a sentence without their name."""
    if decision.kind == "excess":
        more = (decision.after or 0) - (decision.before or 0)
        return f"allowed {in_words(more)} more in {decision.budget}, once"
    if decision.after is None:
        return f"took the ceiling of {decision.budget} away; it was {in_words(decision.before or 0)}"
    before = "there was none before" if decision.before is None else f"it was {in_words(decision.before)}"
    return f"set the ceiling of {decision.budget} to {in_words(decision.after)}; {before}"


def _why_less(settled: Settlement, origin: Origin | None) -> str:
    ends = (
        ((origin.failed, "failed"), (origin.canceled, "canceled"), (origin.expired, "too late for the deadline"))
        if origin
        else ()
    )
    parts = [f"{number:,} {word}" for number, word in ends if number]
    why = [f"{', '.join(parts)}, at no cost"] if parts else []
    if settled.used_less:
        why.append(f"{in_words(settled.used_less)} less because images took fewer units than they could have")
    return f": {'; '.join(why)}" if why else ""


def price(priced: PricedAt) -> str:
    """What was asked for one image: "0.16 credits a megapixel-step (price list 2 of Stable Diffusion XL)"."""
    unit = {"image": "an image", "megapixel-step": "a megapixel-step", "provider-unit": "a provider's unit"}[
        priced.unit
    ]
    return f"{in_words(priced.millicredits)} {unit} (price list {priced.version} of {priced.model})"


def _row(row: Row, origin: Origin | None, image: ChargedImage | None) -> ToldRow:
    grant = GRANTS.get(row.grant_kind, "")
    if row.kind == "grant":
        title, detail = row.grant_note or grant, grant if row.grant_note else ""
    elif row.kind == "expire":
        title, detail = f"{grant} expired", "What was left of them"
    elif image:
        title, detail = image.title, ", ".join(part for part in (image.scene, origin.title if origin else "") if part)
    else:
        title = origin.title if origin else "An earlier request"
        detail = settlement(row.settlement, origin) if row.settlement else ""
    if row.kind == "release" and image and image.reason:
        detail = f"{detail}: {image.reason}"
    return ToldRow(row=row, title=title, detail=detail, image=image, origin=origin)


def _line(line: Line, image: ChargedImage | None, unit: str) -> ToldLine:
    words, tone = f"Charged {in_credits(line.captured)}", "ok"
    if line.resolved_at is None:
        words, tone = f"Held {in_credits(line.amount)}", "wait"
    elif line.refunded:
        words, tone = f"Charged {in_credits(line.captured)}, refunded after review", "warn"
    elif not line.captured:
        words, tone = "Nothing charged", "no"
    return ToldLine(line=line, image=image, words=words, tone=tone, units=_units(line, unit))


def _units(line: Line, unit: str) -> str:
    """What the image took, where it is not priced by the image: "26.2 megapixel-steps, of 5 credits held"."""
    if line.micro_units is None or unit == "image":
        return ""
    took = f"Took {line.micro_units / MICRO:,.3g} {UNITS[unit]}"
    if line.overrun:
        return f"{took}, {in_words(line.overrun)} above what was held: not yours to pay"
    return f"{took}, held {in_words(line.amount)}" if line.released else took
