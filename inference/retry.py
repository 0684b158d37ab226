"""Failed images of a click, asked for once more: a new generation with a hold of its own, never a status rewritten."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from inference import catalog, queue
from inference.models import UNFINISHED, Generation, Render, RenderStatus
from inference.queue import FLAWED, QueuedRequest
from inference.requests import TRIES, ImageRequest, retry_seed


class NothingToRetryError(Exception):
    """No image of the generation failed."""


class StillRunningError(Exception):
    """Images of the generation are still on their way."""


def retry(*, generation_id: int, now: datetime) -> tuple[Generation, list[int]]:
    """Ask for a finished generation's failed images again, for whoever asked first; returns as `queue.enqueue` does.

    Asking twice returns what the first asking made. Images that fail again belong to the new generation: that one is
    then retried.

    :raises NothingToRetryError: nothing failed.
    :raises StillRunningError: images are still queued or running; which ones fail is not known yet.
    :raises billing.ledger.InsufficientCreditsError: the workspace is short of credits; nothing is written.
    """
    first = Generation.objects.get(pk=generation_id)
    if first.renders.filter(status__in=UNFINISHED).exists():
        raise StillRunningError("Images are still on their way. Retry when all of them are done.")
    failed = list(first.renders.filter(status=RenderStatus.FAILED).order_by("pk"))
    if not failed:
        raise NothingToRetryError("No image of it failed, so there is nothing to retry.")
    return queue.enqueue(
        workspace_id=first.workspace_id,
        key=_key(first.pk),
        requests=[_again(render) for render in failed],
        entry=catalog.entry(failed[0].checkpoint),
        created_by_id=first.created_by_id,
        queue=failed[0].queue,
        now=now,
    )


def retried(generation_ids: Collection[int]) -> set[int]:
    """Those of the generations whose failed images were asked for again."""
    keys = {_key(pk): pk for pk in generation_ids}
    asked = Generation.objects.filter(key__in=keys, workspace__generations__in=generation_ids)
    return {keys[key] for key in asked.values_list("key", flat=True)}


def _key(generation_id: int) -> str:
    return f"retry:{generation_id}"


def _again(render: Render) -> QueuedRequest:
    """The same request; what came out flawed at every try goes on with the seeds after those."""
    request = ImageRequest.from_json(render.request)
    if render.failure_code == FLAWED:
        request = replace(request, seed=retry_seed(request.seed, TRIES))
    return QueuedRequest(request=request, batch_key=render.batch_key)
