"""For who runs the installation: queues, workers, batches, failures and their retry, disk, ledger, bonus credits."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

import inference.retry
from billing import clock, ledger
from billing.ledger import InsufficientCreditsError, OverBudgetError
from campaigns import charges, launch
from inference import batch_sizes, failures, figures, operations, workloads
from inference.catalog.sources import CheckpointMissingError
from inference.models import Generation
from inference.retry import NothingToRetryError, StillRunningError
from studio import installation, worker_words
from studio.forms.credits import GrantForm
from studio.http import StudioRequest, unchanged
from studio.ids import id_in_query
from studio.templatetags.credits import counted, in_words

# While a batch runs, how long ago a worker was heard of matters too.
HEARD_OF_S = 20
REFUSALS = (
    NothingToRetryError,
    StillRunningError,
    InsufficientCreditsError,
    OverBudgetError,
    CheckpointMissingError,
    launch.MaskMissingError,
)


def overview(request: StudioRequest) -> HttpResponse:
    """What waits, runs and was done; asked again every two seconds, it answers only when something has changed."""
    now = clock.now()
    pulse = operations.pulse()
    version = f"{pulse.text}.{int(now.timestamp()) // HEARD_OF_S}" if pulse.is_at_work else pulse.text
    if request.htmx and request.GET.get("v") == version:
        return unchanged()
    running = operations.running_batches()
    lines = operations.lines()
    workers = worker_words.tell(operations.workers(now=now), running)
    waited = figures.waited()
    context = {
        "version": version,
        "lines": lines,
        "waiting": sum(line.waiting for line in lines),
        "is_to_be_made": any(line.waiting > line.paused for line in lines),
        "running": sum(line.running for line in lines),
        "oldest": min((line.oldest for line in lines if line.oldest), default=None),
        "workloads": workloads.all_of_them(),
        "waited": worker_words.span(waited.p95) if waited else "",
        "workers": workers,
        "alive": sum(worker.is_alive for worker in workers),
        "batches": [(batch, worker_words.phase(batch)) for batch in running],
        "recent": [(batch, worker_words.took(batch)) for batch in operations.recent_batches()],
    }
    return render(request, "operations/operations.html" + ("#live" if request.htmx else ""), context)


def failed(request: StudioRequest) -> HttpResponse:
    """What failed, newest first, with the reasons in words and a button that asks again."""
    before = id_in_query(request, "before")
    found, following = failures.newest(before=before)
    ids = [failure.generation_id for failure in found]
    origins, retried = charges.origins_of_generations(ids), inference.retry.retried(ids)
    rows = [(failure, origins[failure.generation_id], failure.generation_id in retried) for failure in found]
    return render(
        request, "operations/failures.html", {"rows": rows, "next": following, "is_later_page": before is not None}
    )


def retry(request: StudioRequest, generation: int) -> HttpResponse:
    """Ask again for what failed: a click's images in a new generation, a campaign's in a new launch."""
    asked = get_object_or_404(Generation.objects.select_related("workspace"), pk=generation)
    try:
        said = _ask_again(asked, by_id=request.user.pk, now=clock.now())
    except REFUSALS as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, said)
    return redirect("operations_failures")


def _ask_again(asked: Generation, *, by_id: int, now: datetime) -> str:
    origin = charges.origins_of_generations([asked.pk])[asked.pk]
    if origin.campaign_id is None:
        again, render_ids = inference.retry.retry(generation_id=asked.pk, now=now)
        images, is_new = len(render_ids), again.created_at == now
    else:
        images = launch.launch(campaign_id=origin.campaign_id, now=now, created_by_id=by_id)
        is_new = images > 0
    if not is_new:
        return "Nothing was asked for: these images were asked for again before."
    return f"{counted(images, 'image')} of {asked.workspace.name} {'is' if images == 1 else 'are'} asked for again."


def house(request: StudioRequest) -> HttpResponse:
    """Disk, data folder, versions; with POST, bonus credits for a workspace."""
    form = GrantForm(request.POST or None)
    if form.is_valid():
        _grant(request, form.cleaned_data)
        return redirect("operations_house")
    return render(request, "operations/house.html", _house(form), status=422 if form.errors else 200)


def _grant(request: StudioRequest, given: dict[str, Any]) -> None:
    now = clock.now()
    amount = int(given["amount_credits"] * ledger.MILLI)
    is_new = ledger.give_bonus(
        workspace_id=given["workspace"].pk,
        amount=amount,
        key=str(given["key"]),
        note=given["note"],
        expires_at=now + timedelta(days=given["days"]) if given["days"] else None,
        created_by_id=request.user.pk,
        now=now,
    )
    if is_new:
        messages.success(request, f"{in_words(amount)} granted to {given['workspace'].name}.")
    else:
        messages.info(request, "This grant was made before; nothing was added a second time.")


def lift(request: StudioRequest, limit_id: int) -> HttpResponse:
    """Let the catalogue's batch size hold again."""
    if batch_sizes.lift(limit_id=limit_id):
        messages.success(request, "The catalogue's number holds again, from the workers' next minute on.")
    else:
        messages.info(request, "That limit was lifted before.")
    return redirect("operations_house")


def audit(request: StudioRequest) -> HttpResponse:
    """Whether the books are sound, read as they are now."""
    findings = installation.audit()
    context = {"findings": findings, "broken": [each for each in findings if each.broken], "audited_at": clock.now()}
    if request.htmx:
        return render(request, "operations/house.html#audit", context)
    return render(request, "operations/house.html", _house(GrantForm()) | context)


def _house(form: GrantForm) -> dict[str, Any]:
    return {
        "form": form,
        "disk": installation.disk(),
        "versions": installation.versions(),
        "limits": batch_sizes.all_limits(),
        "has_metrics_token": bool(settings.STUDIO_METRICS_TOKEN),
    }
