"""Finished pictures into storage, and from there into the books, several in one transaction.
Knows files and rows, not how a picture is painted or who asked for it.
"""

import hashlib
import logging
import time
from dataclasses import replace
from functools import cached_property
from typing import Any

from billing import clock
from billing.kill_points import kill_point
from gallery import library, renditions, storage
from inference import addons, catalog, pricing, queue
from inference.catalog.sources import CheckpointSource, fingerprint
from inference.engine.batching import BatchKey
from inference.engine.interface import RenderEngine
from inference.finishing import Master
from inference.models import Render
from inference.queue import Claimed, Finished

logger = logging.getLogger(__name__)

# People see a picture no later than this after it is stored. A transaction for each would have them wait for the
# database, which on SQLite has one writer at a time.
PATIENCE_S = 0.5


class Recorder:
    """One batch's way into the books: pictures are stored as they come, and settled together."""

    def __init__(self, *, source: CheckpointSource, key: BatchKey, engine: RenderEngine, batch_size: int) -> None:
        self._source = source
        self._key = key
        self._engine = engine
        self._batch_size = batch_size
        self._stored: list[Finished] = []
        self._first_at = 0.0

    def store(self, render: Claimed, master: Master, *, seed: int) -> None:
        """Put a picture's files where they stay; nobody sees them before `settle`.

        :raises OSError: storage cannot take them.
        """
        if not self._stored:
            self._first_at = time.monotonic()
        request = replace(render.request, seed=seed)
        used = pricing.taken(request, self._key, catalog.entry(request.checkpoint))
        image = library.GeneratedImage(
            file=_stored(render.workspace_id, master),
            prompt=request.prompt,
            recipe={"request": request.to_json(), **self._made},
            recipe_hash=render.request.digest(),
            certificate=master.certificate.to_json() if master.certificate else None,
        )
        self._stored.append(Finished(render=render, image=image, seed=seed, used=used))

    @cached_property
    def _made(self) -> dict[str, Any]:
        """How the pictures of this batch were made. Asked once there is one: only then the checkpoint must be there."""
        has_weights = self._key.task != "enlarge" and self._source.folder.is_dir()
        return {
            "checkpoint_sha256": fingerprint(self._source) if has_weights else "",
            **({"adapters_sha256": adapters} if (adapters := addons.fingerprints(self._key)) else {}),
            "family": self._source.family,
            "painted_width": self._key.width,
            "painted_height": self._key.height,
            "batch_size": self._batch_size,
            "device_class": self._engine.device_class,
            "versions": self._engine.versions(),
        }

    @property
    def is_due(self) -> bool:
        """Whether somebody has waited long enough for what is stored."""
        return bool(self._stored) and time.monotonic() - self._first_at >= PATIENCE_S

    def settle(self) -> list[int]:
        """Settle what is stored; the ids of the renders that are off this worker's hands, stale ones too."""
        finished = _with_settings(self._stored)
        if finished:
            for render_id in queue.complete(finished, now=clock.now()):
                logger.info("render %s went on without this attempt: its picture is dropped", render_id)
            # Not before: what could not be settled may be once more, and what was is stale then.
            self._stored = []
            kill_point("after_settle")
        return [each.render.id for each in finished]


def _stored(workspace_id: int, master: Master) -> library.StoredImage:
    return library.StoredImage(
        storage_key=storage.put(workspace_id, master.data, suffix=".png"),
        sha256=hashlib.sha256(master.data).hexdigest(),
        width=master.image.shape[1],
        height=master.image.shape[0],
        size_bytes=len(master.data),
        lock_mask_key=storage.put(workspace_id, master.lock_mask, suffix=".png") if master.lock_mask else "",
        renditions=renditions.store(workspace_id=workspace_id, image=master.for_pages()),
    )


def _with_settings(finished: list[Finished]) -> list[Finished]:
    """Where an image was asked for in the Studio, its recipe has the form as it was sent too."""
    ids = [each.render.id for each in finished]
    sent: dict[int, Any] = dict(Render.objects.filter(pk__in=ids).values_list("pk", "generation__settings").order_by())
    return [_with(each, sent.get(each.render.id)) for each in finished]


def _with(finished: Finished, settings: dict[str, Any] | None) -> Finished:
    if settings is None:
        return finished
    return replace(finished, image=replace(finished.image, recipe={**finished.image.recipe, "settings": settings}))
