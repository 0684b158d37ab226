"""`python -m inference.engine`: describing, painting and measuring on a machine without the studio."""

import subprocess
import sys

import numpy as np
import pytest
from django.conf import settings
from PIL import Image

from inference.catalog.sources import fingerprint
from inference.engine.__main__ import main
from inference.engine.bench import quick
from inference.engine.bench.goal import Goal
from tests.inference.engine import lora_files, single_files

FAST = ("--prompt", "a cat", "--steps", "2", "--device", "cpu")


def pixels_of(path):
    with Image.open(path) as picture:
        return np.asarray(picture).copy()


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.png"


@pytest.fixture
def photo(tmp_path):
    """Wider than the model paints: its middle third is a red square of 64 px."""
    pixels = np.full((64, 192, 3), 90, dtype=np.uint8)
    pixels[:, 64:128] = (200, 40, 30)
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).save(path)
    return path


def test_describe_says_what_a_folder_is(sdxl, capsys):
    assert main(["describe", str(sdxl.folder)]) == 0
    told = capsys.readouterr().out
    assert "family       sdxl\n" in told
    assert "tasks        text2img img2img inpaint\n" in told
    assert "64 px" in told
    assert fingerprint(sdxl) in told


def test_describe_counts_parameters_and_the_memory_that_they_take(sd, capsys):
    pipeline = lora_files.pipeline_of(sd.folder)
    counts = {
        name: sum(values.numel() for values in getattr(pipeline, name).parameters())
        for name in ("unet", "vae", "text_encoder")
    }
    assert main(["describe", str(sd.folder)]) == 0
    told = capsys.readouterr().out
    assert f"unet {counts['unet'] / 1000:.3g} k" in told
    on_gpu = 2 * sum(counts.values()) + 2 * counts["vae"]
    assert f"{on_gpu / 2**20:.1f} MiB on a GPU, {4 * sum(counts.values()) / 2**20:.1f} MiB on a CPU" in told


def test_one_made_for_inpainting_says_so(sd_inpainting, capsys):
    assert main(["describe", str(sd_inpainting.folder)]) == 0
    told = capsys.readouterr().out
    assert "made for inpainting" in told
    assert "by painting over everything" in told


def test_a_single_file_is_described_with_the_folder_of_its_configs(sd, tmp_path, capsys):
    file = single_files.write(tmp_path / "one.safetensors", lora_files.pipeline_of(sd.folder))
    assert main(["describe", str(file)]) == 1
    assert "needs the configs and tokenizers" in capsys.readouterr().err
    assert main(["describe", str(file), "--config-folder", str(sd.folder)]) == 0
    of_file = capsys.readouterr().out
    assert main(["describe", str(sd.folder)]) == 0
    of_folder = capsys.readouterr().out
    assert "family       sd\n" in of_file
    assert [line for line in of_file.splitlines() if "parameters" in line] == [
        line for line in of_folder.splitlines() if "parameters" in line
    ]


def test_a_damaged_weight_file_is_named(sd, tmp_path, capsys):
    import shutil

    folder = shutil.copytree(sd.folder, tmp_path / "damaged")
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:20])
    assert main(["describe", str(folder)]) == 1
    assert f"{weights} is damaged" in capsys.readouterr().err


def test_a_folder_that_is_no_checkpoint_is_answered_in_words(tmp_path, capsys):
    assert main(["describe", str(tmp_path)]) == 1
    assert "model_index.json is missing" in capsys.readouterr().err


def test_it_runs_without_database_broker_and_django(sd, out):
    code = (
        "import sys\n"
        "from inference.engine.__main__ import main\n"
        f"status = main(['render', {str(sd.folder)!r}, *{FAST!r}, '--out', {str(out)!r}])\n"
        "assert not {'django', 'celery', 'kombu'} & set(sys.modules)\n"
        "sys.exit(status)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=settings.BASE_DIR, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert pixels_of(out).shape == (64, 64, 3)


def test_the_seed_decides_the_picture(sd, tmp_path):
    pictures = []
    for name, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        out = tmp_path / f"{name}.png"
        assert main(["render", str(sd.folder), *FAST, "--seed", seed, "--out", str(out)]) == 0
        pictures.append(pixels_of(out))
    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


def test_what_a_mask_keeps_has_the_pictures_own_pixels(sd, photo, out, tmp_path):
    mask = np.zeros((64, 192), dtype=np.uint8)
    mask[:, 96:] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    options = ["--image", str(photo), "--mask", str(tmp_path / "mask.png"), "--width", "64", "--height", "64"]
    assert main(["render", str(sd.folder), *FAST, *options, "--out", str(out)]) == 0
    painted = pixels_of(out)
    # The middle of the photo, its left half kept.
    assert np.array_equal(painted[:, :32], np.broadcast_to((200, 40, 30), (64, 32, 3)))
    assert not np.array_equal(painted[:, 32:], np.broadcast_to((200, 40, 30), (64, 32, 3)))


def test_a_picture_is_painted_over_as_far_as_the_strength_says(sd, photo, tmp_path):
    far = {}
    for strength in ("0.2", "1"):
        out = tmp_path / f"{strength}.png"
        options = ["--image", str(photo), "--steps", "5", "--strength", strength]
        assert main(["render", str(sd.folder), *FAST, *options, "--out", str(out)]) == 0
        far[strength] = pixels_of(out)
    # The photo's own shape: three times as wide as high, and the model's nearest to it.
    assert far["1"].shape[1] > far["1"].shape[0]
    assert not np.array_equal(far["0.2"], far["1"])


def test_a_lora_acts_at_its_weight(sd, tmp_path):
    lora = lora_files.kohya(tmp_path / "one.safetensors", lora_files.pipeline_of(sd.folder))
    pictures = {}
    for weight in ("none", "0", "0.5", "1"):
        out = tmp_path / f"{weight}.png"
        options = [] if weight == "none" else ["--lora", f"{lora}={weight}"]
        assert main(["render", str(sd.folder), *FAST, *options, "--out", str(out)]) == 0
        pictures[weight] = pixels_of(out).tobytes()
    assert pictures["none"] == pictures["0"]
    assert len(set(pictures.values())) == 3


REFUSED = [
    (["--out", "{folder}/out.jpg"], "would be no PNG"),
    (["--out", "{folder}/none/out.png"], "its folder is not there"),
    (["--lora", "{folder}/none.safetensors=0.5"], "There is no LoRA file"),
    (["--image", "{folder}/none.png"], "cannot be read as a picture"),
    (["--mask", "{photo}"], "Give the picture, too"),
    (["--image", "{photo}", "--mask", "{other}"], "Make them the same size"),
    (["--image", "{photo}", "--strength", "0.1"], "leave no step to paint in"),
    (["--scheduler", "LCM", "--steps", "80"], "LCM paints in at most 50 steps"),
    (["--device", "cuda"], "There is no GPU"),
    (["--device", "toaster"], "device"),
    (["--threads", "3"], "give 1 or 2"),
]


@pytest.mark.parametrize(("options", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_what_cannot_be_painted_is_refused_in_words_and_nothing_is_written(sd, photo, tmp_path, capsys, options, words):
    import torch

    if "cuda" in options and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    Image.new("L", (10, 10)).save(tmp_path / "other.png")
    before = sorted(tmp_path.rglob("*"))
    filled = [each.format(folder=tmp_path, photo=photo, other=tmp_path / "other.png") for each in options]
    out = [] if "--out" in filled else ["--out", str(tmp_path / "out.png")]
    assert main(["render", str(sd.folder), "--prompt", "a", "--steps", "2", *filled, *out]) == 1
    told = capsys.readouterr().err.strip().split("\n")[-1]
    assert words in told
    assert "Traceback" not in told
    assert sorted(tmp_path.rglob("*")) == before


def test_flux_has_no_negative_prompt_and_one_scheduler(flux, out, capsys):
    for option in (["--negative-prompt", "blurry"], ["--scheduler", "DDIM"]):
        assert main(["render", str(flux.folder), *FAST, *option, "--out", str(out)]) == 1
        assert "FLUX.1" in capsys.readouterr().err
    assert not out.exists()


def test_a_broken_lora_leaves_an_older_picture_as_it_was(sd, tmp_path, out, capsys):
    out.write_bytes(b"an older picture")
    lora = tmp_path / "broken.safetensors"
    lora.write_bytes(b"nothing")
    assert main(["render", str(sd.folder), *FAST, "--lora", str(lora), "--out", str(out)]) == 1
    assert "broken.safetensors cannot be read" in capsys.readouterr().err
    assert out.read_bytes() == b"an older picture"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.safetensors", "out.png"]


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--seed", "-1"], "whole number from 0 to 4294967295"),
        (["--seed", "1.5"], "whole number from 0 to 4294967295"),
        (["--steps", "0"], "whole number from 1 to 1000"),
        (["--guidance-scale", "nan"], "a number from 0 to 100"),
        (["--strength", "0"], "above 0 and up to 1"),
        (["--lora", "one.safetensors=3"], "a weight from -2 to 2"),
    ],
)
def test_numbers_out_of_range_are_refused(sd, out, capsys, option, words):
    with pytest.raises(SystemExit):
        main(["render", str(sd.folder), "--prompt", "a", *option, "--out", str(out)])
    assert words in capsys.readouterr().err


def test_bench_prints_a_line_a_goal_and_ends_with_0_only_when_all_are_reached(monkeypatch, capsys):
    reached = Goal("one", "≥ 2", "2.5", is_reached=True)
    missed = Goal("other", "≥ 2", "1.5", is_reached=False)
    monkeypatch.setattr(quick, "QUICK", {"one": lambda folder: [reached]})
    assert main(["bench", "--quick"]) == 0
    assert capsys.readouterr().out == "one · ≥ 2 · 2.5 · reached\n1 of 1 goals reached\n"
    monkeypatch.setattr(quick, "QUICK", {"one": lambda folder: [reached], "other": lambda folder: [missed]})
    assert main(["bench", "--quick"]) == 1
    assert "other · ≥ 2 · 1.5 · NOT reached\n1 of 2 goals reached\n" in capsys.readouterr().out


def test_render_makes_a_picture_larger_in_tiles(sd, photo, out, capsys):
    larger = ("--image", str(photo), "--upscale", "2", "--steps", "7", "--out", str(out))
    assert main(["render", str(sd.folder), "--prompt", "a cat", "--device", "cpu", *larger]) == 0
    pixels = pixels_of(out)
    assert pixels.shape == (128, 384, 3)
    # The red square is where it was, and as red: tiles keep the colors of large shapes.
    assert np.abs(pixels[32:96, 160:224].mean(axis=(0, 1)) - (200, 40, 30)).max() < 8
    assert "384x128" in capsys.readouterr().out
    first = out.read_bytes()
    assert main(["render", str(sd.folder), "--prompt", "a cat", "--device", "cpu", *larger]) == 0
    assert out.read_bytes() == first


@pytest.mark.parametrize(
    ("options", "said"),
    [(("--width", "64"), "as a whole"), ((), "Only a picture can be made larger")],
    ids=["width", "no picture"],
)
def test_what_cannot_be_made_larger_is_said_and_nothing_is_written(sd, photo, out, capsys, options, said):
    image = ("--image", str(photo)) if options else ()
    assert main(["render", str(sd.folder), *FAST, *image, "--upscale", "2", *options, "--out", str(out)]) == 1
    assert said in capsys.readouterr().err
    assert not out.exists()
