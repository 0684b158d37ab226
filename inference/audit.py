"""What must hold between renders, credits and stored files, each as a count of what breaks it."""

import hashlib

from django.db.models import Count, F, Q, QuerySet

from gallery import storage
from inference import catalog
from inference.models import UNFINISHED, Generation, Render, RenderStatus


def broken_invariants() -> dict[str, int]:
    """How many rows or files break each invariant; every figure must be 0."""
    renders = Render.objects.all()
    ended = renders.exclude(status__in=UNFINISHED)
    succeeded = renders.filter(status=RenderStatus.SUCCEEDED)
    return {
        "ended_render_with_open_line": ended.filter(hold_line__resolved_at__isnull=True).count(),
        "unfinished_render_with_resolved_line": renders.filter(
            status__in=UNFINISHED, hold_line__resolved_at__isnull=False
        ).count(),
        "charged_without_image": ended.exclude(status=RenderStatus.SUCCEEDED).filter(hold_line__captured__gt=0).count(),
        "image_not_charged": succeeded.filter(hold_line__captured=0, hold_line__amount__gt=0).count(),
        "line_of_another_hold": renders.exclude(hold_line__hold=F("generation__hold")).count(),
        "charge_differs_from_its_price": _mischarged(succeeded),
        "image_without_its_file": sum(1 for render in succeeded.select_related("asset") if not _is_stored(render)),
        "generation_counts_differ": _miscounted(),
        "crosses_workspaces": renders.exclude(workspace=F("generation__workspace")).count()
        + succeeded.exclude(workspace=F("asset__workspace")).count()
        + Generation.objects.exclude(workspace=F("hold__account__workspace")).count(),
    }


def _is_stored(render: Render) -> bool:
    if render.asset is None:
        return False
    try:
        return hashlib.sha256(storage.read(render.asset.storage_key)).hexdigest() == render.asset.sha256
    except FileNotFoundError:
        return False


def _mischarged(succeeded: QuerySet[Render]) -> int:
    """Images charged otherwise than their units cost in the price list that stood when they were asked for."""
    entries = catalog.load()
    units, overrun = "hold_line__micro_units", "hold_line__overrun"
    rows = succeeded.filter(hold_line__micro_units__isnull=False, checkpoint__in=entries).values_list(
        "checkpoint", "generation__price_version", units, "hold_line__captured", overrun
    )
    return sum(
        1
        for checkpoint, version, micro_units, captured, above in rows.iterator()
        if entries[checkpoint].price_of(version).cost(micro_units) != captured + above
    )


def _miscounted() -> int:
    statuses = ("succeeded", "failed", "canceled", "expired")
    counts = {f"n_{status}": Count("renders", filter=Q(renders__status=status)) for status in statuses}
    generations = Generation.objects.annotate(n_total=Count("renders"), **counts)
    return sum(
        1
        for generation in generations
        if any(getattr(generation, name) != getattr(generation, f"n_{name}") for name in (*statuses, "total"))
    )
