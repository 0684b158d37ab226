"""Cells live: what a change of the brief, of a photo, a mask or a LoRA makes stale, and that nothing else is."""

import io
from typing import Any

import pytest
from PIL import Image, ImageDraw

from billing import clock, ledger
from campaigns import drafts, following, launch, masks, outlook, places, recipes, revising, sheet
from campaigns.drafts import Author, ChangedMeanwhileError, DraftError
from campaigns.entered import Entered, EnteredAxis, EnteredChannel, EnteredLora
from campaigns.launch import FrozenError, MoreByNowError
from campaigns.models import Campaign, Cell, CellRender, Draft, MaskSource, Photo, Product
from campaigns.revising import Consequences
from gallery import review, storage
from gallery.models import Upload, UploadStatus
from inference.models import Lora, LoraStatus, Render, RenderStatus
from inference.requests import retry_seed
from studio.models import Workspace
from tests.campaigns.sheets import finish, launched, somebody, spoil
from tests.campaigns.shelf import entered, mask, photo_of, png, stock
from tests.conftest import NOW

SQUARE = EnteredChannel(name="square", width="128", height="128", scale="0.6", anchor="center")
STORY = EnteredChannel(name="story", width="96", height="128", scale="0.6", anchor="bottom")
KEPT = EnteredChannel(name="original", way="keep")
LORA = "Soft light"


@pytest.fixture
def author(db: None) -> Author:
    return Author(id=somebody("editor").pk, now=NOW)


@pytest.fixture
def lora(workspace: Workspace) -> Lora:
    return Lora.objects.create(
        workspace=workspace,
        status=LoraStatus.CLEAN,
        name=LORA,
        trigger_words="soft light",
        file_name="soft.safetensors",
        size_bytes=4,
        sha256="0" * 64,
        storage_key=storage.put(workspace.pk, b"lora", suffix=".safetensors"),
        style="kohya",
        family="sd",
        parts=["unet"],
        least_rank=4,
        rank=4,
        fits=["starter"],
        created_at=NOW,
        decided_at=NOW,
    )


@pytest.fixture
def campaign(workspace: Workspace) -> Campaign:
    """MUG and CUP × square and story × marble and sand: eight images, all there; CUP, marble, square is approved."""
    made = launched(workspace.pk, channels=(SQUARE, STORY))
    finish(8)
    approve(made, "CUP, marble, square")
    return made


def approve(campaign: Campaign, label: str) -> None:
    version = CellRender.objects.filter(cell=cell_of(campaign, label)).latest("pk")
    assert version.render.asset_id is not None
    review.approve(version.render.asset_id, by_id=somebody("reviewer").pk, now=clock.now())


def cell_of(campaign: Campaign, label: str) -> Cell:
    found = {_label(cell): cell for cell in campaign.cells.select_related("product", "campaign")}
    return found[label]


def _label(cell: Cell) -> str:
    return ", ".join(filter(None, (cell.product.sku if cell.product else "", *cell.axes.values(), cell.channel)))


def states(campaign: Campaign) -> dict[str, str]:
    """What the sheet says of every image; the hashes that it goes by are those of this very moment."""
    campaign.refresh_from_db()
    hashes_are_true(campaign)
    cells = list(campaign.asked_cells.values_list("pk", flat=True))
    tiles = [tile for found in sheet.tiles_of(campaign, cell_ids=cells).values() for tile in found]
    counts = sheet.overview(campaign).counts
    for state in {tile.state for tile in tiles}:
        assert counts[state] == sum(tile.state == state for tile in tiles), "the counts and the tiles agree"
    assert sum(counts.values()) == campaign.planned
    return {tile.label: tile.state for tile in tiles}


def hashes_are_true(campaign: Campaign) -> None:
    photos = Photo.objects.select_related("upload").in_bulk()
    cells = list(campaign.asked_cells)
    assert recipes.write(campaign, cells, photos=photos) == []
    # And a version's is that of the request that it was made from, whichever try came out.
    for version in CellRender.objects.select_related("render", "cell").filter(cell__campaign=campaign):
        seeds = recipes.asked(version.cell).seeds
        if version.made_from == version.cell.recipe_hashes[version.image - 1]:
            assert version.made_from == recipes.of_request(version.render.request, seed=seeds[version.image - 1])


def stale(campaign: Campaign) -> set[str]:
    return {label for label, state in states(campaign).items() if state == "stale"}


def change(campaign: Campaign, author: Author, **changes: Any) -> Consequences:
    """Change the campaign's brief as the form does, and save it to the campaign."""
    campaign.refresh_from_db()
    draft = drafts.changes_to(campaign, author=author)
    form = Entered.from_json(draft.entered)
    values = {field: getattr(form, field) for field in form.__dataclass_fields__} | changes
    saved = drafts.save(
        workspace_id=campaign.workspace_id,
        key=draft.key,
        form=Entered(**values),
        revision=draft.revision,
        author=author,
    )
    done = revising.save(draft_id=saved.pk, revision=saved.revision, author=author)
    campaign.refresh_from_db()
    return done


def give_photo(product: Product, data: bytes, mask_data: bytes | None) -> Photo:
    """Another photo of a product, as intake would store it; without a mask one is still to be made."""

    def stored(content: bytes) -> Upload:
        key = storage.put(product.workspace_id, content, suffix=".png")
        sha256 = key.partition("/")[2].removesuffix(".png")
        with Image.open(io.BytesIO(content)) as image:
            width, height = image.size
        return Upload.objects.get_or_create(
            workspace_id=product.workspace_id,
            storage_key=key,
            defaults={
                "status": UploadStatus.CLEAN,
                "name": "new.png",
                "source_sha256": sha256,
                "source_size_bytes": len(content),
                "sha256": sha256,
                "width": width,
                "height": height,
                "created_at": NOW,
            },
        )[0]

    mask_upload = stored(mask_data) if mask_data else None
    photo = Photo.objects.create(
        workspace_id=product.workspace_id,
        product=product,
        upload=stored(data),
        mask_upload=mask_upload,
        mask_key=mask_upload.storage_key if mask_upload else "",
        mask_source=MaskSource.FILE if mask_upload else "",
        created_at=NOW,
    )
    Product.objects.filter(pk=product.pk).update(photo=photo)
    following.take_photo(photo.pk)
    return photo


def other_mask() -> bytes:
    image = Image.new("L", (96, 80))
    ImageDraw.Draw(image).rectangle((28, 18, 70, 68), 255)
    return png(image)


# --- the five changes, in turn ---


def test_what_was_just_made_is_not_stale(campaign: Campaign) -> None:
    assert stale(campaign) == set()
    assert states(campaign)["CUP, marble, square"] == "approved"


def test_each_change_in_turn_makes_exactly_its_own_cells_stale_and_approved_ones_stay_frozen(
    campaign: Campaign, workspace: Workspace, author: Author, lora: Lora
) -> None:
    mug = Product.objects.get(sku="MUG")
    before = {cell.pk: _label(cell) for cell in campaign.cells.select_related("product")}

    # One axis value: every cell of that value, over products and channels, and it is the same cell as before.
    change(campaign, author, axes=(EnteredAxis(name="surface", values="marble\nwet sand"),))
    wet = {f"{sku}, wet sand, {channel}" for sku in ("MUG", "CUP") for channel in ("square", "story")}
    assert stale(campaign) == wet
    assert {cell.pk for cell in campaign.asked_cells} == set(before)
    rerun_stale(campaign)

    # A photo: the product's cells.
    give_photo(mug, photo_of("OTHER"), mask())
    of_mug = {f"MUG, {surface}, {channel}" for surface in ("marble", "wet sand") for channel in ("square", "story")}
    assert stale(campaign) == of_mug
    rerun_stale(campaign)

    # A mask for the same photo: the same ones.
    give_photo(mug, photo_of("OTHER"), other_mask())
    assert stale(campaign) == of_mug
    rerun_stale(campaign)

    # The placement of one channel: that channel's, but for the approved one.
    change(campaign, author, channels=(EnteredChannel(**{**vars(SQUARE), "scale": "0.5"}), STORY))
    square = {label for label in states(campaign) if label.endswith("square")} - {"CUP, marble, square"}
    assert stale(campaign) == square
    rerun_stale(campaign)

    # A LoRA: all of them, but for the approved one; and its weight again.
    everything = set(states(campaign)) - {"CUP, marble, square"}
    change(campaign, author, loras=(EnteredLora(name=LORA, weight="0.8"),))
    assert stale(campaign) == everything
    rerun_stale(campaign)
    change(campaign, author, loras=(EnteredLora(name=LORA, weight="0.6"),))
    assert stale(campaign) == everything
    rerun_stale(campaign)

    assert states(campaign)["CUP, marble, square"] == "approved"
    assert CellRender.objects.filter(cell=cell_of(campaign, "CUP, marble, square")).count() == 1


def rerun_stale(campaign: Campaign) -> None:
    """Re-run all that is stale; it and nothing else is asked for, and it is stale no more."""
    there = set(CellRender.objects.filter(cell__campaign=campaign).values_list("pk", flat=True))
    labels = stale(campaign)
    asked = launch.rerun(campaign_id=campaign.pk, what="stale", at_most=len(labels), now=clock.now())
    assert asked == len(labels) > 0
    made = CellRender.objects.filter(cell__campaign=campaign).exclude(pk__in=there).select_related("cell__product")
    assert {_label(version.cell) for version in made} == labels
    finish(asked)
    assert stale(campaign) == set()


# --- and only then ---


def test_what_a_brief_says_beside_its_pictures_makes_nothing_stale(campaign: Campaign, author: Author) -> None:
    done = change(campaign, author, name="Autumn shelf", must_have="the product is whole")
    assert done.is_nothing
    assert stale(campaign) == set()
    assert (campaign.name, campaign.must_have) == ("Autumn shelf", ["the product is whole"])


def test_a_lora_at_weight_0_changes_nothing(campaign: Campaign, author: Author, lora: Lora) -> None:
    change(campaign, author, loras=(EnteredLora(name=LORA, weight="0"),))
    assert stale(campaign) == set()


def test_what_is_changed_back_is_stale_no_more(campaign: Campaign, author: Author) -> None:
    change(campaign, author, template="beside {surface}")
    assert len(stale(campaign)) == 7
    done = change(campaign, author, template="on {surface}")
    assert (done.fresh, done.stale) == (7, 0)
    assert stale(campaign) == set()


def test_the_same_bytes_given_again_are_no_other_photo(campaign: Campaign) -> None:
    give_photo(Product.objects.get(sku="MUG"), photo_of("MUG"), mask())
    assert stale(campaign) == set()


def test_a_photo_counts_once_its_mask_is_made(workspace: Workspace) -> None:
    campaign = launched(workspace.pk, "MUG", channels=(SQUARE, KEPT))
    finish(4)
    picture = Image.new("RGB", (120, 90), "#dddddd")
    ImageDraw.Draw(picture).rectangle((40, 20, 80, 70), "#204080")
    photo = give_photo(Product.objects.get(sku="MUG"), png(picture), None)
    assert stale(campaign) == set()
    masks.make(photo_id=photo.pk)
    assert len(stale(campaign)) == 4
    kept = cell_of(campaign, "MUG, marble, original")
    assert (kept.width, kept.height) == (120, 90)


def test_another_products_photo_touches_nothing_here(campaign: Campaign, workspace: Workspace) -> None:
    hat = stock(workspace.pk, "HAT")["HAT"]
    give_photo(hat, photo_of("OTHER"), mask())
    assert stale(campaign) == set()
    campaign.refresh_from_db()
    assert campaign.changes == 0


def test_a_picture_keeps_the_photo_and_the_scene_that_it_was_made_with(campaign: Campaign, author: Author) -> None:
    old = Product.objects.get(sku="MUG").photo_id
    asset = CellRender.objects.filter(cell=cell_of(campaign, "MUG, sand, square")).latest("pk").render.asset_id
    assert asset is not None
    new = give_photo(Product.objects.get(sku="MUG"), photo_of("OTHER"), mask())
    change(campaign, author, axes=(EnteredAxis(name="surface", values="marble\nwet sand"),))
    place = places.of_assets([asset])[asset]
    assert (place.photo_id, place.scene) == (old, "sand")
    rerun_stale(campaign)
    version = CellRender.objects.filter(cell=cell_of(campaign, "MUG, wet sand, square")).latest("pk")
    assert version.render.asset_id is not None
    place = places.of_assets([version.render.asset_id])[version.render.asset_id]
    assert (place.photo_id, place.scene) == (new.pk, "wet sand")


# --- asked for again ---


def test_a_changed_recipe_begins_with_its_own_first_seed_and_goes_on_from_there(
    campaign: Campaign, author: Author
) -> None:
    change(campaign, author, template="beside {surface}")
    rerun_stale(campaign)
    cell = cell_of(campaign, "MUG, marble, square")
    first = CellRender.objects.filter(cell=cell).latest("pk")
    assert first.render.seed == cell.seeds[0]
    assert launch.run_again(cell_id=cell.pk, image=1, seen_render_id=first.render_id, now=clock.now())
    second = CellRender.objects.filter(cell=cell).latest("pk")
    assert second.render.seed == retry_seed(cell.seeds[0], 3)
    finish(1)
    # Another seed of the same recipe is not another recipe.
    assert "MUG, marble, square" not in stale(campaign)


def test_rejected_and_failed_ones_are_asked_for_each_for_itself(workspace: Workspace) -> None:
    campaign = launched(workspace.pk)
    spoil()
    finish(3)
    asset = CellRender.objects.filter(cell__campaign=campaign, render__asset__isnull=False).latest("pk").render.asset_id
    assert asset is not None
    review.reject(asset, by_id=somebody("reviewer").pk, reason="bad_light", now=clock.now())
    assert launch.rerun(campaign_id=campaign.pk, what="failed", at_most=1, now=clock.now()) == 1
    assert launch.rerun(campaign_id=campaign.pk, what="rejected", at_most=1, now=clock.now()) == 1
    assert sorted(states(campaign).values()) == ["pending", "pending", "waiting", "waiting"]
    # A second click finds nothing left.
    assert launch.rerun(campaign_id=campaign.pk, what="rejected", at_most=1, now=clock.now()) == 0


def test_what_was_rejected_and_is_stale_is_asked_for_once(campaign: Campaign, author: Author) -> None:
    version = CellRender.objects.filter(cell=cell_of(campaign, "MUG, sand, story")).latest("pk")
    assert version.render.asset_id is not None
    review.reject(version.render.asset_id, by_id=somebody("reviewer").pk, reason="bad_light", now=clock.now())
    change(campaign, author, template="beside {surface}")
    assert launch.rerun(campaign_id=campaign.pk, what="rejected", at_most=8, now=clock.now()) == 0
    assert launch.rerun(campaign_id=campaign.pk, what="stale", at_most=8, now=clock.now()) == 7


def test_more_than_was_shown_is_not_asked_for(campaign: Campaign, author: Author, workspace: Workspace) -> None:
    change(campaign, author, template="beside {surface}")
    held = ledger.balance(workspace_id=workspace.pk).held
    with pytest.raises(MoreByNowError, match="There are 7 by now, and 4 were shown"):
        launch.rerun(campaign_id=campaign.pk, what="stale", at_most=4, now=clock.now())
    assert ledger.balance(workspace_id=workspace.pk).held == held
    assert not Render.objects.filter(status=RenderStatus.QUEUED).exists()


def test_a_rerun_holds_its_price_and_counts_each_image_once(
    campaign: Campaign, author: Author, workspace: Workspace
) -> None:
    change(campaign, author, template="beside {surface}")
    launch.rerun(campaign_id=campaign.pk, what="stale", at_most=7, now=clock.now())
    assert ledger.balance(workspace_id=workspace.pk).held == 7000
    now = launch.progress(campaign_id=campaign.pk)
    assert (now.total, now.succeeded, now.waiting) == (8, 1, 7)


def test_what_is_on_its_way_is_told_and_comes_out_stale(workspace: Workspace, author: Author) -> None:
    campaign = launched(workspace.pk)
    done = change(campaign, author, template="beside {surface}")
    assert (done.on_the_way, done.stale) == (4, 0)
    finish(4)
    assert len(stale(campaign)) == 4


# --- cells that come and go ---


def test_what_the_brief_no_longer_asks_for_is_set_aside_and_comes_back_as_the_same_cell(
    campaign: Campaign, author: Author
) -> None:
    first = {_label(cell): cell.pk for cell in campaign.cells.select_related("product")}
    done = change(campaign, author, skus=("MUG",))
    assert (done.set_aside, done.approved_set_aside, done.stale, done.new) == (4, 1, 0, 0)
    assert {label.split(",")[0] for label in states(campaign)} == {"MUG"}
    assert CellRender.objects.filter(cell__campaign=campaign).count() == 8
    now = launch.progress(campaign_id=campaign.pk)
    assert (now.total, now.succeeded, now.charged) == (4, 4, 8000)
    assert launch.launch(campaign_id=campaign.pk, now=clock.now()) == 0
    cup = Cell.objects.get(pk=first["CUP, sand, square"])
    with pytest.raises(FrozenError, match="set aside"):
        launch.run_again(cell_id=cup.pk, image=1, seen_render_id=None, now=clock.now())
    done = change(campaign, author, skus=("CUP", "MUG"))
    assert (done.back, done.new, done.stale) == (4, 0, 0)
    assert {
        label: cell.pk for cell in campaign.asked_cells.select_related("product") for label in [_label(cell)]
    } == first
    assert states(campaign)["CUP, marble, square"] == "approved"
    assert launch.progress(campaign_id=campaign.pk).total == 8
    assert next(cell.product.sku for cell in campaign.asked_cells.order_by("position") if cell.product) == "CUP"


def test_new_values_are_new_cells_and_only_they_are_launched(campaign: Campaign, author: Author) -> None:
    done = change(campaign, author, axes=(EnteredAxis(name="surface", values="marble\noak\nsand"),))
    assert (done.new, done.stale, done.set_aside) == (4, 0, 0)
    assert stale(campaign) == set()
    assert launch.launch(campaign_id=campaign.pk, now=clock.now()) == 4


def test_more_and_fewer_images_per_cell(campaign: Campaign, author: Author) -> None:
    done = change(campaign, author, images_per_cell="2")
    assert (done.new, done.stale) == (8, 0)
    assert sheet.overview(campaign).counts["planned"] == 8
    assert len(sheet.matrix(campaign, channel="square", state="planned").rows) == 2
    assert launch.launch(campaign_id=campaign.pk, now=clock.now()) == 8
    finish(8)
    done = change(campaign, author, images_per_cell="1")
    assert (done.set_aside, done.stale) == (8, 0)
    now = launch.progress(campaign_id=campaign.pk)
    assert (now.total, now.succeeded) == (8, 8)


def test_a_renamed_channel_is_the_same_pictures(campaign: Campaign, author: Author) -> None:
    done = change(campaign, author, channels=(SQUARE, EnteredChannel(**{**vars(STORY), "name": "reel"})))
    assert done.is_nothing
    assert stale(campaign) == set()
    assert {cell.channel for cell in campaign.asked_cells} == {"square", "reel"}


# --- saved once, by one ---


def test_nothing_changes_before_the_changes_are_saved_to_the_campaign(campaign: Campaign, author: Author) -> None:
    draft = drafts.changes_to(campaign, author=author)
    assert drafts.changes_to(campaign, author=author) == draft
    form = Entered.from_json(draft.entered)
    assert form == drafts.of_campaign(campaign)
    drafts.save(
        workspace_id=campaign.workspace_id, key=draft.key, form=entered("MUG"), revision=draft.revision, author=author
    )
    assert stale(campaign) == set()
    assert len(states(campaign)) == 8


def test_the_later_of_two_saves_is_told_and_one_sent_twice_is_one(campaign: Campaign, author: Author) -> None:
    draft = drafts.changes_to(campaign, author=author)
    form = Entered.from_json(draft.entered)
    revising.save(draft_id=draft.pk, revision=draft.revision, author=author)
    revising.save(draft_id=draft.pk, revision=draft.revision, author=author)
    campaign.refresh_from_db()
    assert campaign.revision == 2
    with pytest.raises(ChangedMeanwhileError, match="saved to the campaign meanwhile"):
        drafts.save(
            workspace_id=campaign.workspace_id,
            key=draft.key,
            form=Entered(**{**vars(form), "template": "in {surface}"}),
            revision=draft.revision,
            author=author,
        )


def test_changes_that_were_changed_since_they_were_looked_at_are_not_saved(campaign: Campaign, author: Author) -> None:
    draft = drafts.changes_to(campaign, author=author)
    form = Entered(**{**vars(Entered.from_json(draft.entered)), "template": "in {surface}"})
    drafts.save(workspace_id=campaign.workspace_id, key=draft.key, form=form, revision=draft.revision, author=author)
    with pytest.raises(ChangedMeanwhileError, match="Look at what they do now"):
        revising.save(draft_id=draft.pk, revision=draft.revision, author=author)
    assert stale(campaign) == set()


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"template": "on marble"}, "surface"), ({"budget": "5"}, "under Credits, Budgets"), ({"skus": ()}, "product")],
)
def test_what_stands_against_a_save_is_said_and_nothing_is_written(
    campaign: Campaign, author: Author, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(DraftError, match=said):
        change(campaign, author, **changes)
    campaign.refresh_from_db()
    assert (campaign.revision, campaign.changes) == (1, 0)
    assert Draft.objects.get(revises=campaign).campaign is None


def test_saving_needs_no_credits(campaign: Campaign, author: Author, workspace: Workspace, monkeypatch) -> None:
    monkeypatch.setattr("billing.plan_choice.spendable", lambda **_: 0)
    change(campaign, author, template="beside {surface}")
    assert len(stale(campaign)) == 7


@pytest.mark.parametrize("scenes", [4, 60])
def test_a_larger_campaign_takes_no_more_queries_to_be_looked_at_and_few_to_be_saved(
    workspace: Workspace, author: Author, django_assert_max_num_queries, scenes: int
) -> None:
    values = "\n".join(f"surface {n}" for n in range(scenes))
    campaign = launched(workspace.pk, "MUG", "CUP", axes=(EnteredAxis(name="surface", values=values),))
    form = drafts.of_campaign(campaign)
    seen = outlook.look(workspace_id=workspace.pk, form=form, now=NOW)
    with django_assert_max_num_queries(6):
        found = revising.prospect(campaign, form, seen)
    assert found.consequences is not None
    assert found.consequences.is_nothing
    with django_assert_max_num_queries(60):
        change(campaign, author, template="beside {surface}")
