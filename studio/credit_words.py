"""The statement in words: what each entry was for, why an estimate and a charge differ. Knows no request."""

from collections.abc import Sequence
from dataclasses import dataclass

from billing.statements import Line, LinePage, Row, Settlement
from campaigns import charges
from campaigns.charges import ChargedImage, Origin
from studio.templatetags.credits import counted, in_credits, in_words

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


def rows(page: Sequence[Row]) -> list[ToldRow]:
    """Entries with their words, in two queries."""
    origins = charges.origins_of({row.hold_id for row in page if row.hold_id})
    images = charges.images_of([row.line_id for row in page if row.line_id])
    return [_row(row, origins.get(row.hold_id or 0), images.get(row.line_id or 0)) for row in page]


def lines(page: LinePage) -> list[ToldLine]:
    """A hold's lines with their words, in one query."""
    images = charges.images_of([line.id for line in page.lines])
    return [_line(line, images.get(line.id)) for line in page.lines]


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
    if not settled.released:
        return f"Charged as estimated: {in_words(settled.captured)}.{refund}"
    why = _why_less(origin)
    return f"Estimated {in_words(settled.amount)}, charged {in_credits(settled.captured)}{why}.{refund}"


def _why_less(origin: Origin | None) -> str:
    if origin is None:
        return ""
    ends = ((origin.failed, "failed"), (origin.canceled, "canceled"), (origin.expired, "too late for the deadline"))
    parts = [f"{number:,} {word}" for number, word in ends if number]
    if not parts:
        return ""
    return f": {', '.join(parts)}, at no cost"


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


def _line(line: Line, image: ChargedImage | None) -> ToldLine:
    words, tone = f"Charged {in_credits(line.captured)}", "ok"
    if line.resolved_at is None:
        words, tone = f"Held {in_credits(line.amount)}", "wait"
    elif line.refunded:
        words, tone = f"Charged {in_credits(line.captured)}, refunded after review", "warn"
    elif not line.captured:
        words, tone = "Nothing charged", "no"
    return ToldLine(line=line, image=image, words=words, tone=tone)
