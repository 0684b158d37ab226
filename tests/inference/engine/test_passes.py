"""More inputs than a batch takes: pass by pass, each padded, and every picture the same whatever shares its pass."""

import numpy as np
import pytest

from inference.engine import passes
from inference.engine.fixed_rate import FixedRateEngine
from inference.engine.interface import EngineInput, NotFiniteError, Progress, Stopped
from tests.inference.engine.batches import key_for, sha256

STEPS, STRENGTH, BATCH = 10, 0.3, 4


def inputs_for(key, count):
    rng = np.random.default_rng(4)
    return [
        EngineInput(
            prompt="a red cat",
            negative_prompt="",
            seed=number,
            image=rng.integers(0, 256, (key.height, key.width, 3), dtype=np.uint8),
        )
        for number in range(count)
    ]


def run(engine, source, key, inputs, **options):
    given = {"batch_size": BATCH, "on_progress": lambda _: None, "should_stop": lambda: False, **options}
    return dict(passes.run(engine, key, inputs, source=source, **given))


def collect(pictures, arrived):
    for index, _ in pictures:
        arrived.append(index)


@pytest.fixture(params=["sd", "sdxl", "flux"])
def source(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def key(source):
    return key_for(source, task="img2img", steps=STEPS, strength=STRENGTH)


def test_every_tile_is_the_same_whatever_shares_its_pass(engine, source, key):
    inputs = inputs_for(key, 6)
    together = run(engine, source, key, inputs)
    assert sorted(together) == list(range(6))
    shuffled = run(engine, source, key, [inputs_for(key, 9)[8], *reversed(inputs)])
    for index in range(6):
        assert sha256(together[index]) == sha256(shuffled[6 - index])
    assert len({sha256(picture) for picture in together.values()}) == 6


def test_there_is_one_forward_call_a_step_and_a_pass(engine, sd):
    key = key_for(sd, task="img2img", steps=STEPS, strength=STRENGTH)
    run(engine, sd, key, inputs_for(key, 1))
    calls = []
    unet = engine._checkpoint.own.unet
    hook = unet.register_forward_hook(lambda *_: calls.append(1))
    before = engine.counters.passes
    try:
        run(engine, sd, key, inputs_for(key, 9))
    finally:
        hook.remove()
    assert engine.counters.passes - before == 3
    assert len(calls) == 3 * key.denoising_steps == 9


def test_progress_counts_the_steps_of_all_passes_and_shows_no_tile(engine, sd):
    key = key_for(sd, task="img2img", steps=20, strength=0.5)
    seen: list[Progress] = []
    run(engine, sd, key, inputs_for(key, 6), on_progress=seen.append)
    steps = [each for each in seen if each.phase == "step"]
    assert steps[-1].step == steps[-1].steps == 20
    assert [each.step for each in steps] == sorted(each.step for each in steps)
    assert not any(each.previews for each in seen)


def test_it_stops_between_two_passes(engine, sd):
    key = key_for(sd, task="img2img", steps=STEPS, strength=STRENGTH)
    arrived: list[int] = []
    pictures = passes.run(
        engine,
        key,
        inputs_for(key, 9),
        source=sd,
        batch_size=BATCH,
        on_progress=lambda _: None,
        should_stop=lambda: len(arrived) >= BATCH,
    )
    with pytest.raises(Stopped):
        collect(pictures, arrived)
    assert arrived == [0, 1, 2, 3]


class Broken(FixedRateEngine):
    """Hands over all of a batch but the inputs of some seeds."""

    def __init__(self, seeds):
        super().__init__(images_per_s=10_000)
        self.seeds = seeds

    def run(self, key, inputs, **options):
        lost = tuple(index for index, each in enumerate(inputs) if each.seed in self.seeds)
        for index, picture in super().run(key, inputs, **options):
            if index not in lost:
                yield index, picture
        if lost:
            raise NotFiniteError("They came out as no numbers.", lost)


def test_what_came_out_as_no_numbers_is_told_after_all_passes(sd):
    key = key_for(sd, task="img2img", steps=STEPS, strength=STRENGTH)
    arrived: list[int] = []
    pictures = passes.run(
        Broken({1, 6}),
        key,
        inputs_for(key, 7),
        source=sd,
        batch_size=BATCH,
        on_progress=lambda _: None,
        should_stop=lambda: False,
    )
    with pytest.raises(NotFiniteError) as told:
        collect(pictures, arrived)
    assert told.value.indexes == (1, 6)
    assert arrived == [0, 2, 3, 4, 5]


def test_one_batch_is_passed_on_as_it_is(engine, sd):
    key = key_for(sd, task="img2img", steps=20, strength=1.0)
    seen: list[Progress] = []
    run(engine, sd, key, inputs_for(key, 2), on_progress=seen.append)
    assert any(each.previews for each in seen)
