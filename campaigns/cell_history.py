"""One image of a cell through all its versions: what was asked, what came of it, what it cost. Reads only."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from campaigns import recipes
from campaigns.models import Cell, CellRender
from campaigns.sheet_states import state_of
from gallery.models import Decision
from inference import progress
from inference.progress import RenderProgress


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version; 1 is the oldest. Amounts in millicredits; ``asset_id`` is None without an image.

    ``decision`` is the one that stands, None while nobody has decided. ``changed`` is known of the newest one alone:
    what it would be made from today is different, and in what.
    """

    number: int
    render_id: int
    state: str
    asset_id: int | None
    seed: int
    tries: int
    charged: int
    refunded: int
    reason: str
    thrown_away: tuple[str, ...]
    request: dict[str, Any]
    recipe: dict[str, Any]
    certificate: dict[str, Any] | None
    sha256: str
    width: int
    height: int
    finished_at: datetime | None
    decision: Decision | None
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Neighbor:
    """An image beside this one in its channel."""

    cell_id: int
    image: int


@dataclass(frozen=True, kw_only=True)
class History:
    """An image's versions, the one looked at, and where one goes from here."""

    versions: tuple[Version, ...]
    shown: Version | None
    progress: RenderProgress | None
    previous: Neighbor | None
    next: Neighbor | None
    is_set_aside: bool = False

    @property
    def newest(self) -> Version | None:
        return self.versions[-1] if self.versions else None

    @property
    def can_run_again(self) -> bool:
        """Whether one more version may be asked for."""
        is_open = self.newest is None or self.newest.state not in ("waiting", "running", "approved")
        return is_open and not self.is_set_aside

    @property
    def can_be_edited(self) -> bool:
        """Whether a person may write over its brief: an approved image is frozen."""
        return not self.is_set_aside and (self.newest is None or self.newest.state != "approved")


def history(cell: Cell, *, image: int, version: int | None = None) -> History:
    """An image's history, seen from one of its versions, by number; from the newest without.

    :param cell: its campaign at hand, and its photo with its upload.
    """
    rows = CellRender.objects.filter(cell=cell, image=image).order_by("pk")
    related = ("render__asset__review__standing__made_by", "render__hold_line", "cell")
    found = list(rows.select_related(*related))
    versions = [_version(number, row) for number, row in enumerate(found, start=1)]
    if found and found[-1].made_from != _made_from_today(cell, image):
        versions[-1] = _outdated(versions[-1], cell)
    shown = next((each for each in versions if each.number == version), versions[-1] if versions else None)
    running = progress.of_renders([shown.render_id]) if shown and shown.state in ("waiting", "running") else {}
    return History(
        versions=tuple(versions),
        shown=shown,
        progress=running.get(shown.render_id) if shown else None,
        previous=_neighbor(cell, image, step=-1),
        next=_neighbor(cell, image, step=1),
        is_set_aside=cell.is_set_aside or image > cell.campaign.images_per_cell,
    )


def _made_from_today(cell: Cell, image: int) -> str:
    return str(cell.recipe_hashes[image - 1]) if image <= len(cell.recipe_hashes) else ""


def _outdated(version: Version, cell: Cell) -> Version:
    """The newest version where it would be made from something else today; an approved one stays what it is."""
    is_stale = version.asset_id is not None and version.state != "approved"
    changed = recipes.differences(version.request, cell, cell.campaign) or ("seed",)
    return replace(version, state="stale" if is_stale else version.state, changed=changed)


def _version(number: int, row: CellRender) -> Version:
    render, asset = row.render, row.render.asset
    review = getattr(asset, "review", None)
    return Version(
        number=number,
        render_id=render.pk,
        state=state_of(render.status, review.status if review else None),
        asset_id=asset.pk if asset else None,
        seed=render.seed,
        tries=len(render.tries) + 1,
        charged=render.hold_line.captured,
        refunded=render.hold_line.refunded,
        reason=render.failure_reason,
        thrown_away=tuple(str(each.get("reason", "")) for each in render.tries),
        request=(asset.recipe.get("request") if asset else None) or render.request,
        recipe=asset.recipe if asset else {},
        certificate=asset.certificate if asset else None,
        sha256=asset.sha256 if asset else "",
        width=asset.width if asset else row.cell.width,
        height=asset.height if asset else row.cell.height,
        finished_at=render.finished_at,
        decision=review.standing if review else None,
    )


def _neighbor(cell: Cell, image: int, *, step: int) -> Neighbor | None:
    """The image before or behind this one, in the order of the brief, within the channel."""
    if 1 <= image + step <= cell.campaign.images_per_cell:
        return Neighbor(cell_id=cell.pk, image=image + step)
    beside = _beside(cell, step=step).values_list("pk", flat=True).first()
    if beside is None:
        return None
    return Neighbor(cell_id=beside, image=1 if step > 0 else cell.campaign.images_per_cell)


def _beside(cell: Cell, *, step: int) -> QuerySet[Cell]:
    siblings = Cell.objects.filter(campaign=cell.campaign_id, channel=cell.channel, is_set_aside=False)
    if step > 0:
        return siblings.filter(position__gt=cell.position).order_by("position")
    return siblings.filter(position__lt=cell.position).order_by("-position")
