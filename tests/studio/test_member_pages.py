"""Workspaces, members and invitations, as a browser meets them."""

import re

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client

from studio.models import Invitation, Membership, Role, User, Workspace

PASSWORD = "correct horse battery staple"  # noqa: S105
MEMBERS = "/w/acme/settings/members/"


@pytest.fixture(autouse=True)
def _mail_server(settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.STUDIO_HAS_MAIL_SERVER = True


def invite(owner: Client, email: str = "rita@example.com", role: str = "reviewer"):
    return owner.post(MEMBERS, {"email": email, "role": role}, follow=True)


def link_in(text: object) -> str:
    found = re.search(r"http://testserver(/invitations/[\w-]+/)", str(text))
    assert found is not None, text
    return found[1]


def role_of(email: str) -> str | None:
    found = Membership.objects.filter(user__email=email, workspace__slug="acme").first()
    return found.role if found else None


def texts(response) -> list[str]:
    return [str(message) for message in response.context["messages"]]


# --- inviting --------------------------------------------------------------------------------------------------------


def test_an_invitation_goes_out_by_mail_and_its_link_is_shown_once(browser):
    owner = browser("owner")
    response = invite(owner)
    assert texts(response) == ["An invitation is on its way to rita@example.com."]
    (message,) = mail.outbox
    assert message.to == ["rita@example.com"]
    assert message.subject == "owner@example.com invites you to Acme"
    assert link_in(response.content.decode()) == link_in(message.body)
    assert "/invitations/" not in re.sub(r"settings/invitations/", "", owner.get(MEMBERS).content.decode())


def test_without_a_mail_server_the_page_asks_to_hand_over_the_link(browser, settings):
    settings.STUDIO_HAS_MAIL_SERVER = False
    response = invite(browser("owner"))
    assert "no mail could be sent. Hand over the link yourself" in texts(response)[0]
    assert link_in(response.content.decode())


@pytest.mark.parametrize(
    ("email", "role", "said"),
    [
        ("rita", "reviewer", "Enter a valid email address."),
        ("", "reviewer", "This field is required."),
        ("rita@example.com", "emperor", "Select a valid choice."),
        ("viewer@example.com", "owner", "viewer@example.com is in Acme already."),
    ],
)
def test_what_cannot_be_invited_is_told_at_the_form(browser, email, role, said):
    response = invite(browser("owner"), email, role)
    assert said in response.content.decode()
    assert not Invitation.objects.exists()
    assert mail.outbox == []


def test_a_second_click_sends_no_second_mail(browser):
    owner = browser("owner")
    invite(owner)
    assert "is invited already" in invite(owner).content.decode()
    assert len(mail.outbox) == 1


def test_sending_again_ends_the_first_link(browser, client):
    owner = browser("owner")
    invite(owner)
    owner.post(f"/w/acme/settings/invitations/{Invitation.objects.get().pk}/resend/")
    first, second = (link_in(message.body) for message in mail.outbox)
    assert "does not work any more" in client.get(first).content.decode()
    assert "Join Acme" in client.get(second).content.decode()


def test_a_withdrawn_link_says_so(browser, client):
    owner = browser("owner")
    invite(owner)
    owner.post(f"/w/acme/settings/invitations/{Invitation.objects.get().pk}/revoke/")
    assert "was withdrawn" in client.get(link_in(mail.outbox[0].body)).content.decode()


def test_nobody_invites_without_end(browser):
    owner = browser("owner")
    codes = [owner.post(MEMBERS, {"email": f"n{n}@example.com", "role": "viewer"}).status_code for n in range(31)]
    assert codes == [302] * 30 + [429]
    assert len(mail.outbox) == 30


# --- accepting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signup", ["open", "invited"])
def test_an_invited_person_signs_up_by_the_link_and_joins(browser, client, settings, signup):
    settings.STUDIO_SIGNUP = signup
    invite(browser("owner"))
    link = link_in(mail.outbox[0].body)
    page = client.get(link).content.decode()
    assert f"/signup/?next={link}&amp;email=rita%40example.com" in page
    answer = client.post("/signup/", {"email": "rita@example.com", "password1": PASSWORD, "next": link})
    assert answer["Location"] == link
    assert "Join as rita@example.com" in client.get(link).content.decode()
    assert client.post(link)["Location"] == "/w/acme/"
    assert role_of("rita@example.com") == Role.REVIEWER
    assert client.get("/")["Location"] == "/w/acme/"


def test_who_has_an_account_already_just_joins(browser):
    invite(browser("owner"), "stranger@example.com", "producer")
    assert browser("stranger").post(link_in(mail.outbox[0].body))["Location"] == "/w/acme/"
    assert role_of("stranger@example.com") == Role.PRODUCER


def test_who_is_signed_in_by_another_address_is_told_before_joining(browser):
    invite(browser("owner"))
    stranger, link = browser("stranger"), link_in(mail.outbox[0].body)
    assert "You are signed in as stranger@example.com, another address" in stranger.get(link).content.decode()
    assert role_of("stranger@example.com") is None
    stranger.post(link)
    assert role_of("stranger@example.com") == Role.REVIEWER


def test_looking_at_a_link_joins_nothing_and_posting_takes_a_session(browser, client):
    invite(browser("owner"))
    link = link_in(mail.outbox[0].body)
    client.get(link)
    assert client.post(link)["Location"] == f"/login/?next={link}"
    assert Invitation.objects.get().accepted_at is None


def test_a_member_who_opens_the_link_keeps_their_role(browser):
    invite(browser("owner"), role="owner")
    response = browser("viewer").post(link_in(mail.outbox[0].body), follow=True)
    assert texts(response) == ["You are in Acme already; rita@example.com can still use this invitation."]
    assert role_of("viewer@example.com") == Role.VIEWER


def test_an_invitation_waits_only_for_who_has_confirmed_the_address(browser, people):
    invite(browser("owner"), "stranger@example.com")
    stranger, accept = browser("stranger"), f"/invitations/{Invitation.objects.get().pk}/accept/"
    address = EmailAddress.objects.create(user=people["stranger"], email="stranger@example.com", primary=True)
    assert "Join Acme" not in stranger.get("/workspaces/").content.decode()
    assert stranger.post(accept).status_code == 404
    address.verified = True
    address.save()
    assert "Join Acme" in stranger.get("/workspaces/").content.decode()
    assert stranger.post(accept)["Location"] == "/w/acme/"


# --- roles and removal -----------------------------------------------------------------------------------------------


def test_an_owner_gives_another_role(browser, people):
    viewer = Membership.objects.get(user=people["viewer"])
    response = browser("owner").post(f"{MEMBERS}{viewer.pk}/role/", {"role": "producer"}, follow=True)
    assert texts(response) == ["viewer@example.com is now a producer."]
    assert role_of("viewer@example.com") == Role.PRODUCER


def test_the_only_owner_stays_and_the_page_says_why(browser, people):
    owner, own = browser("owner"), Membership.objects.get(user=people["owner"])
    said = "owner@example.com is the only owner of Acme. Make somebody else an owner first."
    assert texts(owner.post(f"{MEMBERS}{own.pk}/role/", {"role": "viewer"}, follow=True)) == [said]
    assert said in owner.post(f"{MEMBERS}{own.pk}/remove/").content.decode()
    assert said in owner.post("/w/acme/settings/leave/").content.decode()
    assert role_of("owner@example.com") == Role.OWNER


def test_a_member_is_removed_after_a_question_and_is_out_at_once(browser, people):
    owner, viewer = browser("owner"), browser("viewer")
    address = f"{MEMBERS}{Membership.objects.get(user=people['viewer']).pk}/remove/"
    assert "Remove viewer@example.com from Acme?" in owner.get(address).content.decode()
    assert viewer.get("/w/acme/").status_code == 200
    owner.post(address)
    assert viewer.get("/w/acme/").status_code == 404


def test_everybody_but_the_last_owner_can_leave(browser):
    reviewer = browser("reviewer")
    assert "Leave Acme?" in reviewer.get("/w/acme/settings/leave/").content.decode()
    assert reviewer.post("/w/acme/settings/leave/")["Location"] == "/"
    assert reviewer.get("/w/acme/").status_code == 404


def test_who_may_not_manage_is_offered_nothing_that_would_be_refused(browser):
    page = browser("reviewer").get(MEMBERS).content.decode()
    assert "What each role may do" in page
    assert "producer@example.com" in page
    assert "Invite somebody" not in page
    assert "/remove/" not in page


def test_the_members_page_asks_the_database_no_more_for_many_members(browser, workspace, django_assert_max_num_queries):
    owner = browser("owner")
    owner.get("/w/acme/")
    with django_assert_max_num_queries(12) as few:
        owner.get(MEMBERS)
    before = len(few)
    for n in range(20):
        user = User.objects.create(email=f"n{n}@example.com")
        Membership.objects.create(workspace=workspace, user=user, role=Role.VIEWER)
        invite(owner, f"invited{n}@example.com")
    owner.get(MEMBERS)
    with django_assert_max_num_queries(before):
        owner.get(MEMBERS)


# --- workspaces ------------------------------------------------------------------------------------------------------


def test_a_name_that_is_taken_by_oneself_is_told_at_the_form(browser):
    response = browser("owner").post("/workspaces/new/", {"name": "ACME", "time_zone": "UTC"})
    assert "You are in a workspace called “ACME” already" in response.content.decode()
    assert Workspace.objects.count() == 2


def test_an_owner_renames_the_workspace_and_its_address_stays(browser):
    owner = browser("owner")
    owner.post("/w/acme/settings/", {"name": "Acme North", "time_zone": "Europe/Berlin"})
    page = owner.get("/w/acme/settings/").content.decode()
    assert 'value="Acme North"' in page
    assert '<option value="Europe/Berlin" selected>' in page


@pytest.mark.parametrize("values", [{"name": "", "time_zone": "UTC"}, {"name": "Acme", "time_zone": "Mars/Olympus"}])
def test_settings_that_cannot_be_are_refused_and_the_frame_keeps_the_old_ones(browser, values):
    response = browser("owner").post("/w/acme/settings/", values)
    assert 'aria-invalid="true"' in response.content.decode()
    assert response.context["workspace"].name == "Acme"
    assert Workspace.objects.get(slug="acme").time_zone == "UTC"


def test_one_sees_ones_own_workspaces_with_ones_role_and_no_others(browser):
    page = browser("reviewer").get("/workspaces/").content.decode()
    assert '<a href="/w/acme/">Acme</a>' in page
    assert "Reviewer" in page
    assert "Elsewhere" not in page
