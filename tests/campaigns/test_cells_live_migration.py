"""An installation that is updated: what was made before cells had recipe hashes is not stale."""

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from billing import clock
from campaigns import launch, sheet
from campaigns.models import Campaign, CellRender
from tests.campaigns.sheets import finish, launched


def to(*targets: tuple[str, str]) -> None:
    executor = MigrationExecutor(connection)
    executor.migrate(list(targets) or executor.loader.graph.leaf_nodes("campaigns"))


@pytest.mark.usefixtures("transactional_db")
def test_what_was_made_before_the_update_is_as_fresh_as_it_was(make_workspace) -> None:
    campaign = launched(make_workspace().pk, images_per_cell="2")
    finish(8)
    first = CellRender.objects.earliest("pk")
    launch.run_again(cell_id=first.cell_id, image=first.image, seen_render_id=first.render_id, now=clock.now())
    finish(1)
    before = list(CellRender.objects.order_by("pk").values_list("made_from", flat=True))
    try:
        to(("campaigns", "0005_loras"))
    finally:
        to()
    assert list(CellRender.objects.order_by("pk").values_list("made_from", flat=True)) == before
    assert all(before)
    assert sheet.overview(Campaign.objects.get(pk=campaign.pk)).counts == {"pending": 8}
