"""Who asks, changes their mind and complains: the drill's load, through public functions of queue, ledger and review.

Everything follows from the seed and a generation's number, so that a client that was killed goes on where it was.
"""

import contextlib
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import Error, connections
from kombu.exceptions import OperationalError as BrokerError

from billing import clock, ledger
from billing.models import GrantKind
from drill import folders
from drill.folders import Folders
from gallery import review
from gallery.review import DecidedMeanwhileError
from inference import catalog, progress, queue
from inference.catalog.sources import resolve
from inference.engine.batching import batch_key
from inference.models import RenderStatus
from inference.queue import QueuedRequest
from inference.requests import image_request
from studio import workspaces
from studio.models import User

WORKSPACES = 3
CLIENTS = 2
ENTRY = "starter"
SIZE_PX = 64
BACKLOG = 160  # unfinished renders above which clients wait: work is always there, and never far ahead of the kills
DEADLINE = timedelta(seconds=4)
FATES = ("finish", "cancel", "cancel_one", "reject", "deadline")
FATE_WEIGHTS = (60, 12, 6, 14, 8)
OFFICE_FATES = ("cancel", "cancel_one", "reject")
LOST_CONNECTION = (Error, BrokerError, OSError)


@dataclass(frozen=True)
class Cast:
    """Who takes part: ids of the workspaces and of the person who asks and complains in all of them."""

    workspace_ids: tuple[int, ...]
    user_id: int


def prepare(*, images: int, path: Path) -> None:
    """Make the workspaces and give each enough credits, some of them in buckets that expire while the drill runs."""
    now = clock.now()
    user = User.objects.create_user("drill@localhost")
    ids = []
    for number in range(WORKSPACES):
        workspace = workspaces.create(name=f"Drill {number}", owner=user, time_zone="UTC", now=now)
        for minute in range(1, 31):
            ledger.grant(
                workspace_id=workspace.pk,
                kind=GrantKind.PURCHASED,
                amount=50 * ledger.MILLI,
                key=f"minute {minute}",
                expires_at=now + timedelta(minutes=minute / 2),
                now=now,
            )
        ledger.give_bonus(
            workspace_id=workspace.pk,
            amount=images * 20 * ledger.MILLI,
            key="drill",
            note="For the drill",
            expires_at=None,
            created_by_id=user.pk,
            now=now,
        )
        ids.append(workspace.pk)
    folders.append(path, {"workspace_ids": ids, "user_id": user.pk})


def cast(path: Path) -> Cast:
    """What `prepare` made."""
    (record,) = folders.records(path)
    return Cast(tuple(record["workspace_ids"]), record["user_id"])


def fate_of(seed: int, number: int) -> str:
    """What becomes of a generation after it was asked for."""
    return random.Random(f"{seed}/{number}/fate").choices(FATES, FATE_WEIGHTS)[0]


@dataclass(frozen=True)
class Client:
    """Asks for generations, every CLIENTS-th number, until there were enough; notes what it was told."""

    folders: Folders
    cast: Cast
    index: int
    seed: int
    images: int

    def run(self) -> None:
        """Ask until told that it is enough."""
        path = self.folders.asked / f"client{self.index}.jsonl"
        folders.mend(path)
        number = self.index + CLIENTS * len(folders.records(path))
        asked = sum(len(record["renders"]) for record in folders.records(path))
        while asked * CLIENTS < self.images or not self.folders.enough.exists():
            if _unfinished(self.folders) > min(BACKLOG, self.images / 3):
                time.sleep(0.1)
                continue
            if (record := self._ask(number)) is not None:
                folders.append(path, record)
                asked += len(record["renders"])
                number += CLIENTS
        while True:
            time.sleep(60)

    def _ask(self, number: int) -> dict[str, Any] | None:
        """One generation, under a key of its number: asked for twice, it is the same one. None if it did not work."""
        fate = fate_of(self.seed, number)
        dice = random.Random(f"{self.seed}/{number}")
        try:
            now = clock.now()
            workspace_id = dice.choice(self.cast.workspace_ids)
            generation, render_ids = queue.enqueue(
                workspace_id=workspace_id,
                key=f"drill {number}",
                requests=list(_requests(dice, number)),
                entry=catalog.entry(ENTRY),
                created_by_id=self.cast.user_id,
                priority=dice.choice((0, 0, 0, 10)),
                deadline_at=now + DEADLINE if fate == "deadline" else None,
                now=now,
            )
        except LOST_CONNECTION:
            _try_again_soon()
            return None
        return {"number": number, "fate": fate, "generation": generation.pk, "renders": render_ids}


def _requests(dice: random.Random, number: int) -> Iterator[QueuedRequest]:
    entry = catalog.entry(ENTRY)
    source = resolve(entry, overrides=settings.STUDIO_CHECKPOINTS, data_dir=settings.STUDIO_DATA)
    steps = dice.choice((8, 12))  # two batch keys
    for place in range(dice.randint(1, 8)):
        request = image_request(
            entry,
            prompt=f"drill {number}, picture {place}",
            seed=number * 10 + place,
            width=SIZE_PX,
            height=SIZE_PX,
            num_inference_steps=steps,
        )
        yield QueuedRequest(request=request, batch_key=batch_key(request, source.sizes).digest())


@dataclass(frozen=True)
class Office:
    """Cancels and rejects what its fate says, and notes when it is done."""

    folders: Folders
    cast: Cast

    @property
    def path(self) -> Path:
        """The numbers of the generations that it is done with."""
        return self.folders.asked / "office.jsonl"

    def run(self) -> None:
        """Work for ever."""
        folders.mend(self.path)
        done = {record["number"] for record in folders.records(self.path)}
        while True:
            for record in folders.everything_asked(self.folders):
                if record["number"] not in done and record["fate"] in OFFICE_FATES:
                    try:
                        is_done = self._act(record)
                    except LOST_CONNECTION:
                        _try_again_soon()
                        continue
                    if is_done:
                        folders.append(self.path, {"number": record["number"]})
                        done.add(record["number"])
            time.sleep(0.2)

    def _act(self, record: dict[str, Any]) -> bool:
        """Do what is to be done to a generation; False if it is not yet time."""
        now = clock.now()
        if record["fate"] == "cancel":
            queue.cancel(generation_id=record["generation"], now=now)
            return True
        if record["fate"] == "cancel_one":
            queue.cancel_render(render_id=record["renders"][0], now=now)
            return True
        found = progress.of_renders(record["renders"], now=now).values()
        if not all(one.is_over for one in found):
            return False
        for one in found:
            if one.status == RenderStatus.SUCCEEDED and one.asset_id is not None:
                self._reject(one.asset_id)
        return True

    def _reject(self, asset_id: int) -> None:
        # Decided already: this office did so itself, before it was killed.
        with contextlib.suppress(DecidedMeanwhileError):
            review.reject(asset_id, by_id=self.cast.user_id, reason="product_distorted", now=clock.now())


def _unfinished(where: Folders) -> int:
    """As the observer counted it; until it did, nothing."""
    return sum(record["waiting"] + record["running"] for record in folders.records(where.state))


def _try_again_soon() -> None:
    connections.close_all()
    time.sleep(0.3)
