"""What Prometheus is told, read from the database at each scrape. Knows rows and names, no request.

Web, workers and beat are processes of their own over one database: nothing is counted in this one. Labels are queues,
checkpoints, device classes, statuses and failure codes, never a workspace or a person.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from billing import clock
from billing.totals import totals
from inference import figures, operations
from studio import installation, worker_words

QUEUE_LABELS: Final = ("queue", "checkpoint", "state")
WORKER_LABELS: Final = ("queue", "device", "checkpoint", "state")


class StudioCollector(Collector):
    """The studio's figures; a fixed number of queries, whatever there is."""

    def collect(self) -> Iterator[Metric]:
        """Every family, fresh."""
        now = clock.now()
        yield from _queue(now)
        yield _workers(now)
        yield from _ended()
        yield from _durations()
        yield from _credits()
        yield from _disk()


REGISTRY: Final = CollectorRegistry(auto_describe=False)
REGISTRY.register(StudioCollector())


def _queue(now: datetime) -> Iterator[Metric]:
    renders = GaugeMetricFamily("proofsheet_renders", "Images that are not finished.", labels=QUEUE_LABELS)
    oldest: dict[str, float] = {}
    for line in figures.standing():
        for state in ("waiting", "paused", "running"):
            renders.add_metric((line.queue, line.checkpoint, state), getattr(line, state))
        age = max(0.0, (now - line.oldest).total_seconds()) if line.oldest else 0.0
        oldest[line.queue] = max(oldest.get(line.queue, 0.0), age)
    ages = GaugeMetricFamily(
        "proofsheet_oldest_waiting_seconds", "How long the image that waits longest has waited.", labels=("queue",)
    )
    for queue, age in oldest.items():
        ages.add_metric((queue,), age)
    yield renders
    yield ages
    yield GaugeMetricFamily("proofsheet_batches_running", "Batches in work.", value=figures.running_batches())


def _workers(now: datetime) -> Metric:
    told = worker_words.tell(operations.standing_workers(now=now), ())
    counts = Counter(
        (each.worker.queue, each.worker.device_class, each.worker.checkpoint, "alive" if each.is_alive else "silent")
        for each in told
    )
    family = GaugeMetricFamily(
        "proofsheet_workers",
        "Worker processes; silent ones hold images and were not heard of, or are gone.",
        labels=WORKER_LABELS,
    )
    for labels, number in sorted(counts.items()):
        family.add_metric(labels, number)
    return family


def _ended() -> Iterator[Metric]:
    ended = CounterMetricFamily("proofsheet_renders_ended", "Images that reached their end.", labels=("status",))
    for status, number in figures.ended().items():
        ended.add_metric((status,), number)
    failed = CounterMetricFamily("proofsheet_renders_failed", "Images that failed, uncharged.", labels=("code",))
    for code, number in sorted(figures.failed().items()):
        failed.add_metric((code,), number)
    yield ended
    yield failed


def _durations() -> Iterator[Metric]:
    batches = GaugeMetricFamily(
        "proofsheet_recent_batch_seconds",
        f"How long the latest {figures.RECENT_BATCHES} batches took.",
        labels=("checkpoint", "quantile"),
    )
    for checkpoint, took in figures.batch_seconds().items():
        batches.add_metric((checkpoint, "0.5"), took.p50)
        batches.add_metric((checkpoint, "0.95"), took.p95)
    waits = GaugeMetricFamily(
        "proofsheet_recent_wait_seconds",
        f"How long images of the latest {figures.RECENT_BATCHES} batches had waited for their turn.",
        labels=("quantile",),
    )
    if waited := figures.waited():
        waits.add_metric(("0.5",), waited.p50)
        waits.add_metric(("0.95",), waited.p95)
    yield batches
    yield waits


def _credits() -> Iterator[Metric]:
    found = totals()
    yield GaugeMetricFamily("proofsheet_held_millicredits", "Held for images on their way.", value=found.held)
    yield GaugeMetricFamily("proofsheet_available_millicredits", "Free to be spent.", value=found.available)
    yield CounterMetricFamily("proofsheet_captured_millicredits", "Charged for images.", value=found.captured)
    yield CounterMetricFamily("proofsheet_refunded_millicredits", "Given back after review.", value=found.refunded)


def _disk() -> Iterator[Metric]:
    disk = installation.disk()
    yield GaugeMetricFamily("proofsheet_storage_free_bytes", "Room left on the data folder's disk.", value=disk.free)
    yield GaugeMetricFamily("proofsheet_storage_total_bytes", "Size of the data folder's disk.", value=disk.total)
