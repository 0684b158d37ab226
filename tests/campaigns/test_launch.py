"""Planning and launching: what is asked for, once; what is held; what a second launch does."""

from collections.abc import Callable
from pathlib import Path

import pytest

from billing import clock, ledger
from campaigns import launch
from campaigns.models import Campaign, Cell, CellRender, Photo, Product
from gallery.models import Upload
from inference import queue
from inference.engine.fixed_rate import FixedRateEngine
from inference.models import Generation, Render, RenderStatus
from inference.requests import retry_seed
from inference.runner import Runner
from studio.models import Workspace
from tests.campaigns.conftest import Planned


def drain() -> None:
    worker = queue.register(host="here", pid=1, queue="gpu", now=clock.now())
    Runner(engine=FixedRateEngine(images_per_s=1000), worker=worker).drain(limit_s=60)


def start(planned: Planned) -> int:
    return launch.launch(campaign_id=planned.campaign.pk, now=clock.now())


def test_a_plan_has_a_cell_for_each_product_channel_and_scene_and_launches_nothing(planned: Planned) -> None:
    cells = Cell.objects.filter(campaign=planned.campaign).select_related("product")
    assert [(cell.product.sku, cell.axes["surface"]) for cell in cells if cell.product] == [
        ("MUG", "marble"), ("MUG", "sand"), ("CUP", "marble"), ("CUP", "sand"),
    ]  # fmt: skip
    assert not Render.objects.exists()
    assert launch.progress(campaign_id=planned.campaign.pk).total == 0


def test_siblings_of_one_scene_share_their_seed(planned: Planned) -> None:
    seeds = {(c.axes["surface"], c.seeds[0]) for c in Cell.objects.filter(campaign=planned.campaign)}
    assert len(seeds) == 2


def test_planning_the_same_brief_again_returns_the_same_campaign(plan: Callable[[], Planned]) -> None:
    first, second = plan(), plan()
    assert first.campaign == second.campaign
    assert (Campaign.objects.count(), Cell.objects.count()) == (1, 4)
    assert (Product.objects.count(), Photo.objects.count(), Upload.objects.count()) == (2, 2, 3)  # one mask serves both


def test_a_changed_brief_is_another_campaign_over_the_same_photos(
    plan: Callable[[], Planned], brief_folder: Path
) -> None:
    first = plan()
    path = brief_folder / "brief.toml"
    path.write_text(path.read_text().replace("sand", "snow"))
    second = plan()
    assert first.campaign != second.campaign
    assert Photo.objects.count() == 2


def test_a_launch_holds_for_every_image_and_links_each_to_its_cell(planned: Planned, workspace: Workspace) -> None:
    assert start(planned) == 4
    assert ledger.balance(workspace_id=workspace.pk).held == 4000
    versions = CellRender.objects.filter(cell__campaign=planned.campaign).select_related("cell", "render")
    for version in versions:
        assert version.render.request["prompt"] == version.cell.prompt
        assert version.render.seed == version.cell.seeds[0]
        assert version.render.request["product"]["lock_mask"]


def test_the_products_name_is_kept_out_of_the_prompt_and_put_into_the_negative_one(planned: Planned) -> None:
    start(planned)
    for render in Render.objects.select_related("cell_version__cell__product"):
        assert "mug" not in render.request["prompt"]
    assert {r.request["negative_prompt"] for r in Render.objects.all()} == {"text, A mug", "text, A cup"}


def test_launching_again_asks_only_for_what_has_no_image_and_is_not_on_its_way(
    planned: Planned, workspace: Workspace
) -> None:
    start(planned)
    assert start(planned) == 0
    drain()
    assert start(planned) == 0
    assert Generation.objects.count() == 1
    assert launch.charged(campaign_id=planned.campaign.pk) == 4000


def test_a_second_launch_tries_anew_what_failed_or_was_canceled(planned: Planned, workspace: Workspace) -> None:
    start(planned)
    generation = Generation.objects.get()
    queue.cancel(generation_id=generation.pk, now=clock.now())
    assert launch.progress(campaign_id=planned.campaign.pk).failed == 4
    assert start(planned) == 4
    drain()
    progress = launch.progress(campaign_id=planned.campaign.pk)
    assert (progress.total, progress.succeeded, progress.failed, progress.waiting) == (4, 4, 0, 0)
    assert ledger.balance(workspace_id=workspace.pk).spent == 4000
    assert CellRender.objects.filter(cell__campaign=planned.campaign).count() == 8


def test_what_came_out_flawed_is_tried_anew_with_seeds_that_were_not_tried(planned: Planned) -> None:
    start(planned)
    seeds = {render.seed for render in Render.objects.all()}
    tried = {retry_seed(seed, attempt) for seed in seeds for attempt in range(3)}
    worker = queue.register(host="here", pid=1, queue="gpu", now=clock.now())
    while batch := queue.claim(worker=worker, batch_size_of=lambda _: 4, now=clock.now()):
        for render in batch.renders:
            queue.fail(render=render, code=queue.FLAWED, reason="blank", may_retry=False, now=clock.now())
    assert start(planned) == 4
    assert not {render.seed for render in Render.objects.filter(status=RenderStatus.QUEUED)} & tried


def test_a_launch_over_the_campaigns_budget_writes_nothing(plan: Callable[[], Planned], brief_folder: Path) -> None:
    path = brief_folder / "brief.toml"
    path.write_text(path.read_text().replace("budget_credits = 6", "budget_credits = 3"))
    planned = plan()
    with pytest.raises(ledger.OverBudgetError, match="3 left of 3"):
        start(planned)
    assert not Render.objects.exists()
    assert not Generation.objects.exists()


def test_the_budget_counts_what_earlier_launches_spent(planned: Planned) -> None:
    start(planned)
    drain()
    # All four are done: of the budget of 6 only 2 are left, so asking for all of them anew is refused.
    CellRender.objects.all().delete()
    with pytest.raises(ledger.OverBudgetError, match="2 left of 6"):
        start(planned)


def test_a_campaign_waits_for_its_masks(planned: Planned) -> None:
    Photo.objects.filter(product__sku="CUP").update(mask_key="", mask_source="")
    with pytest.raises(launch.MaskMissingError):
        start(planned)
    assert not Render.objects.exists()
