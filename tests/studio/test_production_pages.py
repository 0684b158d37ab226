"""Pausing, resuming and canceling all of a workspace, by its owners and by who runs the installation."""

import pytest
from django.test import Client

from billing import clock, ledger
from inference import queue
from inference.models import QueuePause, Render
from studio.models import User
from tests.inference.desk import Desk, claim, complete, take, worker
from tests.studio.page_text import words

HERE = "/w/acme/"
BANNER = "Production is paused"
PAGES = ("studio/", "campaigns/")


@pytest.fixture
def operator(people) -> Client:
    client = Client()
    client.force_login(User.objects.create(email="operator@example.com", is_staff=True, first_name="Olga"))
    return client


@pytest.fixture
def desk(workspace) -> Desk:
    desk = Desk(workspace.pk)
    desk.now = clock.now()
    return desk


def test_an_owner_pauses_everything_and_nothing_new_begins_until_it_is_resumed(browser, desk, workspace):
    owner = browser("owner")
    desk.ask(3)
    running = take(worker(now=desk.now), at_most=1, now=desk.now)
    paused = owner.post(f"{HERE}production/pause/", follow=True)
    assert "Images that are being made are finished, and nothing new begins." in words(paused)
    assert claim(worker(now=desk.now), now=desk.now) is None
    complete(running.renders[0], now=desk.now)
    desk.ask(1)
    assert claim(worker(now=desk.now), now=desk.now) is None
    owner.post(f"{HERE}production/resume/")
    assert len(take(worker(now=desk.now), now=desk.now).renders) == 3


def test_everybody_sees_the_pause_and_only_owners_can_end_it(browser, desk):
    browser("owner").post(f"{HERE}production/pause/")
    for path in PAGES:
        assert f"{BANNER} by owner@example.com since" in words(browser("owner").get(HERE + path))
        assert 'action="/w/acme/production/resume/"' in browser("owner").get(HERE + path).content.decode()
        for who in ("producer", "reviewer", "viewer"):
            page = browser(who).get(HERE + path)
            assert f"{BANNER} by owner@example.com" in words(page)
            assert "An owner can resume it." in words(page)
            assert "production/resume" not in page.content.decode()
    browser("owner").post(f"{HERE}production/resume/")
    for path in PAGES:
        assert BANNER not in words(browser("viewer").get(HERE + path))


def test_a_pause_is_the_workspaces_own(browser, desk):
    browser("owner").post(f"{HERE}production/pause/")
    assert BANNER not in words(browser("stranger").get("/w/elsewhere/studio/"))


def test_pausing_and_resuming_twice_change_nothing(browser, desk):
    for _ in range(2):
        assert browser("owner").post(f"{HERE}production/pause/").status_code == 302
    assert QueuePause.objects.count() == 1
    for _ in range(2):
        assert browser("owner").post(f"{HERE}production/resume/").status_code == 302
    assert not QueuePause.objects.exists()


def test_one_stays_on_the_page_with_the_button_and_is_led_nowhere_else(browser, desk):
    owner = browser("owner")
    for act in ("pause", "resume"):
        assert owner.post(f"{HERE}production/{act}/", {"back": f"{HERE}studio/"})["Location"] == f"{HERE}studio/"
        for foreign in ("https://evil.example/", "//evil.example/", "javascript:alert(1)", "campaigns", ""):
            assert owner.post(f"{HERE}production/{act}/", {"back": foreign})["Location"] == f"{HERE}campaigns/"


def test_canceling_everything_names_the_images_first_and_charges_none_of_them(browser, desk, workspace):
    owner = browser("owner")
    desk.ask(2)
    desk.ask(3)
    batch = take(worker(now=desk.now), at_most=2, now=desk.now)
    complete(batch.renders[0], now=desk.now)
    asked = words(owner.get(f"{HERE}production/cancel/"))
    assert "4 images of Acme, of every campaign and of everybody’s Studio page, are waiting or being made." in asked
    assert "not charged, and the 4 credits held for them will be available again at once" in asked
    assert Render.objects.filter(status="canceled").count() == 0
    done = words(owner.post(f"{HERE}production/cancel/", follow=True))
    assert "4 images of Acme are canceled, uncharged; what was held for them came back." in done
    balance = ledger.balance(workspace_id=workspace.pk)
    assert (balance.held, balance.spent) == (0, 1000)
    assert "Nothing of Acme was left to cancel." in words(owner.post(f"{HERE}production/cancel/", follow=True))


def test_the_settings_offer_owners_what_fits_the_moment(browser, desk):
    page = words(browser("owner").get(f"{HERE}settings/"))
    assert "Nothing is waiting or being made." in page
    assert "Cancel 0" not in page
    desk.ask(2)
    page = words(browser("owner").get(f"{HERE}settings/"))
    for told in ("2 images are waiting or being made.", "Pause everything", "Cancel 2 images"):
        assert told in page
    browser("owner").post(f"{HERE}production/pause/")
    page = words(browser("owner").get(f"{HERE}settings/"))
    assert "Resume" in page
    assert "Pause everything" not in page
    assert "Pause everything" not in words(browser("producer").get(f"{HERE}settings/"))


# --- who runs the installation ---------------------------------------------------------------------------------------


def test_the_operator_pauses_and_resumes_a_workspace_by_name(operator, browser, desk, workspace):
    desk.ask(2)
    assert "Acme Waiting 2 0 Pause Cancel all" in words(operator.get("/operations/"))
    address = f"/operations/workspaces/{workspace.pk}/"
    paused = words(operator.post(f"{address}pause/", follow=True))
    assert "Acme: Paused. Images that are being made are finished" in paused
    assert "Acme Paused by Olga" in paused
    assert "Acme starter gpu 2 2 0" in paused
    assert claim(worker(now=desk.now), now=desk.now) is None
    assert f"{BANNER} by Olga since" in words(browser("producer").get(f"{HERE}studio/"))
    operator.post(f"{address}resume/")
    assert claim(worker(now=desk.now), now=desk.now) is not None


def test_a_paused_workspace_stays_listed_when_nothing_of_it_waits(operator, workspace, desk):
    queue.pause_workspace(workspace_id=workspace.pk, now=desk.now)
    assert "Acme Paused" in words(operator.get("/operations/"))


def test_the_operator_cancels_all_of_one_workspace_and_nothing_of_another(operator, desk, workspace, make_workspace):
    desk.ask(2)
    other = Desk(make_workspace("other").pk)
    other.ask(3)
    address = f"/operations/workspaces/{workspace.pk}/cancel/"
    assert "2 images of Acme are waiting or being made. They are not finished and not charged" in words(
        operator.get(address)
    )
    done = words(operator.post(address, follow=True))
    assert "2 images of Acme are canceled, uncharged; what was held for them came back." in done
    assert ledger.balance(workspace_id=other.workspace_id).held == 3000
    assert operator.get("/operations/workspaces/999999/cancel/").status_code == 404


def test_the_live_page_hears_of_a_pause(operator, desk, workspace):
    desk.ask(1)
    page = operator.get("/operations/").content.decode()
    address = page.split('hx-get="', 1)[1].split('"', 1)[0]
    htmx = {"HX-Request": "true"}
    assert operator.get(address, headers=htmx).status_code == 204
    queue.pause_workspace(workspace_id=workspace.pk, now=desk.now)
    assert "Acme Paused" in words(operator.get(address, headers=htmx))


def test_the_list_of_workspaces_costs_the_same_for_many(operator, desk, make_workspace, django_assert_max_num_queries):
    desk.ask(1)
    with django_assert_max_num_queries(25) as few:
        operator.get("/operations/")
    for number in range(8):
        other = Desk(make_workspace(f"other-{number}").pk)
        other.ask(2)
        queue.pause_workspace(workspace_id=other.workspace_id, now=desk.now)
    with django_assert_max_num_queries(len(few)):
        page = words(operator.get("/operations/"))
    assert "Other-7" in page
