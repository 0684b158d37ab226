"""From a claimed batch to settled images: what the runner stores, charges, retries and gives back."""

import errno
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

import billing.audit
import inference.audit
from billing import clock, ledger
from gallery import storage
from gallery.storage import AtomicFileSystemStorage
from inference import catalog, queue
from inference.catalog.sources import CheckpointSource, resolve
from inference.engine.batching import BatchKey, batch_key
from inference.engine.fixed_rate import FixedRateEngine
from inference.engine.interface import NO_ADDONS, Addons, EngineInput, NotFiniteError, Progress
from inference.models import Generation, Render, RenderStatus
from inference.queue import QueuedRequest
from inference.references import InitialImage, Placement, ProductReference
from inference.requests import ImageRequest, image_request
from inference.runner import Runner
from studio.models import Workspace

ENTRY = catalog.entry("starter")
SOURCE = resolve(ENTRY, overrides={}, data_dir=Path("unused"))


def png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def product(workspace: Workspace) -> ProductReference:
    photo, mask = Image.new("RGB", (120, 90), "#dddddd"), Image.new("L", (120, 90), 0)
    ImageDraw.Draw(photo).ellipse((40, 20, 80, 80), "#8a2222")
    ImageDraw.Draw(mask).ellipse((40, 20, 80, 80), 255)
    return ProductReference(
        photo=storage.put(workspace.pk, png(photo), suffix=".png"),
        lock_mask=storage.put(workspace.pk, png(mask), suffix=".png"),
        placement=Placement(scale=0.6, anchor="center"),
    )


def ask(workspace: Workspace, requests: Sequence[ImageRequest], key: str = "ask") -> Generation:
    queued = [QueuedRequest(request=r, batch_key=batch_key(r, SOURCE.sizes).digest()) for r in requests]
    generation, _ = queue.enqueue(workspace_id=workspace.pk, key=key, requests=queued, entry=ENTRY, now=clock.now())
    return generation


def request_for(product: ProductReference | None, number: int = 0) -> ImageRequest:
    return image_request(
        ENTRY, prompt=f"on marble, scene {number}", seed=number, width=200, height=200, product=product
    )


def runner(engine: FixedRateEngine | None = None) -> Runner:
    worker = queue.register(host="here", pid=1, queue="gpu", now=clock.now())
    return Runner(engine=engine or FixedRateEngine(images_per_s=1000), worker=worker)


def check_invariants() -> None:
    assert not any((billing.audit.broken_invariants() | inference.audit.broken_invariants()).values())


def spent(workspace: Workspace) -> int:
    return ledger.balance(workspace_id=workspace.pk).spent


def test_images_are_stored_certified_and_charged_once(workspace: Workspace, product: ProductReference) -> None:
    ask(workspace, [request_for(product, number) for number in range(6)])
    assert not runner().drain(limit_s=60)
    renders = list(Render.objects.select_related("asset", "batch").order_by("pk"))
    assert {render.status for render in renders} == {RenderStatus.SUCCEEDED}
    assert spent(workspace) == 6 * 1000
    for render in renders:
        assert render.asset is not None
        assert render.asset.certificate is not None
        assert render.asset.certificate["lock_max_diff"] == 0
        assert Image.open(io.BytesIO(storage.read(render.asset.storage_key))).size == (200, 200)
        lock = np.asarray(Image.open(io.BytesIO(storage.read(render.asset.lock_mask_key))))
        assert set(np.unique(lock)) == {0, 255}
    assert len({render.asset_id for render in renders}) == 6
    assert len({render.batch_id for render in renders}) == 2  # padded batches of 4, then of the rest
    check_invariants()


def test_an_image_without_a_product_has_the_asked_size_and_no_certificate(workspace: Workspace) -> None:
    ask(workspace, [request_for(None)])
    runner().drain(limit_s=60)
    asset = Render.objects.get().asset
    assert asset is not None
    assert (asset.width, asset.height, asset.certificate, asset.lock_mask_key) == (200, 200, None, "")


class Blank(FixedRateEngine):
    """Paints nothing at all for some seeds."""

    def __init__(self, *, blank_runs: int) -> None:
        super().__init__(images_per_s=1000)
        self.blank_runs = blank_runs
        self.seeds: list[int] = []

    def run(
        self,
        key: BatchKey,
        inputs: Sequence[EngineInput],
        *,
        source: CheckpointSource,
        addons: Addons = NO_ADDONS,
        batch_size: int,
        on_progress: Callable[[Progress], None],
        should_stop: Callable[[], bool],
    ) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        self.seeds += [one.seed for one in inputs]
        pictures = super().run(
            key,
            inputs,
            source=source,
            addons=addons,
            batch_size=batch_size,
            on_progress=on_progress,
            should_stop=should_stop,
        )
        self.blank_runs -= 1
        for index, picture in pictures:
            yield index, np.full_like(picture, 128) if self.blank_runs >= 0 else picture


def test_a_blank_picture_is_painted_again_with_another_seed_and_charged_once(
    workspace: Workspace, product: ProductReference
) -> None:
    ask(workspace, [request_for(product)])
    engine = Blank(blank_runs=1)
    runner(engine).drain(limit_s=60)
    render = Render.objects.get()
    assert render.status == RenderStatus.SUCCEEDED
    assert render.tries == [{"seed": 0, "reason": "blank"}]
    assert render.seed == engine.seeds[1] != 0
    assert render.asset is not None
    assert render.asset.recipe["request"]["seed"] == render.seed
    assert spent(workspace) == 1000
    check_invariants()


def test_a_picture_that_stays_blank_fails_in_words_and_is_not_charged(
    workspace: Workspace, product: ProductReference
) -> None:
    ask(workspace, [request_for(product)])
    engine = Blank(blank_runs=99)
    runner(engine).drain(limit_s=60)
    render = Render.objects.get()
    assert len(set(engine.seeds)) == 3
    assert render.status == RenderStatus.FAILED
    assert "Nothing was charged" in render.failure_reason
    assert len(render.tries) == 2
    assert spent(workspace) == 0
    check_invariants()


def test_a_photo_that_is_gone_from_storage_does_not_count_as_an_attempt(
    workspace: Workspace, product: ProductReference
) -> None:
    lost = replace(product, photo=f"{workspace.pk}/{'0' * 64}.png")
    ask(workspace, [request_for(lost)])
    runner().drain(limit_s=60)
    render = Render.objects.get()
    assert (render.status, render.attempts, render.given_back) == (RenderStatus.QUEUED, 0, 1)
    assert render.not_before is not None
    check_invariants()


def test_a_lost_photo_does_not_keep_its_neighbors_from_their_images(
    workspace: Workspace, product: ProductReference
) -> None:
    lost = replace(product, photo=f"{workspace.pk}/{'0' * 64}.png")
    ask(workspace, [request_for(product, 1), request_for(lost, 2), request_for(product, 3)])
    runner().drain(limit_s=60)
    Render.objects.update(not_before=None)  # the pause is over
    runner().drain(limit_s=60)
    assert [r.status for r in Render.objects.order_by("pk")] == ["succeeded", "queued", "succeeded"]
    assert spent(workspace) == 2000
    check_invariants()


def test_a_base_image_that_is_gone_fails_its_image_alone_in_words_and_uncharged(workspace: Workspace) -> None:
    there = storage.put(workspace.pk, png(Image.effect_noise((90, 60), 80).convert("RGB")), suffix=".png")
    gone = f"{workspace.pk}/{'0' * 64}.png"
    initial = [InitialImage(image=each) for each in (there, gone, there)]
    asked = [replace(request_for(None, number), initial=each, strength=0.5) for number, each in enumerate(initial)]
    ask(workspace, asked)
    runner().drain(limit_s=60)
    renders = list(Render.objects.order_by("pk"))
    assert [render.status for render in renders] == ["succeeded", "failed", "succeeded"]
    assert renders[1].failure_reason == (
        "The base image is no longer in storage. Choose another one. Nothing was charged."
    )
    assert spent(workspace) == 2000
    check_invariants()


class FullDisk(AtomicFileSystemStorage):
    """Takes nothing more."""

    def _save(self, name: str, content: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_loses_nothing_and_goes_on_when_there_is_room(
    workspace: Workspace, product: ProductReference, settings
) -> None:
    ask(workspace, [request_for(product, number) for number in range(3)])
    roomy = settings.STORAGES
    settings.STORAGES = {**roomy, "default": {"BACKEND": f"{__name__}.FullDisk"}}
    runner().drain(limit_s=60)
    assert {(r.status, r.attempts, r.given_back) for r in Render.objects.all()} == {("queued", 0, 1)}
    assert "No space left" in Render.objects.all()[0].failure_reason
    settings.STORAGES = roomy
    Render.objects.update(not_before=None)
    runner().drain(limit_s=60)
    assert {r.status for r in Render.objects.all()} == {"succeeded"}
    assert spent(workspace) == 3000
    check_invariants()


class NotFinite(FixedRateEngine):
    """Cannot finish any picture."""

    def run(self, *args: object, **kwargs: object) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        raise NotFiniteError("The picture came out as NaN.", (0,))
        yield


def test_an_engine_error_ends_in_words_and_gives_the_credits_back(workspace: Workspace) -> None:
    generation = ask(workspace, [request_for(None)])
    runner(NotFinite(images_per_s=1)).drain(limit_s=60)
    render = Render.objects.get()
    assert render.status == RenderStatus.FAILED
    assert render.failure_reason == "The picture came out as NaN. Nothing was charged."
    generation.refresh_from_db()
    assert (generation.failed, generation.done) == (1, 1)
    assert ledger.balance(workspace_id=workspace.pk).held == 0
    check_invariants()


def test_a_worker_asked_to_stop_gives_its_batch_back_without_counting_an_attempt(
    workspace: Workspace, product: ProductReference
) -> None:
    ask(workspace, [request_for(product, number) for number in range(4)])
    worker = runner()
    batch = queue.claim(worker=worker.worker, batch_size_of=lambda _: 4, now=clock.now())
    assert batch is not None
    worker.stop()
    worker._run(batch)
    renders = Render.objects.all()
    assert {(r.status, r.attempts, r.must_run_alone) for r in renders} == {(RenderStatus.QUEUED, 0, False)}
    check_invariants()


def test_a_result_that_comes_after_a_cancel_is_dropped(workspace: Workspace, product: ProductReference) -> None:
    generation = ask(workspace, [request_for(product)])

    class CanceledMeanwhile(Blank):
        def run(self, *args, **kwargs):
            queue.cancel(generation_id=generation.pk, now=clock.now())
            return super().run(*args, **kwargs)

    runner(CanceledMeanwhile(blank_runs=0)).drain(limit_s=60)
    assert Render.objects.get().status == RenderStatus.CANCELED
    assert spent(workspace) == 0
    check_invariants()
