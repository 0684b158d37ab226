"""The pictures that the Studio's form names: looked up in its workspace, never in another one."""

from typing import Any

from django.http import Http404

from inference import catalog, chosen, generate, offers
from inference.beginnings import BASE_STRENGTH, CONTROL_SCALE, LOOK_SCALE
from studio.forms.studio import StudioForm
from studio.http import StudioRequest

# Fields that name a picture, and those that a person chooses one for.
PICTURES = ("base", "lock", "control", "look")
SLOTS = ("base", "control", "look")
GIVEN_MAPS = ("depth", "pose")
CONTROL_WORDS = {"canny": "Edges", "lineart": "Drawn lines", "depth": "Depth map", "pose": "Pose map"}


def require_own(request: StudioRequest) -> None:
    """Refuse a request that names a picture which the workspace does not have.

    :raises Http404: it does.
    """
    for sent in (request.GET, request.POST):
        names = {name for field in (*PICTURES, "chosen") for name in sent.getlist(field) if name}
        for name in names:
            if chosen.find(name, workspace_id=request.workspace.pk) is None:
                raise Http404


def with_picture(slot: str, name: str) -> dict[str, str]:
    """The form's values once another picture, or none, is chosen for a slot."""
    if slot != "base":
        return {slot: name}
    # Nothing of it is painted over yet, and it has a shape of its own.
    return {"base": name, "lock": "", "box": "", "extend": "", "aspect": generate.BASE_SHAPE if name else "1:1"}


def pictures_of(request: StudioRequest, form: StudioForm) -> dict[str, Any]:
    """What the templates show of the form's pictures."""
    workspace_id = request.workspace.pk
    slug = str(form["checkpoint"].value())
    entries = catalog.load()
    entry = entries.get(slug) or next(iter(entries.values()))
    controls = offers.installed_controls(entry)
    base = chosen.find(str(form["base"].value() or ""), workspace_id=workspace_id)
    return {
        "form": form,
        "entry": entry,
        "aspects": list(generate.ASPECTS.items()),
        "base": base,
        "is_edit": bool(base and form["lock"].value()),
        "strength": form["strength"].value() or BASE_STRENGTH,
        "control": chosen.find(str(form["control"].value() or ""), workspace_id=workspace_id),
        "control_scale": form["control_scale"].value() or CONTROL_SCALE,
        "controls": [(kind, CONTROL_WORDS[kind]) for kind in controls],
        "maps": " and ".join(kind for kind in controls if kind in GIVEN_MAPS),
        "look": chosen.find(str(form["look"].value() or ""), workspace_id=workspace_id),
        "look_scale": form["look_scale"].value() or LOOK_SCALE,
        "takes_look": offers.takes_look(entry),
    }
