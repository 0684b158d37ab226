"""A workspace's campaigns as a list shows them: progress, cost, and a few pictures of each. Reads only."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.db.models import Q

from campaigns.launch import Progress, progress_of
from campaigns.models import Campaign, CellRender

PAGE = 20
PICTURES = 4


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One campaign of the list; ``pictures`` are ids of assets, of its first cells."""

    campaign: Campaign
    progress: Progress
    pictures: tuple[int, ...]

    @property
    def not_asked(self) -> int:
        """Images that are planned and were never asked for."""
        return max(0, self.campaign.planned - self.progress.total)

    @property
    def blanks(self) -> range:
        """A place for each picture that is not there yet."""
        return range(PICTURES - len(self.pictures))


@dataclass(frozen=True, kw_only=True)
class Page:
    """Newest campaigns first; ``after`` is the id of the one to go on behind, None at the end."""

    entries: tuple[Entry, ...]
    after: int | None

    @property
    def moving(self) -> tuple[Entry, ...]:
        """Those of which something waits or is being made."""
        return tuple(entry for entry in self.entries if entry.progress.waiting)

    @property
    def moving_mark(self) -> str:
        """Differs when the progress of one of the moving ones does."""
        return mark([entry.progress for entry in self.moving])

    @property
    def is_moving(self) -> bool:
        """Whether something of what is shown waits or is being made."""
        return bool(self.moving)


def page(*, workspace_id: int, after: int | None = None) -> Page:
    """A page of the list; four queries at most, whatever is on it."""
    found = Campaign.objects.filter(workspace_id=workspace_id).order_by("-created_at", "-pk")
    last = Campaign.objects.filter(workspace_id=workspace_id, pk=after).first() if after else None
    if last:
        found = found.filter(Q(created_at__lt=last.created_at) | Q(created_at=last.created_at, pk__lt=last.pk))
    campaigns = list(found[: PAGE + 1])
    shown = campaigns[:PAGE]
    return Page(entries=entries(shown), after=shown[-1].pk if len(campaigns) > PAGE else None)


def entries(campaigns: Sequence[Campaign]) -> tuple[Entry, ...]:
    """These campaigns with their progress and first pictures; two queries."""
    ids = [campaign.pk for campaign in campaigns]
    progress = progress_of(ids)
    pictures = _pictures(ids)
    return tuple(
        Entry(campaign=campaign, progress=progress[campaign.pk], pictures=pictures.get(campaign.pk, ()))
        for campaign in campaigns
    )


def mark(progress: Collection[Progress]) -> str:
    """A short text that differs when one of them does."""
    return hashlib.sha256(repr(list(progress)).encode()).hexdigest()[:12]


def _pictures(campaign_ids: Collection[int]) -> dict[int, tuple[int, ...]]:
    """Newest assets of the first cells of each campaign, in the order of its cells."""
    versions = CellRender.objects.filter(
        cell__campaign__in=campaign_ids, cell__position__lte=PICTURES, image=1, render__asset__isnull=False
    ).order_by("cell__campaign", "cell__position", "pk")
    newest: dict[int, dict[int, int]] = {}
    for campaign, position, asset in versions.values_list("cell__campaign", "cell__position", "render__asset"):
        newest.setdefault(campaign, {})[position] = asset
    return {campaign: tuple(by_position.values()) for campaign, by_position in newest.items()}
