"""The review pages: what waits, one image after another, decisions as plain posts and as fragments, two reviewers."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from billing import clock, ledger
from campaigns import proofing
from campaigns.models import Campaign
from gallery.models import Asset, Decision, Review
from inference.models import Render
from studio.models import Membership, User, Workspace
from tests.campaigns.sheets import finish, launched, render_all
from tests.studio.page_text import found_in, words

HTMX = {"HX-Request": "true"}
MUST_HAVE = "the product is whole\nthe surface is visible"


@pytest.fixture
def campaign(workspace: Workspace, people: dict[str, User]) -> Campaign:
    """Four finished images that the producer asked for."""
    made = launched(workspace.pk, by=people["producer"])
    finish(4)
    return made


@pytest.fixture
def reviewer(browser: Callable[[str], Client]) -> Client:
    return browser("reviewer")


@pytest.fixture
def second(workspace: Workspace) -> Client:
    """Another reviewer at another desk."""
    user = User.objects.create(email="second@example.com", first_name="Sam")
    Membership.objects.create(workspace=workspace, user=user, role="reviewer")
    client = Client()
    client.force_login(user)
    return client


def ids(campaign: Campaign) -> list[int]:
    proofs = proofing.sheet(workspace_id=campaign.workspace_id, campaign_id=campaign.pk)
    return [proof.asset_id for proof in proofs]


def start(client: Client, campaign: Campaign) -> Any:
    return client.get(f"/w/acme/review/next/?campaign={campaign.pk}", follow=True)


def image(client: Client, asset_id: int, query: str = "") -> Any:
    return client.get(f"/w/acme/review/{asset_id}/{query}")


def shown(page: Any) -> Any:
    """The image on the light table; None where there is none."""
    found = re.search(r'data-image="(\d+)"', page.content.decode())
    return int(found.group(1)) if found else None


def decide(client: Client, asset_id: int, decision: str = "approve", *, htmx: bool = False, **said: object) -> Any:
    path = f"/w/acme/review/{asset_id}/decide/"
    return client.post(path, {"decision": decision} | said, headers=HTMX if htmx else {}, follow=not htmx)


def status(asset_id: int) -> str:
    return Review.objects.get(asset=asset_id).status


# --- what waits ---


def test_what_waits_is_told_by_campaign_with_the_way_in(campaign, reviewer) -> None:
    page = reviewer.get("/w/acme/review/")
    assert "Shelf 4 images to review Review 4 images" in words(page)
    where = found_in(page.content.decode(), r'href="(/w/acme/review/next/[^"]*)"')
    assert shown(reviewer.get(where, follow=True)) == ids(campaign)[0]


def test_nothing_to_review_says_what_the_page_is_for(workspace, reviewer) -> None:
    page = words(reviewer.get("/w/acme/review/"))
    assert "Nothing waits for a decision" in page
    assert "Look at the gallery" in page


def test_who_may_not_decide_sees_what_waits_and_no_way_in(campaign, browser) -> None:
    viewer = browser("viewer")
    page = viewer.get("/w/acme/review/")
    assert "Owners and reviewers decide." in words(page)
    assert "review/next/" not in page.content.decode()
    assert start(viewer, campaign).status_code == 403
    assert decide(viewer, ids(campaign)[0]).status_code == 403
    assert status(ids(campaign)[0]) == "pending"


# --- one image after another, without JavaScript ---


def test_approving_leads_to_the_next_image_and_at_the_end_to_what_was_decided(campaign, reviewer) -> None:
    page = start(reviewer, campaign)
    for number, asset_id in enumerate(ids(campaign), start=1):
        assert shown(page) == asset_id
        assert f"{number} of 4" in words(page)
        page = decide(reviewer, asset_id, campaign=campaign.pk)
    said = words(page)
    assert "Everything here is decided Approved 4" in said
    assert "Download 4 approved images" in said
    assert not Review.objects.exclude(status="approved").exists()


def test_the_page_tells_what_a_reviewer_needs(workspace, people, reviewer) -> None:
    campaign = launched(workspace.pk, "MUG", by=people["producer"], must_have=MUST_HAVE)
    render_all()
    page = image(reviewer, ids(campaign)[0])
    said = words(page)
    for part in ("MUG", "marble · square", "Must have", "The product is whole", "Asked for by", "Sampler"):
        assert part in said, part
    keys = set(re.findall(r'data-key="([^"]+)"', page.content.decode()))
    assert {"a", "c", "r", "u", "z", "1", "2"} <= keys


def test_rejecting_takes_a_reason_and_keeps_the_note(campaign, reviewer) -> None:
    first, second_image, *_ = ids(campaign)
    page = decide(reviewer, first, "reject:bad_light", reject_note="Too dark.", campaign=campaign.pk)
    assert shown(page) == second_image
    back = words(image(reviewer, first))
    assert re.search(r"Rejected By .*? ago : bad light\. Too dark\.", back)
    assert "Take this decision back" in back


def test_a_distorted_product_gives_its_credits_back_and_says_so(campaign, reviewer, workspace) -> None:
    asset_id = ids(campaign)[0]
    line = Render.objects.get(asset=asset_id).hold_line_id
    Asset.objects.filter(pk=asset_id).update(hold_line=line)  # as the runner does
    before = ledger.balance(workspace_id=workspace.pk).available
    assert "gives 1 credit back" in words(image(reviewer, asset_id))
    page = decide(reviewer, asset_id, "reject:product_distorted", campaign=campaign.pk)
    assert "1 credit given back for the distorted product." in words(page)
    assert ledger.balance(workspace_id=workspace.pk).available == before + 1000


def test_asking_for_changes_needs_words(campaign, reviewer) -> None:
    first = ids(campaign)[0]
    page = decide(reviewer, first, "request_changes", changes_note="  ")
    assert "Say what should change" in words(page)
    assert (shown(page), status(first)) == (first, "pending")
    decide(reviewer, first, "request_changes", changes_note="A softer shadow.")
    assert status(first) == "changes_requested"


def test_an_open_point_is_asked_about_once_and_what_was_ticked_is_kept(workspace, people, reviewer) -> None:
    campaign = launched(workspace.pk, "MUG", by=people["producer"], must_have=MUST_HAVE)
    finish(2)
    first = ids(campaign)[0]
    page = decide(reviewer, first, met=["1"])
    assert "Approve with 1 open point? The brief asks for this, and it is not ticked: The surface is visible" in words(
        page
    )
    assert re.search(r'name="met" value="1"[^>]* checked', page.content.decode())
    assert status(first) == "pending"
    decide(reviewer, first, met=["1"], sure="on")
    assert status(first) == "approved"
    assert [one["is_met"] for one in Decision.objects.get().must_have] == [True, False]


def test_with_every_point_ticked_nothing_is_asked(workspace, people, reviewer) -> None:
    campaign = launched(workspace.pk, "MUG", by=people["producer"], must_have=MUST_HAVE)
    finish(2)
    decide(reviewer, ids(campaign)[0], met=["1", "2"])
    assert status(ids(campaign)[0]) == "approved"


@pytest.mark.parametrize("decision", ["", "maybe", "reject", "reject:", "reject:nothing", "undo"])
def test_what_is_no_decision_decides_nothing(campaign, reviewer, decision) -> None:
    first = ids(campaign)[0]
    page = decide(reviewer, first, decision)
    assert "That decision was not understood." in words(page)
    assert (shown(page), status(first)) == (first, "pending")


def test_dialogs_open_by_address_where_no_script_runs(campaign, reviewer) -> None:
    first = ids(campaign)[0]
    for name in ("reject", "changes", "siblings"):
        page = image(reviewer, first, f"?ask={name}").content.decode()
        assert " open" in found_in(page, rf'(<dialog [^>]*id="{name}"[^>]*>)')
    assert " open>" not in image(reviewer, first).content.decode()


# --- undo ---


def test_undo_takes_the_last_decision_back_and_shows_its_image(campaign, reviewer) -> None:
    first, second_image, *_ = ids(campaign)
    decide(reviewer, first)
    decide(reviewer, second_image, "reject:artifact")
    for asset_id in (second_image, first):
        page = reviewer.post("/w/acme/review/undo/", {"campaign": campaign.pk}, follow=True)
        assert (shown(page), status(asset_id)) == (asset_id, "pending")
    page = reviewer.post("/w/acme/review/undo/", {"campaign": campaign.pk}, follow=True)
    assert "There is no decision of yours left to undo." in words(page)


def test_another_ones_decision_is_taken_back_on_its_image_not_by_undo(campaign, reviewer, second) -> None:
    first = ids(campaign)[0]
    decide(second, first)
    reviewer.post("/w/acme/review/undo/", {"campaign": campaign.pk})
    assert status(first) == "approved"
    page = image(reviewer, first)
    assert "By Sam" in words(page)
    where = found_in(page.content.decode(), r'action="([^"]+take-back/)"')
    assert (shown(reviewer.post(where, follow=True)), status(first)) == (first, "pending")
    assert "taken back already" in words(reviewer.post(where, follow=True))


# --- a whole row at once ---


def test_siblings_are_approved_together_and_undone_together(campaign, reviewer) -> None:
    one, two, three, _ = ids(campaign)
    page = image(reviewer, one, f"?campaign={campaign.pk}")
    assert "Approve these 2 images?" in words(page)
    row = re.findall(r'name="sibling" value="(\d+)"', page.content.decode())
    answer = reviewer.post(f"/w/acme/review/{one}/siblings/", {"sibling": row, "campaign": campaign.pk}, follow=True)
    assert "2 images approved. Undo takes all of them back." in words(answer)
    assert shown(answer) == three
    back = reviewer.post("/w/acme/review/undo/", {"campaign": campaign.pk}, follow=True)
    assert "2 decisions taken back." in words(back)
    assert {status(one), status(two)} == {"pending"}


def test_siblings_may_be_those_of_the_scene(campaign, reviewer) -> None:
    one, _, three, _ = ids(campaign)
    page = image(reviewer, one, f"?campaign={campaign.pk}&like=scene").content.decode()
    assert set(re.findall(r'name="sibling" value="(\d+)"', page)) == {str(one), str(three)}


def test_one_product_can_be_reviewed_alone(campaign, reviewer) -> None:
    _, _, three, four = ids(campaign)
    page = reviewer.get(f"/w/acme/review/next/?campaign={campaign.pk}&sku=CUP", follow=True)
    assert (shown(page), "1 of 2" in words(page)) == (three, True)
    page = decide(reviewer, three, campaign=campaign.pk, sku="CUP")
    assert shown(page) == four
    assert "Everything here is decided" in words(decide(reviewer, four, campaign=campaign.pk, sku="CUP"))


# --- four eyes, and two reviewers ---


def test_who_asked_for_an_image_does_not_approve_it_but_may_reject_it(workspace, people, browser) -> None:
    campaign = launched(workspace.pk, by=people["owner"])
    render_all()
    owner = browser("owner")
    first, other, *_ = ids(campaign)
    page = image(owner, first)
    assert "You asked for this image, so somebody else has to approve it." in words(page)
    assert " disabled" in found_in(page.content.decode(), r'(<button[^>]*id="approve"[^>]*>)')
    refused = decide(owner, first)
    assert "somebody else has to approve it." in words(refused)
    assert status(first) == "pending"
    decide(owner, other, "reject:off_brand")
    assert status(other) == "rejected"


def test_who_is_alone_in_a_workspace_approves_their_own(make_workspace, people, browser) -> None:
    alone = Workspace.objects.get(slug="elsewhere")
    campaign = launched(alone.pk, by=people["stranger"])
    render_all()
    asset_id, *_ = ids(campaign)
    client = browser("stranger")
    assert "somebody else" not in words(client.get(f"/w/elsewhere/review/{asset_id}/"))
    client.post(f"/w/elsewhere/review/{asset_id}/decide/", {"decision": "approve"})
    assert status(asset_id) == "approved"


def test_who_is_the_only_reviewer_among_others_approves_their_own_until_there_is_a_second(people, browser) -> None:
    elsewhere = Workspace.objects.get(slug="elsewhere")
    for role in ("producer", "viewer"):
        Membership.objects.create(workspace=elsewhere, user=people[role], role=role)
    campaign = launched(elsewhere.pk, by=people["stranger"])
    render_all()
    first, second, *_ = ids(campaign)
    client = browser("stranger")
    client.post(f"/w/elsewhere/review/{first}/decide/", {"decision": "approve"})
    assert status(first) == "approved"
    Membership.objects.create(workspace=elsewhere, user=people["reviewer"], role="reviewer")
    client.post(f"/w/elsewhere/review/{second}/decide/", {"decision": "approve"})
    assert status(second) == "pending"


def test_two_reviewers_are_never_led_to_the_same_image(campaign, reviewer, second) -> None:
    pages = [start(reviewer, campaign), start(second, campaign)]
    seen = []
    for _ in range(2):
        here = [shown(page) for page in pages]
        assert len(set(here)) == 2
        seen += here
        pages = [decide(client, at, campaign=campaign.pk) for client, at in zip((reviewer, second), here, strict=True)]
    assert sorted(seen) == sorted(ids(campaign))
    assert "Everything here is decided" in words(pages[1])


def test_whoever_finds_the_rest_open_at_others_is_told_so(campaign, reviewer, second) -> None:
    *done, last = ids(campaign)
    for asset_id in done:
        decide(reviewer, asset_id, campaign=campaign.pk)
    page = start(second, campaign)
    assert shown(page) is None
    assert "1 image still to decide, and other reviewers are looking at it right now." in words(page)
    reviewer.post(f"/w/acme/review/{last}/leave/")
    assert shown(start(second, campaign)) == last


def test_an_image_that_somebody_has_open_shows_who_and_takes_no_decision(campaign, reviewer, second) -> None:
    first = ids(campaign)[0]
    image(second, first)
    page = image(reviewer, first)
    assert "Sam is looking at this image right now." in words(page)
    assert 'id="approve"' not in page.content.decode()
    refused = decide(reviewer, first)
    assert "Sam is looking at this image right now. Your decision was not recorded." in words(refused)
    assert status(first) == "pending"


def test_a_page_that_is_out_of_date_decides_nothing(campaign, reviewer, second) -> None:
    first = ids(campaign)[0]
    image(reviewer, first)
    Review.objects.filter(asset=first).update(claimed_until=clock.now())  # a lid was closed for long
    decide(second, first, "reject:bad_light")
    page = decide(reviewer, first)
    assert "Sam decided on this image before you: rejected. Your decision was not recorded." in words(page)
    assert status(first) == "rejected"


def test_a_double_click_decides_once(campaign, reviewer) -> None:
    first, second_image, *_ = ids(campaign)
    decide(reviewer, first, campaign=campaign.pk)
    page = decide(reviewer, first, campaign=campaign.pk)
    assert "decided on this image before you" in words(page)
    assert Decision.objects.count() == 1
    assert status(second_image) == "pending"


def test_an_open_page_keeps_its_image_and_is_told_when_it_lost_it(campaign, reviewer, second) -> None:
    first = ids(campaign)[0]
    image(reviewer, first)
    keep = f"/w/acme/review/{first}/keep/"
    kept = reviewer.post(keep, headers=HTMX)
    assert (kept.status_code, kept.content) == (204, b"")
    Review.objects.filter(asset=first).update(claimed_until=clock.now())
    image(second, first)
    lost = reviewer.post(keep, headers=HTMX)
    assert "Sam is looking at this image right now." in words(lost)


# --- as fragments ---


def test_a_decision_by_htmx_answers_with_the_next_image_its_title_and_its_address(campaign, reviewer) -> None:
    first, second_image, *_ = ids(campaign)
    answer = decide(reviewer, first, htmx=True, campaign=campaign.pk)
    text = answer.content.decode()
    assert "<html" not in text
    assert "<title>MUG · Review · Proofsheet</title>" in text
    assert shown(answer) == second_image
    assert answer["HX-Push-Url"] == f"/w/acme/review/{second_image}/?campaign={campaign.pk}"
    assert f'data-preload="/w/acme/assets/{ids(campaign)[2]}/view/"' in text


def test_an_expired_session_leads_the_whole_page_to_the_sign_in(campaign, browser) -> None:
    first = ids(campaign)[0]
    answer = browser("anonymous").post(
        f"/w/acme/review/{first}/decide/",
        {"decision": "approve"},
        headers=HTMX | {"HX-Current-URL": f"http://testserver/w/acme/review/{first}/"},
    )
    assert answer["HX-Redirect"] == f"/login/?next=/w/acme/review/{first}/"
    assert status(first) == "pending"


def test_images_without_a_campaign_and_of_strangers(campaign, browser, make_workspace) -> None:
    stranger = browser("stranger")
    first = ids(campaign)[0]
    assert stranger.get(f"/w/elsewhere/review/{first}/").status_code == 404
    assert stranger.post(f"/w/elsewhere/review/{first}/decide/", {"decision": "approve"}).status_code == 404
    assert stranger.get(f"/w/elsewhere/review/next/?campaign={campaign.pk}", follow=True).status_code == 200
    assert shown(stranger.get(f"/w/elsewhere/review/next/?campaign={campaign.pk}", follow=True)) is None


def test_a_longer_line_takes_no_more_queries(
    campaign, workspace, people, reviewer, django_assert_max_num_queries
) -> None:
    large = launched(workspace.pk, *(f"SKU-{n}" for n in range(8)), by=people["producer"])
    finish(16)
    for made in (campaign, large):
        first, second_image, *_ = ids(made)
        with django_assert_max_num_queries(26):
            image(reviewer, first, f"?campaign={made.pk}")
        with django_assert_max_num_queries(48):
            assert shown(decide(reviewer, first, htmx=True, campaign=made.pk)) == second_image
