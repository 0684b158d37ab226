"""The review pages: what waits for a decision, and one image after another on the light table.

A decision answers with the next image at once; without htmx a redirect leads there.
"""

from collections.abc import Sequence

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django_htmx.http import push_url

from billing import clock
from campaigns import places, proofing
from gallery import review
from gallery.models import Asset, Decision, Reason, Verdict
from gallery.review import ReviewError
from studio import chosen, light_table
from studio.forms.review import DecisionForm, Said
from studio.http import StudioRequest, unchanged
from studio.light_table import Scope, Stage
from studio.templatetags.credits import in_words

TABLE = "review/image.html#table"


def queues(request: StudioRequest) -> HttpResponse:
    """What waits for a decision, campaign by campaign."""
    found = proofing.queues(workspace_id=request.workspace.pk, by_id=request.user.pk, now=clock.now())
    return render(request, "review/queues.html", {"queues": found})


def start(request: StudioRequest) -> HttpResponseBase:
    """Lead to the first image that waits and that nobody else is looking at."""
    return _go_on(request, Scope.asked(request.GET), after=None)


def image(request: StudioRequest, *, asset: int) -> HttpResponseBase:
    """One image, taken by whoever opens it while it waits for a decision."""
    found = get_object_or_404(light_table.reviewable(request.workspace.pk), pk=asset)
    return _show(request, found, _scope(request, found))


def decide(request: StudioRequest, *, asset: int) -> HttpResponseBase:
    """Approve, reject or ask for changes; the answer is the next image."""
    found = get_object_or_404(light_table.reviewable(request.workspace.pk), pk=asset)
    scope = _scope(request, found)
    form = DecisionForm(request.POST)
    if not form.is_valid():
        messages.error(request, "That decision was not understood. Choose one of the buttons.")
        return _show(request, found, scope, is_kept=True)
    place = places.of_assets([found.pk]).get(found.pk)
    said = form.said(request.POST, must_have=place.must_have if place else ())
    if said.verdict == Verdict.APPROVE and said.open_points and not said.is_sure:
        return _show(request, found, scope, is_kept=True, open_points=said.open_points)
    try:
        _make(request, found, said)
    except ReviewError as refusal:
        messages.error(request, str(refusal))
        return _show(request, found, scope, is_kept=True)
    return _go_on(request, scope, after=found.pk)


def approve_siblings(request: StudioRequest, *, asset: int) -> HttpResponseBase:
    """Approve the whole row that the page showed, in one act that is undone together."""
    found = get_object_or_404(light_table.reviewable(request.workspace.pk), pk=asset)
    row = chosen.assets(request, field="sibling").filter(review__isnull=False)
    outcome = review.approve_all(
        [sibling.pk for sibling in row],
        by_id=request.user.pk,
        now=clock.now(),
        must_have=_nothing_ticked(found),
        may_approve_own=light_table.has_no_second_reviewer(request.workspace.pk, request.user.pk),
    )
    count = len(outcome.decision_ids)
    if count:
        messages.success(request, f"{count} image{'' if count == 1 else 's'} approved. Undo takes all of them back.")
    for refusal in outcome.refusals:
        messages.warning(request, refusal)
    return _go_on(request, _scope(request, found), after=found.pk)


def undo(request: StudioRequest) -> HttpResponseBase:
    """Take back the person's last decision, and show what it was about."""
    scope = Scope.asked(request.POST)
    try:
        back = review.undo_last(workspace_id=request.workspace.pk, by_id=request.user.pk, now=clock.now())
    except ReviewError as refusal:
        messages.error(request, str(refusal))
        return _go_on(request, scope, after=None)
    if not back:
        messages.info(request, "There is no decision of yours left to undo.")
        return _go_on(request, scope, after=None)
    return _undone(request, back[0], count=len(back))


def take_back(request: StudioRequest, *, decision: int) -> HttpResponseBase:
    """Take back one decision, whosever it is, and show what it was about."""
    found = get_object_or_404(Decision, review__workspace=request.workspace, pk=decision)
    try:
        review.undo(found.pk, by_id=request.user.pk, now=clock.now())
    except ReviewError as refusal:
        messages.error(request, str(refusal))
    return _undone(request, found.review.asset_id, count=1)


def keep(request: StudioRequest, *, asset: int) -> HttpResponseBase:
    """The open page keeps its image from the others for another while; it is told when it no longer can."""
    found = get_object_or_404(light_table.reviewable(request.workspace.pk), pk=asset)
    if review.renew(found.pk, by_id=request.user.pk, now=clock.now()) or not found.review.claimed_by:
        return unchanged()
    return _show(request, found, _scope(request, found))


def leave(request: StudioRequest, *, asset: int) -> HttpResponseBase:
    """The page was closed: the image is free for the others."""
    found = get_object_or_404(Asset, workspace=request.workspace, pk=asset)
    review.release(found.pk, by_id=request.user.pk)
    return unchanged()


# --- inside ----------------------------------------------------------------------------------------------------------


def _scope(request: StudioRequest, asset: Asset) -> Scope:
    """The scope that the address or the form names; without one, the campaign that the image is of."""
    query = request.POST if request.method == "POST" else request.GET
    place = None if light_table.CAMPAIGN in query else places.of_assets([asset.pk]).get(asset.pk)
    return Scope.asked(query, default_campaign_id=place.campaign_id if place else None)


def _make(request: StudioRequest, asset: Asset, said: Said) -> None:
    """:raises ReviewError: the decision cannot be made."""
    by_id, now = request.user.pk, clock.now()
    if said.verdict == Verdict.APPROVE:
        alone = light_table.has_no_second_reviewer(request.workspace.pk, by_id)
        review.approve(asset.pk, by_id=by_id, now=now, must_have=said.must_have, may_approve_own=alone)
    elif said.verdict == Verdict.REQUEST_CHANGES:
        review.request_changes(asset.pk, by_id=by_id, note=said.note, now=now, must_have=said.must_have)
    else:
        decision = review.reject(
            asset.pk, by_id=by_id, reason=said.reason, note=said.note, now=now, must_have=said.must_have
        )
        if given_back := Decision.objects.values_list("refunded", flat=True).get(pk=decision):
            messages.success(request, f"{in_words(given_back)} given back for the distorted product.")


def _nothing_ticked(asset: Asset) -> tuple[review.Requirement, ...]:
    place = places.of_assets([asset.pk]).get(asset.pk)
    return tuple(review.Requirement(text=text, is_met=False) for text in (place.must_have if place else ()))


def _go_on(request: StudioRequest, scope: Scope, *, after: int | None) -> HttpResponseBase:
    """The next image that waits, taken for this person; or that there is none left."""
    proofs = scope.everything(request.workspace.pk)
    waiting = proofing.waiting_after(scope.narrowed(proofs), after)
    taken = review.claim_first(waiting, by_id=request.user.pk, now=clock.now())
    if taken is None:
        return _done(request, scope, proofs, left=len(waiting))
    if not request.htmx:
        return redirect(_address(request, taken, scope))
    found = light_table.reviewable(request.workspace.pk).get(pk=taken)
    return push_url(_render(request, _stage(request, found, scope)), _address(request, taken, scope))


def _show(
    request: StudioRequest, asset: Asset, scope: Scope, *, is_kept: bool = False, open_points: Sequence[str] = ()
) -> HttpResponse:
    """The image, taken if it is free; ``is_kept``: the page was there, and what was ticked on it stays ticked."""
    review.claim(asset.pk, by_id=request.user.pk, now=clock.now())
    # The claim, and whatever happened meanwhile.
    found = light_table.reviewable(request.workspace.pk).get(pk=asset.pk)
    ticked = request.POST.getlist("met") if is_kept else ()
    return _render(request, _stage(request, found, scope), ticked=ticked, open_points=open_points)


def _undone(request: StudioRequest, asset_id: int, *, count: int) -> HttpResponseBase:
    found = light_table.reviewable(request.workspace.pk).get(pk=asset_id)
    scope = _scope(request, found)
    place = places.of_assets([asset_id]).get(asset_id)
    campaign_id = place.campaign_id if place else None
    if campaign_id != scope.campaign_id or (place and scope.sku not in ("", place.sku)):
        scope = Scope(campaign_id=campaign_id, like=scope.like)
    if count > 1:
        messages.success(request, f"{count} decisions taken back.")
    if not request.htmx:
        return redirect(_address(request, asset_id, scope))
    return push_url(_show(request, found, scope), _address(request, asset_id, scope))


def _done(request: StudioRequest, scope: Scope, proofs: list[proofing.Proof], *, left: int) -> HttpResponse:
    row = scope.narrowed(proofs)
    found = proofing.queues(workspace_id=request.workspace.pk, by_id=request.user.pk, now=clock.now())
    context = {
        "scope": scope,
        "left": left,
        "counts": {status: sum(proof.status == status for proof in row) for status in {p.status for p in row}},
        "total": len(row),
        "others": [queue for queue in found if queue.campaign_id != scope.campaign_id],
        "campaign": next((queue.name for queue in found if queue.campaign_id == scope.campaign_id), ""),
    }
    response = render(request, f"review/done.html{'#table' if request.htmx else ''}", context)
    address = f"{reverse('review_next', args=[request.workspace.slug])}?{scope.query}"
    return push_url(response, address) if request.htmx else response


def _stage(request: StudioRequest, asset: Asset, scope: Scope) -> Stage:
    proofs = scope.everything(request.workspace.pk)
    return light_table.stage(asset, scope=scope, proofs=proofs, user=request.user, now=clock.now())


def _render(
    request: StudioRequest, stage: Stage, *, ticked: Sequence[str] = (), open_points: Sequence[str] = ()
) -> HttpResponse:
    _ask_for_differences(stage)
    standing = stage.asset.review.standing
    if standing:
        ticked = [str(number) for number, one in enumerate(standing.must_have, start=1) if one["is_met"]]
    context = {
        "stage": stage,
        "asset": stage.asset,
        "reasons": Reason.choices,
        "ticked": ticked,
        "open_points": open_points,
        "open_dialog": request.GET.get("ask", ""),
        "show": request.GET.get("show", ""),
    }
    return render(request, TABLE if request.htmx else "review/image.html", context)


def _ask_for_differences(stage: Stage) -> None:
    """Have a worker make the difference view of what is looked at, and of what comes next, before it is asked for."""
    wanted = [] if stage.has_difference or stage.asset.certificate is None else [stage.asset.pk]
    if stage.overlay and stage.line.next_pending:
        wanted.append(stage.line.next_pending)
    for asset_id in wanted:
        light_table.ask_for_difference(asset_id)


def _address(request: StudioRequest, asset_id: int, scope: Scope) -> str:
    path = reverse("review_image", args=[request.workspace.slug, asset_id])
    return f"{path}?{scope.query}" if scope.query else path
