"""SQLite under load: 200 settlements a second, and people who work in the studio meanwhile. Nobody may see "locked".

    python bench/settles.py [--rate 200] [--seconds 30] [--batch 16] [--writers 3] [--users 4]
                            [--database sqlite|postgres]

Writers settle images that were claimed before, at a steady pace, and together as many as come within a moment (a worker
settles what it stored within half a second: a third of 200 a second are 33). Each user reads pages through the whole
middleware, asks for an image, and decides about one, again and again. The last line has the figures; exit code 0 only
if the pace was kept and no "database is locked" was seen by anybody.
"""

import argparse
import hashlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import ground

if TYPE_CHECKING:
    from inference.queue import Claimed, Finished

PICTURE = b"the bytes of a finished picture"
KEPT = 0.98  # of the pace
READY_AHEAD = 20  # images there are for each user to decide about before it begins
PAUSE_S = 0.2  # between two of a user's acts


@dataclass
class Account:
    """What one process did: how often, how long each took, and what went wrong."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    images: int = 0
    failures: list[str] = field(default_factory=list)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Note how long it takes, and what it raises instead of passing it on."""
        started = time.monotonic()
        try:
            yield
        except Exception as error:
            self.failures.append(f"{what}: {error!r}")
        self.seconds.setdefault(what, []).append(time.monotonic() - started)


def main() -> int:
    options = parse()
    with ground.ground(options.database):
        images = int(options.rate * options.seconds)
        acts: list[Callable[[], Account]] = []
        users, decided, settled = prepare(images, options)
        starts_at = time.monotonic() + 3
        shares = [settled[place :: options.writers] for place in range(options.writers)]
        acts += [partial(settle, share, starts_at, options) for share in shares]
        acts += [partial(work, *user, starts_at, options) for user in zip(users, decided, strict=True)]
        accounts: list[Account] = ground.together(acts)
        audit = ground.broken_invariants()
    return tell(accounts, audit, options)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=200.0, help="settlements a second of all writers together")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--batch", type=int, default=16, help="images that a writer settles together")
    parser.add_argument("--writers", type=int, default=3)
    parser.add_argument("--users", type=int, default=4)
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    return parser.parse_args()


def prepare(images: int, options: argparse.Namespace) -> "tuple[list[int], list[list[int]], list[Claimed]]":
    """The users' ids, the assets that each is to decide about, and the claimed images that wait to be settled."""
    from billing import clock, ledger
    from billing.models import GrantKind
    from gallery.models import Asset
    from studio import workspaces
    from studio.models import Membership, Role, User

    now = clock.now()
    owner = User.objects.create(username="owner", email="owner@example.com")
    workspace = workspaces.create(name="Bench", owner=owner, time_zone="UTC", now=now)
    amount = 3 * (images + 10_000) * ledger.MILLI
    ledger.grant(
        workspace_id=workspace.pk, kind=GrantKind.PURCHASED, amount=amount, key="bench", expires_at=None, now=now
    )
    users = []
    for number in range(options.users):
        user = User.objects.create(username=f"user{number}", email=f"user{number}@example.com")
        Membership.objects.create(workspace=workspace, user=user, role=Role.OWNER)
        users.append(user.pk)
    wanted = images + READY_AHEAD * options.users * int(1 + options.seconds)
    for first in range(0, wanted, 500):
        ask(workspace.pk, f"load {first}", images=min(500, wanted - first))
    claimed = list(claim_all())
    ahead = READY_AHEAD * options.users
    for first in range(0, ahead, 100):
        finish(claimed[first : min(first + 100, ahead)])
    ids = list(Asset.objects.values_list("pk", flat=True))
    return users, [ids[place :: options.users] for place in range(options.users)], claimed[ahead : ahead + images]


def ask(workspace_id: int, key: str, *, images: int) -> None:
    """Hold and queue so many images."""
    from billing import clock
    from inference import catalog, queue
    from inference.queue import QueuedRequest
    from inference.requests import image_request

    entry = catalog.entry("starter")
    requests = [
        QueuedRequest(request=image_request(entry, prompt=key, seed=seed, width=256, height=256), batch_key="any")
        for seed in range(images)
    ]
    queue.enqueue(workspace_id=workspace_id, key=key, requests=requests, entry=entry, now=clock.now())


def claim_all() -> "Iterator[Claimed]":
    """Every queued image, claimed in large batches."""
    from django.conf import settings

    from billing import clock
    from inference import queue

    settings.STUDIO_MAX_RUNNING = 10**9
    worker = queue.register(host="bench", pid=0, queue="gpu", now=clock.now())
    while batch := queue.claim(worker=worker, batch_size_of=lambda _: 500, now=clock.now()):
        yield from batch.renders


def finish(renders: "list[Claimed]") -> None:
    """Record and settle images, as the runner does once their files lie in storage."""
    from billing import clock
    from inference import queue

    if stale := queue.complete([finished(render) for render in renders], now=clock.now()):
        raise RuntimeError(f"{len(stale)} renders went on without this attempt")


def finished(render: "Claimed") -> "Finished":
    """An image with its file; the same bytes each time, so that it is the database that is looked at."""
    from gallery import storage
    from gallery.library import GeneratedImage, StoredImage
    from inference.pricing import Used
    from inference.queue import Finished

    key = storage.put(render.workspace_id, PICTURE, suffix=".png")
    sha256 = hashlib.sha256(PICTURE).hexdigest()
    file = StoredImage(storage_key=key, sha256=sha256, width=256, height=256, size_bytes=len(PICTURE))
    image = GeneratedImage(file=file, recipe={}, recipe_hash="")
    return Finished(render=render, image=image, seed=render.request.seed, used=Used(pixel_steps=256 * 256 * 12))


def settle(renders: "list[Claimed]", starts_at: float, options: argparse.Namespace) -> Account:
    """Settle these at an even pace, a batch at a time; its time counts from the moment at which it was due."""
    account = Account()
    for first in range(0, len(renders), options.batch):
        due = starts_at + first * options.writers / options.rate
        time.sleep(max(0.0, due - time.monotonic()))
        with account.timed("settle"):
            finish(renders[first : first + options.batch])
            account.images += len(renders[first : first + options.batch])
    account.seconds["all settled"] = [time.monotonic() - starts_at]
    return account


def work(user_id: int, asset_ids: list[int], starts_at: float, options: argparse.Namespace) -> Account:
    """A person at work: pages, an image asked for, a decision."""
    from django.test import Client

    from billing import clock
    from gallery import review
    from studio.models import User, Workspace

    account = Account()
    client = Client()
    client.force_login(User.objects.get(pk=user_id))
    workspace = Workspace.objects.get()
    time.sleep(max(0.0, starts_at - time.monotonic()))
    number = 0
    while time.monotonic() < starts_at + options.seconds:
        for page in ("gallery/", "studio/", "credits/"):
            with account.timed("page"):
                read(client, f"/w/{workspace.slug}/{page}")
        with account.timed("write"):
            ask(workspace.pk, f"user {user_id} {number}", images=1)
        if number < len(asset_ids):
            with account.timed("write"):
                review.reject(asset_ids[number], by_id=user_id, reason="other", now=clock.now())
        number += 1
        time.sleep(PAUSE_S)
    return account


def read(client: Any, address: str) -> None:
    answer = client.get(address)
    if answer.status_code != 200:
        raise RuntimeError(f"{address} answered {answer.status_code}")


def tell(accounts: list[Account], audit: dict[str, int], options: argparse.Namespace) -> int:
    """A line for each kind of act, and the last line; the exit code."""
    taken: dict[str, list[float]] = {}
    for account in accounts:
        for what, seconds in account.seconds.items():
            taken.setdefault(what, []).extend(seconds)
    failures = [failure for account in accounts for failure in account.failures]
    for name, number in audit.items():
        print("BROKEN:", name, number)
    for failure in failures[:10]:
        print("FAILED:", failure)
    for what in ("settle", "page", "write"):
        print(f"{what}: {len(taken[what])}, {words(taken[what])}")
    images = sum(account.images for account in accounts)
    rate = images / max(taken["all settled"])
    locked = sum("locked" in failure for failure in failures)
    is_reached = not failures and not audit and rate >= KEPT * options.rate
    print(
        f"settles {images} at {rate:.0f}/s over {options.writers} writers, {options.batch} at once · locked {locked} · "
        f"other failures {len(failures) - locked} · users' writes {words(taken['write'])} · "
        f"broken invariants {sum(audit.values())} · {options.database} · {'reached' if is_reached else 'NOT reached'}"
    )
    return 0 if is_reached else 1


def words(seconds: list[float]) -> str:
    """p50 and p95, in milliseconds."""
    cuts = statistics.quantiles(seconds, n=20)
    return f"p50 {cuts[9] * 1000:.0f} ms, p95 {cuts[18] * 1000:.0f} ms"


if __name__ == "__main__":
    sys.exit(main())
