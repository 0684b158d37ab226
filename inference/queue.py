"""The queue of renders, and the only writer of a render's status.

The database holds the truth; a Celery message only says that there is work. Every transition is one conditional
UPDATE, guarded by the fence where a worker's attempt is concerned, so a late or doubled attempt changes nothing.
Rows are locked in one order everywhere: renders by id, then generation, then the ledger's.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from celery import current_app
from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet

from billing import ledger
from billing.kill_points import kill_point
from inference import catalog, pricing, turn
from inference.catalog import CatalogEntry
from inference.models import UNFINISHED, Batch, Generation, Render, RenderStatus, Worker
from inference.pricing import Used
from inference.requests import JSON, ImageRequest
from inference.turn import BatchSize

logger = logging.getLogger(__name__)

FLAWED = "flawed"  # the failure code of an image whose every try came out with a flaw
CANCELED = "Canceled. Nothing was charged."
LEASE = timedelta(seconds=60)
MAX_ATTEMPTS = 3
MAX_GIVEN_BACK = 20
MAX_BACKOFF = timedelta(minutes=5)
# What a clock may be off without anybody minding.
CLOCK_SLACK = timedelta(seconds=10)


class KeyReusedError(Exception):
    """The idempotency key was used before, for other requests."""


class StaleAttemptError(Exception):
    """The render went on without this attempt: it was reaped, canceled or settled."""


@dataclass(frozen=True, kw_only=True)
class QueuedRequest:
    """A request with what the queue needs to place it: its batch key and what the image may cost at most."""

    request: ImageRequest
    batch_key: str


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """One render in a worker's hands, with the fence that only this attempt knows."""

    id: int
    workspace_id: int
    fence: int
    request: ImageRequest
    tries: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class ClaimedBatch:
    """Renders that share one BatchKey, claimed together."""

    id: int
    batch_key: str
    renders: tuple[Claimed, ...]


# --- asking ----------------------------------------------------------------------------------------------------------


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
    renders = Render.objects.bulk_create(
        [
            Render(
                workspace_id=generation.workspace_id,
                generation=generation,
                hold_line_id=line_id,
                queue=queue,
                checkpoint=queued.request.checkpoint,
                batch_key=queued.batch_key,
                request=queued.request.to_json(),
                seed=queued.request.seed,
                priority=priority,
                created_at=generation.created_at,
            )
            for line_id, queued in zip(line_ids, requests, strict=True)
        ],
        batch_size=500,
    )
    return [render.pk for render in renders]


def nudge_on_commit(queue: str) -> None:
    """Tell a worker, once this transaction is real, that there is work. Lost nudges are replaced by the sweeper."""
    transaction.on_commit(lambda: nudge(queue), robust=True)


def nudge(queue: str) -> None:
    """Say that there is work on a queue."""
    current_app.send_task("inference.drain", args=[queue], queue=queue, ignore_result=True)


def waiting(*, queue: str, now: datetime) -> bool:
    """Whether a worker that asked now would get something."""
    return turn.eligible(queue=queue, now=now).exists()


# --- working ---------------------------------------------------------------------------------------------------------


def register(*, host: str, pid: int, queue: str, now: datetime) -> Worker:
    """A worker's first word."""
    return Worker.objects.create(host=host, pid=pid, queue=queue, started_at=now, seen_at=now)


@transaction.atomic
def claim(*, worker: Worker, batch_size_of: BatchSize, now: datetime) -> ClaimedBatch | None:
    """Take the next batch: up to the entry's batch size of renders that share one BatchKey; None when nothing waits.

    The loaded checkpoint's work goes first, then priority, then the workspace with the fewest running renders, then
    age. A render whose last batch died is claimed alone, so that a poisonous one ends alone.
    """
    chosen = turn.choose(queue=worker.queue, loaded_checkpoint=worker.checkpoint, batch_size_of=batch_size_of, now=now)
    if not chosen:
        return None
    batch = Batch.objects.create(worker=worker, batch_key=chosen[0].batch_key, size=len(chosen), created_at=now)
    Render.objects.filter(pk__in=[render.pk for render in chosen], status=RenderStatus.QUEUED).update(
        status=RenderStatus.RUNNING,
        fence=F("fence") + 1,
        attempts=F("attempts") + 1,
        lease_expires_at=now + LEASE,
        batch=batch,
    )
    return ClaimedBatch(
        id=batch.pk, batch_key=chosen[0].batch_key, renders=tuple(_claimed(render) for render in chosen)
    )


def heartbeat(
    *, batch: ClaimedBatch, worker: Worker, phase: str, step: int, steps: int, now: datetime
) -> frozenset[int]:
    """Renew the leases of a batch and say how far it is; returns the renders that are still this attempt's.

    A render past its generation's deadline keeps the lease it has, and is taken back when that runs out.
    """
    late = Generation.objects.filter(deadline_at__lte=now)
    with transaction.atomic():
        rows = Render.objects.filter(batch_id=batch.id, status=RenderStatus.RUNNING).order_by("pk")
        fences = dict(rows.select_for_update().values_list("pk", "fence"))
        Render.objects.filter(pk__in=fences).exclude(generation__in=late).update(lease_expires_at=now + LEASE)
        Batch.objects.filter(pk=batch.id).update(phase=phase, step=step, steps=steps)
        Worker.objects.filter(pk=worker.pk).update(seen_at=now)
    return frozenset(render.id for render in batch.renders if fences.get(render.id) == render.fence)


def held(batch: ClaimedBatch) -> frozenset[int]:
    """The ids of a batch's renders that are still this attempt's; nothing is renewed."""
    fences = dict(
        Render.objects.filter(batch_id=batch.id, status=RenderStatus.RUNNING).values_list("pk", "fence").order_by()
    )
    return frozenset(render.id for render in batch.renders if fences.get(render.id) == render.fence)


def finish_batch(*, batch: ClaimedBatch, now: datetime) -> None:
    """Close the books on a claim, whatever became of its renders."""
    Batch.objects.filter(pk=batch.id).update(phase="finished", preview_step=0, finished_at=now)


@transaction.atomic
def complete(*, render: Claimed, asset_id: Callable[[], int], seed: int, used: Used, now: datetime) -> None:
    """Settle an image: the render has its asset and its credits are captured, in one transaction.

    :param asset_id: makes the asset's row; called inside the transaction, once the fence is known to hold.
    :param used: what the image took, settled at the price that stood when it was asked for.
    :raises StaleAttemptError: the fence moved on; nothing is written.
    """
    row = _lock_attempt(render)
    asset = asset_id()
    Render.objects.filter(pk=render.id).update(
        status=RenderStatus.SUCCEEDED,
        asset_id=asset,
        seed=seed,
        tries=render.tries,
        lease_expires_at=None,
        finished_at=now,
        failure_code="",
        failure_reason="",
    )
    kill_point("in_settle")
    _count(row.generation_id, RenderStatus.SUCCEEDED, 1)
    version = Generation.objects.values_list("price_version", flat=True).get(pk=row.generation_id)
    charged = pricing.charge(catalog.entry(row.checkpoint).price_of(version), used)
    ledger.settle(line_id=row.hold_line_id, cost=charged.cost, micro_units=charged.micro_units, now=now)


@transaction.atomic
def fail(*, render: Claimed, code: str, reason: str, may_retry: bool, now: datetime) -> None:
    """End an attempt that failed by the request's own fault; after three, or when it cannot help, the render fails.

    :raises StaleAttemptError: the fence moved on; nothing is written.
    """
    row = _lock_attempt(render)
    Render.objects.filter(pk=row.pk).update(tries=render.tries)
    if may_retry and row.attempts < MAX_ATTEMPTS:
        _requeue(row, not_before=now + _backoff(row.attempts), code=code, reason=reason, alone=True)
    else:
        _end(row, RenderStatus.FAILED, code=code, reason=reason, now=now)


@transaction.atomic
def give_back(*, render: Claimed, code: str, reason: str, now: datetime) -> None:
    """End an attempt that failed by our own fault (disk, storage, shutdown): it does not count, up to twenty times.

    :raises StaleAttemptError: the fence moved on; nothing is written.
    """
    row = _lock_attempt(render)
    if row.given_back >= MAX_GIVEN_BACK:
        _end(row, RenderStatus.FAILED, code=code, reason=reason, now=now)
        return
    is_shutdown = code == "shutdown"
    Render.objects.filter(pk=row.pk).update(
        attempts=F("attempts") - 1, given_back=F("given_back") + (0 if is_shutdown else 1)
    )
    not_before = None if is_shutdown else now + _backoff(row.given_back + 1)
    # Alone, because the fault may be one render's own file: its neighbors must not fail with it.
    _requeue(row, not_before=not_before, code=code, reason=reason, alone=not is_shutdown)


# --- stopping and sweeping -------------------------------------------------------------------------------------------


@transaction.atomic
def cancel(*, generation_id: int, now: datetime) -> int:
    """Cancel what is queued or running and give its credits back at once; returns how many renders."""
    unfinished = Render.objects.filter(generation_id=generation_id, status__in=UNFINISHED)
    return _end_all(unfinished, RenderStatus.CANCELED, code="canceled", reason=CANCELED, now=now)


@transaction.atomic
def cancel_render(*, render_id: int, now: datetime) -> bool:
    """Cancel one image, queued or running, and give its credits back at once; False if it had ended already."""
    unfinished = Render.objects.filter(pk=render_id, status__in=UNFINISHED)
    return bool(_end_all(unfinished, RenderStatus.CANCELED, code="canceled", reason=CANCELED, now=now))


def pause(*, generation_id: int) -> None:
    """Claim nothing more of this generation; what is running finishes."""
    Generation.objects.filter(pk=generation_id).update(is_paused=True)


def resume(*, generation_id: int) -> None:
    """Claim from this generation again."""
    if Generation.objects.filter(pk=generation_id, is_paused=True).update(is_paused=False):
        nudge_on_commit("gpu")


def reap(*, now: datetime) -> int:
    """Take back renders whose worker stopped renewing its lease; returns how many."""
    return _take_back(Q(lease_expires_at__lte=now), now)


def rein_in(*, now: datetime) -> None:
    """Shorten the pauses and leases that are longer than any: the clock was ahead when they were made, and went back.

    Until then the renders would wait, and a dead worker's be missed, for as long as the clock was wrong.
    """
    too_late = Render.objects.filter(status=RenderStatus.QUEUED, not_before__gt=now + MAX_BACKOFF + CLOCK_SLACK)
    too_late.update(not_before=now)
    too_long = Render.objects.filter(status=RenderStatus.RUNNING, lease_expires_at__gt=now + LEASE + CLOCK_SLACK)
    too_long.update(lease_expires_at=now + LEASE)


def lend_anew(*, now: datetime) -> None:
    """Begin every lease again: the clock jumped ahead, so that leases ran out in which no time has passed."""
    Render.objects.filter(status=RenderStatus.RUNNING).update(lease_expires_at=now + LEASE)


def bury(*, host: str, is_alive: Callable[[int], bool], now: datetime) -> int:
    """Take back at once what the dead workers of this host had claimed; returns how many renders.

    A supervisor knows that its worker died long before the lease runs out. Should it be wrong, the fence forgives.
    """
    dead = [w.pk for w in Worker.objects.filter(host=host, ended_at__isnull=True) if not is_alive(w.pid)]
    Worker.objects.filter(pk__in=dead).update(ended_at=now)
    return _take_back(Q(batch__worker_id__in=dead), now) if dead else 0


def expire(*, now: datetime) -> int:
    """End queued renders past their generation's deadline, uncharged; returns how many."""
    late = Render.objects.filter(status=RenderStatus.QUEUED, generation__deadline_at__lte=now)
    generations = late.order_by("generation").values_list("generation", flat=True).distinct()
    return sum(_expire_generation(pk, now) for pk in list(generations))


@transaction.atomic
def _expire_generation(generation_id: int, now: datetime) -> int:
    # One at a time: with the account locked, the next generation's budget would be locked out of order.
    late = Render.objects.filter(generation_id=generation_id, status=RenderStatus.QUEUED)
    reason = "The deadline passed before its turn came. Nothing was charged."
    return _end_all(late, RenderStatus.EXPIRED, code="deadline", reason=reason, now=now)


# --- inside ----------------------------------------------------------------------------------------------------------


def _claimed(render: Render) -> Claimed:
    return Claimed(
        id=render.pk,
        workspace_id=render.workspace_id,
        fence=render.fence + 1,
        request=ImageRequest.from_json(render.request),
        tries=render.tries,
    )


def _lock_attempt(render: Claimed) -> Render:
    row = (
        Render.objects.select_for_update(of=("self",))
        .select_related("hold_line")
        .filter(pk=render.id, status=RenderStatus.RUNNING, fence=render.fence)
        .first()
    )
    if row is None:
        raise StaleAttemptError(f"Render {render.id} went on without attempt {render.fence}.")
    return row


def _requeue(row: Render, *, not_before: datetime | None, code: str, reason: str, alone: bool) -> None:
    Render.objects.filter(pk=row.pk).update(
        status=RenderStatus.QUEUED,
        lease_expires_at=None,
        not_before=not_before,
        must_run_alone=row.must_run_alone or alone,
        failure_code=code,
        failure_reason=reason,
    )


def _end(row: Render, status: RenderStatus, *, code: str, reason: str, now: datetime) -> None:
    Render.objects.filter(pk=row.pk).update(
        status=status, lease_expires_at=None, finished_at=now, failure_code=code, failure_reason=reason
    )
    _count(row.generation_id, status, 1)
    ledger.release(line_id=row.hold_line_id, now=now)


def _end_all(renders: QuerySet[Render], status: RenderStatus, *, code: str, reason: str, now: datetime) -> int:
    """End renders of one generation."""
    rows = list(renders.select_for_update(of=("self",)).order_by("pk"))
    ids = [row.pk for row in rows]
    # The fence moves on, so that a worker in the middle of one of them can no longer settle it.
    Render.objects.filter(pk__in=ids).update(
        status=status,
        fence=F("fence") + 1,
        lease_expires_at=None,
        finished_at=now,
        failure_code=code,
        failure_reason=reason,
    )
    if rows:
        _count(rows[0].generation_id, status, len(rows))
    if status == RenderStatus.CANCELED:
        kill_point("in_cancel")
    for row in rows:
        ledger.release(line_id=row.hold_line_id, now=now)
    return len(rows)


def _count(generation_id: int, status: RenderStatus, number: int) -> None:
    Generation.objects.filter(pk=generation_id).update(**{status.value: F(status.value) + number})


def _take_back(which: Q, now: datetime) -> int:
    ids: Iterable[int] = (
        Render.objects.filter(which, status=RenderStatus.RUNNING).order_by("pk").values_list("pk", flat=True)
    )
    return sum(_take_back_one(pk, which, now) for pk in list(ids))


@transaction.atomic
def _take_back_one(pk: int, which: Q, now: datetime) -> bool:
    row = Render.objects.select_for_update(of=("self",)).filter(which, pk=pk, status=RenderStatus.RUNNING).first()
    if row is None:
        return False
    Render.objects.filter(pk=pk).update(fence=F("fence") + 1)
    reason = "The worker stopped in the middle of it. Nothing was charged."
    if row.attempts >= MAX_ATTEMPTS:
        _end(row, RenderStatus.FAILED, code="worker_died", reason=reason, now=now)
    else:
        _requeue(row, not_before=None, code="worker_died", reason=reason, alone=True)
        nudge_on_commit(row.queue)
    return True


def _backoff(attempt: int) -> timedelta:
    return min(timedelta(seconds=2 ** min(attempt, 10)), MAX_BACKOFF)
