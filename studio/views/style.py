"""The living style page: each component in each of its states, drawn by the same templates as everywhere."""

import functools
import re
from pathlib import Path

from django.contrib import messages
from django.contrib.staticfiles import finders
from django.http import HttpResponseBase
from django.shortcuts import redirect, render
from django.templatetags.static import static

from studio.forms.style import SampleForm
from studio.http import StudioRequest
from studio.templatetags.look import STATES

WRONG = {"prompt": "red wine " * 230, "model": "starter", "budget": "0", "images": "2"}
LONG_NAME = "A campaign whose name is as long as somebody in a hurry could make it"
FILLED = {"name": "Spring shelf", "images": "4", "policy": "scene", "channels": ["square"], "enhance": True}


def style(request: StudioRequest) -> HttpResponseBase:
    """The page; posting its form only shows a toast."""
    if request.method == "POST":
        messages.success(request, "Saved 3 products. This toast leaves by itself.")
        return redirect("style")
    context = {
        "form": SampleForm(initial=FILLED, auto_id="filled_%s"),
        "wrong": SampleForm(WRONG, auto_id="wrong_%s"),
        "states": list(STATES),
        "colors": _colors(),
        "sample": static("studio/sample.svg"),
        "campaigns": ["Spring shelf", "Summer drinks", LONG_NAME, "Autumn", "Winter"],
    }
    return render(request, "style/style.html", context)


@functools.cache
def _colors() -> list[str]:
    """The names of the color tokens, read from the stylesheet so that none is forgotten."""
    text = Path(str(finders.find("studio/css/tokens.css"))).read_text()
    return re.findall(r"--([\w-]+): (?:light-dark|oklch)\(", text)
