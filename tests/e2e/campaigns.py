"""Campaigns made inside a served site, by its own domain and rendered by its own workers. Knows no browser."""

from tests.e2e.site import Site

_START = """
from billing import clock
from campaigns import launch
from campaigns.entered import EnteredAxis, EnteredChannel
from inference.models import Render, RenderStatus
from studio.models import User, Workspace
from tests.campaigns.sheets import launched
from django.db import transaction
import time
with transaction.atomic():  # No worker sees it before it is paused.
    made = launched(
        Workspace.objects.get(slug={slug!r}).pk, *{skus!r}, by=User.objects.get(email={email!r}), name={name!r},
        axes=(EnteredAxis(name="surface", values={scenes!r}),), must_have={must_have!r},
        channels=(EnteredChannel(name="square", width="256", height="256", scale="0.6", anchor="center"),),
    )
    if {is_paused!r}:
        launch.pause(campaign_id=made.pk)
"""
_AWAIT = """
own = Render.objects.filter(generation__launch__campaign=made)
while own.filter(status__in=(RenderStatus.QUEUED, RenderStatus.RUNNING)).exists():
    time.sleep(0.3)
"""


def launched(
    site: Site,
    name: str,
    *,
    skus: tuple[str, ...],
    scenes: tuple[str, ...],
    must_have: str = "",
    is_paused: bool = False,
) -> int:
    """The id of a campaign that the producer asked for: paused, or with every image rendered."""
    code = _START.format(
        slug=site.slug,
        skus=skus,
        email=site.email("producer"),
        name=name,
        scenes="\n".join(scenes),
        must_have=must_have,
        is_paused=is_paused,
    )
    printed = site.shell(code + ("" if is_paused else _AWAIT) + "print(made.pk)")
    return int(printed.splitlines()[-1])
