"""Texts through the real encoders: equal to plain diffusers' where it can say them, weighted, long, layers skipped."""

import dataclasses

import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline

from inference.engine import checkpoint as checkpoints
from inference.engine.clip_texts import windows
from inference.engine.conditioning import Conditioning
from tests.inference.engine.batches import difference, input_for, key_for, run, sha256

# 75 characters are 75 tokens of the tiny tokenizers.
LONG = "a jar on marble, " * 8


@pytest.fixture(scope="module")
def read(sd, sdxl):
    """A checkpoint's encodings by the name of its family."""
    loaded = {source.family: checkpoints.load(source, device=torch.device("cpu")) for source in (sd, sdxl)}
    with torch.inference_mode():
        yield {family: Conditioning(checkpoint) for family, checkpoint in loaded.items()}


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().mean())


def test_a_plain_text_is_encoded_as_diffusers_does_to_the_bit(sd, sdxl, read):
    pipeline = StableDiffusionPipeline.from_pretrained(sd.folder, local_files_only=True)
    tokens, negative = pipeline.encode_prompt(["a red cat"], "cpu", 1, True, negative_prompt=["blurry"])
    ours = read["sd"].texts("a red cat", "blurry", 0)
    assert torch.equal(ours.positive.tokens, tokens)
    assert torch.equal(ours.negative.tokens, negative)
    pipeline = StableDiffusionXLPipeline.from_pretrained(sdxl.folder, local_files_only=True)
    tokens, negative, pooled, negative_pooled = pipeline.encode_prompt("a red cat", device="cpu", negative_prompt="dim")
    ours = read["sdxl"].texts("a red cat", "dim", 0)
    assert torch.equal(ours.positive.tokens, tokens)
    assert torch.equal(ours.positive.pooled, pooled)
    assert torch.equal(ours.negative.tokens, negative)
    assert torch.equal(ours.negative.pooled, negative_pooled)


def test_clip_skip_is_the_layer_that_diffusers_takes(sdxl, sd, read):
    pipeline = StableDiffusionXLPipeline.from_pretrained(sdxl.folder, local_files_only=True)
    # Two layers: skipping one leaves the first of them, for SDXL its input.
    tokens = pipeline.encode_prompt("a red cat", device="cpu", negative_prompt="dim", clip_skip=0)[0]
    assert torch.equal(read["sdxl"].texts("a red cat", "dim", 0).positive.tokens, tokens)
    tokens = pipeline.encode_prompt("a red cat", device="cpu", negative_prompt="dim", clip_skip=1)[0]
    assert torch.equal(read["sdxl"].texts("a red cat", "dim", 1).positive.tokens, tokens)
    # diffusers cannot skip layers of Stable Diffusion's since transformers 5.6 (its issue 14124): by hand.
    plain = StableDiffusionPipeline.from_pretrained(sd.folder, local_files_only=True)
    ids = plain.tokenizer(["a red cat"], padding="max_length", return_tensors="pt").input_ids
    states = plain.text_encoder(ids, output_hidden_states=True).hidden_states
    wanted = plain.text_encoder.final_layer_norm(states[-2])
    assert torch.equal(read["sd"].texts("a red cat", "", 1).positive.tokens, wanted)


@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_a_weight_moves_its_words_away_from_nothing_in_proportion(read, family):
    def tokens(prompt):
        return read[family].texts(prompt, "", 0).positive.tokens

    # Only the embeddings of the weighted words move: "red" is tokens 3 to 5 behind the beginning and "a ".
    plain, heavy, light = tokens("a red cat"), tokens("a (red:1.3) cat"), tokens("a (red:0.7) cat")
    moved = (heavy - plain).abs().amax(dim=(0, 2)).nonzero().flatten().tolist()
    assert len(moved) == len("red")
    assert torch.allclose(heavy - plain, plain - light, atol=1e-6)
    twice = tokens("a (red:1.6) cat")
    assert torch.allclose(twice - plain, 2 * (heavy - plain), atol=1e-6)
    gone, nothing = tokens("a (red:0) cat"), tokens("")
    assert torch.allclose(gone[:, moved], nothing[:, moved], atol=1e-6)


def test_weighted_words_move_the_picture_more_the_more_they_weigh(engine, sd):
    key = key_for(sd, task="text2img", steps=4)
    base = dataclasses.replace(input_for(key, 1), prompt="a jar on sand")
    weights = [dataclasses.replace(base, prompt=f"a (jar:{weight}) on sand") for weight in (1.2, 1.5, 2)]
    plain, *others = run(engine, sd, key, [base, *weights])
    near, far, farther = [difference(plain, other) for other in others]
    assert 0 < near < far < farther


def test_a_long_text_is_read_to_its_end(engine, sd):
    key = key_for(sd, task="text2img", steps=4)
    base = input_for(key, 1)
    one = dataclasses.replace(base, prompt=LONG + "at night")
    other = dataclasses.replace(base, prompt=LONG + "on snow")
    first, second = run(engine, sd, key, [one, other])
    assert difference(first, second) > 0.5


def test_windows_hold_every_token_once_and_a_weight_for_each(sd):
    tokenizer = StableDiffusionPipeline.from_pretrained(sd.folder, local_files_only=True).tokenizer
    found = windows(tokenizer, f"{LONG}(at night:1.4)")
    assert [len(each.ids) for each in found[:-1]] == [75] * (len(found) - 1)
    assert [token for each in found for token in each.ids] == tokenizer(f"{LONG}at night").input_ids[1:-1]
    assert [weight for each in found for weight in each.weights][-len("atnight") :] == [1.4] * len("atnight")
    assert len(windows(tokenizer, "")) == 1


@pytest.mark.parametrize("name", ["sd", "sdxl"])
def test_long_and_short_texts_in_one_batch_give_the_bytes_they_give_alone(request, engine, name):
    source = request.getfixturevalue(name)
    key = key_for(source, task="text2img", steps=3)
    short, long_ = input_for(key, 1), dataclasses.replace(input_for(key, 2), prompt=LONG)
    negative = dataclasses.replace(input_for(key, 0), negative_prompt=LONG)
    together = engine.run(
        key,
        [short, long_, negative],
        source=source,
        batch_size=4,
        on_progress=lambda progress: None,
        should_stop=lambda: False,
    )
    arrived = dict(together)
    assert set(arrived) == {0, 1, 2}
    for index, each in enumerate((short, long_, negative)):
        [alone] = run(engine, source, key, [each])
        assert sha256(arrived[index]) == sha256(alone)


def test_clip_skip_changes_the_picture(engine, sd):
    key = key_for(sd, task="text2img", steps=4)
    skipped = dataclasses.replace(key, clip_skip=1)
    [one] = run(engine, sd, key, [input_for(key, 1)])
    [other] = run(engine, sd, skipped, [input_for(key, 1)])
    assert difference(one, other) > 0.5
