"""The trainer: a start that already shows pictures, slices that carry on, an export that stock pipelines load."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, StableDiffusionInpaintPipeline

from inference.starter import train_text, train_unet, train_vae
from inference.starter.export import export
from inference.starter.grammar import caption, sample_scene
from inference.starter.latents import load_pools
from inference.starter.loop import ResumeError, Slice, cosine
from inference.starter.models import PRESETS, build_text_encoder, build_unet, build_vae, train_tokenizer
from inference.starter.warm_start import warm_start
from tests.inference.starter.small import SMALL


def test_an_untrained_autoencoder_already_shows_the_picture() -> None:
    torch.manual_seed(0)
    vae = warm_start(build_vae(PRESETS["cpu"]))
    rows = torch.linspace(-0.8, 0.8, 64)
    picture = torch.stack([rows[:, None].expand(64, 64), -rows[None].expand(64, 64), torch.zeros(64, 64)])[None]
    with torch.no_grad():
        shown = vae.decode(vae.encode(picture).latent_dist.mode()).sample
    assert -10 * torch.log10(((shown - picture) ** 2).mean() / 4) > 15


def test_any_prompt_has_tokens() -> None:
    rng = np.random.default_rng(0)
    tokenizer = train_tokenizer([caption(sample_scene(rng), rng) for _ in range(200)], merges=200)
    for prompt in ("qXz!?", "日本のお茶", "naïve café №7", "🍵 on marble"):
        tokens = tokenizer(prompt).input_ids
        assert len(tokens) > 2
        assert tokenizer.eos_token_id not in tokens[:-1]
    assert tokenizer.tokenize("on marble") == ["on</w>", "marble</w>"]


def test_latents_are_centered_and_mirror_with_the_picture(work: Path) -> None:
    pool = load_pools(work / "data", scale="half")[0]
    assert pool.latents.shape == (8, 4, 16, 16)
    assert np.abs(pool.latents.astype(float).mean(axis=(0, 2, 3))).max() < 0.5
    assert np.all(np.abs(pool.latents.astype(float).std(axis=(0, 2, 3)) - 1) < 0.5)


def test_the_text_encoder_learns_to_read_and_the_unet_starts_from_what_it_learned(tmp_path: Path) -> None:
    # So many samples, however long they take.
    train_text.train(tmp_path, SMALL, Slice(tmp_path, 60, 6_400, resume=False))
    shares = [json.loads(line)["read"] for line in (tmp_path / "text.jsonl").read_text().splitlines()]
    guessing = np.mean([1 / len(words) for words in train_text.READ.values()])
    assert shares[-1] > shares[0] > guessing
    learned = torch.load(tmp_path / "text.pt", weights_only=True)["shadows"]["text_encoder"]
    begun = train_unet.build(tmp_path, SMALL).text_encoder.state_dict()
    assert all(torch.equal(begun[name], value) for name, value in learned.items())


def test_a_second_slice_carries_on_where_the_first_stopped(work: Path) -> None:
    train_unet.train(work, SMALL, Slice(work, 1, 20, resume=True), scale="half")
    state = torch.load(work / "unet.pt", weights_only=True)
    assert (state["step"], state["samples"]) == (5, 20)


def test_a_training_is_never_overwritten_unasked(work: Path) -> None:
    with pytest.raises(ResumeError, match="--resume"):
        train_unet.train(work, SMALL, Slice(work, 1, 20, resume=False), scale="half")


def test_the_encoder_stays_once_pictures_are_encoded(work: Path) -> None:
    with pytest.raises(ResumeError, match="--decoder-only"):
        train_vae.train(work / "data", SMALL, Slice(work, 1, 99, resume=True))
    before = torch.load(work / "vae.pt", weights_only=True)["model"]["vae"]
    train_vae.train(work / "data", SMALL, Slice(work, 1, 16, resume=True), decoder_only=True)
    after = torch.load(work / "vae.pt", weights_only=True)["model"]["vae"]
    moved = {name.split(".")[0] for name in after if not torch.equal(before[name], after[name])}
    assert "decoder" in moved
    assert moved <= {"decoder", "post_quant_conv"}


def test_the_export_loads_offline_and_inpaints_only_where_it_is_asked(work: Path, tmp_path: Path) -> None:
    export(work, SMALL, tmp_path / "checkpoint")
    pipeline = DiffusionPipeline.from_pretrained(tmp_path / "checkpoint", local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    inpaint = StableDiffusionInpaintPipeline.from_pipe(pipeline)
    image, mask = torch.rand(1, 3, 64, 64), torch.zeros(1, 1, 64, 64)
    mask[..., 32:] = 1
    kept, painted = (
        inpaint(
            "on marble",
            image=image,
            mask_image=part,
            num_inference_steps=2,
            height=64,
            width=64,
            output_type="latent",
            strength=1.0,
            generator=torch.Generator().manual_seed(1),
        ).images
        for part in (mask, torch.ones_like(mask))
    )
    assert kept.shape == (1, 4, 8, 8)
    assert not torch.allclose(kept[..., :4], painted[..., :4])


def test_the_learning_rate_rises_then_falls() -> None:
    rates = [cosine(n, 1000, peak=1.0, warmup=100) for n in (0, 100, 550, 1000, 5000)]
    assert rates[0] < 0.02
    assert rates[1] == 1.0
    assert rates[1] > rates[2] > rates[3] == rates[4] > 0


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_preset_fits_the_size_that_is_shipped(preset: str) -> None:
    chosen = PRESETS[preset]
    with torch.device("meta"):
        networks = (
            build_unet(chosen),
            build_vae(chosen),
            build_text_encoder(chosen, vocabulary=1945, end_token=1944),
        )
    assert sum(p.numel() for network in networks for p in network.parameters()) * 2 < 39.5e6
