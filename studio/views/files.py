"""Stored files for the pages' img elements and for downloading: looked up inside the workspace, never run by a browser.

An address shows the same bytes for ever, so a browser keeps them; only a photo's mask, which may be replaced, and what
stands in for a missing rendition it asks for again.
"""

from pathlib import PurePosixPath

from django.core.files.storage import default_storage
from django.http import FileResponse, Http404, HttpResponse
from django.shortcuts import get_object_or_404

from campaigns.models import Photo
from gallery import library
from gallery.models import Asset, RenditionKind
from inference import chosen
from studio import light_table
from studio.http import StudioRequest

TYPES = {".png": "image/png", ".webp": "image/webp"}
# What a page can do without: the original is shown in its place until a worker has made it.
REPLACEABLE = (RenditionKind.THUMB, RenditionKind.VIEW)
FOR_EVER, FOR_NOW = "private, max-age=31536000, immutable", "private, no-cache"


def asset_file(request: StudioRequest, *, asset: int, kind: str) -> FileResponse | HttpResponse:
    """An asset's original, its lock mask, or one of its renditions; ``?download`` saves it under a name.

    A difference view that is not made yet is asked for, and the answer is empty until it is there.
    """
    found = get_object_or_404(Asset, workspace=request.workspace, pk=asset)
    if kind == RenditionKind.DIFFERENCE and found.certificate is not None and not light_table.has_difference(found):
        light_table.ask_for_difference(found.pk)
        return HttpResponse(status=204, headers={"Cache-Control": FOR_NOW})
    name = f"image-{found.pk}-{kind}" if kind != "original" else f"image-{found.pk}"
    return _answer(request, found.storage_key, found.lock_mask_key, kind=kind, name=name)


def photo_file(request: StudioRequest, *, photo: int, kind: str) -> FileResponse:
    """A product photo as it was normalized, its lock mask, or one of its renditions."""
    found = get_object_or_404(Photo.objects.select_related("upload"), workspace=request.workspace, pk=photo)
    response = _answer(request, found.upload.storage_key, found.mask_key, kind=kind, name=f"photo-{found.pk}-{kind}")
    if kind == "lock_mask":
        response["Cache-Control"] = FOR_NOW
    return response


def picture_file(request: StudioRequest, *, picture: str, kind: str) -> FileResponse:
    """A picture that somebody chose, by its name: its original, or one of its renditions."""
    found = chosen.find(picture, workspace_id=request.workspace.pk)
    if found is None:
        raise Http404
    return _answer(request, found.storage_key, "", kind=kind, name=f"{picture}-{kind}")


def _answer(request: StudioRequest, original: str, lock_mask: str, *, kind: str, name: str) -> FileResponse:
    key = {"original": original, "lock_mask": lock_mask}.get(kind)
    is_final = True
    if key is None and kind in RenditionKind.values:
        key = library.rendition_key(source_key=original, kind=kind)
        if key is None and kind in REPLACEABLE:
            key, is_final = original, False
    if not key:
        raise Http404
    try:
        file = default_storage.open(key)
    except FileNotFoundError as error:
        raise Http404 from error
    suffix = PurePosixPath(key).suffix
    response = FileResponse(
        file,
        content_type=TYPES.get(suffix, "application/octet-stream"),
        filename=f"{name}{suffix}",
        as_attachment="download" in request.GET or suffix not in TYPES,
    )
    response["Cache-Control"] = FOR_EVER if is_final else FOR_NOW
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    return response
