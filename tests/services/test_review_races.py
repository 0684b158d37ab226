"""Reviewers at the same moment on a real PostgreSQL: one decides, one looks, credits go back once."""

from collections import Counter
from functools import partial

import pytest

import billing.audit
from billing import ledger
from gallery import review
from gallery.models import Decision, Review
from gallery.review import ClaimedError, DecidedMeanwhileError
from tests.conftest import NOW
from tests.gallery.review_samples import decisions, paid_asset, person, spent, status
from tests.together import raised, together

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("transactional_db")]


def test_of_many_decisions_at_the_same_moment_one_is_made_and_the_others_are_told(make_workspace):
    workspace = make_workspace()
    people = [person(workspace, f"person{n}") for n in range(6)]
    for _ in range(8):
        asset = paid_asset(workspace)
        acts = [
            *(partial(review.approve, asset.pk, by_id=p.pk, now=NOW) for p in people[:2]),
            *(partial(review.reject, asset.pk, by_id=p.pk, reason="product_distorted", now=NOW) for p in people[2:4]),
            *(partial(review.request_changes, asset.pk, by_id=p.pk, note="lighter", now=NOW) for p in people[4:]),
        ]
        results = together(acts)
        assert [type(error) for error in raised(results)] == [DecidedMeanwhileError] * 5
        assert len(decisions(asset)) == 1
        assert (status(asset) == "rejected") == (Decision.objects.get(review__asset=asset).refunded > 0)
    refunded = sum(Decision.objects.values_list("refunded", flat=True))
    assert spent(workspace) == 8 * 1000 - refunded
    assert not any(billing.audit.broken_invariants().values())


def test_two_reviewers_never_get_the_same_image(make_workspace):
    workspace = make_workspace()
    people = [person(workspace, f"person{n}") for n in range(6)]
    ids = [paid_asset(workspace).pk for _ in range(30)]

    def work(by_id: int) -> list[int]:
        mine = []
        while asset_id := review.claim_first(ids, by_id=by_id, now=NOW):
            review.approve(asset_id, by_id=by_id, now=NOW)
            mine.append(asset_id)
        return mine

    results = together([partial(work, p.pk) for p in people])
    assert raised(results) == []
    assert Counter(asset_id for mine in results for asset_id in mine) == Counter(ids)
    assert set(Review.objects.values_list("status", flat=True)) == {"approved"}


def test_of_many_who_claim_one_image_one_has_it(make_workspace):
    workspace = make_workspace()
    people = [person(workspace, f"person{n}") for n in range(8)]
    for _ in range(10):
        asset = paid_asset(workspace)
        results = together([partial(review.claim, asset.pk, by_id=p.pk, now=NOW) for p in people])
        assert sorted(results) == [False] * 7 + [True]
        loser = people[results.index(False)]
        with pytest.raises(ClaimedError):
            review.approve(asset.pk, by_id=loser.pk, now=NOW)


def test_a_decision_undone_by_many_at_once_is_undone_once(make_workspace):
    workspace = make_workspace()
    ann = person(workspace, "ann")
    for _ in range(8):
        asset = paid_asset(workspace)
        decision = review.reject(asset.pk, by_id=ann.pk, reason="product_distorted", now=NOW)
        results = together([partial(review.undo, decision, by_id=ann.pk, now=NOW)] * 5)
        assert [type(error) for error in raised(results)] == [DecidedMeanwhileError] * 4
        assert decisions(asset) == ["reject", "undo"]
    assert ledger.balance(workspace_id=workspace.pk).spent == 0
    assert not any(billing.audit.broken_invariants().values())
