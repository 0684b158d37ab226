"""The measures of what a checkpoint draws: each tells apart what it is there to tell apart."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionInpaintPipeline
from PIL import Image

from inference.starter import evaluate
from inference.starter.classifier import GRAY, HEADS, Classifier, hide_middle, hits, labels, train_classifier, words_in
from inference.starter.dataset import shards
from inference.starter.evaluate import Score, adherence, around_photos, draw, full_caption, held_out, nearest, table
from inference.starter.grammar import Scene, caption, is_held_out, sample_scene
from inference.starter.render import render
from tests.stories.conftest import draw_bottle


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("classifier") / "classifier.pt"


@pytest.fixture(scope="module")
def classifier(file: Path) -> Iterator[Classifier]:
    """Trained for seconds: it has seen two hundred pictures."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield train_classifier(file, pictures=192, epochs=12)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    rng = np.random.default_rng(3)
    return [sample_scene(rng) for _ in range(48)]


def test_the_classifier_finds_more_than_guessing_would_and_is_kept(classifier, file, scenes):
    found = dict(zip(HEADS, hits(classifier, [render(scene) for scene in scenes], scenes).mean(axis=0), strict=True))
    assert found["backdrop"] > 3 / len(HEADS["backdrop"])
    assert found["product"] > 1 / len(HEADS["product"])
    again = train_classifier(file, pictures=1, epochs=1)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in classifier.state_dict().items())


def test_a_color_counts_only_where_the_backdrop_shows_it(scenes):
    colors = {scene.backdrop: HEADS["color"][labels(scene)[2]] for scene in scenes}
    assert colors["plain"] in HEADS["color"][1:]
    assert colors["forest"] == ""


def test_hiding_the_middle_grays_a_box_in_some_pictures_and_changes_nothing_else():
    pictures = torch.rand(60, 3, 96, 96)
    hidden = hide_middle(pictures, np.random.default_rng(0))
    changed = (hidden != pictures).any(dim=1)
    assert 5 < changed.flatten(1).any(dim=1).sum() < 40
    assert torch.all(hidden.movedim(1, -1)[changed] == GRAY / 255)


def test_held_out_scenes_are_those_the_training_never_saw():
    assert all(is_held_out(backdrop=each.backdrop, surface=each.surface, product=each.product) for each in held_out(8))


def test_a_full_caption_says_more_than_most(scenes):
    rng = np.random.default_rng(1)
    for scene in scenes[:6]:
        assert full_caption(scene).count(",") >= np.mean([caption(scene, rng).count(",") for _ in range(20)])


def test_adherence_of_renders_to_themselves_is_the_classifiers_own_accuracy(classifier, scenes):
    scores = adherence(classifier, [render(scene) for scene in scenes], scenes)
    assert [score.head for score in scores] == list(HEADS)
    assert all(score.ratio == pytest.approx(1) for score in scores if score.rendered)
    unlike = adherence(classifier, [np.zeros((256, 256, 3), np.uint8)] * len(scenes), scenes)
    assert unlike[0].generated < max(score.rendered for score in scores)
    assert "| backdrop | 0.40 | 0.80 | 0.50 |" in table([Score("backdrop", 0.4, 0.8)])


def test_a_repeated_training_picture_is_nearer_than_fresh_ones(work):
    shown = [shard for shard in shards(work / "data") if "256x256" in shard.pictures.name]
    repeated = nearest(list(shown[0].load_pictures())[:3], work / "data")
    assert repeated["made median"] == 0
    assert repeated["fresh least"] > 1


def test_what_is_painted_around_a_photo_is_judged_without_the_product(classifier, checkpoint, tmp_path):
    photo, mask = draw_bottle(120, "#20508c")
    photo.save(tmp_path / "bottle.png")
    mask.save(tmp_path / "mask.png")
    rows = "sku,title,photo,mask\nA,Bottle,bottle.png,mask.png\nB,Snapshot,bottle.png,\n"
    (tmp_path / "products.csv").write_text(rows)
    painter = evaluate.load(checkpoint, StableDiffusionInpaintPipeline)
    share, made = around_photos(painter, classifier, tmp_path, each=2)
    assert share in (0, 0.5, 1)
    assert [picture.shape for picture in made] == [(256, 256, 3)] * 2


def test_drawing_is_decided_by_prompt_and_place_in_the_list(pipeline):
    first, second = (draw(pipeline, ["on marble", "on sand"], steps=2) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0], first[1])
    assert len(words_in(Classifier().eval(), first, head="style")) == 2
    assert Image.fromarray(first[0]).size == (256, 256)
