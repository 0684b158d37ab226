"""Asking for images: credits held and renders queued in one transaction. Knows nothing about who works them off."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction

from billing import bulk, ledger
from inference import pricing
from inference.catalog import CatalogEntry
from inference.models import Generation, Render
from inference.queue.nudges import nudge_on_commit
from inference.requests import JSON, ImageRequest


class KeyReusedError(Exception):
    """The idempotency key was used before, for other requests."""


@dataclass(frozen=True, kw_only=True)
class QueuedRequest:
    """A request with what the queue needs to place it: its batch key and what the image may cost at most."""

    request: ImageRequest
    batch_key: str


def enqueue(
    *,
    workspace_id: int,
    key: str,
    requests: Sequence[QueuedRequest],
    entry: CatalogEntry,
    now: datetime,
    created_by_id: int | None = None,
    budget_id: int | None = None,
    priority: int = 0,
    deadline_at: datetime | None = None,
    queue: str = "gpu",
    settings: dict[str, JSON] | None = None,
) -> tuple[Generation, list[int]]:
    """Hold the credits and queue the renders, all or nothing; returns the generation and its renders' ids in order.

    The same key with the same requests returns what it made the first time. `settings` is kept beside the generation
    for whoever asks, and plays no part in anything here.

    :raises KeyReusedError: the key stands for other requests.
    :raises billing.ledger.InsufficientCreditsError: the workspace is short of credits.
    :raises billing.ledger.OverBudgetError: the campaign's budget does not allow it.
    """
    request_hash = pricing.requests_digest([queued.request for queued in requests])
    if first := _asked_before(workspace_id, key, request_hash):
        return first
    try:
        with transaction.atomic():
            maximum = [pricing.maximum(queued.request, entry) for queued in requests]
            held = ledger.hold(
                workspace_id=workspace_id, key=key, amounts=maximum, tier=entry.tier, budget_id=budget_id, now=now
            )
            generation = Generation.objects.create(
                workspace_id=workspace_id,
                created_by_id=created_by_id,
                hold=held,
                key=key,
                request_hash=request_hash,
                price_version=entry.price.version,
                settings=settings,
                deadline_at=deadline_at,
                total=len(requests),
                created_at=now,
            )
            render_ids = _queue_renders(generation, requests, queue=queue, priority=priority)
            nudge_on_commit(queue)
    except (IntegrityError, ledger.InsufficientCreditsError, ledger.OverBudgetError):
        # The same click twice at once: the other one was faster, and holds the key (and maybe the last credits).
        if first := _asked_before(workspace_id, key, request_hash):
            return first
        raise
    return generation, render_ids


def _asked_before(workspace_id: int, key: str, request_hash: str) -> tuple[Generation, list[int]] | None:
    generation = Generation.objects.filter(workspace_id=workspace_id, key=key).first()
    if generation is None:
        return None
    if generation.request_hash != request_hash:
        raise KeyReusedError(f"The key {key!r} was used for other requests. Take a new key.")
    return generation, list(generation.renders.order_by("pk").values_list("pk", flat=True))


def _queue_renders(
    generation: Generation, requests: Sequence[QueuedRequest], *, queue: str, priority: int
) -> list[int]:
    line_ids = generation.hold.lines.order_by("position").values_list("pk", flat=True)
    bulk.insert(
        Render,
        ("hold_line_id", "checkpoint", "batch_key", "request", "seed"),
        [
            (line_id, queued.request.checkpoint, queued.batch_key, queued.request.canonical(), queued.request.seed)
            for line_id, queued in zip(line_ids, requests, strict=True)
        ],
        workspace_id=generation.workspace_id,
        generation=generation,
        queue=queue,
        priority=priority,
        created_at=generation.created_at,
    )
    return list(generation.renders.order_by("pk").values_list("pk", flat=True))
