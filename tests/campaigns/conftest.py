"""A small campaign on disk and in the database: 2 products × 1 channel × 2 scenes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from billing import clock
from campaigns import brief as briefs
from campaigns import cells, photos, planning
from campaigns.brief import Brief
from campaigns.models import Campaign, Photo
from inference import catalog
from studio.models import Workspace

TEXT = """version = 1
[campaign]
name = "Shelf"
checkpoint = "starter"
images_per_cell = 1
seed = 7
seed_policy = "per_scene"
budget_credits = 6
[products]
csv = "products.csv"
[prompt]
template = "on {surface}"
negative = "text"
[axes]
surface = ["marble", "sand"]
[[channels]]
name = "square"
width = 128
height = 128
placement = { scale = 0.6, anchor = "center" }
"""


@dataclass(frozen=True)
class Planned:
    """A campaign with what it was planned from."""

    campaign: Campaign
    brief: Brief
    photos: dict[str, Photo]


@pytest.fixture
def brief_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "brief"
    folder.mkdir()
    for sku, color in (("MUG", "#883333"), ("CUP", "#334488")):
        photo, mask = Image.new("RGB", (96, 80), "#cccccc"), Image.new("L", (96, 80))
        ImageDraw.Draw(photo).rectangle((30, 20, 66, 64), color)
        ImageDraw.Draw(mask).rectangle((30, 20, 66, 64), 255)
        photo.save(folder / f"{sku}.png")
        mask.save(folder / f"{sku}-mask.png")
    (folder / "products.csv").write_text(
        "sku,title,photo,mask\nMUG,A mug,MUG.png,MUG-mask.png\nCUP,A cup,CUP.png,CUP-mask.png\n"
    )
    (folder / "brief.toml").write_text(TEXT)
    return folder


@pytest.fixture
def plan(workspace: Workspace, brief_folder: Path, tmp_path: Path) -> Callable[[], Planned]:
    def make() -> Planned:
        brief = briefs.load(brief_folder / "brief.toml")
        scratch = tmp_path / "scratch"
        scratch.mkdir(exist_ok=True)
        examined = photos.examine(brief.products, scratch=scratch)
        accepted = photos.accept(workspace_id=workspace.pk, rows=brief.products, examined=examined, now=clock.now())
        source = planning.source_of(catalog.entry(brief.checkpoint))
        hashes = {sku: [one.photo.source_sha256] for sku, one in examined.items()}
        campaign = planning.plan(
            workspace_id=workspace.pk,
            brief=brief,
            cells=cells.expand(brief),
            photos=accepted,
            campaign_digest=planning.digest(brief, file_hashes=hashes, source=source),
            now=clock.now(),
        )
        return Planned(campaign, brief, accepted)

    return make


@pytest.fixture
def planned(plan: Callable[[], Planned]) -> Planned:
    return plan()
