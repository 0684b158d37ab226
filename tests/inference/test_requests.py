"""Requests: defaults, limits, one digest a request, and that naming them loads no neural library."""

import dataclasses
import json
import subprocess
import sys
from typing import Any

import pytest

from inference import catalog
from inference.engine.batching import BatchKey, batch_key
from inference.references import (
    ANCHORS,
    ControlReference,
    Frame,
    InitialImage,
    LookReference,
    LoraReference,
    Placement,
    ProductReference,
    RequestError,
)
from inference.requests import ImageRequest, image_request, model_size, retry_seed

STARTER = catalog.entry("starter")
PRODUCT = ProductReference(photo="1/a.png", lock_mask="1/b.png", placement=Placement(scale=0.6, anchor="bottom"))


def request(**asked: Any) -> ImageRequest:
    settings: Any = {"prompt": "a red cat", "seed": 1, "width": 1024, "height": 768, **asked}
    return image_request(STARTER, **settings)


def test_a_request_takes_the_defaults_of_its_entry():
    made = request()
    assert (made.num_inference_steps, made.guidance_scale, made.scheduler) == (12, 3.5, "DPM++ 2M")
    assert made.checkpoint == "starter"


def test_a_request_keeps_what_differs_from_the_defaults():
    made = request(num_inference_steps=20, guidance_scale=3, scheduler="Euler a")
    assert (made.num_inference_steps, made.guidance_scale, made.scheduler) == (20, 3.0, "Euler a")


def test_a_product_makes_the_request_an_inpainting_one():
    assert request().task == "text2img"
    assert request(product=PRODUCT).task == "inpaint"


@pytest.mark.parametrize("product", [None, PRODUCT, dataclasses.replace(PRODUCT, placement=None)])
def test_a_request_survives_json(product):
    made = request(product=product)
    assert ImageRequest.from_json(made.to_json()) == made


ABLE = dataclasses.replace(
    STARTER, capabilities=STARTER.capabilities | {"img2img", "upscale", "lora", "control", "ip_adapter", "clip_skip"}
)
EVERYTHING: Any = {
    "initial": InitialImage(image="1/c.png"),
    "clip_skip": 1,
    "loras": (LoraReference(file="1/d.safetensors", weight=0.5), LoraReference(file="1/e.safetensors", weight=1)),
    "control": ControlReference(kind="canny", image="1/f.png", end=0.5),
    "look": LookReference(image="1/g.png"),
}


def able(**asked: Any) -> ImageRequest:
    return image_request(ABLE, **{"prompt": "a red cat", "seed": 1, "width": 1024, "height": 768, **asked})


def test_a_request_with_everything_survives_json():
    made = able(**EVERYTHING)
    assert (made.loras[1].weight, made.task) == (1.0, "img2img")
    assert ImageRequest.from_json(json.loads(json.dumps(made.to_json()))) == made
    edited = able(product=dataclasses.replace(PRODUCT, placement=None, frame=Frame(x=1, y=2, width=3, height=4)))
    assert ImageRequest.from_json(json.loads(json.dumps(edited.to_json()))) == edited


def test_a_request_names_every_file_that_it_refers_to():
    made = able(**EVERYTHING)
    assert sorted(made.files) == ["1/c.png", "1/d.safetensors", "1/e.safetensors", "1/f.png", "1/g.png"]
    assert able(product=PRODUCT).files == ("1/a.png", "1/b.png")


@pytest.mark.parametrize("name", sorted(EVERYTHING))
def test_each_part_of_a_request_changes_its_digest_and_its_batch(name):
    with_it = able(**{name: EVERYTHING[name]})
    assert with_it.digest() != able().digest()
    assert batch_key(with_it, STARTER.sizes) != batch_key(able(), STARTER.sizes)


def test_what_says_nothing_is_not_written_so_that_stored_digests_stay():
    assert not {"initial", "clip_skip", "loras", "control", "look"} & request().to_json().keys()
    product = request(product=PRODUCT).to_json()["product"]
    assert isinstance(product, dict)
    assert "frame" not in product


def test_what_acts_with_weight_0_joins_the_batch_of_those_without():
    idle = able(
        loras=(LoraReference(file="1/d.safetensors", weight=0),),
        control=ControlReference(kind="lineart", image="1/f.png", scale=0),
        look=LookReference(image="1/g.png", scale=0),
    )
    assert batch_key(idle, STARTER.sizes) == batch_key(able(), STARTER.sizes)


def test_the_order_in_which_loras_are_named_does_not_part_a_batch():
    one, two = LoraReference(file="1/d", weight=0.5), LoraReference(file="1/e", weight=1)
    assert batch_key(able(loras=(one, two)), STARTER.sizes) == batch_key(able(loras=(two, one)), STARTER.sizes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"initial": InitialImage(image="1/c.png")}, "cannot begin from a picture"),
        ({"initial": InitialImage(image="1/c.png", use="upscale")}, "cannot make a picture larger"),
        ({"loras": (LoraReference(file="1/d"),)}, "cannot take LoRAs"),
        ({"control": ControlReference(kind="canny", image="1/f")}, "cannot follow the lines"),
        ({"look": LookReference(image="1/g")}, "cannot take up the look"),
        ({"clip_skip": 1}, "cannot skip layers"),
    ],
)
def test_what_a_model_cannot_do_is_refused_in_words(change, words):
    none = dataclasses.replace(STARTER, capabilities=frozenset({"text2img"}))
    with pytest.raises(RequestError, match=words):
        image_request(none, prompt="a cat", seed=1, width=256, height=256, **change)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: LoraReference(file="1/d", weight=2.5), "from -2 to 2"),
        (lambda: LoraReference(file="1/d", weight=float("nan")), "from -2 to 2"),
        (lambda: ControlReference(kind="smell", image="1/f"), "Choose one of: canny"),
        (lambda: ControlReference(kind="canny", image="1/f", start=0.5, end=0.5), "start before it ends"),
        (lambda: ControlReference(kind="canny", image="1/f", scale=3), "from 0 to 2"),
        (lambda: LookReference(image="1/g", scale=1.5), "from 0 to 1"),
        (lambda: Frame(x=-1, y=0, width=1, height=1), "outside of the picture"),
        (lambda: able(loras=(LoraReference(file="1/d"),) * 6), "Take at most 5"),
        (lambda: able(clip_skip=5), "from 0 to 4"),
        (lambda: able(scheduler="LCM", num_inference_steps=51), "LCM paints in at most 50 steps"),
    ],
)
def test_values_out_of_range_are_refused_in_words(make, words):
    with pytest.raises(RequestError, match=words):
        make()


def test_equal_requests_have_one_digest_and_any_change_another():
    made = request(product=PRODUCT, guidance_scale=5)
    assert made.digest() == request(product=PRODUCT, guidance_scale=5.0).digest()
    others = [
        request(product=PRODUCT, seed=2),
        request(product=PRODUCT, prompt="a red car"),
        request(product=dataclasses.replace(PRODUCT, placement=Placement(scale=0.61, anchor="bottom"))),
        request(product=None),
    ]
    assert len({made.digest(), *(other.digest() for other in others)}) == 5


def test_the_digest_is_the_same_in_every_process_and_version():
    """It stands in recipes and idempotency keys: a change of its form would make every stored one stale."""
    asked = request(product=PRODUCT, guidance_scale=5.0, scheduler="DPM++ 2M Karras")
    assert asked.digest() == "27a3651698c70009ff6b76f4ee9aa0a49346cdec15d904346b521d30b12b077a"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": True}, '"seed" is True; it must be a whole number'),
        ({"seed": "1"}, "\"seed\" is '1'; it must be a whole number"),
        ({"seed": 1.5}, '"seed" is 1.5; it must be a whole number'),
        ({"prompt": None}, '"prompt" is None; it must be a text'),
        ({"sampler": "Euler"}, 'no field "sampler"'),
        ({"product": {"photo": "a"}}, 'The product lacks its field "lock_mask"'),
        ({"product": {"photo": "a", "lock_mask": "b", "placement": {"scale": 1, "anchor": "middle"}}}, "no anchor"),
        ({"product": "a"}, "The product must be an object"),
    ],
)
def test_json_of_another_shape_is_refused(change, words):
    with pytest.raises(RequestError, match=words):
        ImageRequest.from_json({**request().to_json(), **change})


def test_json_without_a_required_field_is_refused():
    values = request().to_json()
    del values["seed"]
    with pytest.raises(RequestError, match='The request lacks its field "seed"'):
        ImageRequest.from_json(values)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"prompt": "  "}, "The prompt is empty"),
        ({"prompt": "x" * 2001}, "The prompt has 2001 characters. Shorten it to 2000"),
        ({"negative_prompt": "x" * 2001}, "The negative prompt has 2001 characters"),
        ({"seed": -1}, "The seed is -1"),
        ({"seed": 2**32}, "The seed is 4294967296"),
        ({"width": 63}, "The width is 63. Starter takes 64 to 8192"),
        ({"height": 9000}, "The height is 9000"),
        ({"num_inference_steps": 0}, "The number of steps is 0. Starter takes 1 to 60"),
        ({"num_inference_steps": 61}, "The number of steps is 61"),
        ({"guidance_scale": 0.5}, "The guidance scale is 0.5"),
        ({"guidance_scale": float("nan")}, "The guidance scale is nan"),
        ({"strength": 0.0}, "The strength is 0"),
        ({"strength": 1.01}, "The strength is 1.01"),
        ({"strength": 0.05}, "12 steps at strength 0.05 leave none"),
        ({"scheduler": "Heun"}, 'no scheduler "Heun"'),
        ({"sampler": "Euler"}, 'There is no setting "sampler". A request can set: num_inference_steps'),
    ],
)
def test_what_cannot_be_rendered_is_refused_with_what_to_change(asked, words):
    with pytest.raises(RequestError, match=words):
        request(**asked)


@pytest.mark.parametrize(
    ("capability", "asked", "words"),
    [
        ("inpaint", {"product": PRODUCT}, "Starter cannot paint around what is kept"),
        ("text2img", {}, "Starter cannot draw from a text alone"),
        ("negative_prompt", {"negative_prompt": "blurry"}, "Starter takes no negative prompt"),
        ("schedulers", {"scheduler": "Euler"}, 'Starter runs with "DPM\\+\\+ 2M" only'),
    ],
)
def test_what_a_model_cannot_do_is_refused(capability, asked, words):
    entry = dataclasses.replace(STARTER, capabilities=STARTER.capabilities - {capability})
    with pytest.raises(RequestError, match=words):
        image_request(entry, **{"prompt": "a", "seed": 1, "width": 512, "height": 512, **asked})


@pytest.mark.parametrize("anchor", ANCHORS)
def test_every_anchor_is_taken(anchor):
    assert Placement(scale=1, anchor=anchor).scale == 1.0


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf")])
def test_a_placement_without_size_is_refused(scale):
    with pytest.raises(RequestError, match="give a number above 0"):
        Placement(scale=scale, anchor="center")


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [(1000, 1000, (256, 256)), (1080, 1920, (192, 352)), (1200, 628, (352, 192)), (1080, 1350, (224, 288))],
)
def test_the_model_paints_at_its_size_of_the_nearest_aspect(width, height, size):
    assert model_size(STARTER, width=width, height=height) == size
    assert model_size(STARTER.sizes, width=width, height=height) == size


def test_what_shares_a_forward_pass_has_one_key_and_anything_else_another():
    key = batch_key(request(), STARTER.sizes)
    assert (
        batch_key(request(prompt="other", seed=9, negative_prompt="x", width=2048, height=1536), STARTER.sizes) == key
    )
    changes: list[dict[str, Any]] = [
        {"num_inference_steps": 13},
        {"guidance_scale": 5.5},
        {"scheduler": "Euler"},
        {"product": PRODUCT},
        {"width": 768},
        {"product": PRODUCT, "strength": 0.9},
    ]
    keys = {key, *(batch_key(request(**change), STARTER.sizes) for change in changes)}
    assert len(keys) == len({each.digest() for each in keys}) == 7


def test_strength_does_not_part_what_has_no_picture_to_keep():
    assert batch_key(request(strength=0.5), STARTER.sizes) == batch_key(request(), STARTER.sizes)


def test_strength_skips_the_first_steps():
    def steps(number: int, strength: float) -> int:
        return BatchKey(
            checkpoint="starter",
            task="inpaint",
            width=256,
            height=256,
            num_inference_steps=number,
            guidance_scale=5.0,
            strength=strength,
            scheduler="Euler",
        ).denoising_steps

    assert [steps(12, 1.0), steps(12, 0.5), steps(7, 0.5), steps(10, 0.05)] == [12, 6, 3, 0]


@pytest.mark.parametrize(
    "module",
    ["inference.requests", "inference.catalog", "inference.catalog.sources", "inference.engine.batching"],
)
def test_naming_a_request_loads_no_array_or_neural_library(module):
    _assert_not_loaded(module, "torch", "diffusers", "transformers", "numpy", "cv2", "django")


@pytest.mark.parametrize("module", ["inference.engine.interface", "inference.engine.fixed_rate"])
def test_the_engines_interface_and_the_fixed_rate_engine_load_no_torch(module):
    _assert_not_loaded(module, "torch", "diffusers", "transformers", "cv2", "django")


def _assert_not_loaded(module: str, *names: str) -> None:
    program = f"import sys, {module}; print([name for name in {names!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_retry_seeds_are_the_seed_itself_then_others_and_always_the_same() -> None:
    seeds = [retry_seed(7, attempt) for attempt in range(3)]
    assert seeds[0] == 7
    assert len(set(seeds)) == 3
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert seeds == [retry_seed(7, attempt) for attempt in range(3)]
    assert retry_seed(8, 1) != seeds[1]
