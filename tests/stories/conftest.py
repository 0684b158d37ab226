"""A brief over two small products drawn here, and a way to run the real command with its real processes."""

import csv
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Run:
    """What a run of the command left behind."""

    code: int
    output: str
    errors: str
    out: Path

    def rows(self) -> list[dict[str, str]]:
        with (self.out / "manifest.csv").open(newline="") as file:
            return list(csv.DictReader(file))


class Studio:
    """One data folder, and the commands run over it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.environment = {
            **{
                key: value for key, value in os.environ.items() if key not in ("DATABASE_URL", "DJANGO_SETTINGS_MODULE")
            },
            "STUDIO_DATA": str(self.data),
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def campaign(self, brief: Path, *arguments: str, out: str = "out", timeout_s: float = 300) -> Run:
        folder = self.folder / out
        process = self.start("run_campaign", str(brief), "--out", str(folder), *arguments)
        output, errors = process.communicate(timeout=timeout_s)
        return Run(process.returncode, output, errors, folder)

    def shell(self, code: str) -> str:
        process = self.start("shell", "--verbosity", "0", "-c", code)
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        return output.strip()


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path)


def draw_bottle(size: int, color: str) -> tuple[Image.Image, Image.Image]:
    """A photo of a bottle on light grey, and its exact lock mask."""
    noise = np.random.default_rng(3).integers(0, 12, (size, size, 3))
    photo = Image.fromarray((228 + noise).astype(np.uint8))
    mask = Image.new("L", (size, size), 0)
    unit = size / 100
    for box in ((40, 12, 60, 35), (32, 32, 68, 88)):
        area = tuple(round(edge * unit) for edge in box)
        ImageDraw.Draw(photo).rounded_rectangle(area, 8 * unit, color)
        ImageDraw.Draw(mask).rounded_rectangle(area, 8 * unit, 255)
    ImageDraw.Draw(photo).rectangle((36 * unit, 50 * unit, 64 * unit, 70 * unit), "white")
    return photo, mask


@pytest.fixture
def brief(tmp_path: Path) -> Path:
    """2 products (one with a mask file, one without) × 2 channels × 2 scenes = 8 cells."""
    folder = tmp_path / "brief"
    folder.mkdir()
    photo, mask = draw_bottle(300, "#20508c")
    photo.save(folder / "blue.png")
    mask.save(folder / "blue-mask.png")
    draw_bottle(260, "#7c1f1f")[0].save(folder / "red.jpg", quality=95)
    (folder / "products.csv").write_text(
        "sku,title,photo,mask\nBLUE,Blue bottle,blue.png,blue-mask.png\nRED,Red bottle,red.jpg,\n"
    )
    path = folder / "brief.toml"
    path.write_text(BRIEF)
    return path


BRIEF = """version = 1

[campaign]
name = "Two bottles"
checkpoint = "starter"
images_per_cell = 1
seed = 7
seed_policy = "per_scene"
budget_credits = 100

[products]
csv = "products.csv"

[prompt]
template = "on {surface}, {backdrop}"
negative = "text"

[axes]
surface = ["marble", "sand"]
backdrop = ["sunset sky"]

[[channels]]
name = "original"
placement = "keep"

[[channels]]
name = "wide"
width = 480
height = 270
placement = { scale = 0.7, anchor = "bottom" }
"""
