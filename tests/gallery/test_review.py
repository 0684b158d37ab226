"""What may become of an image in review, who may decide it, what a decision leaves behind, and what undoing it does."""

from collections.abc import Callable
from datetime import timedelta
from itertools import product

import pytest
from django.db import DatabaseError, IntegrityError, transaction

import billing.audit
from gallery import review
from gallery.models import Asset, Decision, Review, ReviewStatus, Verdict
from gallery.review import (
    ClaimedError,
    DecidedMeanwhileError,
    NoteMissingError,
    OwnWorkError,
    Requirement,
    ReviewError,
)
from studio.models import User
from tests.conftest import NOW
from tests.gallery.review_samples import PRICE, decisions, paid_asset, person, spent, status


@pytest.fixture
def ann(workspace) -> User:
    return person(workspace, "ann")


@pytest.fixture
def ben(workspace) -> User:
    return person(workspace, "ben")


@pytest.fixture
def asset(workspace) -> Asset:
    return paid_asset(workspace)


Step = Callable[[Asset, User], int]


def approve(asset: Asset, by: User) -> int:
    return review.approve(asset.pk, by_id=by.pk, now=NOW)


def reject(asset: Asset, by: User, reason: str = "bad_light") -> int:
    return review.reject(asset.pk, by_id=by.pk, reason=reason, now=NOW)


def ask_for_changes(asset: Asset, by: User) -> int:
    return review.request_changes(asset.pk, by_id=by.pk, note="The shadow is too hard.", now=NOW)


DECIDE: dict[str, Step] = {
    ReviewStatus.APPROVED: approve,
    ReviewStatus.REJECTED: reject,
    ReviewStatus.CHANGES_REQUESTED: ask_for_changes,
}


# --- the states ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", DECIDE)
def test_a_pending_image_is_decided_once(asset, ann, end):
    DECIDE[end](asset, ann)
    assert status(asset) == end
    assert len(decisions(asset)) == 1


@pytest.mark.parametrize(("first", "second"), list(product(DECIDE, DECIDE)))
def test_what_is_decided_is_never_decided_over(asset, ann, ben, first, second):
    DECIDE[first](asset, ann)
    before = spent(asset.workspace)
    with pytest.raises(DecidedMeanwhileError, match="Ann decided on this image before you"):
        DECIDE[second](asset, ben)
    assert status(asset) == first
    assert len(decisions(asset)) == 1
    assert spent(asset.workspace) == before


@pytest.mark.parametrize("end", DECIDE)
def test_undoing_makes_it_pending_and_leaves_both_decisions_on_record(asset, ann, end):
    decision = DECIDE[end](asset, ann)
    assert review.undo(decision, by_id=ann.pk, now=NOW) == asset.pk
    assert status(asset) == ReviewStatus.PENDING
    assert decisions(asset)[1:] == [Verdict.UNDO]
    assert Decision.objects.get(verdict=Verdict.UNDO).undoes_id == decision


@pytest.mark.parametrize("end", DECIDE)
def test_a_decision_is_taken_back_once(asset, ann, end):
    decision = DECIDE[end](asset, ann)
    review.undo(decision, by_id=ann.pk, now=NOW)
    again = DECIDE[end](asset, ann)
    with pytest.raises(DecidedMeanwhileError, match="taken back already"):
        review.undo(decision, by_id=ann.pk, now=NOW)
    assert status(asset) == end
    review.undo(again, by_id=ann.pk, now=NOW)
    assert status(asset) == ReviewStatus.PENDING


def test_an_undo_cannot_be_undone(asset, ann):
    review.undo(approve(asset, ann), by_id=ann.pk, now=NOW)
    with pytest.raises(DecidedMeanwhileError):
        review.undo(Decision.objects.get(verdict=Verdict.UNDO).pk, by_id=ann.pk, now=NOW)
    assert status(asset) == ReviewStatus.PENDING
    assert len(decisions(asset)) == 2


@pytest.mark.parametrize("end", DECIDE)
def test_a_decided_image_cannot_be_claimed(asset, ann, ben, end):
    DECIDE[end](asset, ann)
    assert not review.claim(asset.pk, by_id=ben.pk, now=NOW)
    assert not review.renew(asset.pk, by_id=ann.pk, now=NOW)


def test_the_database_refuses_a_status_without_its_decision(asset):
    with pytest.raises(IntegrityError), transaction.atomic():
        Review.objects.update(status=ReviewStatus.APPROVED)


def test_the_database_refuses_to_change_or_delete_a_decision(asset, ann):
    approve(asset, ann)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        Decision.objects.update(note="I never said so")
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        Decision.objects.all()._raw_delete("default")
    assert decisions(asset) == [Verdict.APPROVE]


# --- what a decision records -----------------------------------------------------------------------------------------


def test_approving_binds_to_bytes_and_recipe_and_keeps_what_was_ticked(asset, ann):
    ticks = (Requirement(text="The product is whole", is_met=True), Requirement(text="Room for text", is_met=False))
    review.approve(asset.pk, by_id=ann.pk, must_have=ticks, now=NOW)
    decision = Decision.objects.get()
    assert (decision.content_hash, decision.recipe_hash) == (asset.sha256, asset.recipe_hash)
    assert (decision.made_by, decision.created_at) == (ann, NOW)
    assert decision.must_have == [
        {"text": "The product is whole", "is_met": True},
        {"text": "Room for text", "is_met": False},
    ]
    standing = Review.objects.get()
    assert (standing.standing, standing.content_hash, standing.recipe_hash) == (
        decision,
        asset.sha256,
        asset.recipe_hash,
    )


def test_a_rejection_needs_a_reason_that_exists(asset, ann):
    with pytest.raises(ValueError, match="looks funny"):
        reject(asset, ann, "looks funny")
    assert status(asset) == ReviewStatus.PENDING


@pytest.mark.parametrize("note", ["", "  \n "])
def test_asking_for_changes_needs_words(asset, ann, note):
    with pytest.raises(NoteMissingError, match="Say what should change"):
        review.request_changes(asset.pk, by_id=ann.pk, note=note, now=NOW)
    assert decisions(asset) == []


# --- credits ---------------------------------------------------------------------------------------------------------


def test_a_distorted_product_gives_its_credits_back_once_however_often_it_is_rejected(asset, ann):
    assert spent(asset.workspace) == PRICE
    first = reject(asset, ann, "product_distorted")
    assert spent(asset.workspace) == 0
    review.undo(first, by_id=ann.pk, now=NOW)
    assert spent(asset.workspace) == 0  # what was given back stays given back
    second = reject(asset, ann, "product_distorted")
    assert spent(asset.workspace) == 0
    assert list(Decision.objects.filter(pk__in=(first, second)).order_by("pk").values_list("refunded", flat=True)) == [
        PRICE,
        0,
    ]
    assert not any(billing.audit.broken_invariants().values())


@pytest.mark.parametrize("reason", ["wrong_background", "bad_light", "off_brand", "artifact", "other"])
def test_any_other_reason_gives_nothing_back(asset, ann, reason):
    reject(asset, ann, reason)
    assert spent(asset.workspace) == PRICE
    assert Decision.objects.get().refunded == 0


def test_a_rejection_that_comes_too_late_gives_nothing_back(asset, ann, ben):
    approve(asset, ann)
    with pytest.raises(DecidedMeanwhileError):
        reject(asset, ben, "product_distorted")
    assert spent(asset.workspace) == PRICE


def test_an_image_that_nobody_paid_for_is_rejected_like_any_other(asset, ann):
    Asset.objects.update(hold_line=None)
    reject(asset, ann, "product_distorted")
    assert status(asset) == ReviewStatus.REJECTED
    assert Decision.objects.get().refunded == 0


# --- four eyes -------------------------------------------------------------------------------------------------------


def test_who_asked_for_an_image_may_reject_it_but_not_approve_it(workspace, ann, ben):
    own = paid_asset(workspace, created_by=ann)
    with pytest.raises(OwnWorkError, match="somebody else has to approve it"):
        approve(own, ann)
    assert decisions(own) == []
    review.undo(reject(own, ann), by_id=ann.pk, now=NOW)
    approve(own, ben)
    assert status(own) == ReviewStatus.APPROVED


def test_who_is_alone_may_approve_what_they_asked_for(workspace, ann):
    own = paid_asset(workspace, created_by=ann)
    review.approve(own.pk, by_id=ann.pk, now=NOW, may_approve_own=True)
    assert status(own) == ReviewStatus.APPROVED


# --- claims ----------------------------------------------------------------------------------------------------------


def test_what_one_looks_at_the_other_does_not_get(workspace, ann, ben):
    ids = [paid_asset(workspace).pk for _ in range(3)]
    assert review.claim_first(ids, by_id=ann.pk, now=NOW) == ids[0]
    assert review.claim_first(ids, by_id=ben.pk, now=NOW) == ids[1]
    assert review.claim_first(ids, by_id=ann.pk, now=NOW) == ids[0]


def test_nobody_decides_about_what_another_is_looking_at(asset, ann, ben):
    review.claim(asset.pk, by_id=ann.pk, now=NOW)
    for decide in DECIDE.values():
        with pytest.raises(ClaimedError, match="Ann is looking at this image right now"):
            decide(asset, ben)
    approve(asset, ann)
    assert status(asset) == ReviewStatus.APPROVED


def test_a_claim_runs_out_unless_it_is_renewed(asset, ann, ben, clock):
    review.claim(asset.pk, by_id=ann.pk, now=clock.now)
    assert review.renew(asset.pk, by_id=ann.pk, now=clock.advance(seconds=90))
    assert not review.claim(asset.pk, by_id=ben.pk, now=clock.advance(seconds=90))
    assert review.claim(asset.pk, by_id=ben.pk, now=clock.advance(seconds=31))
    assert not review.renew(asset.pk, by_id=ann.pk, now=clock.now)


def test_leaving_an_image_gives_it_back_at_once_and_only_by_who_has_it(asset, ann, ben):
    review.claim(asset.pk, by_id=ann.pk, now=NOW)
    review.release(asset.pk, by_id=ben.pk)
    assert not review.claim(asset.pk, by_id=ben.pk, now=NOW)
    review.release(asset.pk, by_id=ann.pk)
    assert review.claim(asset.pk, by_id=ben.pk, now=NOW)


def test_going_to_another_image_gives_the_first_one_back(workspace, ann, ben):
    first, second = paid_asset(workspace), paid_asset(workspace)
    review.claim(first.pk, by_id=ann.pk, now=NOW)
    review.claim(second.pk, by_id=ann.pk, now=NOW)
    assert review.claim(first.pk, by_id=ben.pk, now=NOW)


def test_deciding_frees_the_claim(asset, ann):
    review.claim(asset.pk, by_id=ann.pk, now=NOW)
    decision = approve(asset, ann)
    review.undo(decision, by_id=ann.pk, now=NOW + timedelta(seconds=1))
    assert Review.objects.get().claimed_by is None


# --- several at once -------------------------------------------------------------------------------------------------


def test_siblings_are_approved_each_for_itself_and_undone_together(workspace, ann, ben):
    assets = [paid_asset(workspace) for _ in range(4)]
    earlier = paid_asset(workspace)
    approve(earlier, ann)
    reject(assets[3], ben)
    outcome = review.approve_all([asset.pk for asset in assets], by_id=ann.pk, now=NOW)
    assert len(outcome.decision_ids) == 3
    assert len(outcome.refusals) == 1
    assert "Ben decided" in outcome.refusals[0]
    assert [status(asset) for asset in assets] == ["approved", "approved", "approved", "rejected"]
    assert review.undo_last(workspace_id=workspace.pk, by_id=ann.pk, now=NOW) == tuple(a.pk for a in assets[:3])
    assert [status(asset) for asset in (*assets, earlier)] == ["pending", "pending", "pending", "rejected", "approved"]


def test_undo_goes_back_step_by_step_through_ones_own_decisions_in_this_workspace(workspace, make_workspace, ann, ben):
    first, second, others = (paid_asset(workspace) for _ in range(3))
    elsewhere = paid_asset(make_workspace("elsewhere"))
    approve(first, ann)
    reject(second, ann)
    approve(elsewhere, ann)
    approve(others, ben)

    def undo() -> tuple[int, ...]:
        return review.undo_last(workspace_id=workspace.pk, by_id=ann.pk, now=NOW)

    assert [undo(), undo(), undo()] == [(second.pk,), (first.pk,), ()]
    assert status(elsewhere) == status(others) == ReviewStatus.APPROVED


def test_every_refusal_is_a_sentence_for_the_reviewer():
    assert all(issubclass(error, ReviewError) for error in (DecidedMeanwhileError, ClaimedError, OwnWorkError))
