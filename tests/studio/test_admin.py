"""The admin: people and workspaces can be edited, what queue and ledger wrote can only be read."""

import pytest
from django.apps import apps
from django.test import Client
from django.urls import reverse

from studio.admin import LISTED
from studio.models import User, Workspace
from tests.inference.desk import Desk, claim, complete, worker


@pytest.fixture
def admin(people) -> Client:
    people["owner"].is_staff = people["owner"].is_superuser = True
    people["owner"].save()
    client = Client()
    client.force_login(people["owner"])
    return client


@pytest.fixture
def finished_work(workspace) -> None:
    desk = Desk(workspace.pk)
    desk.ask(2)
    batch = claim(worker())
    assert batch is not None
    complete(batch.renders[0])


def url(label: str, page: str, *args: object) -> str:
    return reverse(f"admin:{label.lower().replace('.', '_')}_{page}", args=args)


@pytest.mark.parametrize("label", LISTED)
def test_what_queue_and_ledger_wrote_is_listed(admin, finished_work, label):
    assert admin.get(url(label, "changelist")).status_code == 200


WRITTEN = [
    "inference.Generation",
    "inference.Render",
    "inference.Batch",
    "inference.Worker",
    "gallery.Asset",
    "billing.Account",
    "billing.Grant",
    "billing.Hold",
    "billing.Entry",
]


@pytest.mark.parametrize("label", WRITTEN)
def test_what_queue_and_ledger_wrote_can_be_read_and_not_added_changed_or_deleted(admin, finished_work, label):
    model = apps.get_model(label)
    before = list(model.objects.order_by("pk").values())
    pk = before[0]["id"]
    page = admin.get(url(label, "change", pk))
    assert page.status_code == 200
    assert 'name="_save"' not in page.content.decode()
    assert admin.post(url(label, "change", pk), {}).status_code == 403
    assert admin.post(url(label, "add"), {}).status_code == 403
    assert admin.post(url(label, "delete", pk), {"post": "yes"}).status_code == 403
    admin.post(url(label, "changelist"), {"action": "delete_selected", "_selected_action": pk, "post": "yes"})
    assert list(model.objects.order_by("pk").values()) == before


@pytest.mark.parametrize("who", ["owner", "viewer", "anonymous"])
def test_the_admin_is_for_staff_only(browser, who):
    response = browser(who).get("/admin/")
    assert response.status_code == 302
    assert response["Location"].startswith("/admin/login/")


def test_a_workspaces_people_and_time_zone_can_be_edited(admin, workspace):
    page = admin.get(url("studio.Workspace", "change", workspace.pk))
    assert page.status_code == 200
    assert "reviewer@example.com" in page.content.decode()
    form = page.context["adminform"].form.initial | {"time_zone": "Europe/Berlin"}
    inline = page.context["inline_admin_formsets"][0].formset
    data = {key: value for key, value in form.items() if value is not None and key != "members"}
    data |= {f"memberships-{key}": value for key, value in inline.management_form.initial.items()}
    for number, membership in enumerate(inline.queryset):
        prefix = f"memberships-{number}-"
        values = {"id": membership.pk, "workspace": workspace.pk, "user": membership.user_id, "role": membership.role}
        data |= {prefix + key: value for key, value in values.items()}
    assert admin.post(url("studio.Workspace", "change", workspace.pk), data).status_code == 302
    assert Workspace.objects.get(pk=workspace.pk).time_zone == "Europe/Berlin"


def add_person(admin: Client, name: str):
    password = "correct horse battery staple"  # noqa: S105
    values = {"username": name, "email": f"{name}@example.com", "password1": password, "password2": password}
    return admin.post(url("studio.User", "add"), values | {"usable_password": "true"})


def test_people_are_added_with_the_address_they_sign_in_by(admin):
    for name in ("bea", "carl"):
        assert add_person(admin, name).status_code == 302
    emails = User.objects.filter(username__in=("bea", "carl")).order_by("username").values_list("email", flat=True)
    assert list(emails) == ["bea@example.com", "carl@example.com"]


def test_a_workspace_added_in_the_admin_has_a_page_that_works(admin, people):
    values = {"name": "New", "slug": "new", "time_zone": "UTC"}
    inline = {"memberships-TOTAL_FORMS": 1, "memberships-INITIAL_FORMS": 0, "memberships-0-role": "owner"}
    owner = {"memberships-0-user": people["owner"].pk}
    assert admin.post(url("studio.Workspace", "add"), values | inline | owner).status_code == 302
    assert admin.get("/w/new/").status_code == 200


def test_a_time_zone_that_does_not_exist_is_refused_in_the_form(admin):
    values = {"name": "New", "slug": "new", "time_zone": "Mars/Olympus"}
    inline = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
    assert admin.post(url("studio.Workspace", "add"), values | inline).status_code == 200
    assert not Workspace.objects.filter(slug="new").exists()
