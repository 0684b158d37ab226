"""Operations as who runs the installation sees them; a retry is a new hold, a grant is given once."""

import re
from uuid import uuid4

import pytest
from django.test import Client

from billing import clock, ledger
from inference import queue
from inference.models import BatchLimit, Generation
from studio import installation
from studio.models import User
from tests.inference.desk import Desk, complete, take, worker
from tests.studio.page_text import found_in, words


@pytest.fixture
def operator(people) -> Client:
    user = User.objects.create(email="operator@example.com", is_staff=True)
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def desk(workspace) -> Desk:
    desk = Desk(workspace.pk)
    desk.now = clock.now()
    return desk


def fail_all(desk: Desk, images: int = 2) -> Generation:
    generation, _ = desk.ask(images)
    for render in take(worker(), at_most=images, now=desk.now).renders:
        queue.fail(render=render, code="x", reason="Out of memory.", may_retry=False, now=desk.now)
    return generation


def test_an_idle_studio_says_that_nothing_waits(operator):
    page = words(operator.get("/operations/"))
    assert "Nothing waits and nothing is being made." in page
    assert "No batch has run yet." in page


def test_what_waits_without_a_worker_is_said_loudly_with_what_to_do(operator, desk):
    desk.ask(3)
    page = words(operator.get("/operations/"))
    assert "Images wait and no worker runs." in page
    assert "script/worker gpu" in page
    assert re.search(r"Acme starter gpu 3 0 0", page)


def test_a_poll_answers_only_when_something_has_changed(operator, desk, django_assert_max_num_queries):
    page = operator.get("/operations/").content.decode()
    address = found_in(page, r'hx-get="(/operations/\?v=[^"]+)"')
    htmx = {"HX-Request": "true"}
    with django_assert_max_num_queries(7):  # session and person among them
        unchanged = operator.get(address, headers=htmx)
    assert (unchanged.status_code, unchanged.content) == (204, b"")
    desk.ask(1)
    changed = operator.get(address, headers=htmx)
    assert changed.status_code == 200
    assert b"<html" not in changed.content
    assert b'id="live"' in changed.content


def test_a_worker_of_this_machine_that_is_gone_is_told_from_one_that_idles(operator, desk, monkeypatch):
    hand = worker(host="here", pid=12345, loaded="starter", now=desk.now)
    monkeypatch.setattr("studio.supervisor.host", lambda: "here")
    monkeypatch.setattr("studio.supervisor.is_alive", lambda pid: True)
    assert "Idle" in words(operator.get("/operations/"))
    monkeypatch.setattr("studio.supervisor.is_alive", lambda pid: pid != hand.pid)
    assert "Gone" in words(operator.get("/operations/"))


def test_a_batch_is_told_by_its_step(operator, desk):
    desk.ask(2)
    hand = worker(now=desk.now)
    batch = take(hand, now=desk.now)
    queue.heartbeat(batch=batch, worker=hand, phase="step", step=14, steps=24, now=desk.now)
    assert "Painting, step 14 of 24" in words(operator.get("/operations/"))


# --- failures and their retry ----------------------------------------------------------------------------------------


def test_failures_stand_with_workspace_and_reason_and_are_asked_for_again_once(operator, desk, workspace):
    assert "Nothing has failed" in words(operator.get("/operations/failures/"))
    generation = fail_all(desk)
    page = words(operator.get("/operations/failures/"))
    for told in ("Acme", "2 of 2 images failed", "Out of memory.", "Retry 2 images"):
        assert told in page
    address = f"/operations/generations/{generation.pk}/retry/"
    assert "2 images of Acme are asked for again." in words(operator.post(address, follow=True))
    again = words(operator.post(address, follow=True))
    assert "asked for again before" in again
    assert "Asked for again" in again
    assert "Retry 2 images" not in again
    assert Generation.objects.count() == 2
    assert ledger.balance(workspace_id=workspace.pk).held == 2_000


def test_a_retry_that_is_refused_says_why_and_changes_nothing(operator, desk):
    generation, _ = desk.ask(1)
    page = words(operator.post(f"/operations/generations/{generation.pk}/retry/", follow=True))
    assert "Images are still on their way." in page
    for render in take(worker(now=desk.now), now=desk.now).renders:
        complete(render, now=desk.now)
    page = words(operator.post(f"/operations/generations/{generation.pk}/retry/", follow=True))
    assert "nothing to retry" in page
    assert Generation.objects.count() == 1


def test_failures_cost_as_many_queries_for_many_as_for_few(operator, desk, django_assert_max_num_queries):
    fail_all(desk)
    with django_assert_max_num_queries(16) as few:
        operator.get("/operations/failures/")
    for _ in range(8):
        fail_all(desk)
    with django_assert_max_num_queries(len(few)):
        operator.get("/operations/failures/")


# --- installation and credits ----------------------------------------------------------------------------------------


def test_disk_folder_and_versions_are_told_and_a_full_disk_is_warned_of(operator, monkeypatch, settings):
    page = words(operator.get("/operations/installation/"))
    assert str(settings.STUDIO_DATA) in page
    assert "Django" in page
    assert "of disk are left" not in page
    monkeypatch.setattr(installation, "LOW_DISK_BYTES", 10**18)
    assert "of disk are left" in words(operator.get("/operations/installation/"))


def test_the_books_are_checked_on_demand_and_damage_is_told_by_name(operator, desk, workspace):
    desk.ask(1)
    assert "The books are sound" in words(operator.post("/operations/installation/audit/"))
    type(workspace.account).objects.filter(workspace=workspace).update(
        granted=workspace.account.granted + 1, available=ledger.balance(workspace_id=workspace.pk).available + 1
    )
    page = words(operator.post("/operations/installation/audit/", headers={"HX-Request": "true"}))
    assert "The books are not sound" in page
    assert "1 × account differs from its entries" in page


def test_a_device_with_too_little_memory_is_told_and_may_try_the_catalogues_number_again(operator):
    assert "Too little memory" not in words(operator.get("/operations/installation/"))
    limit = BatchLimit.objects.create(
        checkpoint="starter", device_class="cuda-sm90", size=4, failed_size=16, found_at=clock.now()
    )
    page = words(operator.get("/operations/installation/"))
    assert "starter on cuda-sm90: 4 at once, 16 did not fit" in page
    assert "Try 16 again" in page
    lift = f"/operations/installation/limits/{limit.pk}/lift/"
    assert "number holds again" in words(operator.post(lift, follow=True))
    assert "lifted before" in words(operator.post(lift, follow=True))
    assert not BatchLimit.objects.exists()


def grant(operator: Client, **given: object):
    form = {"key": str(uuid4()), "workspace": "acme", "amount_credits": "12.5", "days": "30", "note": "An outage"}
    return operator.post("/operations/installation/", form | given, follow=True)


def test_an_operator_grants_bonus_credits_once_with_reason_and_name(operator, workspace, browser):
    before = ledger.balance(workspace_id=workspace.pk).available
    key = str(uuid4())
    assert "12.5 credits granted to Acme." in words(grant(operator, key=key))
    assert "nothing was added a second time" in words(grant(operator, key=key))
    assert ledger.balance(workspace_id=workspace.pk).available - before == 12_500
    bucket = workspace.account.grants.get(kind="bonus")
    assert (bucket.note, bucket.created_by.email) == ("An outage", "operator@example.com")
    assert "An outage" in words(browser("viewer").get("/w/acme/credits/"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"workspace": "nowhere"}, "There is no workspace “nowhere”."),
        ({"amount_credits": "0"}, "greater than or equal to 0.001"),
        ({"amount_credits": "-5"}, "greater than or equal to 0.001"),
        ({"note": ""}, "This field is required."),
        ({"days": "0"}, "greater than or equal to 1"),
    ],
)
def test_a_grant_that_cannot_be_says_why_at_its_field(operator, workspace, given, said):
    before = ledger.balance(workspace_id=workspace.pk).granted
    assert said in words(grant(operator, **given))
    assert ledger.balance(workspace_id=workspace.pk).granted == before
