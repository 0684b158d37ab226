"""The main job, by the real command, workers and pipeline: from a brief to measured, settled images."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.stories.conftest import ROOT, Run, Studio

pytestmark = [pytest.mark.story, pytest.mark.xdist_group("stories")]

TRACE = """
import json
from campaigns.models import CellRender
rows = CellRender.objects.select_related("render__asset", "render__hold_line__hold", "render__batch__worker")
print(json.dumps([{
    "render": v.render_id, "status": v.render.status, "fence": v.render.fence, "batch": v.render.batch_id,
    "finished": v.render.batch.finished_at is not None, "worker": v.render.batch.worker.queue,
    "line": v.render.hold_line.position, "captured": v.render.hold_line.captured,
    "hold": v.render.hold_line.hold.status, "generation": v.render.generation_id,
    "entries": [e.kind for e in v.render.hold_line.entries.all()], "sha256": v.render.asset.sha256,
    "recipe": v.render.asset.recipe,
} for v in rows.order_by("render_id")]))
"""


def remeasure(run: Run) -> None:
    """From the files alone: inside the lock the photo, outside it something new."""
    for row in run.rows():
        data = (run.out / row["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == row["sha256"]
        image = np.asarray(Image.open(run.out / row["file"]).convert("RGB")).astype(int)
        lock = np.asarray(Image.open(run.out / row["lock_mask"])) >= 128
        photo = Image.open(run.out / row["photo"]).convert("RGB")
        assert hashlib.sha256((run.out / row["photo"]).read_bytes()).hexdigest() == row["photo_sha256"]
        reference = place_again(photo, row["placement"], size=(image.shape[1], image.shape[0]))
        inside = deeply(lock) if row["placement"] != "keep" else lock
        assert inside.sum() > 500
        assert np.abs(image - reference)[inside].max() == 0
        assert (np.abs(image - reference).max(axis=2)[~lock] > 8).mean() > 0.5


def place_again(photo: Image.Image, placement: str, *, size: tuple[int, int]) -> np.ndarray:
    if placement == "keep":
        return np.asarray(photo).astype(int)
    x, y, width, height = (int(part) for part in placement.split(",")[:4])
    canvas = Image.new("RGB", size)
    canvas.paste(photo.resize((width, height), Image.Resampling.LANCZOS), (x, y))
    return np.asarray(canvas).astype(int)


def deeply(lock: np.ndarray, margin: int = 6) -> np.ndarray:
    """The lock without its rim, where scaling the photo mixes in what lies outside the product."""
    inner = lock.copy()
    for _ in range(margin):
        inner[1:-1, 1:-1] &= inner[:-2, 1:-1] & inner[2:, 1:-1] & inner[1:-1, :-2] & inner[1:-1, 2:]
    return inner


def test_a_brief_becomes_measured_and_settled_images_and_a_second_run_adds_nothing(studio: Studio, brief: Path) -> None:
    first = studio.campaign(brief)
    assert first.code == 0, first.errors
    rows = first.rows()
    assert len(rows) == 8
    assert {row["status"] for row in rows} == {"succeeded"}
    assert {row["lock_max_diff"] for row in rows} == {"0"}
    assert {row["credits_charged"] for row in rows} == {"1"}
    assert {row["axis_surface"] for row in rows} == {"marble", "sand"}
    assert (first.out / "contact-sheet.png").stat().st_size > 10_000
    remeasure(first)

    trace = json.loads(studio.shell(TRACE))
    assert [str(entry["render"]) for entry in trace] == sorted((row["render"] for row in rows), key=int)
    for entry in trace:
        assert entry["status"] == "succeeded"
        assert entry["fence"] == 1
        assert entry["finished"]
        assert entry["worker"] == "gpu"
        assert entry["entries"] == ["capture"]
        assert entry["captured"] == 1000
        assert entry["hold"] == "closed"
        assert entry["recipe"]["batch_size"] > 1
        assert len(entry["recipe"]["checkpoint_sha256"]) == 64
    # Images of one size share forward passes: fewer batches than images.
    assert len({entry["batch"] for entry in trace}) < len(trace)

    again = studio.campaign(brief)
    assert again.code == 0, again.errors
    assert again.rows() == rows
    assert json.loads(studio.shell(TRACE)) == trace
    studio.shell("from django.core.management import call_command; call_command('audit_ledger')")


def test_the_same_recipe_gives_the_same_bytes_in_another_installation(
    studio: Studio, brief: Path, tmp_path: Path
) -> None:
    other = Studio(tmp_path / "other")
    first, second = studio.campaign(brief), other.campaign(brief)
    hashes = {row["cell"]: row["sha256"] for row in first.rows()}
    assert len(set(hashes.values())) == 8
    assert {row["cell"]: row["sha256"] for row in second.rows()} == hashes


def test_plan_prints_cells_estimate_and_duration_and_writes_nothing(studio: Studio, brief: Path) -> None:
    run = studio.campaign(brief, "--plan")
    assert run.code == 0, run.errors
    assert "8 cells" in run.output
    assert "8 credits likely, 8 at most" in run.output
    assert "ETA" in run.output
    assert not run.out.exists()
    assert (
        studio.shell("from campaigns.models import *; print(Campaign.objects.count(), Photo.objects.count())") == "0 0"
    )


@pytest.mark.parametrize("victim", ["worker", "command"])
def test_a_kill_in_the_middle_loses_nothing_and_charges_nothing_twice(studio: Studio, brief: Path, victim: str) -> None:
    process = studio.start("run_campaign", str(brief), "--out", str(studio.folder / "out"))
    pid = _running_worker(studio)
    os.kill(pid if victim == "worker" else process.pid, signal.SIGKILL)
    process.communicate(timeout=300)
    if victim == "command":
        assert process.returncode == -signal.SIGKILL
        _wait_for_end(pid)
    run = studio.campaign(brief)
    assert run.code == 0, run.errors
    assert [row["status"] for row in run.rows()] == ["succeeded"] * 8
    assert sum(int(row["credits_charged"]) for row in run.rows()) == 8
    studio.shell("from django.core.management import call_command; call_command('audit_ledger')")


def _running_worker(studio: Studio) -> int:
    """The gpu worker's process id, once it has claimed a batch."""
    code = (
        "from inference.models import Render; "
        "print(*Render.objects.filter(status='running').values_list('batch__worker__pid', flat=True)[:1])"
    )
    for _ in range(60):
        if (studio.data / "studio.sqlite3").exists() and (found := _try(studio, code)):
            return int(found)
        time.sleep(0.3)
    raise AssertionError("no batch was claimed within a minute")


def _try(studio: Studio, code: str) -> str:
    process = studio.start("shell", "--verbosity", "0", "-c", code)
    output, _ = process.communicate(timeout=60)
    return output.strip() if process.returncode == 0 else ""


def _wait_for_end(pid: int) -> None:
    """The worker must end by itself when the command that started it was killed."""
    for _ in range(300):
        if not Path(f"/proc/{pid}").exists():
            return
        time.sleep(0.1)
    raise AssertionError(f"worker {pid} outlived its supervisor")


def test_a_folder_named_in_the_settings_takes_the_checkpoints_place_and_makes_new_images(
    studio: Studio, brief: Path, tmp_path: Path
) -> None:
    brief.write_text(brief.read_text().replace('surface = ["marble", "sand"]', 'surface = ["marble"]'))
    first = studio.campaign(brief, out="before")
    # In a process of its own: this one must not load torch.
    build = (
        "from pathlib import Path; from inference.engine import tiny; import sys; tiny.build_sdxl(Path(sys.argv[1]))"
    )
    folder = tmp_path / "sdxl"
    subprocess.run([sys.executable, "-c", build, str(folder)], cwd=ROOT, check=True)
    studio.environment["STUDIO_CHECKPOINTS"] = f"starter={folder}"
    second = studio.campaign(brief)
    assert (first.code, second.code) == (0, 0), second.errors
    remeasure(second)
    families = (
        "from gallery.models import *; print(*Asset.objects.order_by('pk').values_list('recipe__family', flat=True))"
    )
    assert studio.shell(families).split() == ["sd"] * 4 + ["sdxl"] * 4
    assert not {row["sha256"] for row in first.rows()} & {row["sha256"] for row in second.rows()}


def test_a_brief_without_photos_is_painted_from_the_text_alone(studio: Studio, tmp_path: Path) -> None:
    brief = tmp_path / "text.toml"
    brief.write_text(
        """version = 1
[campaign]
name = "Moods"
checkpoint = "starter"
images_per_cell = 2
seed = 1
seed_policy = "swept"
[prompt]
template = "{place}, soft light"
negative = ""
[axes]
place = ["forest", "beach"]
[[channels]]
name = "banner"
width = 400
height = 209
"""
    )
    run = studio.campaign(brief)
    assert run.code == 0, run.errors
    rows = run.rows()
    assert [(row["axis_place"], row["image"], row["photo"], row["lock_mask"]) for row in rows] == [
        ("forest", "1", "", ""), ("forest", "2", "", ""), ("beach", "1", "", ""), ("beach", "2", "", ""),
    ]  # fmt: skip
    assert len({row["sha256"] for row in rows}) == len({row["seed"] for row in rows}) == 4
    assert Image.open(run.out / rows[0]["file"]).size == (400, 209)
