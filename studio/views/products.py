"""Products: the list with photos and masks, taking them in, giving one another photo, removing one."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Q, QuerySet
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render

from billing import clock
from campaigns import photos, products
from campaigns.models import Photo, Product
from campaigns.products import GivenFile, Imported, ProductError
from studio.forms.products import CsvForm, MaskForm, PhotoForm, PhotosForm, TitleForm
from studio.http import StudioRequest, finished, unchanged
from studio.ids import object_id, object_ids

PAGE = 60


def overview(request: StudioRequest) -> HttpResponse:
    """The list, newest first; a search narrows it."""
    after, query = request.GET.get("after", ""), request.GET.get("q", "").strip()[:80]
    context = _page(request, after=after, query=query)
    if request.htmx and after:
        return render(request, "products/list.html#rows", context)
    if request.htmx and "q" in request.GET:
        return render(request, "products/list.html#found", context)
    return render(request, "products/list.html", context | {"photos_form": PhotosForm(), "csv_form": CsvForm()})


def masks(request: StudioRequest) -> HttpResponse:
    """The poll of products whose masks are being made: those that changed since a mark, each in its place."""
    ids = object_ids(request.GET.get("ids", "").split(","))[:PAGE]
    found = list(_products(request).filter(pk__in=ids))
    mark = _mark(found)
    if found and mark == request.GET.get("v"):
        return unchanged()
    waiting = [product for product in found if _is_waiting(product)]
    context = {"products": found, "waiting": waiting, "mark": _mark(waiting), "is_swapped": True}
    response = render(request, "products/list.html#moved", context)
    return response if waiting else finished(response)


def add(request: StudioRequest) -> HttpResponseBase:
    """Take in photos, each for itself."""
    form = PhotosForm(request.POST, request.FILES)
    if not form.is_valid():
        return render(request, "products/list.html", _page(request) | {"photos_form": form, "csv_form": CsvForm()})
    with photos.scratch_folder() as scratch:
        given = _keep(form.cleaned_data["photos"], Path(scratch))
        done = products.import_photos(
            workspace_id=request.workspace.pk, files=given, scratch=Path(scratch), now=clock.now()
        )
    return _imported(request, done)


def add_csv(request: StudioRequest) -> HttpResponseBase:
    """Take in a products file with its photos: all of it, or nothing."""
    form = CsvForm(request.POST, request.FILES)
    if not form.is_valid():
        context = _page(request) | {"photos_form": PhotosForm(), "csv_form": form, "is_csv_open": True}
        return render(request, "products/list.html", context)
    with photos.scratch_folder() as scratch:
        (csv,) = _keep([form.cleaned_data["csv"]], Path(scratch))
        done = products.import_csv(
            workspace_id=request.workspace.pk,
            csv=csv,
            files=_keep(form.cleaned_data["images"], Path(scratch)),
            scratch=Path(scratch),
            now=clock.now(),
        )
    return _imported(request, done, is_csv=True)


def product(request: StudioRequest, *, product_id: int) -> HttpResponseBase:
    """One product: its photo with the mask over it; with POST, another title."""
    found = _product(request, product_id)
    form = TitleForm(request.POST or None, initial={"title": found.title})
    if form.is_valid():
        try:
            products.rename(product_id=found.pk, title=form.cleaned_data["title"])
        except ProductError as error:
            form.add_error("title", str(error))
        else:
            messages.success(request, "The title is saved.")
            return redirect("product", request.workspace.slug, found.pk)
    return _show(request, found, title_form=form)


def replace_photo(request: StudioRequest, *, product_id: int) -> HttpResponseBase:
    """Give a product another photo, or its photo a mask."""
    found = _product(request, product_id)
    form = PhotoForm(request.POST, request.FILES)
    if form.is_valid():
        with photos.scratch_folder() as scratch:
            photo = _keep([form.cleaned_data["photo"]], Path(scratch))[0]
            mask = next(iter(_keep(filter(None, [form.cleaned_data["mask"]]), Path(scratch))), None)
            try:
                products.replace_photo(product=found, photo=photo, mask=mask, scratch=Path(scratch), now=clock.now())
            except ProductError as error:
                form.add_error("photo", str(error))
            else:
                messages.success(request, _replaced(found))
                return redirect("product", request.workspace.slug, found.pk)
    return _show(request, found, photo_form=form)


def _replaced(found: Product) -> str:
    """What the other photo means, in words."""
    if not found.cells.exists():
        return "The photo is replaced."
    return (
        "The photo is replaced. As soon as its mask is there, images that campaigns made from the old one are stale; "
        "approved ones stay as they are."
    )


def retry_mask(request: StudioRequest, *, product_id: int) -> HttpResponseBase:
    """Have a mask that could not be made tried again."""
    found = _product(request, product_id)
    if found.photo and photos.retry_mask(photo_id=found.photo.pk):
        messages.success(request, "Its mask is tried again.")
    return redirect("product", request.workspace.slug, found.pk)


def paint_mask(request: StudioRequest, *, product_id: int) -> HttpResponseBase:
    """The page on which a photo's mask is painted by hand; a POST keeps it."""
    found = _product(request, product_id)
    if found.photo is None:
        messages.info(request, "Give the product a photo first.")
        return redirect("product", request.workspace.slug, found.pk)
    form = MaskForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            _give_mask(found, form)
        except ProductError as error:
            form.add_error("mask", str(error))
        else:
            messages.success(request, "The mask is saved. What is made from now on keeps to it.")
            return redirect("product", request.workspace.slug, found.pk)
    context = {"product": found, "photo": found.photo, "form": form}
    return render(request, "products/paint_mask.html", context, status=422 if form.errors else 200)


def _give_mask(found: Product, form: MaskForm) -> None:
    # The one that was painted on, which need not be the product's own any more.
    photo = get_object_or_404(Photo.objects.select_related("upload"), product=found, pk=form.cleaned_data["photo"])
    with photos.scratch_folder() as folder:
        (mask,) = _keep([form.cleaned_data["mask"]], Path(folder))
        products.give_mask(photo=photo, mask=mask, scratch=Path(folder), now=clock.now())


def remove(request: StudioRequest, *, product_id: int) -> HttpResponseBase:
    """Ask, and with POST remove a product that no campaign uses."""
    found = _product(request, product_id)
    if request.method != "POST":
        return render(request, "products/remove.html", {"product": found})
    try:
        products.remove(product_id=found.pk)
    except ProductError as error:
        messages.error(request, str(error))
        return redirect("product", request.workspace.slug, found.pk)
    messages.success(request, f"{found.sku} is removed.")
    return redirect("products", request.workspace.slug)


# --- inside ----------------------------------------------------------------------------------------------------------


def _products(request: StudioRequest) -> QuerySet[Product]:
    return Product.objects.filter(workspace=request.workspace).select_related("photo__upload")


def _product(request: StudioRequest, product_id: int) -> Product:
    return get_object_or_404(_products(request), pk=product_id)


def _page(request: StudioRequest, *, after: str = "", query: str = "") -> dict[str, object]:
    """A page of the list, and what its poll has to ask for."""
    found = _products(request).order_by("-created_at", "-pk")
    if query:
        found = found.filter(Q(sku__icontains=query) | Q(title__icontains=query))
    last = _products(request).filter(pk=object_id(after) or 0).first()
    if last:
        found = found.filter(Q(created_at__lt=last.created_at) | Q(created_at=last.created_at, pk__lt=last.pk))
    page = list(found[: PAGE + 1])
    shown = page[:PAGE]
    waiting = [product for product in shown if _is_waiting(product)]
    return {
        "products": shown,
        "after": shown[-1].pk if len(page) > PAGE else None,
        "query": query,
        "waiting": waiting,
        "mark": _mark(waiting),
        "is_empty": not shown and not query and not after,
    }


def _show(request: StudioRequest, found: Product, **forms: object) -> HttpResponse:
    context = {
        "product": found,
        "title_form": TitleForm(initial={"title": found.title}),
        "photo_form": PhotoForm(),
        "campaigns": found.cells.order_by("-campaign").values_list("campaign", "campaign__name").distinct()[:10],
    }
    return render(request, "products/product.html", context | forms)


def _imported(request: StudioRequest, done: Imported, *, is_csv: bool = False) -> HttpResponseBase:
    """Say what came of an import: on the next page if all went well, else with the list of what did not."""
    said = [f"{len(done.added)} added" if done.added else "", f"{len(done.updated)} updated" if done.updated else ""]
    words = " and ".join(filter(None, said))
    if words:
        messages.success(request, f"Products: {words}. Masks are being made where none was given.")
    if not done.problems:
        return redirect("products", request.workspace.slug)
    context = _page(request) | {
        "photos_form": PhotosForm(),
        "csv_form": CsvForm(),
        "is_csv_open": is_csv,
        "done": done,
        "is_csv": is_csv,
    }
    return render(request, "products/list.html", context)


def _keep(files: "Iterable[UploadedFile[Any]]", folder: Path) -> list[GivenFile]:
    return [products.keep(file.name or "file", file, folder=folder) for file in files]


def _is_waiting(product: Product) -> bool:
    return bool(product.photo and not product.photo.mask_key and not product.photo.mask_failure)


def _mark(found: list[Product]) -> str:
    states = sorted((product.pk, product.photo_id or 0, _is_waiting(product)) for product in found)
    return hashlib.sha256(repr(states).encode()).hexdigest()[:12]
