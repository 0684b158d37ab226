"""What changed on a contact sheet since a look before: a mark that a page carries along, and the tiles that differ.

A mark costs three queries, however large the sheet is. Knows what a sheet shows, not how.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Count, F, Max, Q, Sum

from campaigns.models import Campaign, CellRender, Launch
from campaigns.sheet import Tile, newest, next_renders, tiles_of
from gallery.models import Decision
from inference.models import Render, RenderStatus

# A transaction may become visible a while after the time that it wrote: what is a little older is looked at again.
OVERLAP = timedelta(seconds=10)
_MARK = re.compile(r"(\d{1,15})-(\d{1,12})-(\d{1,15})-(\d{1,9})-([0-9a-f]{12})-(\d{1,15})")


@dataclass(frozen=True)
class Mark:
    """What a sheet showed at a time: equal marks but for ``at`` mean that nothing changed.

    ``launched`` and ``decided`` are the newest launch's and decision's ids, ``ended`` counts finished renders,
    ``paused`` paused generations, ``running`` is a digest of what runs and how far it is, ``at`` is in milliseconds.
    """

    launched: int
    ended: int
    decided: int
    paused: int
    running: str
    at: int

    def __str__(self) -> str:
        return f"{self.launched}-{self.ended}-{self.decided}-{self.paused}-{self.running}-{self.at}"

    @classmethod
    def parse(cls, text: str) -> "Mark | None":
        """The mark that was written as this text; None where it is none."""
        found = _MARK.fullmatch(text)
        if found is None:
            return None
        launched, ended, decided, paused, running, at = found.groups()
        return cls(int(launched), int(ended), int(decided), int(paused), running, int(at))

    def is_news_to(self, before: "Mark") -> bool:
        """Whether something changed between the two."""
        return (self.launched, self.ended, self.decided, self.paused, self.running) != (
            before.launched, before.ended, before.decided, before.paused, before.running,
        )  # fmt: skip


def mark(campaign: Campaign, *, now: datetime) -> Mark:
    """The sheet's mark at this moment."""
    ended = F("generation__succeeded") + F("generation__failed") + F("generation__canceled") + F("generation__expired")
    launches = Launch.objects.filter(campaign=campaign).aggregate(
        newest=Max("pk"), ended=Sum(ended), paused=Count("pk", filter=Q(generation__is_paused=True))
    )
    running = Render.objects.filter(generation__launch__campaign=campaign, status=RenderStatus.RUNNING).order_by("pk")
    progress = running.values_list("pk", "batch__phase", "batch__step", "batch__preview_step")
    decided = Decision.objects.filter(review__workspace=campaign.workspace_id).order_by("-pk").values_list("pk")[:1]
    return Mark(
        launched=launches["newest"] or 0,
        ended=launches["ended"] or 0,
        decided=next((pk for (pk,) in decided), 0),
        paused=launches["paused"],
        running=hashlib.sha256(repr(list(progress)).encode()).hexdigest()[:12],
        at=int(now.timestamp() * 1000),
    )


def changed_tiles(campaign: Campaign, *, since: Mark) -> list[Tile]:
    """Every tile that may look different from how it did at the mark; some that look the same are among them."""
    moment = datetime.fromtimestamp(since.at / 1000, tz=UTC) - OVERLAP
    versions = CellRender.objects.filter(cell__campaign=campaign)
    differs = (
        Q(render__generation__launch__pk__gt=since.launched)
        | Q(render__status=RenderStatus.RUNNING)
        # What was running and waits again has no time of its own, but a fence.
        | Q(render__status=RenderStatus.QUEUED, render__fence__gt=0)
        | Q(render__finished_at__gte=moment)
        | Q(render__asset__review__decisions__pk__gt=since.decided)
        | Q(render__asset__review__decisions__created_at__gte=moment)
        | Q(render__in=next_renders(campaign))
    )
    cell_ids = set(newest(versions).filter(differs).values_list("cell_id", flat=True))
    return [tile for tiles in tiles_of(campaign, cell_ids=cell_ids).values() for tile in tiles]
