"""What Prometheus reads: true figures, no names, few queries, and not for everybody."""

import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from billing import clock, ledger
from inference import queue
from inference.models import Render
from studio.models import User
from tests.inference.desk import Desk, complete, take, worker

TOKEN = "a-token-of-twenty-characters"  # noqa: S105  (none of a real studio's)


@pytest.fixture
def operator(db) -> Client:
    client = Client()
    client.force_login(User.objects.create(email="operator@example.com", is_staff=True))
    return client


@pytest.fixture
def desk(workspace) -> Desk:
    desk = Desk(workspace.pk)
    desk.now = clock.now()
    return desk


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def told(response) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample by its name and labels, as Prometheus's own parser reads them."""
    assert response.status_code == 200
    families = text_string_to_metric_families(response.content.decode())
    return {(each.name, frozenset(each.labels.items())): each.value for one in families for each in one.samples}


def figure(samples, name: str, **labels: str) -> float:
    return samples[f"proofsheet_{name}", frozenset(labels.items())]


def test_the_queue_is_told_by_checkpoint_and_state(operator, desk):
    paused, _ = desk.ask(4)
    queue.pause(generation_id=paused.pk)
    desk.ask(3)
    hand = worker(loaded="starter", now=desk.now)
    take(hand, at_most=2, now=desk.now)
    desk.ask(1, checkpoint="sd-1-5")
    Render.objects.filter(status="queued").update(created_at=desk.later(seconds=-90))
    samples = told(operator.get("/metrics"))
    for state, number in (("waiting", 1), ("paused", 4), ("running", 2)):
        assert figure(samples, "renders", queue="gpu", checkpoint="starter", state=state) == number
    assert figure(samples, "renders", queue="gpu", checkpoint="sd-1-5", state="waiting") == 1
    assert 89 < figure(samples, "oldest_waiting_seconds", queue="gpu") < 120
    assert figure(samples, "batches_running") == 1


def test_what_is_paused_does_not_count_as_waiting_long(operator, desk):
    generation, _ = desk.ask(1)
    queue.pause(generation_id=generation.pk)
    Render.objects.update(created_at=desk.later(hours=-5))
    assert figure(told(operator.get("/metrics")), "oldest_waiting_seconds", queue="gpu") == 0


def test_workers_are_told_by_device_and_checkpoint_and_the_silent_ones_apart(operator, desk):
    idle, silent = worker(loaded="starter", now=desk.now), worker(loaded="sdxl-base", now=desk.now)
    for hand in (idle, silent):
        hand.device_class = "cuda-sm90"
        hand.save()
    desk.ask(1)
    take(silent, now=desk.now)
    type(silent).objects.filter(pk=silent.pk).update(seen_at=desk.later(minutes=-5))
    samples = told(operator.get("/metrics"))
    labels = {"queue": "gpu", "device": "cuda-sm90"}
    assert figure(samples, "workers", **labels, checkpoint="starter", state="alive") == 1
    assert figure(samples, "workers", **labels, checkpoint="sdxl-base", state="silent") == 1


def test_ends_failures_and_credits_are_counted_as_they_were_settled(operator, desk):
    desk.ask(4)
    batch = take(worker(now=desk.now), now=desk.now)
    complete(batch.renders[0], now=desk.now)
    complete(batch.renders[1], now=desk.now)
    queue.fail(render=batch.renders[2], code="oom", reason="Out of memory.", may_retry=False, now=desk.now)
    queue.finish_batch(batch=batch, now=desk.later(seconds=8))
    line = desk.row(batch.renders[0].id).hold_line_id
    ledger.refund(line_id=line, key="refund:1", now=desk.now)
    samples = told(operator.get("/metrics"))
    ended = {status: figure(samples, "renders_ended_total", status=status) for status in ("succeeded", "failed")}
    assert ended == {"succeeded": 2, "failed": 1}
    assert figure(samples, "renders_failed_total", code="oom") == 1
    assert figure(samples, "captured_millicredits_total") == 2000
    assert figure(samples, "refunded_millicredits_total") == 1000
    assert figure(samples, "held_millicredits") == 1000
    assert figure(samples, "recent_batch_seconds", checkpoint="starter", quantile="0.95") == 8
    assert figure(samples, "storage_free_bytes") > 0


def test_the_wait_is_told_by_its_half_and_by_its_late_end(operator, desk):
    asked = desk.now
    desk.ask(20)
    Render.objects.update(created_at=asked)
    hand = worker(now=asked)
    take(hand, at_most=18, now=desk.later(seconds=2))
    take(hand, at_most=2, now=desk.later(seconds=58))
    samples = told(operator.get("/metrics"))
    assert figure(samples, "recent_wait_seconds", quantile="0.5") == 2
    assert figure(samples, "recent_wait_seconds", quantile="0.95") == 60


def test_no_name_of_a_workspace_or_person_is_told(operator, desk, people):
    desk.ask(2)
    page = operator.get("/metrics").content.decode().lower()
    assert "starter" in page
    for name in ("acme", "elsewhere", "example.com"):
        assert name not in page


def test_a_scrape_asks_as_often_for_much_as_for_little(operator, desk, make_workspace, django_assert_max_num_queries):
    desk.ask(1)
    with django_assert_max_num_queries(14) as few:  # session and person among them
        operator.get("/metrics")
    for number in range(6):
        other = Desk(make_workspace(f"other-{number}").pk)
        other.ask(4, checkpoint=("starter", "sd-1-5", "sdxl-base")[number % 3])
        batch = take(worker(now=other.now), at_most=2)
        queue.fail(render=batch.renders[0], code=f"code {number}", reason="It broke.", may_retry=False, now=other.now)
        queue.finish_batch(batch=batch, now=other.now)
    with django_assert_max_num_queries(len(few)):
        operator.get("/metrics")


def test_the_new_format_is_given_to_who_asks_for_it(operator):
    response = operator.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert response["Content-Type"].startswith("application/openmetrics-text")
    assert response.content.decode().endswith("# EOF\n")


# --- who may read ----------------------------------------------------------------------------------------------------


def test_a_machine_reads_with_the_token_and_without_a_session(client, db, settings):
    settings.STUDIO_METRICS_TOKEN = TOKEN
    response = client.get("/metrics", headers=bearing(TOKEN))
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    assert "sessionid" not in response.cookies


@pytest.mark.parametrize("given", ["", "another", TOKEN[:-1], f"{TOKEN}x", "ä" * 30])
def test_another_token_is_refused_also_from_staff(client, operator, settings, given):
    settings.STUDIO_METRICS_TOKEN = TOKEN
    for who in (client, operator):
        assert who.get("/metrics", headers=bearing(given)).status_code == 403


def test_an_installation_without_a_token_takes_none(client, db):
    for given in ("", "None", "anything"):
        assert client.get("/metrics", headers=bearing(given)).status_code == 403


def test_without_a_token_it_is_the_operators_page(client, browser, operator, settings):
    settings.STUDIO_METRICS_TOKEN = TOKEN
    assert client.get("/metrics").status_code == 302
    assert browser("owner").get("/metrics").status_code == 404
    assert operator.get("/metrics").status_code == 200
    # A proxy's own password says nothing about Prometheus.
    assert operator.get("/metrics", headers={"Authorization": "Basic cHJveHk6cHJveHk="}).status_code == 200


def test_the_token_opens_nothing_else(client, db, settings):
    settings.STUDIO_METRICS_TOKEN = TOKEN
    for path in ("/operations/", "/operations/installation/", "/workspaces/"):
        assert client.get(path, headers=bearing(TOKEN)).status_code == 302
    assert client.post("/metrics", headers=bearing(TOKEN)).status_code == 405
