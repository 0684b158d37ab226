"""Reads a brief and checks everything about it that needs no database and no pixel, collecting all problems.
Knows the form that docs/brief.md documents; what the cells are is campaigns.cells' affair.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal, cast

from campaigns import brief_loras, products_csv
from campaigns.brief_loras import BriefLora
from campaigns.brief_products import CsvProducts, ProductSource
from campaigns.products_csv import ProductRow
from campaigns.slugs import reading
from campaigns.template import Template, TemplateError, is_name, parse_template
from campaigns.toml_tables import Document, Problem, Problems, Table, nearest, parse, spelled
from inference import catalog, trigger_words
from inference.loras import KnownLora
from inference.references import ANCHORS, Placement
from inference.requests import SEED_LIMIT

VERSION = 1
MAX_FILE_BYTES = 1_000_000
MAX_IMAGES = 2_000
MAX_IMAGES_PER_CELL = 8
MAX_PROMPT_LENGTH = 2_000
MAX_TEMPLATE_LENGTH = 4_000
MAX_VALUE_LENGTH = 500
MAX_AXIS_NAME_LENGTH = 40
MAX_CHANNEL_NAME_LENGTH = 60
MIN_SIDE_PX, MAX_SIDE_PX = 64, 8_192
MAX_BUDGET_CREDITS = 1_000_000_000
MILLICREDIT = Decimal("0.001")
MAX_SHOWN_PROBLEMS = 40

SeedPolicy = Literal["per_scene", "swept"]
SEED_POLICIES: tuple[SeedPolicy, ...] = ("per_scene", "swept")
PRODUCT_NAMES = ("sku", "title")
# Where a key belongs that was found under another header.
HOMES = (
    *((key, "[campaign]") for key in ("checkpoint", "images_per_cell", "seed", "seed_policy", "budget_credits")),
    *((key, "[products]") for key in ("csv", "only")),
    *((key, "[prompt]") for key in ("template", "negative")),
    *((key, "[[channels]]") for key in ("width", "height", "placement")),
    ("weight", "[[loras]]"),
    ("must_have", "[review]"),
    ("version", "the top of the file"),
)


class BriefError(ValueError):
    """The brief cannot be used. ``problems`` has one sentence each, with file, line, key and what to do."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        hidden = len(self.problems) - MAX_SHOWN_PROBLEMS
        more = (f"… and {hidden:,} more problems like these.",) if hidden > 0 else ()
        return "\n".join((*self.problems[:MAX_SHOWN_PROBLEMS], *more))


@dataclass(frozen=True)
class Channel:
    """Where the images go. ``placement`` "keep" takes the photo's own size; None paints from the text alone."""

    name: str
    width: int | None
    height: int | None
    placement: Literal["keep"] | Placement | None


@dataclass(frozen=True)
class Axis:
    """One thing that varies from cell to cell."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Brief:
    """A brief that can be planned. ``products`` is empty only when every channel paints from the text alone."""

    text: str
    name: str
    checkpoint: str
    images_per_cell: int
    seed: int
    seed_policy: SeedPolicy
    budget_credits: Decimal | None
    products: tuple[ProductRow, ...]
    template: Template
    negative: str
    axes: tuple[Axis, ...]
    channels: tuple[Channel, ...]
    must_have: tuple[str, ...]
    loras: tuple[BriefLora, ...] = ()

    @property
    def trigger_words(self) -> tuple[str, ...]:
        """The words that its LoRAs answer to; one of weight 0 does nothing and needs none."""
        return tuple(lora.trigger_words for lora in self.loras if lora.weight)


@dataclass(frozen=True)
class Reading:
    """What a text came to: a brief that can be planned if there are no problems, and what was understood if there are.

    ``brief`` is None when not even its form could be read.
    """

    brief: Brief | None
    problems: tuple[Problem, ...]


def load(path: Path, *, loras: Sequence[KnownLora] = ()) -> Brief:
    """Read and check a brief. Paths in it are relative to its folder, those in the CSV to the CSV's folder.

    :param loras: those that the workspace has.
    :raises BriefError: with every problem that was found; nothing was written.
    """
    try:
        text = products_csv.read_text(path, most_bytes=MAX_FILE_BYTES)
    except products_csv.UnreadableError as error:
        raise BriefError([f"{path}:1: {error}"]) from None
    return checked(read(text, file=path.name, source=CsvProducts(path.parent), loras=loras))


def checked(reading: Reading) -> Brief:
    """The brief, if nothing is wrong with it.

    :raises BriefError: with every problem that was found.
    """
    if reading.problems or reading.brief is None:
        raise BriefError(str(problem) for problem in reading.problems)
    return reading.brief


def read(text: str, *, file: str, source: ProductSource, loras: Sequence[KnownLora] = ()) -> Reading:
    """Read a brief and everything that is wrong with it, so that it can be shown while it is being written.

    :param file: the brief's name in problems.
    :param loras: those that the workspace has.
    """
    problems = Problems()
    document = parse(text, file=file, problems=problems)
    brief = _read(document, text, source, loras) if document and _has_known_version(document) else None
    return Reading(brief, problems.ordered(first=file))


def _has_known_version(document: Document) -> bool:
    """Whether this release reads the brief; of a later version it would misunderstand every other key."""
    before = len(document.problems.found)
    version = document.table().whole("version", 1, 2**31, example=f"version = {VERSION}")
    if len(document.problems.found) == before and version != VERSION:
        document.add(("version",), f"is {version}, and this release reads version {VERSION}. Update it, or write 1.")
    return len(document.problems.found) == before


def _read(document: Document, text: str, source: ProductSource, known: Sequence[KnownLora]) -> Brief:
    top = document.table()
    top.peek("version")
    campaign = top.child("campaign", is_required=True) or document.empty_table("campaign")
    prompt = top.child("prompt", is_required=True) or document.empty_table("prompt")
    channels = _channels(top)
    brief = Brief(
        text=text,
        name=campaign.text("name", most=120, example='name = "Spring shelf"'),
        checkpoint=campaign.text("checkpoint", most=60, example='checkpoint = "starter"'),
        images_per_cell=campaign.whole("images_per_cell", 1, MAX_IMAGES_PER_CELL, default=1),
        seed=campaign.whole("seed", 0, SEED_LIMIT - 1, default=0),
        seed_policy=cast(SeedPolicy, campaign.choice("seed_policy", SEED_POLICIES, default="per_scene")),
        budget_credits=_budget(campaign),
        products=_products(top, source, is_photo_needed=any(channel.placement is not None for channel in channels)),
        template=_template(prompt),
        negative=prompt.text("negative", most=MAX_PROMPT_LENGTH, default=""),
        axes=_axes(top),
        channels=channels,
        must_have=_must_have(top),
        loras=brief_loras.read(top, known),
    )
    for table in (campaign, prompt, top):
        table.close(elsewhere=HOMES)
    for check in (_check_placements, _check_names, _check_prompts, _check_amount, _check_checkpoint):
        check(brief, document)
    if entry := catalog.load().get(brief.checkpoint):
        brief_loras.check(brief.loras, entry, document, known)
    return brief


def _budget(campaign: Table) -> Decimal | None:
    budget = campaign.number("budget_credits", is_required=False)
    if budget is None:
        return None
    if not MILLICREDIT <= budget <= MAX_BUDGET_CREDITS:
        campaign.add("budget_credits", f"is {budget}. Write more than 0 credits, or leave it out for no budget.")
    elif budget % MILLICREDIT:
        campaign.add("budget_credits", f"is {budget}. Credits have at most three decimals.")
    return budget


def _products(top: Table, source: ProductSource, *, is_photo_needed: bool) -> tuple[ProductRow, ...]:
    products = top.child("products")
    if products is None:
        return ()
    file = products.text("csv", most=1_000, example='csv = "products.csv"')
    only = products.texts("only", most=products_csv.MAX_SKU_LENGTH, identity=str)
    products.close(elsewhere=HOMES)
    if not file:
        return ()
    row_problems = Problems()
    try:
        rows = source.rows(file, problems=row_problems)
    except products_csv.UnreadableError as error:
        products.add("csv", f"{file}: {error}")
        return ()
    if products.has("only"):
        # A row that could not be read may be the one that `only` names.
        if not row_problems.found:
            _check_only(products, only, [row.sku for row in rows], place=source.place)
        by_sku = {row.sku: row for row in rows}
        rows = tuple(by_sku[sku] for sku in only if sku in by_sku)
    source.check(rows, products, is_photo_needed=is_photo_needed, problems=row_problems)
    top.document.problems.found.extend(row_problems.found)
    return rows


def _check_only(products: Table, only: Sequence[str], skus: Sequence[str], *, place: str) -> None:
    if not only:
        products.add("only", "is empty. Choose at least one product.", is_gap=True)
    known = set(skus)
    for index, sku in enumerate(only):
        if sku not in known:
            products.add("only", f'there is no product "{sku}" {place}.{nearest(sku, skus)}', index=index)


def _template(prompt: Table) -> Template:
    text = prompt.text("template", most=MAX_TEMPLATE_LENGTH, example='template = "on {surface}"', is_one_line=False)
    try:
        return parse_template(text)
    except TemplateError as error:
        prompt.add("template", str(error))
        return Template(())


def _axes(top: Table) -> tuple[Axis, ...]:
    table = top.child("axes")
    if table is None:
        return ()
    folded: dict[str, str] = {}
    for name in table.values:
        if not is_name(name) or len(name) > MAX_AXIS_NAME_LENGTH:
            table.add(name, "cannot name an axis. Write a word of at most 40 letters, digits and underscores.")
        elif name in PRODUCT_NAMES:
            table.add(name, f"is what {{{name}}} stands for with a product. Give the axis another name.")
        elif (other := folded.setdefault(name.casefold(), name)) != name:
            table.add(name, f'reads like the axis "{other}". Give one of them another name.')
    return tuple(Axis(name, _axis_values(table, name)) for name in table.values)


def _axis_values(table: Table, name: str) -> tuple[str, ...]:
    if table.values[name] == []:
        table.add(
            name,
            "has no values, so there would be no cells. Write at least one value, or remove the axis.",
            is_gap=True,
        )
    return table.texts(name, most=MAX_VALUE_LENGTH, identity=reading)


def _channels(top: Table) -> tuple[Channel, ...]:
    tables = top.children("channels")
    channels = tuple(_channel(table) for table in tables)
    first: dict[str, str] = {}
    for table, channel in zip(tables, channels, strict=True):
        here = spelled(table.path)
        if channel.name and (other := first.setdefault(reading(channel.name), here)) != here:
            table.add("name", f'"{channel.name}" is the name of {other} already. Give each channel its own name.')
    return channels


def _channel(table: Table) -> Channel:
    name = table.text("name", most=MAX_CHANNEL_NAME_LENGTH, example='name = "story"')
    placement = _placement(table)
    if placement == "keep":
        for side in ("width", "height"):
            if table.peek(side) is not None:
                table.add(side, 'does not go with placement = "keep", which takes the photo\'s own size. Remove it.')
        width = height = None
    else:
        width = table.whole("width", MIN_SIDE_PX, MAX_SIDE_PX, example="width = 1080, in pixels")
        height = table.whole("height", MIN_SIDE_PX, MAX_SIDE_PX, example="height = 1920, in pixels")
    table.close(elsewhere=HOMES)
    return Channel(name, width, height, placement)


def _placement(table: Table) -> Literal["keep"] | Placement | None:
    written = table.peek("placement")
    if written is None:
        return None
    if written == "keep":
        return "keep"
    # Stands for a placement that was meant, so that one mistake is not reported as two.
    stand_in = Placement(scale=0.7, anchor="center")
    inner = table.child("placement", expected='"keep" or { scale = 0.7, anchor = "bottom" }')
    if inner is None:
        return stand_in
    scale = inner.number("scale", example="scale = 0.7")
    anchor = inner.choice("anchor", ANCHORS)
    inner.close(elsewhere=HOMES)
    if scale is not None and not 0 < scale <= 1:
        inner.add("scale", f"is {scale}. Write the product's share of the canvas, above 0 and up to 1.")
        return stand_in
    return stand_in if scale is None else Placement(scale=float(scale), anchor=anchor)


def _must_have(top: Table) -> tuple[str, ...]:
    review = top.child("review")
    if review is None:
        return ()
    must_have = review.texts("must_have", most=MAX_VALUE_LENGTH, identity=str.casefold)
    review.close(elsewhere=HOMES)
    return must_have


def _check_placements(brief: Brief, document: Document) -> None:
    if all(channel.placement is None for channel in brief.channels):
        return
    for index, channel in enumerate(brief.channels):
        if channel.placement is None:
            document.add(
                ("channels", index),
                "has no placement, and other channels have one."
                ' Place the product here, too (in a file: placement = "keep" or { scale = 0.7, anchor = "bottom" }),'
                " or move the channels that are painted from the text alone to a brief of their own.",
            )
    if "products" not in document.values:
        sentence = 'is missing, and the channels place products. Add [products] with csv = "…".'
        document.add(("products",), sentence, is_gap=True)


def _check_names(brief: Brief, document: Document) -> None:
    """Every name in the template is known, and everything that varies shows in it."""
    if not brief.template.parts:
        return
    where = ("prompt", "template")
    axes = [axis.name for axis in brief.axes]
    is_placed = any(channel.placement is not None for channel in brief.channels)
    known = axes if is_placed or not brief.products else [*axes, *PRODUCT_NAMES]
    for name in brief.template.names:
        if name in known:
            continue
        if name in PRODUCT_NAMES and is_placed:
            document.add(
                where,
                f"names {{{name}}}, but the product itself is pasted in, and naming it paints a second one. Remove it.",
            )
        else:
            listed = ", ".join(known) or "none"
            document.add(
                where, f"{{{name}}} is not an axis.{nearest(name, known)} Add it to the axes, which are: {listed}."
            )
    for name in axes:
        if name not in brief.template.names:
            document.add(
                ("axes", name),
                f"is not in the prompt's template, so its cells would all ask for the same picture."
                f" Write {{{name}}} in the template, or remove the axis.",
            )
    is_same = not is_placed and len(brief.products) > 1 and brief.seed_policy == "per_scene"
    if is_same and not set(PRODUCT_NAMES) & set(brief.template.names):
        document.add(
            where,
            "names neither {title} nor {sku}, so every product would get the same picture."
            " Write one of them, or give the channels a placement.",
        )


def _check_prompts(brief: Brief, document: Document) -> None:
    """The longest prompt that the template can become is not empty and not too long."""
    names = brief.template.names
    values = dict.fromkeys(names, "") | {axis.name: max(axis.values, key=len, default="") for axis in brief.axes}
    products = [{"sku": row.sku, "title": row.title} for row in brief.products] or [{}]
    filled = max((brief.template.filled(values | product) for product in products), key=len)
    longest = trigger_words.join(filled, brief.trigger_words)
    if len(longest) > MAX_PROMPT_LENGTH:
        document.add(
            ("prompt", "template"),
            f"has {len(longest):,} characters with its longest values{_and_words(brief)}."
            f" Shorten it to {MAX_PROMPT_LENGTH:,}.",
        )
    negative = max(len(brief.negative) + 2 + len(row.title) for row in brief.products) if brief.products else 0
    if negative > MAX_PROMPT_LENGTH:
        document.add(
            ("prompt", "negative"),
            f"has {negative:,} characters with the longest product title. Shorten it to {MAX_PROMPT_LENGTH:,}.",
        )


def _and_words(brief: Brief) -> str:
    return " and the words of its LoRAs" if any(brief.trigger_words) else ""


def _check_amount(brief: Brief, document: Document) -> None:
    combinations = math.prod(len(axis.values) for axis in brief.axes)
    products = max(len(brief.products), 1)
    images = products * len(brief.channels) * combinations * brief.images_per_cell
    if images > MAX_IMAGES:
        document.add(
            ("axes",),
            f"{products:,} products × {len(brief.channels):,} channels × {combinations:,} combinations"
            f" × {brief.images_per_cell} images per cell make {images:,} images; one launch takes {MAX_IMAGES:,}."
            " Split the brief: fewer products, or fewer values in each half.",
        )


def _check_checkpoint(brief: Brief, document: Document) -> None:
    """The catalogue has the checkpoint, and it can do what the channels ask for."""
    if not brief.checkpoint:
        return
    where = ("campaign", "checkpoint")
    entries = catalog.load()
    entry = entries.get(brief.checkpoint)
    if entry is None:
        hint = nearest(brief.checkpoint, entries)
        document.add(where, f'there is no checkpoint "{brief.checkpoint}".{hint} Choose one of: {", ".join(entries)}.')
        return
    is_placed = any(channel.placement is not None for channel in brief.channels)
    needed, cannot = ("inpaint", "paint around a product") if is_placed else ("text2img", "paint from the text alone")
    if brief.channels and needed not in entry.capabilities:
        able = ", ".join(each.slug for each in entries.values() if needed in each.capabilities)
        document.add(where, f"{entry.name} cannot {cannot}. Choose one of: {able}.")
    if brief.negative and "negative_prompt" not in entry.capabilities:
        document.add(("prompt", "negative"), f"{entry.name} takes no negative prompt. Leave it out.")
    for index, channel in enumerate(brief.channels):
        for key, side in (("width", channel.width), ("height", channel.height)):
            if side is not None and side not in entry.limits.side_px:
                document.add(("channels", index, key), f"is {side}; {entry.name} takes {entry.limits.side_px} pixels.")
