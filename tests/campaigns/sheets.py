"""A campaign launched from products on the shelf, and its images as a test wants them: rendering, done, failed."""

import uuid

from billing import clock
from campaigns import drafts
from campaigns.drafts import Author
from campaigns.models import Campaign, Product
from inference import queue
from inference.engine.fixed_rate import FixedRateEngine
from inference.queue import Claimed, ClaimedBatch
from inference.runner import Runner
from studio.models import User
from tests.campaigns.shelf import entered, stock
from tests.inference.desk import complete, take, worker


def somebody(name: str = "producer") -> User:
    return User.objects.get_or_create(email=f"{name}@example.com", defaults={"username": name})[0]


def launched(workspace_id: int, *skus: str, by: User | None = None, **changes: object) -> Campaign:
    """A campaign over these products, MUG and CUP without; 1 channel × 2 scenes, and what is to be otherwise."""
    skus = skus or ("MUG", "CUP")
    there = set(Product.objects.filter(workspace=workspace_id).values_list("sku", flat=True))
    stock(workspace_id, *(sku for sku in skus if sku not in there))
    author = Author(id=(by or somebody()).pk, now=clock.now())
    form = entered(*skus, **changes)
    draft = drafts.save(workspace_id=workspace_id, key=uuid.uuid4(), form=form, revision=0, author=author)
    return drafts.launch(draft_id=draft.pk, revision=draft.revision, author=author)


def begin(images: int = 1) -> ClaimedBatch:
    """The next images, begun by a worker."""
    return take(worker(), at_most=images, now=clock.now())


def finish(images: int = 1) -> list[int]:
    """Render the next images, whichever campaign's and size; the renders' ids."""
    done: list[int] = []
    while len(done) < images:
        for render in begin(images - len(done)).renders:
            complete(render, now=clock.now(), seed=render.request.seed)
            done.append(render.id)
    return done


def spoil(reason: str = "Out of memory. Nothing was charged.") -> Claimed:
    """The next image fails for good."""
    (render,) = begin().renders
    queue.fail(render=render, code="out_of_memory", reason=reason, may_retry=False, now=clock.now())
    return render


def render_all() -> None:
    """Everything that waits, by the real runner: locked, certified, stored."""
    hand = queue.register(host="here", pid=1, queue="gpu", now=clock.now())
    Runner(engine=FixedRateEngine(images_per_s=1000), worker=hand).drain(limit_s=60)
