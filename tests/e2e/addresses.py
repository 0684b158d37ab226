"""An address for every page that can be read, over what a site really holds. Runs inside the site (``site.shell``)."""

import json
from contextlib import suppress
from typing import Any

from django.apps import apps
from django.urls import NoReverseMatch, reverse

from studio.http import Route
from studio.models import Workspace
from studio.routes import ROUTES
from tests.studio.samples import PARAMETERS, Samples
from tests.studio.test_routes import FOR_ONESELF, OPEN_TO_ALL, PARAMETER

# Where a file is asked for, the one that every asset has.
PLAIN = {**PARAMETERS, "kind": "thumb"}


def write(slug: str) -> None:
    """Print the addresses as JSON, by the route's name. What exists is taken; else tests.studio.samples makes it."""
    samples = Samples(Workspace.objects.get(slug=slug))
    found = {}
    for route in ROUTES:
        # An address that cannot be filled is missing here, which fails its test with its name.
        with suppress(KeyError):
            if route.access.reads:
                found[route.name] = _address(route, samples)
    for name in sorted(OPEN_TO_ALL | FOR_ONESELF):
        with suppress(NoReverseMatch):  # names something that only a mail or a form knows
            found[name] = reverse(name)
    print(json.dumps(found))  # the site's answer to the test


def _address(route: Route, samples: Samples) -> str:
    inside = {"slug": samples.workspace.slug} if route.access.is_inside_workspace else {}
    named = {}
    for _, name in PARAMETER.findall(route.path):
        kind = name.removesuffix("_id")
        named[name] = _object(kind, samples) if kind in route.objects else PLAIN[name]
    return reverse(route.name, kwargs={**inside, **named})


def _object(kind: str, samples: Samples) -> Any:
    models = [model for model in apps.get_models() if model.__name__.lower() == kind]
    newest = models[0]._default_manager.order_by("-pk").first() if len(models) == 1 else None
    return newest.pk if newest else samples.id(kind)
