"""One cell changed by hand: its prompt, negative prompt and seed, saved, rendered alone, or put back to the brief's."""

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from billing import clock
from campaigns import cell_history, editing, recipes, sheet
from campaigns.editing import EditedMeanwhileError, EditError
from campaigns.models import Cell
from campaigns.places import ordered
from studio.forms.cells import CellForm
from studio.http import StudioRequest
from studio.ids import object_id
from studio.views.campaigns import REFUSALS, price_of


def edit(request: StudioRequest, *, campaign_id: int, cell_id: int) -> HttpResponseBase:
    """The form; with POST what its button says: save, save and render this one image, or back to the brief's."""
    cells = Cell.objects.select_related("campaign", "product", "photo__upload")
    found = get_object_or_404(cells, campaign__workspace=request.workspace, campaign=campaign_id, pk=cell_id)
    given = request.POST if request.method == "POST" else request.GET
    image = min(object_id(given.get("image")) or 1, found.campaign.images_per_cell)
    if request.method != "POST":
        return _show(request, found, image, _form_of(found))
    form = CellForm(request.POST)
    act = request.POST.get("act", "save")
    if act != "reset" and not form.is_valid():
        return _show(request, found, image, form)
    try:
        words = _do(request, found, form, image=image, act=act)
    except EditError as error:
        form.add_error(None, str(error))
    except EditedMeanwhileError as error:
        messages.warning(request, str(error))
        found.refresh_from_db()
        return _show(request, found, image, _form_again(request, found), is_outdated=True)
    except REFUSALS as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, words)
        return redirect(f"{reverse('cell', args=[request.workspace.slug, campaign_id, cell_id])}?image={image}")
    return _show(request, found, image, form)


def _do(request: StudioRequest, found: Cell, form: CellForm, *, image: int, act: str) -> str:
    """Do what the button says; what came of it, in words."""
    if act == "reset":
        return "It asks for what the brief says again." if editing.reset(cell_id=found.pk) else "It is as in the brief."
    seen = form.cleaned_data["seen"]
    if act == "render":
        is_asked = editing.edit_and_render(
            cell_id=found.pk,
            image=image,
            written=form.written(),
            seen=seen,
            now=clock.now(),
            created_by_id=request.user.pk,
        )
        return "Saved, and this image is on its way." if is_asked else "Saved. A version of it is on its way already."
    is_changed = editing.edit(cell_id=found.pk, written=form.written(), seen=seen)
    return "Saved for this cell alone. Nothing was launched." if is_changed else "It asked for that already."


def _form_of(found: Cell) -> CellForm:
    wanted = recipes.asked(found)
    return CellForm(
        initial={
            "prompt": wanted.prompt,
            "negative_prompt": wanted.negative_prompt,
            "seed": next(iter(wanted.seeds), None),
            "seen": found.changed,
        }
    )


def _form_again(request: StudioRequest, found: Cell) -> CellForm:
    """What was written, over what the cell asks for by now: whoever has seen that may save it all the same."""
    written = request.POST.copy()
    written["seen"] = str(found.changed)
    return CellForm(written)


def _show(
    request: StudioRequest, found: Cell, image: int, form: CellForm, *, is_outdated: bool = False
) -> HttpResponse:
    axes = ordered(found.axes, found.campaign.axes)
    context = {
        "campaign": found.campaign,
        "cell": found,
        "image": image,
        "form": form,
        "history": cell_history.history(found, image=image),
        "label": sheet.label(found.product.sku if found.product else "", axes, found.channel),
        "price": price_of(found.campaign.checkpoint),
        "by_now": recipes.asked(found) if is_outdated else None,
    }
    return render(request, "campaigns/cell_edit.html", context)
