"""What batches take: as measured off those that finished lately, and what that foretells. Knows no device.

Who is before whom, `inference.line` says; here is what that costs in time, likely (p50) and at the latest (p95).
"""

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Min, Q

from inference import catalog
from inference.catalog import CatalogError, UnknownCheckpointError
from inference.models import Batch, RenderStatus

RECENT_BATCHES = 20
# Far enough back to find every checkpoint that is in use, few enough to read at every look at the queue.
LOOK_BACK = 200
# A worker seen since then takes part; one that was idle for longer may be gone.
AT_WORK = timedelta(minutes=10)
# Until a load was measured: a small checkpoint from a disk, and the libraries of a process that just began.
LOAD_GUESS_S = 10.0
# What a guess, or a single measurement, may be off: half of it, as a standard deviation.
GUESS_SPREAD = 0.5
# For a checkpoint that is in the catalogue no more: its renders fail as soon as it is their turn.
GONE_S = 0.0
# Beyond it the expansion is no quantile any more.
MAX_SKEWNESS = 2.0
Z95 = 1.6449


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """When it is done: as likely sooner as later (p50), and at the latest in 19 of 20 cases (p95)."""

    p50: timedelta
    p95: timedelta


@dataclass(frozen=True, kw_only=True)
class Pace:
    """What a checkpoint's batches take: mean, standard deviation (seconds) and third central moment (seconds cubed).

    `measured` batches tell so; 0: a guess. `size` images are made in one; a batch that is not full is padded, and takes
    as long. `load_s` seconds go by before the first one on a worker that has another checkpoint loaded.
    """

    batch_s: float
    spread_s: float
    measured: int
    size: int
    load_s: float = LOAD_GUESS_S
    third_s3: float = 0.0

    @classmethod
    def of(cls, durations_s: list[float], *, size: int, load_s: float = LOAD_GUESS_S) -> "Pace":
        """The pace of batches that took so long, with the moments' unbiased estimates."""
        mean, number = statistics.fmean(durations_s), len(durations_s)
        spread = GUESS_SPREAD * mean if number == 1 else statistics.stdev(durations_s)
        third = 0.0
        if number > 2:
            cubes = sum((duration - mean) ** 3 for duration in durations_s)
            third = cubes * number / ((number - 1) * (number - 2))
        return cls(batch_s=mean, spread_s=spread, measured=number, size=size, load_s=load_s, third_s3=third)


@dataclass(frozen=True, kw_only=True)
class Record:
    """Paces by checkpoint, and by queue the workers seen lately with the checkpoint that each has loaded."""

    paces: Mapping[str, Pace]
    workers: Mapping[str, Mapping[int, str]]


@dataclass(frozen=True, kw_only=True)
class Hands:
    """A queue's workers: how many, what they have loaded, and how many batches of which checkpoint they are at."""

    workers: int
    loaded: frozenset[str]
    batches: Mapping[str, int]


def record(*, now: datetime) -> Record:
    """What the latest batches tell of every checkpoint that was used lately and of the workers, in one query."""
    # Chosen before their renders are counted: SQLite would count those of every batch that there ever was.
    latest = Batch.objects.filter(finished_at__isnull=False).order_by("-pk").values("pk")[:LOOK_BACK]
    rows = list(
        Batch.objects.filter(pk__in=latest)
        .order_by("-pk")
        .annotate(
            done=Count("renders", filter=Q(renders__status=RenderStatus.SUCCEEDED)),
            checkpoint=Min("renders__checkpoint"),
        )
        .select_related("worker")
    )
    by_checkpoint: dict[str, list[Batch]] = defaultdict(list)
    workers: dict[str, dict[int, str]] = defaultdict(dict)
    for batch in rows:
        worker = batch.worker
        if worker.ended_at is None and worker.seen_at > now - AT_WORK:
            workers[worker.queue][worker.pk] = worker.checkpoint
        # A batch whose renders went on to other batches, or all failed, tells nothing.
        if batch.checkpoint is not None and batch.done and len(by_checkpoint[batch.checkpoint]) < RECENT_BATCHES:
            by_checkpoint[batch.checkpoint].append(batch)
    paces = {checkpoint: _measured(checkpoint, batches) for checkpoint, batches in by_checkpoint.items() if batches}
    return Record(paces=paces, workers=workers)


def pace(checkpoint: str, paces: Mapping[str, Pace]) -> Pace:
    """A checkpoint's pace: as measured, else as the catalogue guesses."""
    if checkpoint in paces:
        return paces[checkpoint]
    try:
        guess = catalog.entry(checkpoint).seconds_per_image
    except UnknownCheckpointError:
        guess = GONE_S
    return Pace(batch_s=guess, spread_s=GUESS_SPREAD * guess, measured=0, size=1)


@dataclass(frozen=True)
class _Time:
    """A time that nobody knows exactly, by its first three cumulants (s, s², s³): a sum has the sums of its parts'."""

    mean: float
    variance: float = 0.0
    third: float = 0.0

    def __add__(self, other: "_Time") -> "_Time":
        return _Time(self.mean + other.mean, self.variance + other.variance, self.third + other.third)

    def shared(self, workers: int) -> "_Time":
        """The time that so many workers take for it together."""
        return _Time(self.mean / workers, self.variance / workers**2, self.third / workers**3)

    def forecast(self) -> Forecast:
        """Its median and 95 % quantile, by the Cornish-Fisher expansion (Abramowitz and Stegun 26.2.49)."""
        deviation = math.sqrt(self.variance)
        skewness = max(-MAX_SKEWNESS, min(MAX_SKEWNESS, self.third / deviation**3)) if deviation else 0.0
        median = self.mean - deviation * skewness / 6
        latest = self.mean + deviation * (Z95 + (Z95**2 - 1) * skewness / 6)
        return Forecast(p50=timedelta(seconds=median), p95=timedelta(seconds=latest))


def predict(images: Mapping[str, int], *, last: str, hands: Hands, paces: Mapping[str, Pace]) -> Forecast:
    """When so many images of each checkpoint are done, the last one of checkpoint `last`, by one queue's workers.

    The time is a sum of independent parts: batches, loads, and for each batch in hand the half that is left of it on
    average. What is before the last batch is shared out among the workers; the last batch itself runs on one.
    """
    before = _Time(0.0)
    for checkpoint, number in hands.batches.items():
        before += _in_hand(number, pace(checkpoint, paces))
    for checkpoint in images.keys() - hands.loaded:
        before += _load(pace(checkpoint, paces))
    for checkpoint, number in images.items():
        each = pace(checkpoint, paces)
        before += _batches(math.ceil(number / each.size) - (checkpoint == last), each)
    if not images:
        return before.shared(hands.workers).forecast()
    return (before.shared(hands.workers) + _batches(1, pace(last, paces))).forecast()


def _batches(number: int, each: Pace) -> _Time:
    """What so many batches take one worker.

    With n measured, of mean m and standard deviation s, the sum of k has mean km, and the variance of its prediction is
    k s² (1 + k/n), the second part because m is only estimated (Hahn and Meeker, Statistical Intervals, the prediction
    of the mean of k further observations). Where few were measured it is widened as Student's t is.
    """
    variance = number * each.spread_s**2 * (1 + number / max(1, each.measured))
    return _Time(number * each.batch_s, variance * _widening(each.measured) ** 2, number * each.third_s3)


def _load(each: Pace) -> _Time:
    return _Time(each.load_s, (GUESS_SPREAD * each.load_s) ** 2)


def _in_hand(batches: int, each: Pace) -> _Time:
    # Anywhere between its beginning and its end, evenly spread.
    return _Time(batches * each.batch_s / 2, batches * each.batch_s**2 / 12)


def _widening(measured: int) -> float:
    """Student's 95 % quantile with measured - 1 degrees of freedom ÷ the normal one (Abramowitz and Stegun 26.7.5)."""
    freedom = measured - 1
    if freedom < 1:
        return 1.0
    first = (Z95**3 + Z95) / (4 * freedom)
    second = (5 * Z95**5 + 16 * Z95**3 + 3 * Z95) / (96 * freedom**2)
    return (Z95 + first + second) / Z95


def _measured(checkpoint: str, batches: list[Batch]) -> Pace:
    durations = [
        (batch.finished_at - batch.created_at).total_seconds() - batch.load_s
        for batch in batches
        if batch.finished_at is not None
    ]
    loads = [batch.load_s for batch in batches if batch.load_s]
    return Pace.of(
        [max(0.0, duration) for duration in durations],
        size=_size(checkpoint, batches),
        load_s=statistics.fmean(loads) if loads else LOAD_GUESS_S,
    )


def _size(checkpoint: str, batches: list[Batch]) -> int:
    """How many images one batch holds: as the latest was made, else as installed, else the largest seen."""
    if batches[0].batch_size:
        return batches[0].batch_size
    try:
        return catalog.entry(checkpoint).batch_size(batches[0].worker.device_class)
    except (UnknownCheckpointError, CatalogError):
        return max(1, *(batch.size for batch in batches))
