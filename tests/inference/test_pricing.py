"""What an image costs: likely and at most before, on what it really took afterwards, at the price agreed on."""

from dataclasses import replace
from decimal import Decimal

import pytest

from billing import ledger
from billing.models import HoldLine
from inference import audit, catalog, pricing, queue
from inference.catalog import Price
from inference.engine.batching import batch_key
from inference.pricing import Used
from inference.queue import QueuedRequest
from inference.requests import image_request
from tests.conftest import NOW
from tests.inference.desk import claim, complete, worker

BY_IMAGE = Price(version=1, unit="image", credits=Decimal(1))
BY_STEPS = Price(version=2, unit="megapixel-step", credits=Decimal("0.5"))
BY_PROVIDER = Price(
    version=1, unit="provider-unit", credits=Decimal("0.1"), likely_units=Decimal(8), maximum_units=Decimal(12)
)


def starter(*prices: Price):
    return replace(catalog.entry("starter"), prices=prices)


@pytest.fixture
def by_steps(monkeypatch):
    """The starter, priced by megapixel-steps since its second price list."""
    entry = starter(BY_IMAGE, BY_STEPS)
    monkeypatch.setattr(catalog, "load", lambda: {"starter": entry})
    return entry


def request(entry, **settings):
    return image_request(entry, **{"prompt": "a mug", "seed": 1, "width": 320, "height": 224, **settings})


def ask(workspace, entry, *requests, key="click"):
    wanted = [QueuedRequest(request=each, batch_key=batch_key(each, entry.sizes).digest()) for each in requests]
    return queue.enqueue(workspace_id=workspace.pk, key=key, requests=wanted, entry=entry, now=NOW)


def finish(workspace, used: Used) -> HoldLine:
    """Settle the next render on what it took."""
    batch = claim(worker(), at_most=1)
    assert batch is not None
    [render] = batch.renders
    complete(render, used=used)
    return HoldLine.objects.get(render=render.id)


def test_by_the_image_likely_and_at_most_are_one():
    assert pricing.estimate(images=3, entry=starter(BY_IMAGE)) == pricing.Estimate(likely=3000, maximum=3000)


def test_by_megapixel_steps_the_likely_cost_is_of_the_shape_and_the_maximum_of_the_largest(by_steps):
    # 320 x 224 pixels at 12 steps are 0.86 megapixel-steps; the largest shape is 320 x 224 too, or 352 x 192.
    seen = pricing.estimate(images=2, entry=by_steps, size=(256, 256))
    assert seen.likely == 2 * round(256 * 256 * 12 / 1e6 * 500)
    assert seen.maximum == 2 * round(320 * 224 * 12 / 1e6 * 500)
    assert pricing.estimate(images=2, entry=by_steps, size=(256, 256), num_inference_steps=24).likely > seen.likely


def test_what_is_held_is_what_was_estimated_at_most(by_steps, workspace):
    square = request(by_steps, width=256, height=256, num_inference_steps=20)
    seen = pricing.estimate(images=1, entry=by_steps, size=(256, 256), num_inference_steps=20)
    assert (pricing.likely(square, by_steps), pricing.maximum(square, by_steps)) == (seen.likely, seen.maximum)
    ask(workspace, by_steps, square)
    assert ledger.balance(workspace_id=workspace.pk).held == seen.maximum


def test_fewer_steps_at_less_strength_are_likely_to_cost_less(by_steps):
    whole = request(by_steps)
    key = replace(batch_key(whole, by_steps.sizes), strength=0.5)
    assert pricing.used(key).pixel_steps * 2 == pricing.used(batch_key(whole, by_steps.sizes)).pixel_steps


def test_an_image_is_charged_what_it_took_and_the_rest_comes_back(by_steps, workspace):
    asked = request(by_steps, width=256, height=256)
    ask(workspace, by_steps, asked)
    line = finish(workspace, pricing.used(batch_key(asked, by_steps.sizes)))
    assert (line.captured, line.micro_units) == (round(256 * 256 * 12 / 1e6 * 500), 256 * 256 * 12)
    assert line.captured == pricing.likely(asked, by_steps) < line.amount
    assert line.released == line.amount - line.captured
    assert audit.broken_invariants()["charge_differs_from_its_price"] == 0


def test_what_it_took_above_the_hold_is_the_operators_and_is_logged(by_steps, workspace, caplog):
    ask(workspace, by_steps, request(by_steps))
    line = finish(workspace, Used(pixel_steps=2_000_000))
    assert (line.captured, line.overrun) == (line.amount, 1000 - line.amount)
    assert ledger.balance(workspace_id=workspace.pk).spent == line.amount
    assert "more than it held, at the operator's charge" in caplog.text
    assert audit.broken_invariants()["charge_differs_from_its_price"] == 0


def test_an_image_is_settled_at_the_price_that_stood_when_it_was_asked_for(workspace, monkeypatch):
    before, after = starter(BY_IMAGE), starter(BY_IMAGE, replace(BY_STEPS, credits=Decimal(100)))
    generation, _ = ask(workspace, before, request(before))
    monkeypatch.setattr(catalog, "load", lambda: {"starter": after})
    assert generation.price_version == 1
    assert finish(workspace, Used(pixel_steps=800_000)).captured == 1000
    newer, _ = ask(workspace, after, request(after), key="after")
    assert newer.price_version == 2
    assert finish(workspace, Used(pixel_steps=800_000)).captured == 80_000


def test_a_price_list_that_was_taken_out_is_replaced_by_todays():
    assert starter(BY_IMAGE, BY_STEPS).price_of(1) == BY_IMAGE
    assert starter(BY_IMAGE, BY_STEPS).price_of(9) == BY_STEPS


def test_a_providers_units_are_estimated_from_the_entry_and_charged_as_billed():
    entry = starter(BY_PROVIDER)
    assert pricing.estimate(images=1, entry=entry) == pricing.Estimate(likely=800, maximum=1200)
    charged = pricing.charge(BY_PROVIDER, Used(pixel_steps=1, provider_units=Decimal("9.5")))
    assert (charged.cost, charged.micro_units) == (950, 9_500_000)
    assert entry.usual_millicredits == 800


@pytest.mark.parametrize(("micro_units", "cost"), [(0, 0), (999, 0), (1000, 1), (1_000_000, 500), (1_001_000, 501)])
def test_costs_are_whole_thousandths_half_of_one_rounded_up(micro_units, cost):
    assert BY_STEPS.cost(micro_units) == cost
