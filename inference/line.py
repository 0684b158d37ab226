"""The line before one queue: who waits in which order, who works, and when one's turn is over. Only reads.

The order is told as simply as it can be: priority first; within a workspace age; workspaces of one priority in turn,
so that of each other one at most as many images go first as one has waiting oneself.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Min, Window
from django.db.models.functions import RowNumber

from inference import turn
from inference.models import Batch, Render, RenderStatus
from inference.pace import Hands, Record

# A worker that is there takes what waits within a second or two; one that starts has its libraries to load.
UNATTENDED_AFTER = timedelta(seconds=20)


@dataclass(frozen=True, kw_only=True)
class Group:
    """The waiting images of one generation. ``first`` is the oldest one's id; a later group's is larger."""

    generation_id: int | None
    workspace_id: int | None
    checkpoint: str
    priority: int
    first: float
    images: int

    @property
    def turn(self) -> tuple[int, float]:
        """What a workspace's groups are ordered by."""
        return (-self.priority, self.first)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One queue as it stands: its waiting groups in order, some renders' ranks within their groups, its workers."""

    groups: tuple[Group, ...]
    ranks: Mapping[int, int]
    hands: Hands
    is_unattended: bool

    @classmethod
    def of(cls, queue: str, *, record: Record, now: datetime, ranked: Collection[int] = ()) -> "Line":
        """The line as it is now, in two queries, or three with the ranks of the generations `ranked`.

        One more where nothing runs.
        """
        waiting = turn.eligible(queue=queue, now=now).order_by()
        keys = ("generation_id", "workspace_id", "checkpoint", "priority")
        rows = list(waiting.values(*keys).annotate(images=Count("pk"), first=Min("pk"), since=Min("created_at")))
        groups = [Group(**{name: row[name] for name in (*keys, "first", "images")}) for row in rows]
        running = Render.objects.filter(queue=queue, status=RenderStatus.RUNNING, lease_expires_at__gt=now)
        hands = _hands(
            running.values_list("batch__worker", "batch__worker__checkpoint", "checkpoint", "batch"), queue, record
        )
        return cls(
            groups=tuple(sorted(groups, key=lambda group: group.turn)),
            ranks=_ranks(queue, ranked, now=now) if ranked else {},
            hands=hands,
            is_unattended=_is_unattended(
                [row["since"] for row in rows], has_work=bool(hands.batches), queue=queue, now=now
            ),
        )

    def group(self, generation_id: int) -> Group | None:
        """A generation's waiting images; None if it has none."""
        return next((each for each in self.groups if each.generation_id == generation_id), None)

    def until(self, own: Group, rank: int) -> Counter[str]:
        """How many images of each checkpoint are made until the rank-th one of a group is, itself included.

        A group without a workspace waits for all others of its priority.
        """
        before = Counter({own.checkpoint: rank})
        older = [each for each in self.groups if each.turn < own.turn and _is_of(each, own)]
        before.update(images_of(older))
        mine = rank + sum(each.images for each in older if each.priority == own.priority)
        oldest = min((each.first for each in older if each.priority == own.priority), default=own.first)
        room: dict[int | None, int] = {}
        for each in self.groups:
            if _is_of(each, own) or each.priority < own.priority:
                continue
            if each.priority > own.priority:
                taken = each.images
            else:
                # The workspaces take turns, the one whose image is older first.
                left = room.setdefault(each.workspace_id, mine - (each.first > oldest))
                taken = min(left, each.images)
                room[each.workspace_id] = left - taken
            before[each.checkpoint] += taken
        return before


def _is_of(each: Group, own: Group) -> bool:
    return own.workspace_id is None or each.workspace_id == own.workspace_id


def images_of(groups: Collection[Group]) -> Counter[str]:
    """How many images of each checkpoint the groups have."""
    images: Counter[str] = Counter()
    for each in groups:
        images[each.checkpoint] += each.images
    return images


def _ranks(queue: str, generation_ids: Collection[int], *, now: datetime) -> dict[int, int]:
    place = Window(RowNumber(), partition_by="generation_id", order_by=("-priority", "pk"))
    waiting = turn.eligible(queue=queue, now=now).order_by().filter(generation__in=generation_ids)
    return dict(waiting.annotate(rank=place).values_list("pk", "rank"))


def _hands(running: Collection[tuple[int, str, str, int]], queue: str, record: Record) -> Hands:
    workers = dict(record.workers.get(queue, {}))
    batches = {}
    for worker_id, loaded, checkpoint, batch_id in running:
        workers[worker_id] = loaded
        batches[batch_id] = checkpoint
    return Hands(
        workers=max(1, len(workers)),
        loaded=frozenset(workers.values()) | frozenset(batches.values()),
        batches=Counter(batches.values()),
    )


def _is_unattended(since: Collection[datetime], *, has_work: bool, queue: str, now: datetime) -> bool:
    """Whether something waits that a worker would have taken: between two batches of one, nothing runs either."""
    late = now - UNATTENDED_AFTER
    if has_work or not since or min(since) > late:
        return False
    return not Batch.objects.filter(worker__queue=queue, finished_at__gt=late).exists()
