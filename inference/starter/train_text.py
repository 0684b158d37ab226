"""Teaches the text encoder to read before the UNet learns to draw: from a caption it tells the scene's words.

On a CPU that spares the UNet the hours in which it would learn the language through pictures. Knows no pictures.
"""

from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from inference.starter.grammar import (
    BACKDROPS,
    COLORS,
    DEFECTS,
    LIGHTS,
    PRODUCTS,
    SEASONS,
    STYLES,
    SURFACES,
    Scene,
    caption,
    sample_scene,
)
from inference.starter.loop import Slice, Trained, cosine
from inference.starter.models import TOKENS, Preset, build_text_encoder, pick_device, tokenizer_in

BATCH = 64
RATE = 1e-3
EMA = 0.998
READ = {
    "backdrop": tuple(BACKDROPS),
    "color": tuple(COLORS),
    "second_color": tuple(COLORS),
    "surface": tuple(SURFACES),
    "surface_color": tuple(COLORS),
    "light": tuple(LIGHTS),
    "season": tuple(SEASONS),
    "product": tuple(PRODUCTS),
    "product_color": tuple(COLORS),
    "style": tuple(STYLES),
    "defect": ("", *DEFECTS),
}


class Reader(nn.Module):
    """Asks the token states one question per kind of word, as a UNet's cross-attention will: count x TOKENS x width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.questions = nn.Parameter(torch.randn(len(READ), width) * width**-0.5)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.answers = nn.ModuleList(nn.Linear(width, len(words)) for words in READ.values())

    def forward(self, states: torch.Tensor) -> list[torch.Tensor]:
        """Return the logits of every kind of word, in READ's order."""
        weights = torch.einsum("qw,btw->bqt", self.questions, self.key(states)).softmax(-1)
        read = weights @ self.value(states)
        return [answer(read[:, index]) for index, answer in enumerate(self.answers)]


def labels(scene: Scene) -> list[int]:
    """The scene's words as indices, in READ's order."""
    values = {field.name: getattr(scene, field.name) for field in fields(scene)}
    return [words.index(values[kind]) for kind, words in READ.items()]


def train(work: Path, preset: Preset, plan: Slice, *, seed: int = 0) -> None:
    """Train for the slice and save text.pt, from which the UNet's training starts; raises ResumeError.

    Words that a caption leaves out cannot be told; the loss they leave behind is the same for every encoder.
    """
    device = pick_device()
    tokenizer = tokenizer_in(work)
    encoder = build_text_encoder(preset, vocabulary=len(tokenizer), end_token=tokenizer.eos_token_id)
    reader = Reader(preset.text_width)
    nn.Module.to(encoder, device)
    trained = Trained("text", {"text_encoder": encoder, "reader": reader.to(device)}, rate=RATE, average=EMA)
    trained.restore(plan)
    progress = trained.progress
    rng = np.random.default_rng([seed, progress.step])
    torch.manual_seed(seed + progress.step)
    while not progress.is_done(plan):
        rate = cosine(progress.samples, plan.samples, peak=RATE, warmup=4000)
        tokens, targets = _batch(tokenizer, rng)
        loss, share = _loss(encoder, reader, tokens.to(device), targets.to(device))
        trained.step(loss, rate=rate)
        progress.advance(BATCH, share)
        if progress.step % 50 == 0:
            trained.log(plan, read=progress.mean(), rate=rate)
        if progress.is_due(plan):
            trained.save(plan)


def _batch(tokenizer: CLIPTokenizer, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    scenes = [sample_scene(rng) for _ in range(BATCH)]
    words = [caption(scene, rng) for scene in scenes]
    tokens = tokenizer(words, padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt").input_ids
    return tokens, torch.tensor([labels(scene) for scene in scenes])


def _loss(
    encoder: CLIPTextModel, reader: Reader, tokens: torch.Tensor, targets: torch.Tensor
) -> tuple[torch.Tensor, float]:
    """Return the cross-entropy over all kinds of words, and the share of words told right."""
    logits = reader(encoder(tokens)[0])
    losses = [nn.functional.cross_entropy(part, targets[:, index]) for index, part in enumerate(logits)]
    right = torch.stack([(part.argmax(1) == targets[:, index]).float().mean() for index, part in enumerate(logits)])
    return torch.stack(losses).sum(), float(right.mean())
