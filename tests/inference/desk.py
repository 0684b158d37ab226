"""What the queue's tests ask with and work with: a workspace's requests, workers, finished pictures."""

from datetime import datetime, timedelta
from itertools import count
from typing import Any

from gallery import library, storage
from inference import catalog, queue
from inference.models import Generation, Render, Worker
from inference.pricing import Used
from inference.queue import Claimed, ClaimedBatch, Finished, QueuedRequest, StaleAttemptError
from inference.requests import image_request
from tests.conftest import NOW

PICTURE = b"the bytes of a finished picture"
USED = Used(pixel_steps=256 * 256 * 12)
_pids = count(1000)


def queued(seed: int, *, checkpoint: str = "starter", shape: str = "square", prompt: str = "a mug on a table"):
    request = image_request(catalog.entry(checkpoint), prompt=prompt, seed=seed, width=256, height=256)
    return QueuedRequest(request=request, batch_key=f"{checkpoint} {shape}")


def worker(*, loaded: str = "", host: str = "desk", pid: int | None = None, now: datetime = NOW) -> Worker:
    hand = queue.register(host=host, pid=next(_pids) if pid is None else pid, queue="gpu", now=now)
    if loaded:
        hand.checkpoint, hand.loaded_at = loaded, now
        hand.save()
    return hand


def claim(hand: Worker, *, at_most: int = 4, now: datetime = NOW) -> ClaimedBatch | None:
    return queue.claim(worker=hand, batch_size_of=lambda checkpoint: at_most, now=now)


def take(hand: Worker, *, at_most: int = 4, now: datetime = NOW) -> ClaimedBatch:
    """What `claim` claims, where there must be something."""
    batch = claim(hand, at_most=at_most, now=now)
    assert batch is not None
    return batch


def claimed_ids(batch: ClaimedBatch | None) -> list[int]:
    return [] if batch is None else [render.id for render in batch.renders]


def finished(render: Claimed, *, seed: int = 1, used: Used = USED) -> Finished:
    """A picture as the runner has it once its bytes are stored."""
    key = storage.put(render.workspace_id, PICTURE, suffix=".png")
    sha256 = key.partition("/")[2].removesuffix(".png")
    file = library.StoredImage(storage_key=key, sha256=sha256, width=256, height=256, size_bytes=len(PICTURE))
    image = library.GeneratedImage(file=file, recipe={}, recipe_hash="")
    return Finished(render=render, image=image, seed=seed, used=used)


def complete(render: Claimed, *, now: datetime = NOW, seed: int = 1, used: Used = USED) -> None:
    """Settle a picture. :raises StaleAttemptError: the render went on without this attempt."""
    if queue.complete([finished(render, seed=seed, used=used)], now=now):
        raise StaleAttemptError(f"Render {render.id} went on without attempt {render.fence}.")


class Desk:
    """One workspace's place to ask at; time moves only when told to."""

    def __init__(self, workspace_id: int) -> None:
        self.workspace_id = workspace_id
        self.now = NOW
        self._asked = count(1)

    def later(self, **span: float) -> datetime:
        self.now += timedelta(**span)
        return self.now

    def ask(
        self,
        images: int = 1,
        *,
        key: str | None = None,
        checkpoint: str = "starter",
        shape: str = "square",
        prompt: str = "a mug on a table",
        **options: Any,
    ) -> tuple[Generation, list[int]]:
        return queue.enqueue(
            workspace_id=self.workspace_id,
            key=key or f"click {next(self._asked)}",
            requests=[queued(seed, checkpoint=checkpoint, shape=shape, prompt=prompt) for seed in range(1, images + 1)],
            entry=catalog.entry(checkpoint),
            now=self.now,
            **options,
        )

    def row(self, render_id: int) -> Render:
        return Render.objects.select_related("hold_line", "generation").get(pk=render_id)
