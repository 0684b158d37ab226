"""One image on the light table: everything that the review page shows of it, looked up together.

Knows the rows of the packages below and who is looking; decides nothing, writes nothing.
"""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from celery import current_app
from django.db.models import QuerySet
from django.http import QueryDict
from django.urls import reverse
from kombu.exceptions import OperationalError

from campaigns import places, proofing
from campaigns.places import Place, Version
from campaigns.proofing import Likeness, Line, Proof
from gallery.models import Asset, Decision, Rendition, RenditionKind, Review, ReviewStatus
from inference import catalog, chosen, loras
from inference.chosen import ChosenPicture
from studio.ids import object_id
from studio.models import Membership, User
from studio.permissions import Action, roles_that
from studio.templatetags.look import state_word

CAMPAIGN, SKU, LIKE = "campaign", "sku", "like"
MASK_WORDS = {"file": "given with the photo", "alpha": "the photo's own transparency", "opencv": "found automatically"}


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Which images are reviewed in a row: a campaign's or, without one, those of the Studio page; of one SKU or all."""

    campaign_id: int | None
    sku: str = ""
    like: Likeness = "product"

    @classmethod
    def asked(cls, query: QueryDict, *, default_campaign_id: int | None = None) -> "Scope":
        """From an address or a form; what makes no sense there is as if it were not."""
        return cls(
            campaign_id=object_id(query.get(CAMPAIGN)) or default_campaign_id,
            sku=query.get(SKU, "")[:80],
            like="scene" if query.get(LIKE) == "scene" else "product",
        )

    def with_(self, **changes: Any) -> str:
        """The query of an address with this scope, or with parts of it changed."""
        parts = {CAMPAIGN: self.campaign_id, SKU: self.sku, LIKE: "" if self.like == "product" else self.like}
        return urlencode({name: value for name, value in (parts | changes).items() if value})

    @property
    def query(self) -> str:
        """The query of an address with this scope."""
        return self.with_()

    @property
    def turned(self) -> str:
        """The query with the other kind of siblings."""
        return self.with_(like="" if self.like == "scene" else "scene")

    @property
    def fields(self) -> list[tuple[str, str]]:
        """The same as names and values for hidden fields of a form."""
        parts = ((CAMPAIGN, self.campaign_id), (SKU, self.sku), (LIKE, "" if self.like == "product" else self.like))
        return [(name, str(value)) for name, value in parts if value]

    def everything(self, workspace_id: int) -> list[Proof]:
        """The line of images, of every SKU."""
        if self.campaign_id is None:
            return proofing.loose(workspace_id=workspace_id)
        return proofing.sheet(workspace_id=workspace_id, campaign_id=self.campaign_id)

    def narrowed(self, proofs: list[Proof]) -> list[Proof]:
        """Those of the line that are of the SKU."""
        return [proof for proof in proofs if not self.sku or proof.product == self.sku]


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """Where the product's photo lies over the image: its whole frame, in pixels of the image."""

    photo_id: int
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of one image, reviewed or not; ``versions`` oldest first, ``history`` newest first."""

    asset: Asset
    place: Place | None
    overlay: Overlay | None
    has_difference: bool
    versions: list[Version]
    history: list[Decision]
    model_name: str
    lora_words: str
    mask_words: str
    made_of: ChosenPicture | None = None

    @property
    def made_of_address(self) -> str:
        """Where the picture that it was begun from, edited or upscaled of is shown."""
        name, slug = ("", "") if self.made_of is None else (self.made_of.name, self.asset.workspace.slug)
        kind, _, pk = name.partition("-")
        if kind == "asset":
            return reverse("gallery_image", args=[slug, pk])
        return reverse("picture_file", args=[slug, name, "view"])

    @property
    def factor(self) -> int | None:
        """How many times as large as that it was made."""
        factor: int | None = (self.asset.recipe.get("settings") or {}).get("factor")
        return factor

    @property
    def is_plain(self) -> bool:
        """Whether it was enlarged without a model."""
        initial = self.asset.recipe.get("request", {}).get("initial") or {}
        return bool(initial.get("use") == "enlarge")

    @property
    def title(self) -> str:
        """The SKU, or what takes its place."""
        return self.place.sku or self.place.scene if self.place else "Studio image"

    @property
    def alt(self) -> str:
        """For who does not see the image: SKU, scene and state."""
        shown = self.place.label if self.place else self.asset.prompt or "Image"
        return f"{shown}, {state_word(self.asset.review.status).lower()}" if hasattr(self.asset, "review") else shown

    @property
    def paid(self) -> int:
        """Millicredits that it cost, given-back ones taken off."""
        line = self.asset.hold_line
        return line.captured - line.refunded if line else 0

    @property
    def refunded(self) -> int:
        """Millicredits that were given back."""
        return self.asset.hold_line.refunded if self.asset.hold_line else 0


@dataclass(frozen=True, kw_only=True)
class Stage(Facts):
    """What the review page shows. ``obstacle`` says why nothing can be decided here; ``own_work`` why not approved."""

    scope: Scope
    line: Line
    skus: list[tuple[str, int]]
    obstacle: str
    own_work: str

    @property
    def pending_siblings(self) -> list[Proof]:
        """Those of the row that wait for a decision."""
        return [proof for proof in self.line.siblings if proof.is_pending]


def reviewable(workspace_id: int) -> QuerySet[Asset]:
    """The workspace's assets that have a review, with what the page shows of each."""
    found = Asset.objects.filter(workspace_id=workspace_id, review__isnull=False)
    return found.select_related("review__standing__made_by", "review__claimed_by", "hold_line", "created_by")


def facts(asset: Asset) -> Facts:
    """Gather what is known of an image.

    :param asset: as `reviewable` selects it.
    """
    place = places.of_assets([asset.pk]).get(asset.pk)
    return Facts(
        asset=asset,
        place=place,
        overlay=overlay(asset, place),
        has_difference=has_difference(asset),
        versions=places.versions(place) if place else [],
        history=history(asset),
        model_name=model_name(asset),
        lora_words=_lora_words(asset),
        mask_words=_mask_words(place),
        made_of=_made_of(asset),
    )


def stage(asset: Asset, *, scope: Scope, proofs: list[Proof], user: User, now: datetime) -> Stage:
    """Gather what the review page shows.

    :param asset: as `reviewable` selects it.
    :param proofs: the scope's whole line, of every SKU.
    """
    known = facts(asset)
    row = scope.narrowed(proofs)
    if all(proof.asset_id != asset.pk for proof in row):
        # An older version, or one that is decided and in no campaign: it stands for itself.
        row = [_alone(asset, known.place)]
    return Stage(
        **{field.name: getattr(known, field.name) for field in fields(Facts)},
        scope=scope,
        line=proofing.line(row, asset.pk, by_id=user.pk, now=now, like=scope.like),
        skus=_skus(proofs) if scope.campaign_id else [],
        obstacle=_obstacle(asset.review, user=user, now=now),
        own_work=_own_work(asset, user),
    )


def overlay(asset: Asset, place: Place | None) -> Overlay | None:
    """Where the photo lies, as the certificate recorded it; None without a product."""
    if asset.certificate is None or place is None or place.photo_id is None:
        return None
    placement = asset.certificate["placement"]
    if placement == "keep":
        return Overlay(photo_id=place.photo_id, x=0, y=0, width=asset.width, height=asset.height)
    x, y, width, height = (int(part) for part in placement.split(",")[:4])
    return Overlay(photo_id=place.photo_id, x=x, y=y, width=width, height=height)


def has_difference(asset: Asset) -> bool:
    """Whether the difference view is there already."""
    made = Rendition.objects.filter(source_key=asset.storage_key, kind=RenditionKind.DIFFERENCE)
    return asset.certificate is not None and made.exists()


def history(asset: Asset) -> list[Decision]:
    """What was decided about the asset, newest first, undone decisions included."""
    decisions = Decision.objects.filter(review__asset=asset).select_related("made_by", "undone_by")
    return list(decisions.order_by("-pk"))


def ask_for_difference(asset_id: int) -> None:
    """Have a worker make the difference view. A page does without it while no broker can be reached."""
    with suppress(OperationalError, OSError):
        # By name: the task's module loads OpenCV, which only workers need.
        current_app.send_task("inference.compare", args=[asset_id], retry=False)


def model_name(asset: Asset) -> str:
    """The catalogue's name of the model, or what the recipe calls it where the catalogue no longer has it."""
    slug = asset.recipe.get("request", {}).get("checkpoint", "")
    try:
        return catalog.entry(slug).name
    except LookupError:
        return str(slug)


def _made_of(asset: Asset) -> ChosenPicture | None:
    """The picture that somebody chose to begin it from."""
    name = (asset.recipe.get("settings") or {}).get("base", "")
    return chosen.find(name, workspace_id=asset.workspace_id) if name else None


def _lora_words(asset: Asset) -> str:
    """The LoRAs that it was made with, each with its weight."""
    made_with = asset.recipe.get("request", {}).get("loras", ())
    names = loras.names([each["file"] for each in made_with]) if made_with else {}
    return ", ".join(f"{names.get(each['file'], 'one that is gone')} × {each['weight']:g}" for each in made_with)


def has_no_second_reviewer(workspace_id: int, user_id: int) -> bool:
    """Whether nobody else here may review: then the person may approve what they asked for, else it never could be."""
    others = Membership.objects.filter(workspace_id=workspace_id).exclude(user_id=user_id)
    return not others.filter(role__in=roles_that(Action.REVIEW)).exists()


def _alone(asset: Asset, place: Place | None) -> Proof:
    return Proof(
        asset_id=asset.pk,
        status=asset.review.status,
        claimed_by_id=asset.review.claimed_by_id,
        claimed_until=asset.review.claimed_until,
        created_by_id=asset.created_by_id,
        product=place.sku if place else "",
        scene=place.scene if place else asset.prompt,
        channel=place.channel if place else "",
        width=asset.width,
        height=asset.height,
    )


def _skus(proofs: list[Proof]) -> list[tuple[str, int]]:
    """Every SKU of the line with how many of its images wait, in the line's order."""
    waiting = Counter(proof.product for proof in proofs if proof.is_pending)
    return [(sku, waiting[sku]) for sku in dict.fromkeys(proof.product for proof in proofs) if sku]


def _mask_words(place: Place | None) -> str:
    if place is None or not place.mask_source:
        return ""
    words = MASK_WORDS[place.mask_source]
    sure = f", {place.mask_confidence:.0%} sure" if place.mask_confidence is not None else ""
    return f"{words}{sure}"


def _obstacle(review: Review, *, user: User, now: datetime) -> str:
    other = review.claimed_by
    if (
        review.status == ReviewStatus.PENDING
        and other is not None
        and other != user
        and review.claimed_until is not None
        and review.claimed_until > now
    ):
        return f"{other.display_name} is looking at this image right now."
    return ""


def _own_work(asset: Asset, user: User) -> str:
    if asset.created_by_id != user.pk or has_no_second_reviewer(asset.workspace_id, user.pk):
        return ""
    return "You asked for this image, so somebody else has to approve it."
