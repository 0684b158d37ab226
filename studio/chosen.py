"""Ids that a form sends in a bunch: all are this workspace's, or the whole form names something that is not there."""

from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404

from gallery.models import Asset, Project
from studio.http import StudioRequest
from studio.ids import object_id, object_ids


def assets(request: StudioRequest, *, field: str = "asset") -> QuerySet[Asset]:
    """The assets whose ids the form's field holds; none where none was chosen.

    :raises Http404: one of them is another workspace's, or no id at all.
    """
    given = request.POST.getlist(field)
    ids = set(object_ids(given))
    found = Asset.objects.filter(workspace=request.workspace, pk__in=ids)
    if len(object_ids(given)) != len(given) or len(found) != len(ids):
        raise Http404
    return found


def number(request: StudioRequest, field: str) -> int:
    """The id that a field of the form or the address holds.

    :raises Http404: it holds none.
    """
    given = (request.POST if request.method == "POST" else request.GET).get(field, "")
    if (wanted := object_id(given)) is None:
        raise Http404
    return wanted


def project(request: StudioRequest, *, field: str = "project") -> Project:
    """The folder that the form's field names.

    :raises Http404: it is another workspace's, or there is none.
    """
    return get_object_or_404(Project, workspace=request.workspace, pk=number(request, field))
