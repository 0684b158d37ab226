"""The other benches: what they measure is what the studio does."""

import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from gallery import renditions, storage
from gallery.models import RenditionKind
from inference.engine.bench import calls, determinism, egress, lora_switch
from inference.engine.bench.goal import Goal


def test_every_family_calls_its_denoiser_once_a_step(tmp_path):
    [goal] = calls.goals(tmp_path)
    assert goal.figure == "sd 5, sdxl 5, flux 5"
    assert goal.is_reached


def test_twenty_images_have_the_same_bytes_in_other_batches_orders_tries_and_processes(tmp_path):
    outcome = determinism.measure("sd", tmp_path / "sd", images=20, kills=1)
    assert (outcome.compared, outcome.different, outcome.killed) == (20, 0, 1)


def test_a_difference_would_be_seen(tmp_path, monkeypatch):
    real = determinism._painted

    def with_a_flaw(engine, folder, batches, rng, **options):
        for number, digest in real(engine, folder, batches, rng, **options):
            yield number, digest if number != 2 else "another"

    monkeypatch.setattr(determinism, "_painted", with_a_flaw)
    # The processes beside this one paint without the flaw.
    outcome = determinism.measure("sd", tmp_path / "sd", images=4, kills=0)
    assert (outcome.compared, outcome.different) == (4, 1)


@pytest.mark.django_db
def test_the_thumbnail_that_is_measured_is_the_one_that_is_stored():
    pixels = egress.picture(0, 512)
    stored = renditions.store(workspace_id=1, image=Image.fromarray(pixels))
    [thumb] = [each for each in stored if each.kind == RenditionKind.THUMB]
    assert egress.thumbnail(pixels) == storage.read(thumb.storage_key)


def test_both_ways_of_a_finished_picture_keep_every_pixel():
    pixels = egress.picture(1, 128)
    from inference.product_lock import encode_master

    master = encode_master(pixels, icc_profile=None)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(master))), pixels)
    assert egress.quickly(pixels) == hashlib.sha256(master).hexdigest()
    assert egress.plainly(pixels) != egress.quickly(pixels)


def test_made_pictures_are_as_hard_to_compress_as_photos():
    stream = io.BytesIO()
    Image.fromarray(egress.picture(2, 256)).save(stream, "PNG")
    assert 0.2 < len(stream.getvalue()) / (256 * 256 * 3) < 0.8


@pytest.mark.parametrize("spelling", ["peft", "kohya"])
def test_a_lora_switch_is_measured_on_a_file_that_all_ways_can_read(spelling):
    small = {
        **lora_switch.SDXL_UNET,
        "block_out_channels": (32, 64),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "layers_per_block": 1,
        "cross_attention_dim": 32,
        "transformer_layers_per_block": (1, 1),
        "attention_head_dim": (2, 4),
    }
    switch = lora_switch.measure(spelling, repeat=1, unet_config=small)
    assert switch.nbytes > 10_000
    assert min(switch.ours_s, switch.of_copy, switch.of_diffusers) > 0


def test_a_goal_is_told_in_one_line():
    assert str(Goal("what", "≥ 2", "1.9", is_reached=False)) == "what · ≥ 2 · 1.9 · NOT reached"
