"""Previews: shown while a render is painted, gone when it ends, and never in its way."""

import io
import threading
from pathlib import Path

import numpy as np
import pytest
from django.core.files.storage import default_storage
from django.db import connection
from PIL import Image

from billing import clock, ledger
from gallery.models import Asset
from gallery.storage import AtomicFileSystemStorage
from inference import previews, progress, queue
from inference.engine.fixed_rate import FixedRateEngine
from inference.models import Batch, Render, RenderStatus
from inference.runner import Runner
from tests.inference.desk import Desk, claim, worker

RED = np.full((32, 32, 3), (200, 20, 20), dtype=np.uint8)


@pytest.fixture
def desk(transactional_db, make_workspace) -> Desk:
    now = clock.now()
    desk = Desk(make_workspace(now=now).pk)
    desk.now = now
    return desk


def stored(settings) -> list[str]:
    return sorted(path.name for path in Path(settings.MEDIA_ROOT, "previews").glob("*"))


def test_a_newer_preview_takes_the_older_ones_place(settings):
    assert previews.store({7: RED})
    assert previews.store({7: RED[:, :16]})
    assert stored(settings) == ["7.webp"]
    assert Image.open(io.BytesIO(previews.read(7))).size == (16, 32)
    previews.remove([7, 8])
    assert stored(settings) == []


def drain_and_hang_up(runner: Runner) -> None:
    runner.drain(limit_s=60)
    connection.close()


def test_people_see_previews_and_steps_while_it_is_painted_and_nothing_is_left_after(desk, settings):
    _, ids = desk.ask(2)
    runner = Runner(engine=FixedRateEngine(images_per_s=1.2), worker=worker(now=clock.now()))
    painting = threading.Thread(target=drain_and_hang_up, args=(runner,))
    painting.start()
    seen: list[progress.RenderProgress] = []
    files: set[str] = set()
    while painting.is_alive():
        painting.join(0.1)
        seen += progress.of_renders(ids).values()
        files |= set(stored(settings))
    shown = [each for each in seen if each.preview_key]
    assert {each.preview_key for each in shown} == {previews.key_of(pk) for pk in ids}
    assert {each.status for each in shown} == {RenderStatus.RUNNING}
    assert any(0 < each.step < each.steps for each in shown)
    assert {f"{pk}.webp" for pk in ids} <= files
    assert {each.status for each in progress.of_renders(ids).values()} == {RenderStatus.SUCCEEDED}
    assert stored(settings) == []
    assert Asset.objects.count() == 2


def test_a_storage_that_refuses_previews_costs_no_picture(desk, monkeypatch):
    saved = AtomicFileSystemStorage._save

    def refuse(self, name, content):
        if name.startswith("previews/"):
            raise OSError("no space left")
        return saved(self, name, content)

    monkeypatch.setattr(AtomicFileSystemStorage, "_save", refuse)
    desk.ask(2)
    Runner(engine=FixedRateEngine(images_per_s=2), worker=worker(now=clock.now())).drain(limit_s=60)
    assert set(Render.objects.values_list("status", flat=True)) == {RenderStatus.SUCCEEDED}
    assert ledger.balance(workspace_id=desk.workspace_id).spent == 2000


def test_what_a_dead_worker_left_is_swept_away_once_its_renders_have_ended(desk, settings):
    generation, ids = desk.ask(2)
    batch = claim(worker(now=desk.now), now=desk.now)
    assert batch is not None
    previews.store(dict.fromkeys(ids, RED))
    Batch.objects.filter(pk=batch.id).update(preview_step=3)
    previews.sweep()
    assert len(stored(settings)) == 2
    queue.cancel(generation_id=generation.pk, now=desk.now)
    previews.sweep()
    assert stored(settings) == []
    assert not default_storage.exists(previews.key_of(ids[0]))


def test_a_swept_batch_is_not_looked_at_again(desk, django_assert_num_queries):
    with django_assert_num_queries(1):
        previews.sweep()
