"""The queue's audit finds nothing in what the queue wrote, and each kind of damage done behind its back."""

import pytest
from django.core.files.storage import default_storage
from django.db import connection

from inference import audit, queue
from inference.models import Render
from tests.inference.desk import Desk, claim, complete, worker


@pytest.fixture
def desk(workspace, make_workspace) -> Desk:
    """Renders in every state but expired, a second generation, and a second workspace."""
    make_workspace("other")
    desk = Desk(workspace.pk)
    desk.ask(4)
    hand = worker()
    done = claim(hand, at_most=3)
    assert done is not None
    complete(done.renders[0])
    queue.fail(render=done.renders[1], code="x", reason="x", may_retry=False, now=desk.now)
    generation, _ = desk.ask(1)
    queue.cancel(generation_id=generation.pk, now=desk.now)
    return desk


def findings() -> set[str]:
    return {name for name, number in audit.broken_invariants().items() if number}


def test_what_the_queue_wrote_has_no_findings(desk):
    assert sorted(Render.objects.values_list("status", flat=True)) == [
        "canceled",
        "failed",
        "queued",
        "running",
        "succeeded",
    ]
    assert findings() == set()


UNFINISH = "UPDATE inference_render SET status = 'queued', asset_id = NULL WHERE status = '{}'"
OTHER = "(SELECT id FROM studio_workspace WHERE slug = 'other')"
DAMAGES = {
    "ended_render_with_open_line": "UPDATE inference_render SET status = 'canceled' WHERE status = 'queued'",
    "unfinished_render_with_resolved_line": UNFINISH.format("canceled"),
    "charged_without_image": "UPDATE inference_render SET status = 'failed', asset_id = NULL "
    "WHERE status = 'succeeded'",
    "image_not_charged": "UPDATE billing_holdline SET captured = 0, released = amount WHERE captured > 0",
    "charge_differs_from_its_price": "UPDATE billing_holdline SET micro_units = 2 * micro_units WHERE captured > 0",
    "line_of_another_hold": "UPDATE inference_render SET generation_id = (SELECT min(id) FROM inference_generation)",
    "image_without_its_file": "UPDATE gallery_asset SET sha256 = 'that of other bytes'",
    "generation_counts_differ": "UPDATE inference_generation SET failed = 0 WHERE failed > 0",
    "crosses_workspaces": f"UPDATE inference_render SET workspace_id = {OTHER} WHERE status = 'queued'",  # noqa: S608
}


@pytest.mark.parametrize("finding", DAMAGES)
def test_damage_done_behind_the_queues_back_is_found(desk, finding):
    with connection.cursor() as cursor:
        cursor.execute(DAMAGES[finding])
    assert finding in findings()


def test_every_invariant_can_fail(db):
    assert set(audit.broken_invariants()) == set(DAMAGES)


def test_a_picture_whose_file_is_gone_or_changed_is_found(desk):
    [key] = Render.objects.filter(asset__isnull=False).values_list("asset__storage_key", flat=True)
    with open(default_storage.path(key), "ab") as file:
        file.write(b"one byte more")
    assert audit.broken_invariants()["image_without_its_file"] == 1
    default_storage.delete(key)
    assert audit.broken_invariants()["image_without_its_file"] == 1


@pytest.mark.parametrize(
    ("table", "column"), [("gallery_asset", "workspace_id"), ("inference_generation", "workspace_id")]
)
def test_what_belongs_to_two_workspaces_is_found(desk, table, column):
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET {column} = {OTHER}")  # noqa: S608
    assert "crosses_workspaces" in findings()
