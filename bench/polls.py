"""What a page that is only looked at costs: polls with nothing new, in CPU time, beside the plainest request.

    python bench/polls.py [--cells 96] [--polls 300]

Launches a campaign of so many cells in a data folder of its own, finishes a third, and polls its sheet and the Studio
page as an open browser tab does, through the whole middleware. Each figure is the median of CPU milliseconds of this
process; "plain" is the health check, which asks the database once and knows nobody.
"""

import argparse
import os
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PASSED_ON = {"HX-Request": "true"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=96, help="a multiple of 2")
    parser.add_argument("--polls", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as data:
        client = set_up(data)
        costs = {"plain": cost(client, "/health/", options.polls, status=200)}
        costs["studio"] = cost(client, studio(client), options.polls)
        costs["sheet"] = cost(client, sheet(client, options.cells), options.polls)
    plain = costs["plain"]
    for name, milliseconds in costs.items():
        print(f"{name:8} {milliseconds:5.2f} ms CPU  {milliseconds / plain:4.1f} × plain")


def set_up(data: str) -> Any:
    """A studio in this folder, and a signed-in producer's browser."""
    os.environ |= {"STUDIO_DATA": data, "DJANGO_SETTINGS_MODULE": "studio.settings", "STUDIO_LOG_LEVEL": "ERROR"}
    os.environ.setdefault("STUDIO_ALLOWED_HOSTS", "testserver")
    sys.path.insert(0, str(ROOT))
    import django

    django.setup()
    from django.core.management import call_command
    from django.test import Client

    from billing import clock
    from studio import workspaces
    from tests.campaigns.sheets import somebody

    call_command("migrate", verbosity=0)
    owner = somebody()
    workspaces.create(name="Bench", time_zone="UTC", owner=owner, now=clock.now())
    client = Client()
    client.force_login(owner)
    return client


def sheet(client: Any, cells: int) -> str:
    """The poll's address of a campaign that is under way."""
    from campaigns.entered import EnteredAxis
    from studio.models import Workspace
    from tests.campaigns.sheets import begin, finish, launched

    scenes = "\n".join(f"surface {number}" for number in range(cells // 2))
    axes = (EnteredAxis(name="surface", values=scenes),)
    campaign = launched(Workspace.objects.get().pk, axes=axes, template="on {surface}")
    finish(cells // 3)
    begin()
    page = client.get(f"/w/bench/campaigns/{campaign.pk}/").content.decode()
    return poll_in(page, "sheet-poll")


def studio(client: Any) -> str:
    """The poll's address of a Studio page whose two images wait."""
    from tests.campaigns.sheets import begin

    fields = {"checkpoint": "starter", "style": "auto", "aspect": "1:1", "count": "2", "prompt": "a mug"}
    key = re.search(r'id="key" value="([^"]+)"', client.get("/w/bench/studio/").content.decode())
    assert key is not None
    client.post("/w/bench/studio/", fields | {"key": key.group(1)})
    begin()  # that nobody works is news after a while
    return poll_in(client.get("/w/bench/studio/").content.decode(), "poller")


def poll_in(page: str, element: str) -> str:
    found = re.search(rf'id="{element}"[^>]*hx-get="([^"]+)"', page)
    assert found is not None, f"the page polls nothing at {element}"
    return found.group(1).replace("&amp;", "&")


def cost(client: Any, address: str, polls: int, *, status: int = 204) -> float:
    """Median CPU milliseconds of a request with nothing new."""
    taken = []
    for _ in range(polls):
        started = time.process_time()
        answer = client.get(address, headers=PASSED_ON)
        taken.append(time.process_time() - started)
        assert answer.status_code == status, answer.status_code
    return statistics.median(taken) * 1000


if __name__ == "__main__":
    main()
