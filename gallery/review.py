"""Whether an image may ship: claim, approve, reject, request changes, undo; the only writer of Review.status.

pending → approved | rejected | changes_requested, and back by undoing that very decision. Every step is a conditional
UPDATE beside an append-only Decision row. Who may review is asked above; here counts only who asked for the image.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from billing import ledger
from gallery.models import Asset, Decision, Reason, Review, ReviewStatus, Verdict

# Renewed by the open page; a reviewer who just closes the lid keeps an image from the others no longer than this.
CLAIM = timedelta(minutes=2)
STATUS_AFTER = {
    Verdict.APPROVE: ReviewStatus.APPROVED,
    Verdict.REJECT: ReviewStatus.REJECTED,
    Verdict.REQUEST_CHANGES: ReviewStatus.CHANGES_REQUESTED,
}


class ReviewError(Exception):
    """A decision that cannot be made; the sentence is for the reviewer. Nothing was written."""


class DecidedMeanwhileError(ReviewError):
    """The review is no longer pending, or no longer where the step starts from."""


class ClaimedError(ReviewError):
    """Somebody else is looking at this image right now."""


class OwnWorkError(ReviewError):
    """Who asked for an image may not approve it."""


class NoteMissingError(ReviewError):
    """A request for changes that does not say which."""


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """One thing that the brief says an image must have, and whether the reviewer ticked it."""

    text: str
    is_met: bool


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of several decisions made at once: the ids of those made, a sentence for each that was not."""

    decision_ids: tuple[int, ...]
    refusals: tuple[str, ...]


def approve(
    asset_id: int,
    *,
    by_id: int,
    now: datetime,
    must_have: Sequence[Requirement] = (),
    may_approve_own: bool = False,
    act: str = "",
) -> int:
    """Approve an image: exactly these bytes, made by exactly this recipe. Returns the decision's id.

    :param may_approve_own: whether who asked for it may approve it, as where nobody else could.
    :raises OwnWorkError: they may not.
    :raises DecidedMeanwhileError: it was decided before.
    :raises ClaimedError: somebody else is looking at it.
    """
    if not may_approve_own and Asset.objects.filter(pk=asset_id, created_by_id=by_id).exists():
        raise OwnWorkError("You asked for this image yourself, so somebody else has to approve it.")
    return _decide(asset_id, Verdict.APPROVE, by_id=by_id, now=now, must_have=must_have, act=act)


@transaction.atomic
def reject(
    asset_id: int,
    *,
    by_id: int,
    reason: str,
    now: datetime,
    note: str = "",
    must_have: Sequence[Requirement] = (),
) -> int:
    """Reject an image for a reason; a distorted product gives its credits back, once. Returns the decision's id.

    :raises ValueError: there is no such reason.
    :raises DecidedMeanwhileError: it was decided before; nothing was given back.
    :raises ClaimedError: somebody else is looking at it.
    """
    why = Reason(reason)
    refunded = _refund(asset_id, now) if why == Reason.PRODUCT_DISTORTED else 0
    return _decide(
        asset_id, Verdict.REJECT, by_id=by_id, now=now, reason=why, note=note, must_have=must_have, refunded=refunded
    )


def request_changes(
    asset_id: int, *, by_id: int, note: str, now: datetime, must_have: Sequence[Requirement] = ()
) -> int:
    """Ask for changes, in words. Returns the decision's id.

    :raises NoteMissingError: the note is empty.
    :raises DecidedMeanwhileError: it was decided before.
    :raises ClaimedError: somebody else is looking at it.
    """
    if not note.strip():
        raise NoteMissingError("Say what should change: a request for changes needs a note.")
    return _decide(asset_id, Verdict.REQUEST_CHANGES, by_id=by_id, now=now, note=note, must_have=must_have)


def approve_all(
    asset_ids: Iterable[int],
    *,
    by_id: int,
    now: datetime,
    must_have: Sequence[Requirement] = (),
    may_approve_own: bool = False,
) -> Outcome:
    """Approve several images, each for itself; they can be undone together."""
    act = uuid.uuid4().hex
    made, refusals = [], []
    for asset_id in asset_ids:
        try:
            made.append(
                approve(asset_id, by_id=by_id, now=now, must_have=must_have, may_approve_own=may_approve_own, act=act)
            )
        except ReviewError as refusal:
            refusals.append(str(refusal))
    return Outcome(decision_ids=tuple(made), refusals=tuple(dict.fromkeys(refusals)))


@transaction.atomic
def undo(decision_id: int, *, by_id: int, now: datetime) -> int:
    """Take a decision back: a reversing one is written, and the review is as it was before. Returns the asset's id.

    Credits that the decision gave back stay given back: what was paid for a product that somebody saw distorted is
    not charged again, and rejecting the image once more gives nothing more.

    :raises DecidedMeanwhileError: it was taken back before.
    """
    decision = Decision.objects.select_related("review").get(pk=decision_id)
    review = decision.review
    try:
        with transaction.atomic():
            Decision.objects.create(
                review=review,
                verdict=Verdict.UNDO,
                made_by_id=by_id,
                undoes=decision,
                content_hash=decision.content_hash,
                recipe_hash=decision.recipe_hash,
                created_at=now,
            )
    except IntegrityError as error:
        raise DecidedMeanwhileError("This decision was taken back already. Nothing was changed.") from error
    if not Review.objects.filter(pk=review.pk, standing=decision).update(status=ReviewStatus.PENDING, standing=None):
        raise DecidedMeanwhileError("This decision no longer stands, so there is nothing to take back.")
    return review.asset_id


def undo_last(*, workspace_id: int, by_id: int, now: datetime) -> tuple[int, ...]:
    """Take back the person's latest decision here that still stands, with all that was decided in the same act.

    Returns the assets' ids; none where the person has no decision left. Called again, it goes one step further back.

    :raises DecidedMeanwhileError: somebody else took it back at the same moment.
    """
    own = Decision.objects.filter(made_by_id=by_id, review__workspace_id=workspace_id, undone_by__isnull=True)
    last = own.exclude(verdict=Verdict.UNDO).order_by("-pk").first()
    if last is None:
        return ()
    together = own.filter(act=last.act).order_by("pk").values_list("pk", flat=True) if last.act else [last.pk]
    with transaction.atomic():
        return tuple(undo(pk, by_id=by_id, now=now) for pk in list(together))


# --- claims ----------------------------------------------------------------------------------------------------------


def claim(asset_id: int, *, by_id: int, now: datetime) -> bool:
    """Take a pending image to look at, or keep it for longer; False if it is decided or somebody else has it.

    What else the person had taken is free again.
    """
    _own_claims(by_id).exclude(asset_id=asset_id).update(claimed_by=None, claimed_until=None)
    return _take(asset_id, by_id=by_id, now=now)


def renew(asset_id: int, *, by_id: int, now: datetime) -> bool:
    """Keep an image for another while; False if it is decided or somebody else has it by now."""
    return _take(asset_id, by_id=by_id, now=now)


def claim_first(asset_ids: Iterable[int], *, by_id: int, now: datetime) -> int | None:
    """Take the first of these that is pending and free; None when there is none left."""
    return next((asset_id for asset_id in asset_ids if claim(asset_id, by_id=by_id, now=now)), None)


def release(asset_id: int, *, by_id: int) -> None:
    """Give an image back to the others, undecided."""
    _own_claims(by_id).filter(asset_id=asset_id).update(claimed_by=None, claimed_until=None)


def _own_claims(by_id: int) -> QuerySet[Review]:
    return Review.objects.filter(claimed_by_id=by_id)


def _take(asset_id: int, *, by_id: int, now: datetime) -> bool:
    free = Review.objects.filter(_is_free(by_id, now), asset_id=asset_id, status=ReviewStatus.PENDING)
    return free.update(claimed_by_id=by_id, claimed_until=now + CLAIM) > 0


def _is_free(by_id: int, now: datetime) -> Q:
    return Q(claimed_by__isnull=True) | Q(claimed_by_id=by_id) | Q(claimed_until__lte=now)


# --- inside ----------------------------------------------------------------------------------------------------------


@transaction.atomic
def _decide(
    asset_id: int,
    verdict: Verdict,
    *,
    by_id: int,
    now: datetime,
    reason: str = "",
    note: str = "",
    must_have: Sequence[Requirement] = (),
    refunded: int = 0,
    act: str = "",
) -> int:
    review = Review.objects.select_related("asset").get(asset_id=asset_id)
    asset = review.asset
    decision = Decision.objects.create(
        review=review,
        verdict=verdict,
        made_by_id=by_id,
        reason=reason,
        note=note.strip(),
        must_have=[asdict(one) for one in must_have],
        refunded=refunded,
        act=act,
        content_hash=asset.sha256,
        recipe_hash=asset.recipe_hash,
        created_at=now,
    )
    pending = Review.objects.filter(_is_free(by_id, now), pk=review.pk, status=ReviewStatus.PENDING)
    if not pending.update(
        status=STATUS_AFTER[verdict],
        standing=decision,
        content_hash=asset.sha256,
        recipe_hash=asset.recipe_hash,
        claimed_by=None,
        claimed_until=None,
    ):
        raise _why_not(review.pk)
    return decision.pk


def _why_not(review_id: int) -> ReviewError:
    """What kept a decision from being made, from a second look."""
    review = Review.objects.select_related("standing__made_by", "claimed_by").get(pk=review_id)
    if review.standing:
        person = review.standing.made_by
        return DecidedMeanwhileError(
            f"{person.get_full_name() or person.email} decided on this image before you:"
            f" {review.get_status_display().lower()}. Your decision was not recorded."
        )
    who = review.claimed_by
    name = (who.get_full_name() or who.email) if who else "Somebody else"
    return ClaimedError(f"{name} is looking at this image right now. Your decision was not recorded.")


def _refund(asset_id: int, now: datetime) -> int:
    """Give back what the image cost, once however often it is rejected; returns millicredits given back now."""
    asset = Asset.objects.get(pk=asset_id)
    if asset.hold_line_id is None or Decision.objects.filter(review__asset_id=asset_id, refunded__gt=0).exists():
        return 0
    return ledger.refund(line_id=asset.hold_line_id, key=f"asset:{asset_id}:distorted", now=now)
