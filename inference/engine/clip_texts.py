"""A text through a CLIP encoder: any length, weighted words, layers skipped.
Knows nothing about batches, checkpoints or pictures.

A text longer than the encoder's window is read in windows of its own size, each by itself, and their embeddings are
joined (as AUTOMATIC1111's interface does). A weighted word's embedding is moved along the line from what nothing means
in its place to what it means (as ComfyUI does): weight 1 leaves it, 0 leaves nothing of it.
"""

# diffusers and transformers leave many of their functions untyped.
# mypy: allow-untyped-calls

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from inference.engine.prompt_weights import parse


@dataclass(frozen=True)
class Window:
    """The token ids that fit between begin and end, and the weight of each."""

    ids: tuple[int, ...]
    weights: tuple[float, ...]

    @property
    def is_weighted(self) -> bool:
        """Whether any word counts for more or less than it says."""
        return any(weight != 1 for weight in self.weights)


@dataclass(frozen=True, eq=False)
class ClipText:
    """Embeddings (1, tokens, width) of all windows, and the first one's pooled (1, width) where the encoder pools."""

    tokens: torch.Tensor
    pooled: torch.Tensor | None


def windows(tokenizer: Any, prompt: str) -> tuple[Window, ...]:
    """The prompt's tokens with their weights, in as many windows as they need; at least one."""
    room = tokenizer.model_max_length - 2
    pairs = [
        (token, fragment.weight)
        for fragment in parse(prompt)
        for token in tokenizer(fragment.text, add_special_tokens=False).input_ids
    ]
    cuts = range(0, max(1, len(pairs)), room)
    return tuple(Window(*_unzip(pairs[cut : cut + room])) for cut in cuts)


def encode(tokenizer: Any, encoder: Any, prompt: str, *, layer: int) -> ClipText:
    """The embeddings of a prompt.

    :param layer: whose output is taken, counted from the last one, 0; that one is normalized, as Stable Diffusion 1
        and 2 take it. Negative: that many from the end, not normalized, as Stable Diffusion XL does (-2: the last but
        one).
    """
    found = windows(tokenizer, prompt)
    read = [_read(tokenizer, encoder, window, layer) for window in found]
    if any(window.is_weighted for window in found):
        nothing = _read(tokenizer, encoder, Window((), ()), layer).tokens
        tokens = [_weigh(each.tokens, nothing, window) for each, window in zip(read, found, strict=True)]
    else:
        tokens = [each.tokens for each in read]
    return ClipText(tokens=torch.cat(tokens, dim=1), pooled=read[0].pooled)


def _read(tokenizer: Any, encoder: Any, window: Window, layer: int) -> ClipText:
    ids = [tokenizer.bos_token_id, *window.ids, tokenizer.eos_token_id]
    ids += [tokenizer.pad_token_id] * (tokenizer.model_max_length - len(ids))
    output = encoder(torch.tensor([ids], device=encoder.device), output_hidden_states=True)
    pooled = getattr(output, "text_embeds", None)
    if layer == 0:
        return ClipText(tokens=output.last_hidden_state, pooled=pooled)
    if layer < 0:
        return ClipText(tokens=output.hidden_states[layer], pooled=pooled)
    # Since transformers 5.6 the text model is the model itself; before, it was an attribute.
    last = getattr(encoder, "text_model", encoder).final_layer_norm
    return ClipText(tokens=last(output.hidden_states[-1 - layer]), pooled=pooled)


def _weigh(tokens: torch.Tensor, nothing: torch.Tensor, window: Window) -> torch.Tensor:
    more = torch.zeros(tokens.shape[1], dtype=tokens.dtype, device=tokens.device)
    more[1 : 1 + len(window.weights)] = torch.tensor(window.weights, dtype=tokens.dtype, device=tokens.device) - 1
    return tokens + (tokens - nothing) * more[None, :, None]


def _unzip(pairs: list[tuple[int, float]]) -> tuple[tuple[int, ...], tuple[float, ...]]:
    return tuple(token for token, _ in pairs), tuple(weight for _, weight in pairs)
