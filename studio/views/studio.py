"""The Image Studio's form: shown as it was left, priced as it is typed, sent by a click on Generate."""

from functools import partial
from typing import Any
from uuid import uuid4

from django.contrib import messages
from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django_htmx.http import reswap, retarget, trigger_client_event

from billing import clock, plan_choice
from billing.ledger import InsufficientCreditsError, OverBudgetError
from inference import feed, generate, offers, styles
from inference.generate import Settings
from inference.models import Generation, Render
from inference.offers import NotOfferedError, Offer
from inference.queue import KeyReusedError
from inference.references import RequestError
from studio import generate_button, studio_feed, studio_loras
from studio.forms.studio import StudioForm
from studio.forms.upscale import UpscaleForm
from studio.generate_button import GenerateButton
from studio.http import StudioRequest, unchanged
from studio.ids import id_in_query
from studio.studio_loras import loras_of
from studio.studio_pictures import pictures_of, require_own

REFUSALS = (RequestError, NotOfferedError, InsufficientCreditsError, OverBudgetError, KeyReusedError)
CREDITS_MOVED = "credits-moved"
# The styles that stand in the form at once; the others are one click away.
FIRST_STYLES = 8


@never_cache
def studio(request: StudioRequest) -> HttpResponseBase:
    """The page; a POST is a click on Generate."""
    require_own(request)
    studio_loras.require_own(request)
    if request.method == "POST":
        return _generate(request)
    if request.htmx and "before" in request.GET:
        return render(request, "studio/feed.html#groups", _feed(request))
    start = _start(request)
    if start.factor is not None:
        # A picture that was made larger has a form of its own.
        address = reverse("studio_upscale", args=[request.workspace.slug, start.base])
        return redirect(f"{address}?{UpscaleForm.query(start)}")
    form = StudioForm.of(start, request.GET)
    return render(request, "studio/studio.html", _form(request, form) | _feed(request))


@never_cache
def estimate(request: StudioRequest) -> HttpResponseBase:
    """What the form would cost as it stands, and why it cannot be sent; what was typed is remembered."""
    require_own(request)
    studio_loras.require_own(request)
    form = StudioForm(request.POST)
    if form.is_valid():
        generate.remember(workspace_id=request.workspace.pk, created_by_id=request.user.pk, settings=form.settings())
    is_other_model = request.POST.get("shown") != request.POST.get("checkpoint")
    context = _form(request, form) if is_other_model else {"form": form, "button": _button(request, form)}
    return render(request, "studio/estimate.html", context | {"is_other_model": is_other_model})


def another(request: StudioRequest, *, render_id: int) -> HttpResponseBase:
    """One more image like this one, with another seed; or a failed one tried again."""
    asked = Render.objects.select_related("generation").filter(generation__settings__isnull=False)
    found = get_object_or_404(asked, workspace=request.workspace, pk=render_id)
    try:
        return _made(request, _click(request, generate.another(found)), another_of=found.pk)
    except REFUSALS as refusal:
        messages.error(request, str(refusal))
    return unchanged() if request.htmx else redirect("studio", request.workspace.slug)


def _generate(request: StudioRequest) -> HttpResponseBase:
    form = StudioForm(request.POST)
    if form.is_valid():
        settings = form.settings()
        generate.remember(workspace_id=request.workspace.pk, created_by_id=request.user.pk, settings=settings)
        try:
            return _made(request, _click(request, settings))
        except REFUSALS as refusal:
            form.add_error(None, str(refusal))
    if not request.htmx:
        return render(request, "studio/studio.html", _form(request, form) | _feed(request), status=422)
    shown = render(request, "studio/estimate.html", {"form": form, "button": _button(request, form)}, status=422)
    return reswap(retarget(shown, "#cost"), "innerHTML")


def _click(request: StudioRequest, settings: Settings) -> Generation:
    return generate.generate(
        workspace_id=request.workspace.pk,
        created_by_id=request.user.pk,
        key=request.POST.get("key") or uuid4().hex,
        settings=settings,
        now=clock.now(),
    )


def _made(request: StudioRequest, made: Generation, *, another_of: int | None = None) -> HttpResponseBase:
    """The new click on top of the others, and a key for the next."""
    if not request.htmx:
        return redirect("studio", request.workspace.slug)
    shown = feed.page(workspace_id=request.workspace.pk, created_by_id=request.user.pk, before=None, now=clock.now())
    newest = [click for click in shown.clicks if click.id == made.pk]
    context = {"clicks": newest, "seen": _seen(shown), "another_of": another_of}
    # What is left may not do for another click: the button asks anew.
    return trigger_client_event(render(request, "studio/feed.html#made", context), CREDITS_MOVED)


def _start(request: StudioRequest) -> Settings:
    """What the form shows first: an image's own settings where the address names one, else as it was left."""
    if (wanted := id_in_query(request, "from")) is not None:
        asked = Render.objects.select_related("generation").filter(generation__settings__isnull=False)
        return generate.settings_of(get_object_or_404(asked, workspace=request.workspace, pk=wanted))
    left = generate.remembered(workspace_id=request.workspace.pk, created_by_id=request.user.pk)
    return left or Settings(checkpoint=offers.default(_offers(request)).slug)


def _offers(request: StudioRequest) -> tuple[Offer, ...]:
    now = clock.now()
    barrier = partial(plan_choice.barrier, workspace_id=request.workspace.pk, now=now)
    return offers.all_offers(today=now.date(), barrier=barrier)


def _button(request: StudioRequest, form: StudioForm) -> GenerateButton:
    return generate_button.of(form, workspace_id=request.workspace.pk, now=clock.now())


def _form(request: StudioRequest, form: StudioForm) -> dict[str, Any]:
    button = _button(request, form)
    known = tuple(styles.load().values())
    return {
        **pictures_of(request, form),
        **loras_of(request, form),
        "button": button,
        "offers": _offers(request),
        "premium_plans": plan_choice.premium_plans(),
        "first_styles": known[:FIRST_STYLES],
        "more_styles": known[FIRST_STYLES:],
        "counts": generate.COUNTS,
    }


def _feed(request: StudioRequest) -> dict[str, Any]:
    before = id_in_query(request, "before")
    now = clock.now()
    shown = feed.page(
        workspace_id=request.workspace.pk,
        created_by_id=request.user.pk,
        before=before,
        now=now,
    )
    zone, above = request.workspace.time_zone, request.GET.get("above", "")
    groups = studio_feed.groups(shown.clicks, zone=zone, now=now, above=above)
    return {
        "page": shown,
        "groups": groups,
        "last_heading": (groups[-1].heading if groups else "") or above,
        "seen": _seen(shown),
        "is_unattended": feed.is_unattended(shown.live),
        "is_first": before is None,
    }


def _seen(shown: feed.Page) -> str:
    return studio_feed.as_seen((result.render_id, result.mark) for result in shown.live)
