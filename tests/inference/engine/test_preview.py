"""Previews of latents: a VAE's linear approximation, near enough to see what comes, and none of the picture's bytes."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from inference.engine.interface import PREVIEWS_A_PASS, Progress, has_preview
from inference.engine.preview import Preview
from inference.starter.grammar import sample_scene
from inference.starter.models import PRESETS, build_vae
from inference.starter.render import render
from inference.starter.warm_start import warm_start
from tests.inference.engine.batches import input_for, key_for, run, sha256


@pytest.fixture(scope="module")
def vae():
    """A picture codec with no training behind it: like a trained VAE, nearly linear in color."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return warm_start(build_vae(PRESETS["cpu"])).eval()


@torch.inference_mode()
def test_a_preview_resembles_the_picture_that_the_latents_stand_for(vae):
    scene = sample_scene(np.random.default_rng(4), width=128, height=128)
    picture = render(scene)
    pixels = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None] / 127.5 - 1
    mode = vae.encode(pixels).latent_dist.mode()
    # As every VAE of this kind is published: latents of pictures have deviation 1 after scaling.
    vae.register_to_config(scaling_factor=1 / float(mode.std()))
    latents = mode * vae.config.scaling_factor
    [shown] = Preview(vae).pictures(latents)
    small = np.asarray(Image.fromarray(picture).resize((16, 16), Image.Resampling.BOX)).astype(float)
    assert np.abs(shown - small).mean() < 0.4 * np.abs(small - small.mean(axis=(0, 1))).mean()


@torch.inference_mode()
def test_noise_of_any_size_is_shown_within_the_range_of_a_picture(vae):
    noise = torch.randn(2, 4, 16, 16, generator=torch.Generator("cpu").manual_seed(3))
    quiet, loud = Preview(vae).pictures(torch.stack((noise[0], noise[0] * 14.6)))
    assert np.abs(quiet.astype(int) - loud.astype(int)).mean() < 2


@torch.inference_mode()
def test_latents_that_are_no_numbers_have_no_preview(vae):
    assert Preview(vae).pictures(torch.full((1, 4, 8, 8), torch.nan)) == ()


def test_a_pass_shows_previews_of_its_inputs_alone_and_keeps_its_bytes(engine, checkpoint):
    key = dataclasses.replace(key_for(checkpoint, steps=5), width=96, height=64)
    inputs = [input_for(key, number) for number in range(3)]
    seen: list[Progress] = []
    watched = run(engine, checkpoint, key, inputs, on_progress=seen.append)
    shown = [each for each in seen if each.previews]
    assert [each.step for each in shown] == [1, 2, 3, 4]
    assert {picture.shape for each in shown for picture in each.previews} == {(8, 12, 3)}
    assert {len(each.previews) for each in shown} == {3}
    assert all(each.previews[0].std() > 0 for each in shown)
    assert [sha256(picture) for picture in run(engine, checkpoint, key, inputs)] == [sha256(each) for each in watched]


@pytest.mark.parametrize("steps", [1, 2, 8, 9, 28, 150])
def test_a_pass_has_few_previews_and_none_after_its_last_step(steps):
    due = [step for step in range(1, steps + 1) if has_preview(step, steps)]
    assert len(due) <= PREVIEWS_A_PASS
    assert len(due) >= min(steps - 1, 4)
    assert steps not in due
