"""What a campaign leaves on disk."""

import csv
import hashlib
import io
from pathlib import Path

import pytest
from PIL import Image

from campaigns import contact_sheet, launch, manifest
from campaigns.contact_sheet import Frame
from campaigns.models import Cell
from tests.campaigns.conftest import Planned
from tests.campaigns.test_launch import drain, start


def export(planned: Planned, folder: Path) -> list[dict[str, str]]:
    paths = {row.sku: row.photo for row in planned.brief.products if row.photo}
    images = manifest.export(campaign=planned.campaign, folder=folder, photo_paths=paths)
    manifest.write_table(campaign=planned.campaign, images=images, folder=folder)
    with (folder / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_file_that_the_manifest_names_is_there_with_its_hash(planned: Planned, tmp_path: Path) -> None:
    start(planned)
    drain()
    rows = export(planned, tmp_path / "out")
    assert list(rows[0]) == [*manifest.COLUMNS, "axis_surface"]
    assert len({row["file"] for row in rows}) == 4
    for row in rows:
        assert hashlib.sha256((tmp_path / "out" / row["file"]).read_bytes()).hexdigest() == row["sha256"]
        assert hashlib.sha256((tmp_path / "out" / row["photo"]).read_bytes()).hexdigest() == row["photo_sha256"]
        assert Image.open(tmp_path / "out" / row["lock_mask"]).size == (int(row["width"]), int(row["height"]))
        assert (row["status"], row["credits_estimated"], row["credits_charged"]) == ("succeeded", "1", "1")


def test_an_image_that_was_not_rendered_has_a_row_without_file_or_charge(planned: Planned, tmp_path: Path) -> None:
    start(planned)
    rows = export(planned, tmp_path / "out")
    assert {(row["status"], row["file"], row["sha256"], row["credits_charged"]) for row in rows} == {
        ("queued", "", "", "0")
    }


def test_a_second_export_changes_no_file(planned: Planned, tmp_path: Path) -> None:
    start(planned)
    drain()
    export(planned, tmp_path / "out")
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    before = {path: path.stat().st_mtime_ns for path in files}
    export(planned, tmp_path / "out")
    assert {path: path.stat().st_mtime_ns for path in files} == before


def test_a_text_that_a_spreadsheet_would_run_is_quoted(planned: Planned, tmp_path: Path) -> None:
    Cell.objects.filter(campaign=planned.campaign).update(prompt="=HYPERLINK(1)")
    start(planned)
    assert {row["prompt"] for row in export(planned, tmp_path / "out")} == {"'=HYPERLINK(1)"}


@pytest.mark.usefixtures("db")
def test_the_contact_sheet_shows_each_frame_at_its_row_and_column(tmp_path: Path) -> None:
    Image.new("RGB", (300, 200), "#ff0000").save(tmp_path / "red.png")
    frames = [
        Frame(row="MUG", column="marble", path=tmp_path / "red.png"),
        Frame(row="MUG", column="sand", path=None, note="failed: nothing was charged"),
        Frame(row="CUP", column="sand", path=tmp_path / "red.png"),
    ]
    sheet = Image.open(io.BytesIO(contact_sheet.draw(title="Shelf", subtitle="2 images", frames=frames))).convert("RGB")
    red = [
        (x, y)
        for x in range(0, sheet.width, 8)
        for y in range(0, sheet.height, 8)
        if sheet.getpixel((x, y)) == (255, 0, 0)
    ]
    upper = [x for x, y in red if y < sheet.height * 0.55]
    lower = [x for x, y in red if y > sheet.height * 0.65]
    assert upper
    assert lower
    assert max(upper) < min(lower)


def test_a_sheet_of_thousands_stays_of_a_size_that_can_be_opened() -> None:
    frames = [Frame(row=f"P{n // 20}", column=f"S{n % 20}", path=None, note="") for n in range(2000)]
    with Image.open(io.BytesIO(contact_sheet.draw(title="Big", subtitle="", frames=frames))) as sheet:
        assert sheet.width * sheet.height < 80_000_000


def test_progress_counts_an_image_once_by_its_newest_render(planned: Planned) -> None:
    start(planned)
    assert launch.progress(campaign_id=planned.campaign.pk).waiting == 4
    drain()
    assert launch.progress(campaign_id=planned.campaign.pk).succeeded == 4


def test_what_only_an_earlier_manifest_named_is_removed_and_what_is_not_ours_stays(
    planned: Planned, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (out / "images").mkdir(parents=True)
    for name in ("images/old.png", "images/mine.png", "notes.txt"):
        (out / name).write_text("x")
    (out / "manifest.csv").write_text("file,lock_mask\nimages/old.png,\n../notes.txt,notes.txt\n")
    start(planned)
    drain()
    export(planned, out)
    assert not (out / "images/old.png").exists()
    assert (out / "images/mine.png").exists()
    assert (out / "notes.txt").exists()
