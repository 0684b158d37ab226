"""The pictures that show how a training goes."""

import json

import numpy as np
from PIL import Image

from inference.starter.progress import CURVE_SIZE, draw_curve, draw_samples
from tests.inference.starter.small import SMALL


def log_of(losses: list[float]) -> str:
    return "".join(json.dumps({"samples": 100 * n, "loss": loss}) + "\n" for n, loss in enumerate(losses, 1))


def test_a_falling_loss_is_a_falling_line(tmp_path):
    (tmp_path / "log.jsonl").write_text(log_of([1.0, 0.6, 0.3]))
    draw_curve(tmp_path / "log.jsonl", tmp_path / "curve.png", measure="loss")
    picture = np.asarray(Image.open(tmp_path / "curve.png").convert("L"))
    assert picture.shape == CURVE_SIZE[::-1]
    left, right = (np.nonzero(picture[60:420, column] < 200)[0].mean() for column in (400, 890))
    assert left < right


def test_one_line_of_a_log_is_no_curve_yet(tmp_path):
    (tmp_path / "log.jsonl").write_text(log_of([1.0]))
    draw_curve(tmp_path / "log.jsonl", tmp_path / "curve.png", measure="loss")
    assert not (tmp_path / "curve.png").exists()


def test_the_samples_of_a_slice_are_two_rows_of_four(work, tmp_path):
    draw_samples(work, SMALL, tmp_path / "samples.png", side=64)
    assert Image.open(tmp_path / "samples.png").size == (256, 128)
