"""The ZIP of a brief: what the command line makes of it is what was entered here, whatever changed since."""

import dataclasses
import io
import uuid
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from campaigns import brief as briefs
from campaigns import cells, drafts, package, photos, products
from campaigns.drafts import Author
from campaigns.entered import Entered, EnteredChannel
from campaigns.models import Campaign, CellRender, Draft, Photo, Product
from campaigns.package import Package
from gallery import storage
from studio.models import User, Workspace
from tests.campaigns.shelf import entered, photo_of, stock
from tests.conftest import NOW

SKUS = ("ZEBRA", "Mug, blue", '=1+"1"', "Café ☕")


@pytest.fixture
def form(workspace: Workspace) -> Entered:
    stock(workspace.pk, *SKUS)
    return entered(*SKUS, images_per_cell="2")


@pytest.fixture
def campaign(workspace: Workspace, form: Entered) -> Campaign:
    author = Author(id=User.objects.create(email="ada@example.com").pk, now=NOW)
    draft: Draft = drafts.copy(workspace_id=workspace.pk, form=form, author=author)
    return drafts.launch(draft_id=draft.pk, revision=draft.revision, author=author)


def unpacked(packed: Package, folder: Path) -> Path:
    stream = io.BytesIO()
    package.write(packed, stream)
    zipfile.ZipFile(stream).extractall(folder)
    return folder / "brief.toml"


def pixels(data: bytes, mode: str = "RGB") -> bytes:
    return Image.open(io.BytesIO(data)).convert(mode).tobytes()


def planned(campaign: Campaign) -> list[tuple[object, ...]]:
    return [
        (cell.key, cell.product.sku if cell.product else "", cell.prompt, cell.negative_prompt, tuple(cell.seeds))
        for cell in campaign.cells.select_related("product").order_by("position")
    ]


def by_file(path: Path) -> list[tuple[object, ...]]:
    return [
        (cell.key, cell.sku, cell.prompt, cell.negative_prompt, cell.seeds)
        for cell in cells.expand(briefs.load(path))
    ]  # fmt: skip


def test_what_the_command_line_reads_from_the_zip_is_what_was_launched(campaign: Campaign, tmp_path: Path) -> None:
    path = unpacked(package.of_campaign(campaign), tmp_path)
    assert by_file(path) == planned(campaign)
    assert len(by_file(path)) == 8


def test_the_zip_holds_the_photos_and_masks_pixel_by_pixel(workspace: Workspace, form: Entered, tmp_path: Path) -> None:
    brief = briefs.load(unpacked(package.of_form(workspace_id=workspace.pk, form=form), tmp_path / "unpacked"))
    examined = photos.examine(brief.products, scratch=tmp_path)
    stored = {each.product.sku: each for each in Photo.objects.select_related("product", "upload")}
    for sku, one in examined.items():
        assert one.mask is not None
        assert pixels(one.photo.path.read_bytes()) == pixels(storage.read(stored[sku].upload.storage_key))
        assert pixels(one.mask.path.read_bytes(), "L") == pixels(storage.read(stored[sku].mask_key), "L")


def test_a_product_renamed_after_the_launch_keeps_its_old_title_in_the_campaigns_zip(
    campaign: Campaign, tmp_path: Path
) -> None:
    products.rename(product_id=Product.objects.get(sku="ZEBRA").pk, title="A horse")
    assert by_file(unpacked(package.of_campaign(campaign), tmp_path)) == planned(campaign)


def test_a_photo_replaced_after_the_launch_leaves_the_campaigns_zip_as_it_was(
    campaign: Campaign, workspace: Workspace, tmp_path: Path
) -> None:
    zebra = Product.objects.get(sku="ZEBRA")
    other = stock(workspace.pk, "OTHER")["OTHER"]
    Product.objects.filter(pk=zebra.pk).update(photo=other.photo)
    unpacked(package.of_campaign(campaign), tmp_path)
    assert (tmp_path / "photos" / "ZEBRA.png").read_bytes() == photo_of("ZEBRA")


def test_a_brief_of_text_alone_has_no_photos_in_its_zip(workspace: Workspace, tmp_path: Path) -> None:
    form = dataclasses.replace(entered(), channels=(EnteredChannel(name="a", way="text", width="64", height="64"),))
    path = unpacked(package.of_form(workspace_id=workspace.pk, form=form), tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["brief.toml"]
    assert len(by_file(path)) == 2


def test_a_draft_that_is_not_finished_can_be_taken_away_too(workspace: Workspace, tmp_path: Path) -> None:
    path = unpacked(package.of_form(workspace_id=workspace.pk, form=Entered(name="Half")), tmp_path)
    assert 'name = "Half"' in path.read_text()


DEMO = Path(package.__file__).parent / "demo"


def test_the_demo_brief_run_by_file_taken_in_launched_and_packed_again_is_one_and_the_same(
    workspace: Workspace, tmp_path: Path
) -> None:
    """The real products: nothing on the way from the command line's brief to a person's campaign and back changes."""
    with photos.scratch_folder() as scratch:
        brief = briefs.load(DEMO / "brief.toml")
        examined = photos.examine(brief.products, scratch=Path(scratch))
        photos.accept(workspace_id=workspace.pk, rows=brief.products, examined=examined, now=NOW)
    author = Author(id=User.objects.create(email="ada@example.com").pk, now=NOW)
    draft = drafts.take_in(
        workspace_id=workspace.pk,
        key=uuid.uuid4(),
        text=(DEMO / "brief.toml").read_text(),
        csv=(DEMO / "products.csv").read_text(),
        author=author,
    )
    Photo.objects.filter(mask_key="").update(mask_key="stands in", mask_source="opencv", mask_confidence=1)
    campaign = drafts.launch(draft_id=draft.pk, revision=draft.revision, author=author)
    assert planned(campaign) == by_file(DEMO / "brief.toml")
    assert len(planned(campaign)) > 5
    asked = CellRender.objects.filter(cell__campaign=campaign).order_by("cell__position", "image")
    assert [version.render.seed for version in asked] == [
        seed for cell in cells.expand(brief) for seed in cell.seeds
    ]  # fmt: skip
    Photo.objects.filter(mask_key="stands in").update(mask_key="", mask_source="", mask_confidence=None)
    assert by_file(unpacked(package.of_campaign(campaign), tmp_path)) == planned(campaign)
