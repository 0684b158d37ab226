"""News of a workspace, read off what happened in the packages below: nothing is copied, only how far one has read.

A member's news begin when they joined.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import QuerySet

import billing.news
import campaigns.news
from billing import ledger, statements
from billing.news import CreditNews, CreditNewsKind
from campaigns.news import FinishedLaunch
from gallery.models import Review, ReviewStatus
from inference.models import Generation
from studio.models import Membership, NotificationsSeen, Role
from studio.templatetags.credits import counted, in_words

PAGE = 30
# Counting on would cost more than the figure tells.
COUNTED_UP_TO = 1000
GRANTED: Final = {"monthly": "This month's credits", "purchased": "Purchased credits", "bonus": "Bonus credits"}


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One piece of news. ``tone`` is a class of the components; ``leads_to`` names a route, the ids its object."""

    at: datetime
    icon: str
    tone: str
    title: str
    details: tuple[str, ...] = ()
    campaign_id: int | None = None
    hold_id: int | None = None
    leads_to: str = ""


@dataclass(frozen=True, kw_only=True)
class Now:
    """What stands at this moment, whether or not it is new. ``available`` in millicredits."""

    to_review: int
    is_low: bool
    available: int


def feed(membership: Membership, *, before: datetime | None = None) -> tuple[list[Notice], datetime | None]:
    """What happened since one joined, newest first, and what to pass as ``before`` for what was earlier."""
    workspace_id = membership.workspace_id
    launches = campaigns.news.happened(workspace_id=workspace_id, before=before, limit=PAGE + 1)
    moves = billing.news.happened(workspace_id=workspace_id, before=before, limit=PAGE + 1)
    joined = _joined(membership)
    if before is not None:
        joined = joined.filter(created_at__lt=before)
    newest = joined.select_related("user").order_by("-created_at")[: PAGE + 1]
    notices = [*map(_of_launch, launches), *map(_of_move, moves), *map(_of_member, newest)]
    notices = sorted((n for n in notices if n.at >= membership.created_at), key=lambda notice: notice.at, reverse=True)
    if len(notices) <= PAGE:
        return notices, None
    # What happened at one moment stays on one page: should the page end in the middle of it, all of it comes next.
    shown = [notice for notice in notices if notice.at > notices[PAGE].at] or notices
    return shown, shown[-1].at


def now(membership: Membership, *, moment: datetime) -> Now:
    """What waits for somebody at this moment."""
    workspace_id = membership.workspace_id
    pending = Review.objects.filter(workspace_id=workspace_id, status=ReviewStatus.PENDING)
    available = ledger.top_up(workspace_id=workspace_id, now=moment).available
    low = statements.plan(workspace_id=workspace_id).low_credits * ledger.MILLI
    return Now(to_review=pending.order_by()[:COUNTED_UP_TO].count(), is_low=available < low, available=available)


def unread(membership: Membership) -> int:
    """How many pieces of news one has not seen, in two queries."""
    moment = seen_until(membership)
    workspace_id = membership.workspace_id
    news: Iterable[QuerySet[Generation] | QuerySet[Membership]] = (
        campaigns.news.since(workspace_id=workspace_id, moment=moment),
        _joined(membership).filter(created_at__gt=moment),
    )
    moves = billing.news.since(workspace_id=workspace_id, moment=moment).order_by().values("pk")
    return moves.union(*(each.order_by().values("pk") for each in news), all=True).count()


def seen_until(membership: Membership) -> datetime:
    """The moment up to which one has seen everything."""
    seen = NotificationsSeen.objects.filter(membership=membership).values_list("seen_at", flat=True).first()
    return seen or membership.created_at


def mark_seen(membership: Membership, *, until: datetime) -> None:
    """Remember that one has seen everything up to a moment; an earlier one than remembered changes nothing."""
    seen, is_new = NotificationsSeen.objects.get_or_create(membership=membership, defaults={"seen_at": until})
    if not is_new:
        NotificationsSeen.objects.filter(pk=seen.pk, seen_at__lt=until).update(seen_at=until)


def _joined(membership: Membership) -> QuerySet[Membership]:
    others = Membership.objects.filter(workspace=membership.workspace_id, created_at__gt=membership.created_at)
    return others.exclude(pk=membership.pk)


def _of_launch(news: FinishedLaunch) -> Notice:
    ends = ((news.failed, "failed"), (news.canceled, "canceled"), (news.expired, "past the deadline"))
    parts = [f"{number:,} {word}" for number, word in ends if number]
    came_out = f"{news.succeeded:,} of {counted(news.images, 'image')} came out"
    details = [", ".join([came_out, *parts]) + (". What did not come out cost nothing." if parts else ".")]
    details += [f"{counted(reason.images, 'image')}: {reason.text}" for reason in news.reasons]
    title = f"{news.campaign}, launch {news.number}, {'ended with failures' if news.failed else 'is finished'}"
    return Notice(
        at=news.at,
        icon="exclamation-triangle" if news.failed else "check-circle",
        tone="no" if news.failed else "ok",
        title=title if news.campaign_id else f"{counted(news.failed, 'Studio image')} failed",
        details=tuple(details),
        campaign_id=news.campaign_id,
        leads_to="campaign" if news.campaign_id else "studio",
    )


def _of_move(news: CreditNews) -> Notice:
    if news.kind is CreditNewsKind.GRANTED:
        return Notice(
            at=news.at,
            icon="circle-stack",
            tone="ok",
            title=f"{in_words(news.amount)} granted",
            details=(news.note or f"{GRANTED.get(news.grant_kind, 'Credits')}.",),
            leads_to="credits",
        )
    if news.kind is CreditNewsKind.LOW:
        return Notice(
            at=news.at,
            icon="exclamation-triangle",
            tone="warn",
            title="Credits ran low",
            details=(f"{in_words(news.amount)} were left after this request.",),
            hold_id=news.hold_id,
            leads_to="credits_hold",
        )
    return Notice(
        at=news.at,
        icon="chart-pie",
        tone="warn",
        title=f"The budget {'for' if news.is_workspace_budget else 'of'} {news.budget} reached {news.percent} %",
        details=(f"Held and spent count; its ceiling was {in_words(news.amount)}.",),
        hold_id=news.hold_id,
        leads_to="credits_hold",
    )


def _of_member(member: Membership) -> Notice:
    role = Role(member.role).label.lower()
    return Notice(
        at=member.created_at,
        icon="user-plus",
        tone="ok",
        title=f"{member.user.display_name} joined",
        details=(f"Role: {role}.",),
        leads_to="members",
    )
