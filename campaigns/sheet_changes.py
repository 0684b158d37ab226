"""What changed on a contact sheet since a look before: a mark that a page carries along, and the tiles that differ.

A mark costs three small queries, however large the sheet is: every open sheet asks for one each second. Knows what a
sheet shows, not how.
"""

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from django.db.models import Q

from campaigns.models import Campaign, CellRender, Launch
from campaigns.sheet import Tile, next_renders, tiles_of
from campaigns.sheet_states import newest
from gallery.models import Decision
from inference.models import Render, RenderStatus

# A transaction may become visible a while after the time that it wrote: what is a little older is looked at again.
OVERLAP = timedelta(seconds=10)
_ENDED = ("generation__succeeded", "generation__failed", "generation__canceled", "generation__expired")
_MARK = re.compile(r"(\d{1,15})-(\d{1,12})-(\d{1,15})-(\d{1,9})-([0-9a-f]{12})-(\d{1,15})-(\d{1,9})-(\d{1,9})")


@dataclass(frozen=True)
class Mark:
    """What a sheet showed at a time: equal marks but for ``at`` mean that nothing changed.

    ``launched`` and ``decided`` are the newest launch's and decision's ids, ``ended`` counts finished renders,
    ``paused`` paused generations, ``running`` is a digest of what runs and how far it is, ``at`` is in milliseconds.
    ``changes`` counts what made cells ask for something else, ``revision`` the briefs, which may move rows and columns.
    """

    launched: int
    ended: int
    decided: int
    paused: int
    running: str
    at: int
    changes: int
    revision: int

    def __str__(self) -> str:
        ids = f"{self.launched}-{self.ended}-{self.decided}-{self.paused}"
        return f"{ids}-{self.running}-{self.at}-{self.changes}-{self.revision}"

    @classmethod
    def parse(cls, text: str) -> "Mark | None":
        """The mark that was written as this text; None where it is none."""
        found = _MARK.fullmatch(text)
        if found is None:
            return None
        launched, ended, decided, paused, running, *numbers = found.groups()
        return cls(int(launched), int(ended), int(decided), int(paused), running, *map(int, numbers))

    def is_news_to(self, before: "Mark") -> bool:
        """Whether something changed between the two."""
        return replace(self, at=before.at) != before

    def is_laid_out_like(self, before: "Mark") -> bool:
        """Whether the sheet has the rows and columns that it had."""
        return self.revision == before.revision


def mark(*, workspace_id: int, campaign_id: int, now: datetime) -> Mark:
    """The mark of one of the workspace's sheets at this moment; ``launched`` is 0 where it has no such campaign."""
    # Summed here: a sum over four columns costs more to build than a campaign's few launches to read.
    launches = Launch.objects.filter(campaign=campaign_id, campaign__workspace=workspace_id).order_by()
    facts = ("campaign__changes", "campaign__revision", "pk", "generation_id", "generation__is_paused")
    found = list(launches.values_list(*facts, "generation__total", *_ENDED))
    changes, revision = found[0][:2] if found else (0, 0)
    rows = [row[2:] for row in found]
    unfinished = [generation for _, generation, _, total, *ended in rows if total > sum(ended)]
    running = Render.objects.filter(generation__in=unfinished, status=RenderStatus.RUNNING).order_by("pk")
    progress = running.values_list("pk", "batch__phase", "batch__step", "batch__preview_step")
    decided = Decision.objects.filter(review__workspace=workspace_id).order_by("-pk").values_list("pk", flat=True)[:1]
    return Mark(
        launched=max((pk for pk, *_ in rows), default=0),
        ended=sum(sum(ended) for _, _, _, _, *ended in rows),
        decided=next(iter(decided), 0),
        paused=sum(is_paused for _, _, is_paused, *_ in rows),
        running=hashlib.sha256(repr(list(progress)).encode()).hexdigest()[:12],
        at=int(now.timestamp() * 1000),
        changes=changes,
        revision=revision,
    )


def changed_tiles(campaign: Campaign, *, since: Mark, channel: str = "") -> list[Tile]:
    """Every tile that may look different from how it did at the mark; some that look the same are among them.

    :param channel: only this channel's; without it, every channel's.
    """
    moment = datetime.fromtimestamp(since.at / 1000, tz=UTC) - OVERLAP
    versions = CellRender.objects.filter(cell__campaign=campaign)
    if channel:
        versions = versions.filter(cell__channel=channel)
    differs = (
        Q(render__generation__launch__pk__gt=since.launched)
        | Q(render__status=RenderStatus.RUNNING)
        # What was running and waits again has no time of its own, but a fence.
        | Q(render__status=RenderStatus.QUEUED, render__fence__gt=0)
        | Q(render__finished_at__gte=moment)
        | Q(render__asset__review__decisions__pk__gt=since.decided)
        | Q(render__asset__review__decisions__created_at__gte=moment)
        | Q(render__in=next_renders(campaign))
        | Q(cell__changed__gt=since.changes)
    )
    cell_ids = set(newest(versions).filter(differs).values_list("cell_id", flat=True))
    return [tile for tiles in tiles_of(campaign, cell_ids=cell_ids).values() for tile in tiles]
