"""Masks from the shell: a file for each product and how sure it is; bad input leaves nothing behind."""

import csv
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from PIL import Image, ImageDraw

BOX = (60, 40, 140, 180)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    photo = Image.new("RGB", (200, 220), "#eeeeee")
    ImageDraw.Draw(photo).rectangle(BOX, "#30507c")
    photo.save(tmp_path / "mug.png")
    Image.new("RGB", (200, 220), "#dddddd").save(tmp_path / "nothing.png")
    return tmp_path


def make(folder: Path, *rows: str) -> list[dict[str, str]]:
    (folder / "products.csv").write_text("\n".join(["sku,title,photo,mask", *rows]) + "\n")
    call_command("make_masks", str(folder / "products.csv"), "--out", str(folder / "out"))
    return table(folder)


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "out" / "masks.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_mask_is_white_on_the_product_and_says_how_sure_it_is(folder, capsys):
    [row] = make(folder, "MUG 1,A mug,mug.png,")
    assert row["sku"] == "MUG 1"
    assert 0.75 < float(row["confidence"]) <= 1
    found = np.asarray(Image.open(folder / "out" / "MUG-1.png"))
    exact = np.zeros((220, 200), bool)
    exact[BOX[1] : BOX[3] + 1, BOX[0] : BOX[2] + 1] = True
    assert set(np.unique(found)) == {0, 255}
    assert ((found == 255) & exact).sum() / ((found == 255) | exact).sum() > 0.97
    assert "look at it" not in capsys.readouterr().out


def test_a_mask_that_the_file_names_is_not_asked_for(folder):
    assert len(make(folder, "MUG,A mug,mug.png,not-there.png")) == 1


def test_a_photo_in_which_nothing_stands_out_is_told_and_the_others_have_their_masks(folder):
    with pytest.raises(CommandError, match="Not every photo has a mask") as caught:
        make(folder, "MUG,A mug,mug.png,", "AIR,Air,nothing.png,")
    assert caught.value.returncode == 1
    assert [(row["sku"], float(row["confidence"]) > 0) for row in table(folder)] == [("MUG", True), ("AIR", False)]
    assert not (folder / "out" / "AIR.png").exists()


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (["MUG,A mug,mugg.png,"], r"products\.csv:2: MUG photo: .*mug\.png"),
        (["MUG,A mug,,"], "Name the product's photo"),
        (["MUG,A mug,products.csv,"], "MUG"),
        ([], "there are no products"),
    ],
)
def test_bad_input_is_told_before_anything_is_written(folder, rows, sentence):
    with pytest.raises(CommandError, match=sentence) as caught:
        make(folder, *rows)
    assert caught.value.returncode == 2
    assert not (folder / "out").exists()
