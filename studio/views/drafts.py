"""Writing a brief: the form, what it would come to, saving as one goes, import and export, and the launch."""

import tempfile
import uuid
from typing import Any

from django.contrib import messages
from django.http import FileResponse, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django_htmx.http import replace_url

from billing import clock, ledger
from campaigns import drafts, outlook, package, revising
from campaigns.drafts import Author, ChangedMeanwhileError, DraftError
from campaigns.entered import CSV, FILE, WAY_WORDS, Entered
from campaigns.formats import FORMATS
from campaigns.launch import MaskMissingError
from campaigns.models import Draft, Product
from campaigns.slugs import slug
from inference import loras
from inference.references import ANCHORS
from studio.forms import campaigns as forms
from studio.http import StudioRequest
from studio.templatetags.credits import counted

# More products than one launch can hold are not offered one by one.
OFFERED = 2_000


def new(request: StudioRequest) -> HttpResponseBase:
    """An empty form. It becomes a draft, with an address of its own, when it is first saved."""
    if request.method == "POST":
        return _save(request, key=forms.key_from(request.POST))
    return render(request, "campaigns/edit.html", _context(request, forms.new_form(), key=uuid.uuid4()))


def draft(request: StudioRequest, *, draft_id: int) -> HttpResponseBase:
    """A draft's form; a launched one leads to its campaign."""
    found = get_object_or_404(Draft, workspace=request.workspace, pk=draft_id)
    if request.method == "POST":
        return _save(request, key=found.key)
    if found.campaign_id:
        return redirect("campaign", request.workspace.slug, found.campaign_id)
    return render(request, "campaigns/edit.html", _context(request, Entered.from_json(found.entered), draft=found))


def check(request: StudioRequest) -> HttpResponse:
    """What the form would come to as it stands; writes nothing."""
    form = forms.entered_from(request.POST)
    draft = None
    if "is_change" in request.POST:
        found = Draft.objects.filter(workspace=request.workspace, key=forms.key_from(request.POST))
        draft = found.select_related("revises").first()
    context = _outlook(request, form, is_strict="strict" in request.POST, draft=draft)
    return render(request, "campaigns/outlook.html", context | {"is_swapped": True})


def _save(request: StudioRequest, *, key: uuid.UUID) -> HttpResponseBase:
    """Save the form with what its button does to it, and show it again; a plain form post is redirected there."""
    act = request.POST.get("act", "save")
    form = forms.acted(forms.entered_from(request.POST), act, skus=_skus(request) if act == "products:all" else ())
    revision = forms.revision_from(request.POST)
    if act == "overwrite":
        revision = drafts.revision_of(workspace_id=request.workspace.pk, key=key)
    try:
        saved = drafts.save(
            workspace_id=request.workspace.pk, key=key, form=form, revision=revision, author=_author(request)
        )
    except ChangedMeanwhileError as error:
        if request.htmx:
            # Whoever writes at the end of the form does not see its head.
            messages.warning(request, str(error))
        return _show(request, form, key=key, revision=revision, conflict=str(error), act=act)
    if request.htmx:
        return replace_url(_show(request, form, draft=saved, act=act), _address(saved))
    return redirect(_after(saved, act))


def _show(request: StudioRequest, form: Entered, *, act: str, **more: Any) -> HttpResponse:
    """The part of the page that a button or a save as one goes changes; the whole page without htmx."""
    if request.htmx and act == "auto":
        context = _state(request, **more)
        context |= {"is_swapped": True, "is_first": forms.revision_from(request.POST) == 0}
        return render(request, "campaigns/edit.html#saved", context)
    context = _context(request, form, **more)
    template = "campaigns/edit.html#form" if request.htmx else "campaigns/edit.html"
    return render(request, template, context)


def _after(saved: Draft, act: str) -> str:
    if act == "launch":
        return reverse("draft_launch", args=[saved.workspace.slug, saved.pk])
    kind = act.partition(":")[0]
    place = {"axis": "#scenes", "channel": "#channels", "products": "#products"}.get(kind, "")
    return _address(saved) + ("?checked" if act == "check" else "") + place


def _address(saved: Draft) -> str:
    return reverse("draft", args=[saved.workspace.slug, saved.pk])


def launch(request: StudioRequest, *, draft_id: int) -> HttpResponseBase:
    """The figures, to be confirmed; confirmed twice it is launched once."""
    found = get_object_or_404(Draft.objects.select_related("revises"), workspace=request.workspace, pk=draft_id)
    if found.revises:
        return _save_changes(request, found)
    refusals: tuple[str, ...] = ()
    if request.method == "POST" or found.campaign_id:
        try:
            revision = forms.revision_from(request.POST) or found.revision
            campaign = drafts.launch(draft_id=found.pk, revision=revision, author=_author(request))
        except DraftError as error:
            refusals = error.sentences
        except (ledger.InsufficientCreditsError, ledger.OverBudgetError, MaskMissingError) as error:
            refusals = (str(error),)
        else:
            return redirect("campaign", request.workspace.slug, campaign.pk)
        found.refresh_from_db()
    context = _outlook(request, Entered.from_json(found.entered), is_strict=True)
    return render(request, "campaigns/launch.html", context | {"draft": found, "refusals": refusals})


def _save_changes(request: StudioRequest, found: Draft) -> HttpResponseBase:
    """What changes to a campaign do, to be confirmed; confirmed twice they are saved once."""
    refusals: tuple[str, ...] = ()
    if request.method == "POST" or found.campaign_id:
        try:
            revision = forms.revision_from(request.POST) or found.revision
            done = revising.save(draft_id=found.pk, revision=revision, author=_author(request))
        except DraftError as error:
            refusals = error.sentences
        else:
            stale = f" {counted(done.stale, 'image')} became stale." if done.stale else ""
            messages.success(request, f"The brief is saved; nothing was launched.{stale}")
            return redirect("campaign", request.workspace.slug, found.revises_id)
        found.refresh_from_db()
    context = _outlook(request, Entered.from_json(found.entered), is_strict=True, draft=found)
    return render(request, "campaigns/revise.html", context | {"draft": found, "refusals": refusals})


def duplicate(request: StudioRequest, *, draft_id: int) -> HttpResponseBase:
    found = get_object_or_404(Draft, workspace=request.workspace, pk=draft_id)
    form = Entered.from_json(found.entered)
    return redirect(_address(drafts.copy(workspace_id=request.workspace.pk, form=form, author=_author(request))))


def discard(request: StudioRequest, *, draft_id: int) -> HttpResponseBase:
    """Ask, and with POST throw a draft away."""
    found = get_object_or_404(Draft, workspace=request.workspace, pk=draft_id)
    if request.method != "POST":
        return render(request, "campaigns/discard.html", {"draft": found})
    if drafts.discard(draft_id=found.pk):
        messages.success(request, f"The draft “{found.name or 'without a name'}” is gone.")
    else:
        messages.warning(request, "This draft was launched meanwhile, so its campaign stays.")
    return redirect("campaigns", request.workspace.slug)


def take_in(request: StudioRequest) -> HttpResponseBase:
    """Import a brief's TOML as a draft."""
    is_sent = request.method == "POST"
    form = forms.BriefImportForm(request.POST, request.FILES) if is_sent else forms.BriefImportForm()
    problems: tuple[str, ...] = ()
    if form.is_valid():
        values = form.cleaned_data
        try:
            made = drafts.take_in(
                workspace_id=request.workspace.pk,
                key=values["key"],
                text=values["brief"],
                csv=values["products"],
                author=_author(request),
            )
        except DraftError as error:
            problems = error.sentences
        else:
            messages.success(request, "The brief is a draft now. Nothing was launched.")
            return redirect(_address(made))
    return render(request, "campaigns/import.html", {"form": form, "problems": problems})


def export_brief(request: StudioRequest, *, draft_id: int) -> HttpResponse:
    found = get_object_or_404(Draft, workspace=request.workspace, pk=draft_id)
    return brief_file(Entered.from_json(found.entered).text())


def export_package(request: StudioRequest, *, draft_id: int) -> FileResponse:
    found = get_object_or_404(Draft, workspace=request.workspace, pk=draft_id)
    form = Entered.from_json(found.entered)
    return package_file(package.of_form(workspace_id=request.workspace.pk, form=form), name=found.name)


def brief_file(text: str) -> HttpResponse:
    """A brief to be saved as a file."""
    headers = {"Content-Disposition": f'attachment; filename="{FILE}"', "X-Content-Type-Options": "nosniff"}
    return HttpResponse(text, content_type="application/toml; charset=utf-8", headers=headers)


def package_file(packed: package.Package, *, name: str) -> FileResponse:
    """A brief with its products, to be saved as a ZIP."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  (the answer closes it when it is sent)
    package.write(packed, file)
    file.seek(0)
    return FileResponse(file, as_attachment=True, filename=f"{slug(name or 'brief')}.zip")


def _author(request: StudioRequest) -> Author:
    return Author(id=request.user.pk, now=clock.now())


def _skus(request: StudioRequest) -> list[str]:
    return list(Product.objects.filter(workspace=request.workspace).order_by("sku").values_list("sku", flat=True))


def _context(request: StudioRequest, form: Entered, **state: Any) -> dict[str, object]:
    """Everything of the form's page."""
    products = Product.objects.filter(workspace=request.workspace).select_related("photo").order_by("sku")
    known = _state(request, **state)
    return {
        **_outlook(request, form, is_strict="checked" in request.GET, draft=known["draft"]),
        **known,
        "products": products[:OFFERED],
        "checkpoints": outlook.checkpoints(
            is_placed=form.is_placed, workspace_id=request.workspace.pk, now=clock.now()
        ),
        "formats": FORMATS.values(),
        "ways": WAY_WORDS.items(),
        "anchors": ANCHORS,
        "loras": loras.usable(workspace_id=request.workspace.pk)[: loras.OFFERED],
        "csv": CSV,
    }


def _state(
    request: StudioRequest,
    *,
    draft: Draft | None = None,
    key: uuid.UUID | None = None,
    revision: int = 0,
    conflict: str = "",
) -> dict[str, Any]:
    """What the page knows of the saved draft: which it is, and which revision is shown."""
    slug_ = request.workspace.slug
    if draft is None and key is not None:
        draft = Draft.objects.filter(workspace=request.workspace, key=key).first() if revision or conflict else None
    return {
        "draft": draft,
        "key": draft.key if draft else key,
        "revision": revision if conflict or not draft else draft.revision,
        "conflict": conflict,
        "save_url": _address(draft) if draft else reverse("campaign_new", args=[slug_]),
    }


def _outlook(
    request: StudioRequest, form: Entered, *, is_strict: bool, draft: Draft | None = None
) -> dict[str, object]:
    seen = outlook.look(workspace_id=request.workspace.pk, form=form, now=clock.now())
    errors = forms.errors_of(form, seen.problems, is_strict=is_strict)
    context: dict[str, object] = {"form": form, "seen": seen, "errors": errors, "is_strict": is_strict}
    context["blockers"] = seen.blockers
    if draft and draft.revises:
        prospect = revising.prospect(draft.revises, form, seen)
        context |= {"prospect": prospect, "blockers": prospect.blockers}
    return context
