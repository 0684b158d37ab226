"""How a worker is doing, in words. Knows processes of this machine; of others only what they wrote down."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from inference.operations import BatchState, WorkerState
from studio import supervisor

PHASES: Final = {
    "claimed": "Beginning",
    "load": "Loading the model",
    "encode": "Reading the prompts",
    "step": "Painting",
    "decode": "Developing the pictures",
    "store": "Storing the pictures",
}


@dataclass(frozen=True, kw_only=True)
class ToldWorker:
    """A worker with its words; ``tone`` is a state's class of the components."""

    worker: WorkerState
    words: str
    icon: str
    tone: str
    is_alive: bool


def tell(workers: Sequence[WorkerState], running: Sequence[BatchState]) -> list[ToldWorker]:
    """Workers with how they are doing."""
    batches = {batch.id: batch for batch in running}
    here = supervisor.host()
    return [_told(worker, batches.get(worker.batch_id or 0), here) for worker in workers]


def phase(batch: BatchState) -> str:
    """What a batch is at: "Painting, step 14 of 24"."""
    words = PHASES.get(batch.phase, batch.phase.capitalize())
    return f"{words}, step {batch.step} of {batch.steps}" if batch.phase == "step" and batch.steps else words


def took(batch: BatchState) -> str:
    """How long a finished batch took."""
    return span((batch.finished_at - batch.created_at).total_seconds()) if batch.finished_at else ""


def span(seconds: float) -> str:
    """A measured time: "0.8 s", "2 min 5 s"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes:,} min {rest} s" if minutes else f"{rest} s"


def _told(worker: WorkerState, batch: BatchState | None, here: str) -> ToldWorker:
    is_here = worker.host == here
    is_alive = worker.ended_at is None and not worker.is_silent and (not is_here or supervisor.is_alive(worker.pid))
    if worker.ended_at:
        words, icon, tone = "Ended", "stop-circle", "wait"
    elif not is_alive:
        words, icon, tone = "Gone" if is_here else "Silent", "exclamation-triangle", "no"
        words += "; its images go back to the queue" if worker.batch_id else ""
    elif batch:
        words, icon, tone = phase(batch), "ellipsis-horizontal-circle", "act"
    else:
        words, icon, tone = "Idle" if is_here else "Idle when last heard of", "check-circle", "ok"
    return ToldWorker(worker=worker, words=words, icon=icon, tone=tone, is_alive=is_alive)
