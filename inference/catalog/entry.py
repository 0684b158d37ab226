"""One catalogue entry: its fields, and the strict reading of its TOML file.
Knows nothing about other entries, weights on disk or torch.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Self, cast, get_args

Level = Literal["easy", "advanced"]
EngineKind = Literal["diffusers", "provider"]
Family = Literal["sd", "sdxl", "flux"]
Dialect = Literal["natural", "tags", "pony", "score"]
Tier = Literal["standard", "premium"]
PriceUnit = Literal["image", "megapixel-step", "provider-unit"]

# The interface's names of the noise schedulers; inference.engine.schedulers builds each of them.
SCHEDULERS = ("Euler a", "Euler", "DPM++ 2M", "DPM++ 2M Karras", "DPM++ 2M SDE Karras", "DDIM", "UniPC", "LCM")
# The schedule that LCM's students were distilled on (Luo et al. 2023); there are no steps between its own.
LCM_STEPS = 50
CAPABILITIES = frozenset(
    (
        *("text2img", "img2img", "inpaint", "outpaint", "upscale", "control", "ip_adapter", "lora"),
        *("negative_prompt", "seed", "guidance", "schedulers", "clip_skip", "native_styles"),
    )
)
# The maps of a picture that a ControlNet can be asked to follow; inference.annotators draws each of them.
CONTROLS = ("canny", "lineart", "depth", "pose")
SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
# Sides must be whole for the VAE (8 px a latent cell) and, for FLUX, for its 2 × 2 cells packed as one.
SIZE_STEP_PX: Mapping[Family, int] = {"sd": 8, "sdxl": 8, "flux": 16}
# Quantities are whole millionths of a unit, so that a pixel painted in one step is one of them.
MICRO = 1_000_000


class CatalogError(ValueError):
    """A catalogue file is wrong; the sentence names the file, the field and what it should be."""


@dataclass(frozen=True)
class Source:
    """Where the weights come from: a repository at a pinned revision, or a folder that ships with the product."""

    repo: str | None
    revision: str | None
    folder: str | None


@dataclass(frozen=True)
class Addon:
    """A ControlNet or an IP-Adapter: its folder in the data folder's `adapters/`, and the repository it is from."""

    folder: str
    repo: str


@dataclass(frozen=True)
class Range:
    """An inclusive range of numbers."""

    minimum: float
    maximum: float

    def __contains__(self, value: float) -> bool:
        return self.minimum <= value <= self.maximum

    def __str__(self) -> str:
        return f"{self.minimum:g} to {self.maximum:g}"


@dataclass(frozen=True)
class Defaults:
    """What a request gets where it says nothing."""

    num_inference_steps: int
    guidance_scale: float
    strength: float
    scheduler: str


@dataclass(frozen=True)
class Limits:
    """What a request may ask for; sides in delivered pixels, prompt in characters."""

    num_inference_steps: Range
    guidance_scale: Range
    side_px: Range
    prompt_characters: int


@dataclass(frozen=True)
class Price:
    """Credits for one unit, under a version that never changes. The last two only where a provider counts its own."""

    version: int
    unit: PriceUnit
    credits: Decimal
    likely_units: Decimal | None = None
    maximum_units: Decimal | None = None

    @property
    def millicredits(self) -> int:
        """Of one unit, as the ledger counts: in thousandths of a credit."""
        return int(self.credits * 1000)

    def micro_units(self, *, pixel_steps: int, images: int = 1, provider_units: Decimal | None = None) -> int:
        """How many millionths of the unit an image takes.

        :param pixel_steps: pixels of the model's own size times the steps run.
        :param images: how many were painted for it: of one that is painted in tiles, each of them.
        :param provider_units: what a provider billed; the likely number where it did not tell.
        """
        if self.unit == "image":
            return images * MICRO
        if self.unit == "megapixel-step":
            return pixel_steps
        units = self.likely_units if provider_units is None else provider_units
        return int((units or 0) * MICRO)

    def cost(self, micro_units: int) -> int:
        """What so many millionths of a unit cost, in thousandths of a credit, half of one rounded up."""
        return (2 * micro_units * self.millicredits + MICRO) // (2 * MICRO)


@dataclass(frozen=True, eq=False)
class CatalogEntry:
    """One model of the catalogue; README.md beside this file explains every field."""

    slug: str
    name: str
    maker: str
    level: Level
    engine: EngineKind
    family: Family
    source: Source
    license: str
    commercial_use: bool
    description: str
    specialties: tuple[str, ...]
    speed: int
    quality: int
    seconds_per_image: float
    dialect: Dialect
    capabilities: frozenset[str]
    sizes: tuple[tuple[int, int], ...]
    batch_sizes: Mapping[str, int]
    defaults: Defaults
    limits: Limits
    tier: Tier
    prices: tuple[Price, ...]
    controls: Mapping[str, Addon]
    look: Addon | None
    config_folder: str | None
    available_from: date | None
    retired_on: date | None
    replaced_by: str | None

    @property
    def price(self) -> Price:
        """What is asked today."""
        return self.prices[-1]

    @property
    def usual_millicredits(self) -> int:
        """What an image costs at the entry's own size and steps, in thousandths of a credit."""
        width, height = self.sizes[0]
        return self.price.cost(self.price.micro_units(pixel_steps=width * height * self.defaults.num_inference_steps))

    def price_of(self, version: int) -> Price:
        """The price of a version, so that what was asked for then is settled as it was agreed.

        Today's, where that version was taken out of the file: no line is ever charged more than it holds.
        """
        return next((price for price in self.prices if price.version == version), self.price)

    def batch_size(self, device_class: str) -> int:
        """The one padded batch size of a device class ("cpu", "cuda-sm90"): its own, else that of its kind ("cuda").

        Raises CatalogError for a device class that the entry does not know.
        """
        for name in (device_class, device_class.partition("-")[0]):
            if name in self.batch_sizes:
                return self.batch_sizes[name]
        raise CatalogError(f"{self.slug}.toml: batch_sizes: add a size for the device class {device_class}.")


def read_entry(path: Path) -> CatalogEntry:
    """One entry from its TOML file. Raises CatalogError naming the file and the field."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CatalogError(f"{path.name}: is not valid TOML ({error}); correct it there.") from error
    reader = _Table(table, where=path.name)
    entry = _read(reader)
    reader.refuse_rest()
    if entry.slug != path.stem:
        raise CatalogError(f'{path.name}: slug: is "{entry.slug}"; it must be the file name, "{path.stem}".')
    return entry


def _read(table: _Table) -> CatalogEntry:
    family = cast(Family, table.choice("family", get_args(Family)))
    return CatalogEntry(
        slug=table.text("slug", pattern=SLUG),
        name=table.text("name"),
        maker=table.text("maker"),
        level=cast(Level, table.choice("level", get_args(Level))),
        engine=cast(EngineKind, table.choice("engine", get_args(EngineKind))),
        family=family,
        source=_read_source(table.table("source")),
        license=table.text("license"),
        commercial_use=table.flag("commercial_use"),
        description=table.text("description"),
        specialties=table.texts("specialties"),
        speed=table.integer("speed", 1, 5),
        quality=table.integer("quality", 1, 5),
        seconds_per_image=table.number("seconds_per_image", 0.01, 3600),
        dialect=cast(Dialect, table.choice("dialect", get_args(Dialect))),
        capabilities=frozenset(table.texts("capabilities", allowed=CAPABILITIES)),
        sizes=_read_sizes(table, step_px=SIZE_STEP_PX[family]),
        batch_sizes=_read_batch_sizes(table.table("batch_sizes")),
        defaults=_read_defaults(table.table("defaults")),
        limits=_read_limits(table.table("limits")),
        tier=cast(Tier, table.choice("tier", get_args(Tier))),
        prices=tuple(_read_price(each, version) for version, each in enumerate(table.tables("prices"), start=1)),
        controls=_read_controls(table),
        look=_read_addon(table.table("look")) if "look" in table.fields() else None,
        config_folder=table.optional_text("config_folder"),
        available_from=table.optional_date("available_from"),
        retired_on=table.optional_date("retired_on"),
        replaced_by=table.optional_text("replaced_by"),
    )


def _read_source(table: _Table) -> Source:
    source = Source(
        repo=table.optional_text("repo"),
        revision=table.optional_text("revision"),
        folder=table.optional_text("folder"),
    )
    table.refuse_rest()
    if (source.repo is None) == (source.folder is None):
        raise table.error("repo", "give either repo (with revision) or folder")
    if (source.repo is None) != (source.revision is None):
        raise table.error("revision", "give a revision with repo, so that everybody gets the same weights")
    return source


def _read_sizes(table: _Table, *, step_px: int) -> tuple[tuple[int, int], ...]:
    sizes: list[tuple[int, int]] = []
    for pair in table.pairs("sizes"):
        whole = isinstance(pair, list) and len(pair) == 2 and all(type(side) is int for side in pair)
        if not whole or any(side < 64 or side % step_px for side in pair):
            raise table.error("sizes", f"{pair!r} must be [width, height] in pixels, multiples of {step_px}")
        sizes.append((pair[0], pair[1]))
    return tuple(sizes)


def _read_batch_sizes(table: _Table) -> Mapping[str, int]:
    sizes = {device: table.integer(device, 1, 256) for device in table.fields()}
    if "cpu" not in sizes:
        raise table.error("cpu", "is missing; the smallest machine has no other device")
    return MappingProxyType(sizes)


def _read_defaults(table: _Table) -> Defaults:
    defaults = Defaults(
        num_inference_steps=table.integer("num_inference_steps", 1, 1000),
        guidance_scale=table.number("guidance_scale", 0, 100),
        strength=table.number("strength", 0.01, 1),
        scheduler=table.choice("scheduler", SCHEDULERS),
    )
    table.refuse_rest()
    return defaults


def _read_limits(table: _Table) -> Limits:
    limits = Limits(
        num_inference_steps=table.range("num_inference_steps"),
        guidance_scale=table.range("guidance_scale"),
        side_px=table.range("side_px"),
        prompt_characters=table.integer("prompt_characters", 1, 100_000),
    )
    table.refuse_rest()
    return limits


def _read_controls(table: _Table) -> Mapping[str, Addon]:
    if "controls" not in table.fields():
        return MappingProxyType({})
    controls = table.table("controls")
    if unknown := [kind for kind in controls.fields() if kind not in CONTROLS]:
        raise controls.error(unknown[0], f"is no control; choose from: {', '.join(CONTROLS)}")
    return MappingProxyType({kind: _read_addon(controls.table(kind)) for kind in controls.fields()})


def _read_addon(table: _Table) -> Addon:
    addon = Addon(folder=table.text("folder", pattern=SLUG), repo=table.text("repo"))
    table.refuse_rest()
    return addon


def _read_price(table: _Table, version: int) -> Price:
    if table.integer("version", 1, 100_000) != version:
        raise table.error("version", f"must be {version}: prices are counted from 1, the newest last")
    unit = cast(PriceUnit, table.choice("unit", get_args(PriceUnit)))
    price = Price(version=version, unit=unit, credits=table.credits("credits"))
    if unit == "provider-unit":
        likely, maximum = table.credits("likely_units"), table.credits("maximum_units")
        if maximum < likely:
            raise table.error("maximum_units", f"is {maximum}; it must be at least the {likely} that are likely")
        price = replace(price, likely_units=likely, maximum_units=maximum)
    table.refuse_rest()
    return price


class _Table:
    """One TOML table read field by field, each exactly once: what is wrong or left over is named."""

    def __init__(self, values: Mapping[str, Any], *, where: str) -> None:
        self._values = dict(values)
        self._where = where

    def error(self, field: str, sentence: str) -> CatalogError:
        return CatalogError(f"{self._where}: {field}: {sentence}.")

    def fields(self) -> tuple[str, ...]:
        return tuple(self._values)

    def refuse_rest(self) -> None:
        for field in self._values:
            raise self.error(field, "is not a field of the catalogue; remove it or correct its name")

    def table(self, field: str) -> Self:
        value = self._take(field, dict, "must be a table")
        return type(self)(value, where=f"{self._where}: [{field}]")

    def tables(self, field: str) -> list[Self]:
        values = self._take(field, list, f"must be a list of tables, each under [[{field}]]")
        if not values or not all(isinstance(value, dict) for value in values):
            raise self.error(field, f"must be a list of tables, each under [[{field}]]")
        return [
            type(self)(value, where=f"{self._where}: [[{field}]] {number}")
            for number, value in enumerate(values, start=1)
        ]

    def text(self, field: str, *, pattern: re.Pattern[str] | None = None) -> str:
        value = cast(str, self._take(field, str, "must be a text"))
        if not value.strip():
            raise self.error(field, "must not be empty")
        if pattern is not None and not pattern.fullmatch(value):
            raise self.error(field, f'"{value}" must be lower-case words joined by hyphens')
        return value

    def optional_text(self, field: str) -> str | None:
        return self.text(field) if field in self._values else None

    def optional_date(self, field: str) -> date | None:
        if field not in self._values:
            return None
        return cast(date, self._take(field, date, "must be a date like 2026-11-01, without quotes"))

    def choice(self, field: str, choices: tuple[str, ...]) -> str:
        value = self.text(field)
        if value not in choices:
            raise self.error(field, f'"{value}" is unknown; choose one of: {", ".join(choices)}')
        return value

    def flag(self, field: str) -> bool:
        return cast(bool, self._take(field, bool, "must be true or false"))

    def integer(self, field: str, minimum: int, maximum: int) -> int:
        value = cast(int, self._take(field, int, "must be a whole number"))
        if not minimum <= value <= maximum:
            raise self.error(field, f"is {value}; it must be {minimum} to {maximum}")
        return value

    def number(self, field: str, minimum: float, maximum: float) -> float:
        value = float(self._take(field, (int, float), "must be a number"))
        if not minimum <= value <= maximum:
            raise self.error(field, f"is {value:g}; it must be {minimum:g} to {maximum:g}")
        return value

    def credits(self, field: str) -> Decimal:
        """Credits, exact to a thousandth, because the ledger counts in thousandths."""
        amount = Decimal(str(self._take(field, (int, float), "must be a number of credits")))
        if not amount.is_finite() or amount < 0 or amount != round(amount, 3):
            raise self.error(field, f"is {amount}; it must be 0 or more, with at most three decimals")
        return amount

    def range(self, field: str) -> Range:
        pair = self._take(field, list, "must be [minimum, maximum]")
        numbers = [float(each) for each in pair if type(each) in (int, float) and math.isfinite(each)]
        if len(pair) != 2 or len(numbers) != 2 or numbers[0] > numbers[1]:
            raise self.error(field, f"is {pair!r}; it must be [minimum, maximum]")
        return Range(*numbers)

    def texts(self, field: str, *, allowed: frozenset[str] | None = None) -> tuple[str, ...]:
        values = self._take(field, list, "must be a list of texts")
        for value in values:
            if not isinstance(value, str) or not value.strip():
                raise self.error(field, f"{value!r} must be a text")
            if allowed is not None and value not in allowed:
                raise self.error(field, f'"{value}" is unknown; choose from: {", ".join(sorted(allowed))}')
        return tuple(values)

    def pairs(self, field: str) -> list[Any]:
        pairs = cast(list[Any], self._take(field, list, "must be a list of pairs"))
        if not pairs:
            raise self.error(field, "must not be empty")
        return pairs

    def _take(self, field: str, kinds: type | tuple[type, ...], sentence: str) -> Any:
        if field not in self._values:
            raise self.error(field, f"is missing; it {sentence}")
        value = self._values.pop(field)
        # bool is an int to Python; a flag is never a number to us.
        if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
            raise self.error(field, f"is {value!r}; it {sentence}")
        return value
