"""`python -m inference.engine`: describing a folder and rendering with it, without the studio."""

import numpy as np
import pytest
from PIL import Image

from inference.catalog.sources import fingerprint
from inference.engine.__main__ import main
from tests.inference.engine import lora_files, single_files


def test_describe_says_what_a_folder_is(sdxl, capsys):
    assert main(["describe", str(sdxl.folder)]) == 0
    told = capsys.readouterr().out
    assert "family       sdxl\n" in told
    assert "64 px" in told
    assert fingerprint(sdxl) in told


def test_render_writes_one_picture_that_its_seed_decides(sd, tmp_path):
    pixels = []
    for name, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        out = tmp_path / f"{name}.png"
        options = ["--prompt", "a cat", "--seed", seed, "--steps", "2", "--device", "cpu", "--out", str(out)]
        assert main(["render", str(sd.folder), *options]) == 0
        with Image.open(out) as picture:
            pixels.append(np.asarray(picture))
    assert pixels[0].shape == (64, 64, 3)
    assert np.array_equal(pixels[0], pixels[1])
    assert not np.array_equal(pixels[0], pixels[2])


def test_a_folder_that_is_no_checkpoint_is_answered_in_words(tmp_path, capsys):
    assert main(["describe", str(tmp_path)]) == 1
    assert "model_index.json is missing" in capsys.readouterr().err


def test_a_seed_out_of_range_is_refused(sd, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["render", str(sd.folder), "--prompt", "a", "--seed", "-1", "--out", str(tmp_path / "x.png")])
    assert "whole number from 0 to 4294967295" in capsys.readouterr().err


def test_a_single_file_is_described_with_the_folder_of_its_configs(sd, tmp_path, capsys):
    file = single_files.write(tmp_path / "one.safetensors", lora_files.pipeline_of(sd.folder))
    assert main(["describe", str(file)]) == 1
    assert "needs the configs and tokenizers" in capsys.readouterr().err
    assert main(["describe", str(file), "--config-folder", str(sd.folder)]) == 0
    assert "family       sd\n" in capsys.readouterr().out
