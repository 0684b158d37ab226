"""Products in: from photos by their names, from a CSV as a whole; each refusal says which file and what to do."""

from pathlib import Path

import pytest
from PIL import Image

from campaigns import products
from campaigns.models import Cell, MaskSource, Photo, Product
from campaigns.products import GivenFile, Imported, ProductError
from studio.models import Workspace
from tests.campaigns.conftest import Planned
from tests.campaigns.shelf import mask, photo_of, png, stock
from tests.conftest import NOW


class Desk:
    """Where files are handed in, each call in a scratch folder of its own."""

    def __init__(self, workspace_id: int, folder: Path) -> None:
        self.workspace_id = workspace_id
        self.folder = folder

    def given(self, files: dict[str, bytes]) -> tuple[list[GivenFile], Path]:
        scratch = self.folder / f"scratch-{sum(1 for _ in self.folder.iterdir())}"
        scratch.mkdir()
        sent = self.folder / f"{scratch.name}-sent"
        sent.mkdir()
        found = []
        for number, (name, data) in enumerate(files.items()):
            path = sent / str(number)
            path.write_bytes(data)
            with path.open("rb") as stream:
                found.append(products.keep(name, stream, folder=scratch))
        return found, scratch

    def photos(self, **files: bytes) -> Imported:
        given, scratch = self.given(files)
        return products.import_photos(workspace_id=self.workspace_id, files=given, scratch=scratch, now=NOW)

    def csv(self, text: str, **files: bytes) -> Imported:
        given, scratch = self.given({"products.csv": text.encode(), **files})
        return products.import_csv(
            workspace_id=self.workspace_id, csv=given[0], files=given[1:], scratch=scratch, now=NOW
        )


@pytest.fixture
def desk(workspace: Workspace, tmp_path: Path) -> Desk:
    folder = tmp_path / "desk"
    folder.mkdir()
    return Desk(workspace.pk, folder)


def said(done: Imported) -> list[str]:
    return [f"{problem.where}: {problem.sentence}" for problem in done.problems]


# --- photos ---


def test_each_photo_becomes_a_product_named_as_its_file_is(desk: Desk) -> None:
    done = desk.photos(**{"MUG-ENAMEL_NAVY.png": photo_of("MUG"), "C:\\photos\\Cup 2.png": photo_of("CUP")})
    assert done == Imported(added=("MUG-ENAMEL_NAVY", "Cup 2"))
    assert dict(Product.objects.values_list("sku", "title")) == {
        "MUG-ENAMEL_NAVY": "Mug enamel navy", "Cup 2": "Cup 2",
    }  # fmt: skip


def test_a_file_named_after_a_photo_is_its_mask_and_no_product(desk: Desk) -> None:
    done = desk.photos(**{"MUG-mask.png": mask(), "MUG.png": photo_of("MUG"), "CUP.png": photo_of("CUP")})
    assert done.added == ("MUG", "CUP")
    sources = dict(Photo.objects.values_list("product__sku", "mask_source"))
    assert sources == {"MUG": MaskSource.FILE, "CUP": ""}


def test_a_mask_sent_alone_is_no_product_of_that_name(desk: Desk) -> None:
    desk.photos(**{"MUG.png": photo_of("MUG")})
    done = desk.photos(**{"MUG-mask.png": mask()})
    assert said(done) == [
        "MUG-mask.png: This is named as the mask of MUG, whose photo was not sent. Send both, or rename it."
    ]
    assert desk.photos(**{"ski-mask.png": photo_of("SKI")}).added == ("ski-mask",)


def test_a_photo_of_a_product_that_is_there_takes_the_place_of_its_old_one_and_the_title_stays(desk: Desk) -> None:
    desk.photos(**{"MUG.png": photo_of("MUG")})
    mug = Product.objects.get()
    products.rename(product_id=mug.pk, title="Enamel mug")
    assert desk.photos(**{"MUG.png": photo_of("other")}) == Imported(updated=("MUG",))
    after = Product.objects.get()
    assert after.title == "Enamel mug"
    assert after.photo_id != mug.photo_id


def test_the_same_photo_again_changes_nothing(desk: Desk) -> None:
    for _ in range(2):
        desk.photos(**{"MUG.png": photo_of("MUG")})
    assert (Product.objects.count(), Photo.objects.count()) == (1, 1)


def test_good_photos_come_in_and_each_bad_one_says_why(desk: Desk) -> None:
    done = desk.photos(
        **{
            "GOOD.png": photo_of("GOOD"),
            "notes.txt.png": b"not an image",
            "empty.png": b"",
            "GOOD.jpg": photo_of("x"),
            "good.webp": photo_of("y"),
            f"{'x' * 81}.png": photo_of("z"),
        }
    )
    assert done.added == ("GOOD",)
    assert Product.objects.count() == 1
    by_file = {problem.where: problem.sentence for problem in done.problems}
    assert set(by_file) == {"notes.txt.png", "empty.png", "GOOD.jpg", "good.webp", f"{'x' * 81}.png"}
    assert "gives the SKU GOOD already" in by_file["GOOD.jpg"]
    assert "Rename the file" in by_file[f"{'x' * 81}.png"]


def test_a_sku_that_reads_like_another_products_is_not_taken(desk: Desk) -> None:
    desk.photos(**{"MUG BLUE.png": photo_of("MUG")})
    (sentence,) = said(desk.photos(**{"mug-blue.png": photo_of("other")}))
    assert "There is MUG BLUE already, which reads the same" in sentence
    assert Product.objects.count() == 1


def test_a_mask_of_another_size_is_refused_with_its_photo(desk: Desk) -> None:
    small = png(Image.new("L", (50, 50), 255))
    done = desk.photos(**{"MUG.png": photo_of("MUG"), "MUG-mask.png": small})
    assert len(done.problems) == 1
    assert not Product.objects.exists()


# --- CSV ---

CSV = "sku,title,photo,mask\n"


def test_a_csv_brings_titles_and_finds_its_files_by_name_whatever_the_folders(desk: Desk) -> None:
    done = desk.csv(
        CSV + 'MUG,"Mug, blue",photos/a.png,masks\\m.png\nCUP,Cup,../../B.PNG,\n',
        **{"a.png": photo_of("MUG"), "m.png": mask(), "b.png": photo_of("CUP")},
    )
    assert done == Imported(added=("MUG", "CUP"))
    assert dict(Product.objects.values_list("sku", "title")) == {"MUG": "Mug, blue", "CUP": "Cup"}
    assert Photo.objects.get(product__sku="MUG").mask_source == MaskSource.FILE


def test_one_bad_line_keeps_the_whole_csv_out_and_every_problem_is_told_with_its_line(desk: Desk) -> None:
    done = desk.csv(
        CSV + "MUG,Mug,a.png,\nCUP,,b.png,\nJUG,Jug,c.png,\nPOT,Pot,,\nTXT,Text,t.png,\n",
        **{"a.png": photo_of("MUG"), "b.png": photo_of("CUP"), "cc.png": photo_of("JUG"), "t.png": b"text"},
    )
    assert not Product.objects.exists()
    where = [problem.where for problem in done.problems]
    assert where == [f"products.csv, line {line}" for line in (3, 4, 5, 6)]
    assert 'c.png is not among the files that were sent. Did you mean "cc.png"? Send it along.' in said(done)[1]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "The file is empty"),
        ("sku;title;photo;mask\n", "parted by semicolons"),
        (CSV, "There are no products below the first line"),
        (CSV + "MUG,Mug,a.png,\nmug,Mug,a.png,\n", "line 2 has MUG already"),
        (CSV + 'MUG,"Mug,a.png,\n', "cannot be read"),
    ],
)
def test_a_csv_that_cannot_be_used_says_what_to_change(desk: Desk, text: str, sentence: str) -> None:
    done = desk.csv(text, **{"a.png": photo_of("MUG")})
    assert any(sentence in line for line in said(done)), said(done)
    assert not Product.objects.exists()


def test_a_csv_reads_no_file_of_this_machine(desk: Desk) -> None:
    (sentence,) = said(desk.csv(CSV + "MUG,Mug,/etc/hostname,\n"))
    assert "hostname is not among the files that were sent" in sentence


# --- one product ---


def test_a_title_is_changed_and_an_empty_one_refused(workspace: Workspace) -> None:
    mug = stock(workspace.pk, "MUG")["MUG"]
    products.rename(product_id=mug.pk, title="  A mug  ")
    for title in ("", " ", "x" * 301, "two\nlines"):
        with pytest.raises(ProductError):
            products.rename(product_id=mug.pk, title=title)
    mug.refresh_from_db()
    assert mug.title == "A mug"


def test_a_product_of_a_campaign_stays_and_another_goes_with_its_photo(planned: Planned, workspace: Workspace) -> None:
    used = Product.objects.get(sku="MUG")
    with pytest.raises(ProductError, match="The campaign “Shelf” uses this product, so it stays"):
        products.remove(product_id=used.pk)
    free = stock(workspace.pk, "FREE")["FREE"]
    products.remove(product_id=free.pk)
    assert not Product.objects.filter(sku="FREE").exists()
    assert not Photo.objects.filter(product=free.pk).exists()
    assert Cell.objects.filter(product=used).count() == 2


@pytest.mark.parametrize(
    ("stem", "title"),
    [("MUG-NAVY", "Mug navy"), ("juice_330ML", "Juice 330ML"), ("CAFÉ", "Café"), ("-", "-"), ("A1", "A1")],
)
def test_a_files_name_becomes_a_first_title(stem: str, title: str) -> None:
    assert products.title_from(stem) == title
