"""How long images will take: before they are asked for, until the last is there, and how often that comes true."""

import random
from collections.abc import Callable
from datetime import timedelta

import pytest

from inference import catalog, eta, queue
from inference.models import Worker
from inference.pace import LOAD_GUESS_S, Hands, Pace, predict, record
from tests.inference.desk import Desk, complete, take, worker

STARTER = catalog.entry("starter")
OTHER = catalog.entry("sd-1-5")


@pytest.fixture
def desk(workspace) -> Desk:
    return Desk(workspace.pk)


def measure(desk: Desk, *durations_s: float, hand: Worker | None = None, load_s: float = 0.0, **options: str) -> Worker:
    """Full batches that took so long; nothing waits or runs afterwards."""
    hand = hand or worker(now=desk.now)
    checkpoint = options.get("checkpoint", "starter")
    size = catalog.entry(checkpoint).batch_size("cpu")
    for seconds in durations_s:
        desk.ask(size, **options)
        batch = take(hand, at_most=size, now=desk.now)
        if hand.checkpoint != checkpoint:
            queue.loaded(
                worker=hand,
                batch=batch,
                checkpoint=checkpoint,
                device_class="cpu",
                load_s=load_s,
                now=desk.later(seconds=load_s),
            )
        desk.later(seconds=seconds)
        for render in batch.renders:
            complete(render, now=desk.now)
        queue.finish_batch(batch=batch, now=desk.now)
    return hand


def seconds(forecast: eta.Forecast | None) -> tuple[float, float]:
    assert forecast is not None
    return round(forecast.p50.total_seconds(), 3), round(forecast.p95.total_seconds(), 3)


def ask(desk: Desk, images: int, *, entry=STARTER, priority: int = 0, workspace_id: int | None = None) -> eta.Forecast:
    return eta.forecast(
        images=images, entry=entry, queue="gpu", priority=priority, now=desk.now, workspace_id=workspace_id
    )


# --- before it is asked for ------------------------------------------------------------------------------------------


def test_before_anything_was_measured_the_catalogue_guesses_and_the_latest_time_is_far_off(desk):
    p50, p95 = seconds(ask(desk, 10))
    assert p50 == 10 * STARTER.seconds_per_image + LOAD_GUESS_S
    assert p95 > 1.5 * p50


def test_batches_that_always_took_as_long_leave_nothing_uncertain(desk):
    measure(desk, 8, 8, 8, 8)
    assert seconds(ask(desk, 1)) == (8, 8)  # one image takes as long as a batch of four
    assert seconds(ask(desk, 4)) == (8, 8)
    assert seconds(ask(desk, 9)) == (24, 24)


def test_the_latest_time_grows_with_the_spread_of_what_was_measured(desk):
    measure(desk, 4, 12, 6, 10, 8, 8)
    p50, p95 = seconds(ask(desk, 4))
    assert p50 == 8
    assert 8 + 1.645 * 2.8 < p95 < 8 + 2.5 * 2.8 * 1.2


def test_a_checkpoint_that_is_not_loaded_is_loaded_first_and_one_that_is_is_not(desk):
    hand = measure(desk, 8, 8, load_s=20)
    assert seconds(ask(desk, 4))[0] == 8
    measure(desk, 3, 3, hand=hand, load_s=5, checkpoint="sd-1-5")
    assert seconds(ask(desk, 4))[0] == 28
    assert seconds(ask(desk, 1, entry=OTHER))[0] == 3


def test_what_waits_before_it_counts_by_its_own_pace_and_priority(desk):
    hand = measure(desk, 8, 8)
    measure(desk, 20, 20, hand=hand, checkpoint="sd-1-5")
    measure(desk, 8, hand=hand)
    desk.ask(5, checkpoint="sd-1-5")
    both = ask(desk, 4, workspace_id=desk.workspace_id)
    assert seconds(both)[0] == 5 * 20 + 8 + LOAD_GUESS_S  # on a CPU it is painted one by one
    assert seconds(ask(desk, 4, priority=10))[0] == 8


def test_what_runs_is_half_done_on_average(desk):
    hand = measure(desk, 8, 8, 8)
    desk.ask(4)
    take(hand, now=desk.now)
    p50, p95 = seconds(ask(desk, 4))
    assert p50 == 8 / 2 + 8
    assert p50 < p95 <= 8 + 8


def test_a_large_order_of_another_workspace_delays_one_only_by_as_much_as_one_asks_for_oneself(desk, make_workspace):
    measure(desk, 8, 8)
    other = Desk(make_workspace("other").pk)
    other.now = desk.now
    other.ask(400)
    assert seconds(ask(desk, 8, workspace_id=desk.workspace_id))[0] == 2 * 16
    assert seconds(ask(desk, 8))[0] == 408 / 4 * 8


def test_paused_work_delays_nobody(desk):
    measure(desk, 8, 8)
    generation, _ = desk.ask(400)
    queue.pause(generation_id=generation.pk)
    assert seconds(ask(desk, 4))[0] == 8


def test_several_workers_share_what_is_before_and_one_paints_the_last_batch(desk):
    for _ in range(4):
        measure(desk, 8, 8)
    assert seconds(ask(desk, 64))[0] == 15 * 8 / 4 + 8
    Worker.objects.update(seen_at=desk.now - timedelta(minutes=11))
    assert seconds(ask(desk, 64))[0] == 16 * 8 + LOAD_GUESS_S


def test_batches_that_came_to_nothing_tell_nothing_about_the_pace(desk):
    hand = measure(desk, 8, 8)
    desk.ask(4)
    batch = take(hand, now=desk.now)
    for render in batch.renders:
        queue.fail(render=render, code="x", reason="x", may_retry=False, now=desk.now)
    queue.finish_batch(batch=batch, now=desk.later(seconds=1))
    assert record(now=desk.now).paces["starter"].batch_s == 8


@pytest.mark.parametrize("generations", [1, 30])
def test_a_forecast_takes_as_many_queries_for_a_long_line_as_for_a_short_one(
    desk, generations, django_assert_num_queries
):
    measure(desk, 8)
    for _ in range(generations):
        desk.ask(3)
    take(worker(), now=desk.now)
    with django_assert_num_queries(3):
        ask(desk, 4)


# --- until the last is there -----------------------------------------------------------------------------------------


def test_what_remains_of_a_campaign_shrinks_as_it_is_made(desk):
    hand = measure(desk, 8, 8, 8)
    generation, _ = desk.ask(12)

    def left() -> eta.Forecast | None:
        return eta.remaining([generation.pk], now=desk.now)

    assert seconds(left())[0] == 24
    batch = take(hand, now=desk.now)
    assert seconds(left())[0] == 4 + 16
    desk.later(seconds=8)
    for render in batch.renders:
        complete(render, now=desk.now)
    queue.finish_batch(batch=batch, now=desk.now)
    assert seconds(left())[0] == 16
    for _ in range(2):
        for render in take(hand, now=desk.now).renders:
            complete(render, now=desk.now)
    assert left() is None


def test_what_remains_counts_what_is_before_its_last_image_and_what_waits_for_another_try(desk):
    hand = measure(desk, 8, 8, 8)
    generation, _ = desk.ask(4)
    desk.ask(4)
    last, _ = desk.ask(4)
    assert seconds(eta.remaining([last.pk], now=desk.now))[0] == 24
    assert seconds(eta.remaining([generation.pk, last.pk], now=desk.now))[0] == 24
    for render in take(hand, now=desk.now).renders:
        queue.fail(render=render, code="x", reason="x", may_retry=True, now=desk.now)
    assert seconds(eta.remaining([generation.pk], now=desk.now))[0] == 8


@pytest.mark.parametrize("stop", [queue.pause, None])
def test_nobody_knows_what_remains_of_what_is_paused(desk, stop: Callable[..., None] | None):
    generation, _ = desk.ask(4)
    if stop:
        stop(generation_id=generation.pk)
    else:
        queue.pause_workspace(workspace_id=desk.workspace_id, now=desk.now)
    assert eta.remaining([generation.pk], now=desk.now) is None


@pytest.mark.parametrize("images", [3, 300])
def test_what_remains_takes_as_many_queries_for_many_images_as_for_few(desk, images, django_assert_num_queries):
    measure(desk, 8)
    ids = [desk.ask(images)[0].pk for _ in range(3)]
    take(worker(), now=desk.now)
    with django_assert_num_queries(4):
        eta.remaining(ids, now=desk.now)


# --- how often it comes true -----------------------------------------------------------------------------------------

RUNS = 400


def lognormal(dice: random.Random) -> float:
    """Most batches take six to ten seconds; some take much longer."""
    return 8 * dice.lognormvariate(0, 0.25)


def with_second_tries(dice: random.Random) -> float:
    """One batch in five has an image that is painted again."""
    return dice.gauss(8, 0.4) + (4 if dice.random() < 0.2 else 0)


def steady(dice: random.Random) -> float:
    return dice.gauss(8, 0.3)


@pytest.mark.parametrize("batch_s", [lognormal, with_second_tries, steady])
@pytest.mark.parametrize("batches", [1, 5, 60])
def test_the_actual_time_is_below_the_latest_nearly_always_and_below_the_likely_about_half_the_time(batch_s, batches):
    dice = random.Random(f"{batch_s.__name__} {batches}")
    below_p50 = below_p95 = 0
    for _ in range(RUNS):
        pace = Pace.of([batch_s(dice) for _ in range(20)], size=4)
        hands = Hands(workers=1, loaded=frozenset({"starter"}), batches={})
        foretold = predict({"starter": 4 * batches}, last="starter", hands=hands, paces={"starter": pace})
        actual = timedelta(seconds=sum(batch_s(dice) for _ in range(batches)))
        below_p50 += actual < foretold.p50
        below_p95 += actual < foretold.p95
    assert 0.90 <= below_p95 / RUNS <= 0.99
    assert 0.35 <= below_p50 / RUNS <= 0.65
