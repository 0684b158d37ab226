"""Briefs that are still being written: saved as one goes, taken from a file, copied, launched, thrown away.

A save is a conditional UPDATE on the draft's revision, so that of two people at one draft the later one is told.
"""

import hashlib
import tomllib
import uuid
from dataclasses import dataclass, replace
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import F

from campaigns import brief as briefs
from campaigns import cells, entered, planning, products
from campaigns import launch as launches
from campaigns.brief_products import KnownProducts, ListedProducts
from campaigns.entered import Entered
from campaigns.models import Campaign, Draft
from campaigns.outlook import chosen, look
from inference import loras

MAX_NAME_LENGTH = 120
COPY = "Copy of "


class DraftError(Exception):
    """What was asked of a draft cannot be done; the sentences say what to do. Nothing was written."""

    def __init__(self, *sentences: str) -> None:
        self.sentences = sentences
        super().__init__(" ".join(sentences))


class ChangedMeanwhileError(DraftError):
    """Somebody, or another tab, saved the draft after it was opened here."""


@dataclass(frozen=True, kw_only=True)
class Author:
    """Who saves, and when."""

    id: int
    now: datetime


def save(*, workspace_id: int, key: uuid.UUID, form: Entered, revision: int, author: Author) -> Draft:
    """Save a form's values as they are, finished or not. Revision 0 makes the draft; saving that twice makes one.

    What is saved already stays the revision that it is, so that a save sent twice is no conflict with itself.

    :param revision: the one that the form was made from.
    :raises ChangedMeanwhileError: the draft has another revision by now, or was launched.
    """
    values = {"name": form.name.strip()[:MAX_NAME_LENGTH], "entered": form.to_json()}
    stamp = {"saved_by_id": author.id, "saved_at": author.now}
    if revision == 0:
        try:
            with transaction.atomic():
                return Draft.objects.create(
                    workspace_id=workspace_id,
                    key=key,
                    created_by_id=author.id,
                    created_at=author.now,
                    **values,
                    **stamp,
                )
        except IntegrityError:
            # The first save of this form, sent twice: what is there is its own.
            revision = 1
    own = Draft.objects.filter(workspace_id=workspace_id, key=key)
    there = own.get()
    if there.campaign_id is None and Entered.from_json(there.entered) == form:
        return there
    if not own.filter(revision=revision, campaign=None).update(revision=F("revision") + 1, **values, **stamp):
        raise ChangedMeanwhileError(_meanwhile(own.select_related("saved_by").get()))
    return own.get()


def _meanwhile(draft: Draft) -> str:
    if draft.campaign_id and draft.revises_id:
        return "These changes were saved to the campaign meanwhile, without your last ones. Begin anew from there."
    if draft.campaign_id:
        return "This draft was launched meanwhile. What you changed here is not part of it; duplicate the campaign."
    by = f"by {draft.saved_by.display_name}" if draft.saved_by else "in another tab"
    return f"This draft was saved meanwhile, {by}. What you see here is not saved: keep it, or load what is there."


def revision_of(*, workspace_id: int, key: uuid.UUID) -> int:
    """The draft's present revision; 0 while there is none."""
    return Draft.objects.filter(workspace_id=workspace_id, key=key).values_list("revision", flat=True).first() or 0


def copy(*, workspace_id: int, form: Entered, author: Author) -> Draft:
    """A new draft with these values, under a name that says so."""
    name = form.name if form.name.startswith(COPY) else f"{COPY}{form.name}"[:MAX_NAME_LENGTH]
    return save(workspace_id=workspace_id, key=uuid.uuid4(), form=replace(form, name=name), revision=0, author=author)


def discard(*, draft_id: int) -> bool:
    """Throw a draft away; False if it was launched meanwhile, and is therefore kept."""
    deleted, _ = Draft.objects.filter(pk=draft_id, campaign=None).delete()
    return deleted > 0


def take_in(*, workspace_id: int, key: uuid.UUID, text: str, csv: str | None, author: Author) -> Draft:
    """Make a draft of a brief's TOML. Its products are those of this workspace with the SKUs that it names.

    Where it takes every product of its CSV and that is not given, no product is chosen.

    :param key: made with the form, so that a brief sent twice is one draft.
    :param csv: the text of the CSV that the brief names.
    :raises DraftError: with every problem of the brief, and every product that the workspace does not have.
    """
    known = products.catalogue(workspace_id=workspace_id)
    source = KnownProducts(known) if csv is None else ListedProducts(known, csv=csv)
    reading = briefs.read(text, file=entered.FILE, source=source, loras=loras.known(workspace_id=workspace_id))
    if reading.problems or reading.brief is None:
        raise DraftError(*(str(problem) for problem in reading.problems))
    names_products = csv is not None or "only" in tomllib.loads(text).get("products", {})
    skus = [row.sku for row in reading.brief.products] if names_products else []
    form = entered.from_text(text, skus=skus)
    return save(workspace_id=workspace_id, key=key, form=form, revision=0, author=author)


def of_campaign(campaign: Campaign) -> Entered:
    """A launched campaign's brief, to be written on."""
    placed = campaign.asked_cells.filter(product__isnull=False).order_by("position")
    skus = placed.values_list("product__sku", flat=True)
    return entered.from_text(campaign.brief, skus=tuple(dict.fromkeys(skus)))


def changes_to(campaign: Campaign, *, author: Author) -> Draft:
    """The draft in which a campaign's brief is changed: the one that somebody began, or a new one."""
    begun = Draft.objects.filter(revises=campaign, campaign=None)
    try:
        with transaction.atomic():
            return begun.first() or Draft.objects.create(
                workspace_id=campaign.workspace_id,
                key=uuid.uuid4(),
                name=campaign.name,
                entered=of_campaign(campaign).to_json(),
                revises=campaign,
                created_by_id=author.id,
                created_at=author.now,
                saved_by_id=author.id,
                saved_at=author.now,
            )
    except IntegrityError:
        # Somebody else began at this very moment.
        return begun.get()


@transaction.atomic
def launch(*, draft_id: int, revision: int, author: Author) -> Campaign:
    """Plan a draft's campaign and ask for all of its images, or do nothing; launching twice launches once.

    :param revision: the one whose figures the person saw.
    :raises ChangedMeanwhileError: the draft is another one by now.
    :raises DraftError: something stands against it; every problem is named.
    :raises billing.ledger.InsufficientCreditsError: somebody else spent the credits just now.
    """
    draft = Draft.objects.select_for_update(of=("self",)).get(pk=draft_id)
    if draft.campaign_id:
        return Campaign.objects.get(pk=draft.campaign_id)
    if draft.revision != revision:
        raise ChangedMeanwhileError("This draft was changed after its figures were shown. Look at the new ones first.")
    form = Entered.from_json(draft.entered)
    seen = look(workspace_id=draft.workspace_id, form=form, now=author.now)
    if not seen.can_launch or seen.brief is None:
        raise DraftError(*(str(problem) for problem in seen.problems), *seen.blockers)
    campaign = planning.plan(
        workspace_id=draft.workspace_id,
        brief=seen.brief,
        cells=cells.expand(seen.brief),
        photos={each.sku: each.photo for each in chosen(workspace_id=draft.workspace_id, form=form) if each.photo},
        # A copy of a brief is meant to be a campaign of its own, so the draft itself is what makes it the same one.
        campaign_digest=hashlib.sha256(f"draft:{draft.workspace_id}:{draft.key}".encode()).hexdigest(),
        now=author.now,
        created_by_id=author.id,
    )
    launches.launch(campaign_id=campaign.pk, now=author.now, created_by_id=author.id)
    Draft.objects.filter(pk=draft.pk).update(campaign=campaign)
    return campaign
