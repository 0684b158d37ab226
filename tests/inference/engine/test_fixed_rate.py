"""The fixed-rate engine keeps the engine's promises: pace, order, stops, pictures of seed and prompt, kept pixels."""

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest

from inference.catalog.sources import CheckpointSource
from inference.engine.fixed_rate import FixedRateEngine
from inference.engine.interface import InputError, Progress, Stopped
from tests.inference.engine.batches import input_for, key_for, run, sha256

SOURCE = CheckpointSource("starter", Path("nowhere"), "sd", 64, ((64, 64),))


@pytest.fixture
def quick():
    return FixedRateEngine(images_per_s=10_000)


def test_a_batch_never_ends_before_its_pace_allows():
    engine = FixedRateEngine(images_per_s=40)
    key = key_for(SOURCE)
    started = time.monotonic()
    run(engine, SOURCE, key, [input_for(key, 0)], batch_size=4)
    assert time.monotonic() - started >= 0.1


def test_pictures_depend_on_prompt_negative_prompt_and_seed_alone(quick):
    key = key_for(SOURCE, task="text2img")
    base = input_for(key, 1)
    inputs = [
        base,
        dataclasses.replace(base, prompt="other"),
        dataclasses.replace(base, negative_prompt="other"),
        dataclasses.replace(base, seed=77),
    ]
    pictures = [sha256(picture) for picture in run(quick, SOURCE, key, inputs)]
    assert len(set(pictures)) == 4
    assert [sha256(each) for each in run(quick, SOURCE, key, inputs[::-1])] == pictures[::-1]


def test_what_the_mask_keeps_is_kept(quick):
    key = key_for(SOURCE)
    each = input_for(key, 1)
    [picture] = run(quick, SOURCE, key, [each])
    assert each.image is not None
    assert each.mask_image is not None
    kept = each.mask_image == 0
    assert np.array_equal(picture[kept], each.image[kept])
    assert not np.array_equal(picture[~kept], each.image[~kept])


def test_progress_and_loaded_are_told(quick):
    key = key_for(SOURCE, steps=3)
    seen: list[Progress] = []
    before = quick.loaded
    run(quick, SOURCE, key, [input_for(key, 0)], on_progress=seen.append)
    assert (before, quick.loaded) == (None, "starter")
    assert list(dict.fromkeys(progress.phase for progress in seen)) == ["load", "step", "decode"]
    assert [p for p in seen if p.phase == "step"] == [Progress("step", step, 3) for step in range(4)]


def test_it_stops_between_steps(quick):
    key = key_for(SOURCE, steps=4)
    seen: list[Progress] = []
    with pytest.raises(Stopped, match="before step 3 of 4"):
        run(
            quick,
            SOURCE,
            key,
            [input_for(key, 0)],
            on_progress=seen.append,
            should_stop=lambda: Progress("step", 2, 4) in seen,
        )


def test_it_refuses_what_the_real_engine_refuses(quick):
    key = key_for(SOURCE)
    with pytest.raises(InputError, match="takes 1 to 1 inputs, not 2"):
        run(quick, SOURCE, key, [input_for(key, 0), input_for(key, 1)], batch_size=1)


@pytest.mark.parametrize("pace", [0, -1, float("nan")])
def test_a_pace_of_nothing_is_refused(pace):
    with pytest.raises(ValueError, match="above 0"):
        FixedRateEngine(images_per_s=pace)


def test_previews_show_what_is_coming_a_few_times_a_pass(quick):
    key = key_for(SOURCE, steps=24)
    inputs = [input_for(key, 0), input_for(key, 1)]
    seen: list[Progress] = []
    pictures = run(quick, SOURCE, key, inputs, on_progress=seen.append)
    shown = [each for each in seen if each.previews]
    assert [each.step for each in shown] == [3, 6, 9, 12, 15, 18, 21]
    for each in shown:
        for small, picture in zip(each.previews, pictures, strict=True):
            assert small.shape == (key.height // 8, key.width // 8, 3)
            assert np.array_equal(small, picture[::8, ::8])
