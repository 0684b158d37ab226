"""Working: claiming batches, keeping their leases, settling what came of them. Knows rows, not pictures.

Whoever ends an attempt must show its fence; what the queue has done with the render since cannot be undone by it.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import Error, transaction
from django.db.models import F, OuterRef, Subquery

from billing import ledger
from billing.kill_points import kill_point
from billing.ledger import Settlement
from gallery import library
from gallery.library import GeneratedImage
from gallery.models import Asset
from inference import catalog, pricing, turn
from inference.models import Batch, Generation, Render, RenderStatus, Worker
from inference.pricing import Used
from inference.queue import ends
from inference.requests import ImageRequest
from inference.turn import BatchSize

logger = logging.getLogger(__name__)

FLAWED = "flawed"  # the failure code of an image whose every try came out with a flaw
UNREADABLE = "unreadable"
SHUTDOWN = "shutdown"
MEMORY = "memory"  # too little for so many at once; the next batch is smaller
NOBODYS_FAULT = (SHUTDOWN, MEMORY)
LEASE = timedelta(seconds=60)
MAX_ATTEMPTS = 3
MAX_GIVEN_BACK = 20
MAX_BACKOFF = timedelta(minutes=5)


class StaleAttemptError(Exception):
    """The render went on without this attempt: it was reaped, canceled or settled."""


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """One render in a worker's hands, with the fence that only this attempt knows."""

    id: int
    workspace_id: int
    generation_id: int
    fence: int
    request: ImageRequest
    tries: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class ClaimedBatch:
    """Renders that share one BatchKey, claimed together."""

    id: int
    batch_key: str
    renders: tuple[Claimed, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Finished:
    """An image whose file is stored, and what it took: settled at the price that stood when it was asked for."""

    render: Claimed
    image: GeneratedImage
    seed: int
    used: Used


class _Sizes:
    """The batch sizes, asked for so that a checkpoint without one stops nobody else.

    `gone` are out of the catalogue; for those `elsewhere` this worker has no size, and another one may.
    """

    def __init__(self, ask: BatchSize) -> None:
        self.ask = ask
        self.gone: set[str] = set()
        self.elsewhere: set[str] = set()

    def __call__(self, checkpoint: str) -> int:
        try:
            return self.ask(checkpoint)
        except Error:
            raise
        except catalog.UnknownCheckpointError:
            self.gone.add(checkpoint)
        except Exception:
            logger.exception("no batch size for checkpoint %s: left to other workers", checkpoint)
            self.elsewhere.add(checkpoint)
        return 1


def register(*, host: str, pid: int, queue: str, now: datetime) -> Worker:
    """A worker's first word."""
    return Worker.objects.create(host=host, pid=pid, queue=queue, started_at=now, seen_at=now)


def loaded(
    *, worker: Worker, batch: ClaimedBatch, checkpoint: str, device_class: str, load_s: float, now: datetime
) -> None:
    """Note that a worker has a checkpoint in memory, which took so many seconds: its quantum begins."""
    worker.checkpoint, worker.device_class, worker.loaded_at = checkpoint, device_class, now
    worker.save(update_fields=("checkpoint", "device_class", "loaded_at"))
    Batch.objects.filter(pk=batch.id).update(load_s=load_s)


def claim(*, worker: Worker, batch_size_of: BatchSize, now: datetime) -> ClaimedBatch | None:
    """Take the next batch: up to the entry's batch size of renders that share one BatchKey; None when nothing waits.

    Whose turn it is, `inference.turn` says. A render whose last batch died is claimed alone, so that a poisonous one
    ends alone; one that cannot be read fails here, uncharged, and the others go on.
    """
    sizes = _Sizes(batch_size_of)
    while True:
        left_to_others = len(sizes.elsewhere)
        batch, unreadable = _claim(worker, sizes, now)
        # Each in a transaction of its own: the ledger's rows are not locked while more renders are chosen.
        for render_id, reason in unreadable.items():
            _end_unreadable(render_id, reason, now)
        if batch is not None or (not unreadable and len(sizes.elsewhere) == left_to_others):
            return batch


@transaction.atomic
def _claim(worker: Worker, sizes: _Sizes, now: datetime) -> tuple[ClaimedBatch | None, dict[int, str]]:
    chosen = turn.choose(
        queue=worker.queue,
        stays_with=turn.stays_with(worker, now=now),
        without=sizes.elsewhere,
        batch_size_of=sizes,
        now=now,
    )
    if chosen and chosen[0].checkpoint in sizes.elsewhere:
        return None, {}
    claimed, unreadable = _read(chosen, sizes.gone)
    if not claimed:
        return None, unreadable
    batch = Batch.objects.create(
        worker=worker,
        batch_key=chosen[0].batch_key,
        size=len(claimed),
        batch_size=sizes(chosen[0].checkpoint),
        created_at=now,
    )
    Render.objects.filter(pk__in=[render.id for render in claimed], status=RenderStatus.QUEUED).update(
        status=RenderStatus.RUNNING,
        fence=F("fence") + 1,
        attempts=F("attempts") + 1,
        lease_expires_at=now + LEASE,
        batch=batch,
    )
    # Whoever claims lives, even if it was silent for long enough to be given up.
    Worker.objects.filter(pk=worker.pk).update(seen_at=now, ended_at=None)
    return ClaimedBatch(id=batch.pk, batch_key=batch.batch_key, renders=tuple(claimed)), unreadable


def _read(chosen: Sequence[Render], gone: set[str]) -> tuple[list[Claimed], dict[int, str]]:
    """What can be worked on, and why the rest cannot, by id."""
    claimed, unreadable = [], {}
    for render in chosen:
        try:
            if render.checkpoint in gone:
                gone_for_good = f"The model “{render.checkpoint}” is no longer offered here."
                unreadable[render.pk] = f"{gone_for_good} Nothing was charged; choose another model."
            else:
                claimed.append(_claimed(render))
        except Exception:
            # Whatever is wrong with it: should it stop the claim, nobody would get anything any more.
            logger.exception("render %s cannot be read", render.pk)
            unreadable[render.pk] = "Its settings can no longer be read. Nothing was charged; ask for it anew."
    return claimed, unreadable


@transaction.atomic
def _end_unreadable(render_id: int, reason: str, now: datetime) -> None:
    queued = Render.objects.select_for_update(of=("self",)).filter(pk=render_id, status=RenderStatus.QUEUED)
    if row := queued.first():
        ends.end(row, RenderStatus.FAILED, code=UNREADABLE, reason=reason, now=now)


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


def complete(finished: Sequence[Finished], *, now: datetime) -> frozenset[int]:
    """Settle images: each render has its asset and its credits are captured, in one transaction for each generation.

    Returns the ids of renders that went on without this attempt: nothing of theirs is written.
    """
    # One at a time: a transaction that has one workspace's account locked must not wait for another's hold.
    together: dict[int, list[Finished]] = {}
    for each in finished:
        together.setdefault(each.render.generation_id, []).append(each)
    return frozenset(stale for each in together.values() for stale in _complete(each, now))


@transaction.atomic
def _complete(finished: Sequence[Finished], now: datetime) -> set[int]:
    rows = _lock_attempts([each.render for each in finished])
    settled = [each for each in finished if each.render.id in rows]
    if settled:
        generation = Generation.objects.get(pk=settled[0].render.generation_id)
        _record(settled, rows, generation, now)
        kill_point("in_settle")
        ends.count(generation.pk, RenderStatus.SUCCEEDED, len(settled))
        settlements = [_settlement(rows[each.render.id], each.used, generation.price_version) for each in settled]
        ledger.settle(settlements=settlements, now=now)
    return {each.render.id for each in finished} - rows.keys()


def _record(settled: Sequence[Finished], rows: Mapping[int, Render], generation: Generation, now: datetime) -> None:
    """Give each render its asset and its end."""
    images = [
        replace(each.image, hold_line_id=rows[each.render.id].hold_line_id, created_by_id=generation.created_by_id)
        for each in settled
    ]
    library.add_generated(workspace_id=generation.workspace_id, images=images, now=now)
    own_asset = Asset.objects.filter(hold_line=OuterRef("hold_line")).values("pk")
    Render.objects.filter(pk__in=[each.render.id for each in settled]).update(
        status=RenderStatus.SUCCEEDED,
        asset_id=Subquery(own_asset),
        lease_expires_at=None,
        finished_at=now,
        failure_code="",
        failure_reason="",
    )
    for each in settled:
        if each.render.tries:
            Render.objects.filter(pk=each.render.id).update(seed=each.seed, tries=each.render.tries)


def _settlement(row: Render, used: Used, price_version: int) -> Settlement:
    charged = pricing.charge(catalog.entry(row.checkpoint).price_of(price_version), used)
    return Settlement(line_id=row.hold_line_id, cost=charged.cost, micro_units=charged.micro_units)


@transaction.atomic
def fail(*, render: Claimed, code: str, reason: str, may_retry: bool, now: datetime) -> None:
    """End an attempt that failed by the request's own fault; after three, or when it cannot help, the render fails.

    :raises StaleAttemptError: the fence moved on; nothing is written.
    """
    row = _lock_attempt(render)
    Render.objects.filter(pk=row.pk).update(tries=render.tries)
    if may_retry and row.attempts < MAX_ATTEMPTS:
        ends.requeue(row, not_before=now + _backoff(row.attempts), code=code, reason=reason, alone=True)
    else:
        ends.end(row, RenderStatus.FAILED, code=code, reason=reason, now=now)


@transaction.atomic
def give_back(*, render: Claimed, code: str, reason: str, now: datetime) -> None:
    """End an attempt that failed by our own fault (disk, storage, shutdown): it does not count, up to twenty times.

    :raises StaleAttemptError: the fence moved on; nothing is written.
    """
    row = _lock_attempt(render)
    is_shutdown = code == SHUTDOWN
    if row.given_back >= MAX_GIVEN_BACK and not is_shutdown:
        ends.end(row, RenderStatus.FAILED, code=code, reason=reason, now=now)
        return
    Render.objects.filter(pk=row.pk).update(
        attempts=F("attempts") - 1, given_back=F("given_back") + (0 if is_shutdown else 1)
    )
    # Else later and alone, because the fault may be one render's own file: its neighbors must not fail with it.
    is_nobodys = code in NOBODYS_FAULT
    not_before = None if is_nobodys else now + _backoff(row.given_back + 1)
    ends.requeue(row, not_before=not_before, code=code, reason=reason, alone=not is_nobodys)


def _claimed(render: Render) -> Claimed:
    return Claimed(
        id=render.pk,
        workspace_id=render.workspace_id,
        generation_id=render.generation_id,
        fence=render.fence + 1,
        request=ImageRequest.from_json(render.request),
        tries=render.tries,
    )


def _lock_attempt(render: Claimed) -> Render:
    row = _lock_attempts([render]).get(render.id)
    if row is None:
        raise StaleAttemptError(f"Render {render.id} went on without attempt {render.fence}.")
    return row


def _lock_attempts(renders: Sequence[Claimed]) -> dict[int, Render]:
    """Those that are still these attempts', by id."""
    fences = {render.id: render.fence for render in renders}
    running = Render.objects.select_for_update().filter(pk__in=fences, status=RenderStatus.RUNNING).order_by("pk")
    return {row.pk: row for row in running if row.fence == fences[row.pk]}


def _backoff(attempt: int) -> timedelta:
    return min(timedelta(seconds=2 ** min(attempt, 10)), MAX_BACKOFF)
