"""The order in which images are proofed: a campaign's as its sheet has them, and what of it is decided or taken.
Knows cells and reviews; who is asking is an id, and pages it does not know.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.db.models import Count, Exists, F, Min, OuterRef, Q, QuerySet

from campaigns.models import Campaign, CellRender
from campaigns.places import ordered, scene
from campaigns.staleness import is_stale
from gallery.models import Review, ReviewStatus

Likeness = Literal["product", "scene"]
# Images that no campaign asked for come in no sheet; more of them than this at once nobody proofs in a row.
LOOSE_LIMIT = 500


@dataclass(frozen=True, kw_only=True)
class Proof:
    """One image in line. ``product`` and ``scene`` tell which others are its siblings; sizes in pixels."""

    asset_id: int
    status: str
    claimed_by_id: int | None
    claimed_until: datetime | None
    created_by_id: int | None
    product: str
    scene: str
    channel: str
    width: int
    height: int

    @property
    def is_pending(self) -> bool:
        """Whether nobody has decided yet."""
        return self.status == ReviewStatus.PENDING

    def is_free(self, *, by_id: int, now: datetime) -> bool:
        """Whether this person may take it: nobody else is looking at it."""
        return self.claimed_by_id in (None, by_id) or self.claimed_until is None or self.claimed_until <= now


@dataclass(frozen=True, kw_only=True)
class Line:
    """The images in line as seen from one of them; ids of the neighbors, None at the ends."""

    number: int
    total: int
    decided: int
    previous: int | None
    next: int | None
    next_pending: int | None
    siblings: tuple[Proof, ...]


@dataclass(frozen=True, kw_only=True)
class Queue:
    """A campaign with how many of its newest images wait for a decision; no campaign: those of the Studio page."""

    campaign_id: int | None
    name: str
    pending: int
    taken: int
    first: int  # its oldest image's id: the longer it waits, the sooner it is offered


def sheet(*, workspace_id: int, campaign_id: int, sku: str = "") -> list[Proof]:
    """A campaign's finished images, the newest version of each, in the sheet's order."""
    axes = Campaign.objects.filter(workspace_id=workspace_id, pk=campaign_id).values_list("axes", flat=True).first()
    rows = _finished().filter(cell__campaign_id=campaign_id, cell__campaign__workspace_id=workspace_id)
    if sku:
        rows = rows.filter(cell__product__sku=sku)
    found = rows.order_by("cell__position", "image").values_list(
        "render__asset_id",
        "render__asset__review__status",
        "render__asset__review__claimed_by_id",
        "render__asset__review__claimed_until",
        "render__asset__created_by_id",
        "cell__product__sku",
        "cell__axes",
        "cell__channel",
        "cell__width",
        "cell__height",
    )
    return [
        Proof(
            asset_id=asset_id,
            status=status or ReviewStatus.PENDING,
            claimed_by_id=claimed_by,
            claimed_until=claimed_until,
            created_by_id=created_by,
            product=product or "",
            scene=scene(ordered(values, axes or [])),
            channel=channel,
            width=width,
            height=height,
        )
        for asset_id, status, claimed_by, claimed_until, created_by, product, values, channel, width, height in found
    ]


def finished(*, workspace_id: int, campaign_ids: Iterable[int]) -> list[int]:
    """The ids of the campaigns' finished images, the newest version of each, in their sheets' order; one query."""
    rows = _finished().filter(cell__campaign__in=list(campaign_ids), cell__campaign__workspace_id=workspace_id)
    return list(rows.order_by("cell__campaign", "cell__position", "image").values_list("render__asset_id", flat=True))


def loose(*, workspace_id: int) -> list[Proof]:
    """Images that no campaign asked for and that wait for a decision, oldest first; one click's are siblings."""
    rows = (
        Review.objects.filter(
            workspace_id=workspace_id,
            status=ReviewStatus.PENDING,
            asset__archived_at__isnull=True,
            asset__render__cell_version__isnull=True,
        )
        .order_by("asset_id")
        .values_list(
            "asset_id",
            "status",
            "claimed_by_id",
            "claimed_until",
            "asset__created_by_id",
            "asset__render__generation_id",
            "asset__prompt",
            "asset__width",
            "asset__height",
        )[:LOOSE_LIMIT]
    )
    return [
        Proof(
            asset_id=asset_id,
            status=status,
            claimed_by_id=claimed_by,
            claimed_until=claimed_until,
            created_by_id=created_by,
            product=f"click {generation}",
            scene=prompt,
            channel="",
            width=width,
            height=height,
        )
        for asset_id, status, claimed_by, claimed_until, created_by, generation, prompt, width, height in rows
    ]


def line(proofs: Sequence[Proof], asset_id: int, *, by_id: int, now: datetime, like: Likeness = "product") -> Line:
    """How the line looks from one of its images; neighbors that somebody else is looking at are passed over.

    :raises LookupError: the image is not in this line.
    """
    at = next((index for index, proof in enumerate(proofs) if proof.asset_id == asset_id), None)
    if at is None:
        raise LookupError(f"Asset {asset_id} is not in this line.")
    here = proofs[at]
    open_to_me = [proof for proof in proofs if proof.is_free(by_id=by_id, now=now) or proof is here]
    place = open_to_me.index(here)
    return Line(
        number=at + 1,
        total=len(proofs),
        decided=sum(not proof.is_pending for proof in proofs),
        previous=open_to_me[place - 1].asset_id if place else None,
        next=open_to_me[place + 1].asset_id if place + 1 < len(open_to_me) else None,
        next_pending=next(iter(waiting_after(open_to_me, asset_id)), None),
        siblings=tuple(proof for proof in proofs if getattr(proof, like) == getattr(here, like)),
    )


def waiting_after(proofs: Sequence[Proof], asset_id: int | None) -> list[int]:
    """Ids of the pending images, those behind this one first, then from the beginning; without it, all in order."""
    at = next((index for index, proof in enumerate(proofs) if proof.asset_id == asset_id), -1)
    turned = [*proofs[at + 1 :], *proofs[: at + 1]]
    return [proof.asset_id for proof in turned if proof.is_pending and proof.asset_id != asset_id]


def queues(*, workspace_id: int, by_id: int, now: datetime) -> list[Queue]:
    """What waits for a decision, by campaign, the longest-waiting first; ``taken`` is what others are looking at."""
    campaign = "asset__render__cell_version__cell__campaign_id"
    elsewhere = Q(claimed_until__gt=now) & ~Q(claimed_by_id=by_id)
    rows = (
        Review.objects.filter(
            ~Exists(_newer("asset__render__cell_version__")),
            ~Exists(_out_of_line("asset__render__cell_version__")),
            workspace_id=workspace_id,
            status=ReviewStatus.PENDING,
            asset__archived_at__isnull=True,
        )
        .values(campaign)
        .annotate(pending=Count("pk"), taken=Count("pk", filter=elsewhere), first=Min("asset_id"))
        .order_by("first")
    )
    found = list(rows)
    names = dict(Campaign.objects.filter(pk__in=[row[campaign] for row in found]).values_list("pk", "name"))
    return [
        Queue(
            campaign_id=row[campaign],
            name=names.get(row[campaign], ""),
            pending=row["pending"],
            taken=row["taken"],
            first=row["first"],
        )
        for row in found
    ]


def _finished() -> QuerySet[CellRender]:
    """The newest finished version of every image; an archived one takes its older versions along.

    What is stale or set aside is in no line: nobody needs to decide about what is to be made anew, or not at all.
    """
    finished = CellRender.objects.filter(
        render__asset__isnull=False,
        render__asset__archived_at__isnull=True,
        cell__is_set_aside=False,
        image__lte=F("cell__campaign__images_per_cell"),
    )
    return finished.filter(~Exists(_newer(""))).exclude(is_stale())


def _out_of_line(version: str) -> QuerySet[CellRender]:
    """The outer query's version, where the brief no longer asks for its image, or for another one."""
    is_aside = Q(cell__is_set_aside=True) | Q(image__gt=F("cell__campaign__images_per_cell"))
    return CellRender.objects.filter(is_aside | is_stale(), pk=OuterRef(f"{version}pk"))


def _newer(version: str) -> QuerySet[CellRender]:
    """Finished versions newer than the outer query's, which reaches its own by this prefix."""
    return CellRender.objects.filter(
        cell=OuterRef(f"{version}cell"),
        image=OuterRef(f"{version}image"),
        pk__gt=OuterRef(f"{version}pk"),
        render__asset__isnull=False,
    )
