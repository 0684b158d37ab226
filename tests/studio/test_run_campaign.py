"""What the command says to bad input: one sentence with what to do, before anything is written or held."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from PIL import Image, ImageDraw

from billing import clock, ledger
from campaigns.models import Campaign, Photo, Product
from gallery.models import Upload
from inference.models import Render
from studio import embedded

pytestmark = pytest.mark.django_db

BRIEF = """version = 1
[campaign]
name = "Shelf"
checkpoint = "starter"
images_per_cell = 1
seed = 7
seed_policy = "per_scene"
[products]
csv = "products.csv"
[prompt]
template = "on {surface}"
negative = ""
[axes]
surface = ["marble", "sand"]
[[channels]]
name = "original"
placement = "keep"
"""
PRODUCTS = "sku,title,photo,mask\nMUG,A mug,mug.png,mug-mask.png\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A brief over one product that is right in everything."""
    photo, mask = Image.new("RGB", (64, 64), "#cccccc"), Image.new("L", (64, 64))
    for image, color in ((photo, "#883333"), (mask, 255)):
        ImageDraw.Draw(image).rectangle((20, 20, 44, 44), color)
    photo.save(tmp_path / "mug.png")
    mask.save(tmp_path / "mug-mask.png")
    (tmp_path / "products.csv").write_text(PRODUCTS)
    (tmp_path / "brief.toml").write_text(BRIEF)
    return tmp_path


def edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return change


def replaced(name: str, image: Image.Image) -> Callable[[Path], None]:
    return lambda folder: image.save(folder / name)


def overwritten(name: str, data: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(data)


def hundred_thousand_cells(folder: Path) -> None:
    edit("brief.toml", "on {surface}", "on {surface}, {scene}")(folder)
    surfaces, scenes = (", ".join(f'"{name} {number}"' for number in range(n)) for name, n in (("x", 400), ("y", 250)))
    edit("brief.toml", '["marble", "sand"]', f"[{surfaces}]\nscene = [{scenes}]")(folder)


CASES = {
    "missing photo": (lambda folder: (folder / "mug.png").unlink(), "mug.png"),
    "unreadable photo": (overwritten("mug.png", b"GIF, they said"), "mug.png"),
    "truncated photo": (
        lambda folder: (folder / "mug.png").write_bytes((folder / "mug.png").read_bytes()[:90]),
        "mug.png",
    ),
    "mask of another size": (replaced("mug-mask.png", Image.new("L", (32, 64), 255)), "32 × 64"),
    "empty mask": (replaced("mug-mask.png", Image.new("L", (64, 64))), "black all over"),
    "unknown column": (edit("products.csv", "mask\n", "mask,price\n"), "price"),
    "doubled SKU": (edit("products.csv", PRODUCTS, PRODUCTS + "MUG,Again,mug.png,\n"), "MUG"),
    "unknown axis": (edit("brief.toml", "on {surface}", "on {surfaces}"), "surfaces"),
    "no cells": (edit("brief.toml", '["marble", "sand"]', "[]"), "surface"),
    "100,000 cells": (hundred_thousand_cells, "100,000"),
    "unknown key": (edit("brief.toml", "seed = 7", "seeed = 7"), "seeed"),
    "budget below the estimate": (edit("brief.toml", "seed = 7", "seed = 7\nbudget_credits = 1"), "budget"),
    "unknown checkpoint": (edit("brief.toml", '"starter"', '"startr"'), "startr"),
    "checkpoint that is not installed": (edit("brief.toml", '"starter"', '"sdxl-base"'), "not installed"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_refused_in_words_before_anything_is_written(case: str, folder: Path) -> None:
    spoil, expected = CASES[case]
    spoil(folder)
    with pytest.raises(CommandError) as refused:
        call_command("run_campaign", str(folder / "brief.toml"), "--out", str(folder / "out"))
    assert refused.value.returncode == 2
    assert expected in str(refused.value)
    assert "Traceback" not in str(refused.value)
    for model in (Campaign, Photo, Product, Upload, Render, apps.get_model("billing.Hold")):
        assert not model.objects.exists()
    assert not (folder / "out").exists()


def test_a_campaign_that_the_workspace_cannot_pay_is_refused(folder: Path) -> None:
    workspace = embedded.prepare()
    available = ledger.balance(workspace_id=workspace.pk).available
    ledger.hold(workspace_id=workspace.pk, key="else", amounts=[available - 1000], tier="standard", now=clock.now())
    with pytest.raises(CommandError, match="needs 2 credits and the workspace has 1"):
        call_command("run_campaign", str(folder / "brief.toml"))
    assert not Campaign.objects.exists()
    assert not Upload.objects.exists()


def test_an_output_path_that_is_a_file_is_refused(folder: Path) -> None:
    (folder / "out").write_text("mine")
    with pytest.raises(CommandError, match="not a folder"):
        call_command("run_campaign", str(folder / "brief.toml"), "--out", str(folder / "out"))
    assert (folder / "out").read_text() == "mine"


def test_an_output_folder_that_cannot_be_made_is_refused_before_anything_is_rendered(folder: Path) -> None:
    (folder / "file").write_text("mine")
    with pytest.raises(CommandError, match="not a folder") as refused:
        call_command("run_campaign", str(folder / "brief.toml"), "--out", str(folder / "file" / "out"))
    assert refused.value.returncode == 2
    assert not Campaign.objects.exists()


def test_a_kept_photo_that_is_larger_than_the_checkpoint_delivers_is_refused(folder: Path) -> None:
    Image.new("RGB", (8200, 64), "#cccccc").save(folder / "mug.png")
    edit("products.csv", ",mug-mask.png", ",")(folder)
    with pytest.raises(CommandError, match="8200 × 64 pixels"):
        call_command("run_campaign", str(folder / "brief.toml"))
    assert not Upload.objects.exists()


def test_skus_that_give_one_file_name_are_refused(folder: Path) -> None:
    edit("products.csv", PRODUCTS, PRODUCTS + "A B,x,mug.png,\nA-B,y,mug.png,\n")(folder)
    with pytest.raises(CommandError, match="A-B"):
        call_command("run_campaign", str(folder / "brief.toml"), "--plan")


def test_a_brief_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"nowhere\.toml"):
        call_command("run_campaign", str(tmp_path / "nowhere.toml"))


def test_plan_says_what_a_good_brief_comes_to(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("run_campaign", str(folder / "brief.toml"), "--plan")
    said = capsys.readouterr().out
    assert "2 cells, 2 images" in said
    assert "2 credits likely, 2 at most" in said
    assert not Campaign.objects.exists()
