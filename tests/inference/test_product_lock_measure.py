from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference.product_lock import (
    Certificate,
    LockError,
    PlacedBox,
    PlacedProduct,
    Reference,
    certify,
    encode_master,
    finish,
    judge,
    paint_frame,
    place,
    reference,
)
from inference.product_lock.pixels import distance_to
from inference.references import Placement
from tests.inference.product_lock_samples import png, product_lock, product_photo, scene

WIDTH, HEIGHT = 160, 120
PHOTO, MASK = png(product_photo(WIDTH, HEIGHT)), png(product_lock(WIDTH, HEIGHT))
STORY = Placement(scale=0.7, anchor="bottom")
DOCS = Path(__file__).parents[2] / "docs" / "product-lock.md"


def rendered(placement: Placement | None, width: int, height: int) -> tuple[PlacedProduct, np.ndarray]:
    placed = place(reference(PHOTO, MASK), placement=placement, width=width, height=height)
    return placed, finish(placed, paint_frame(placed, size=(64, 64)), scene(64, 64))


def measured(rgb: np.ndarray, box: PlacedBox | None = None) -> Certificate:
    height, width = rgb.shape[:2]
    return certify(
        encode_master(rgb, icc_profile=None), photo=PHOTO, lock_mask=MASK, box=box, width=width, height=height
    )


@pytest.mark.parametrize(("placement", "size"), [(None, (WIDTH, HEIGHT)), (STORY, (108, 192)), (STORY, (90, 60))])
def test_an_untouched_master_measures_zero(placement: Placement | None, size: tuple[int, int]) -> None:
    placed, rgb = rendered(placement, *size)
    certificate = measured(rgb, placed.box)
    assert (certificate.lock_max_diff, certificate.lock_mean_diff) == (0, 0.0)
    assert certificate.lock_pixels == int(placed.lock.sum()) > 500


@pytest.mark.parametrize(("placement", "size"), [(None, (WIDTH, HEIGHT)), (STORY, (108, 192))])
def test_one_level_in_one_channel_of_one_locked_pixel_is_measured(
    placement: Placement | None, size: tuple[int, int]
) -> None:
    placed, rgb = rendered(placement, *size)
    rows, columns = np.nonzero(placed.lock)
    # The first pixel in reading order lies on the lock's very edge.
    rgb[rows[0], columns[0], 1] ^= 1
    certificate = measured(rgb, placed.box)
    assert certificate.lock_max_diff == 1
    assert 0 < certificate.lock_mean_diff < 0.01


def test_a_change_outside_the_lock_is_none_of_its_business() -> None:
    placed, rgb = rendered(None, WIDTH, HEIGHT)
    rgb[~placed.lock] ^= 255
    assert measured(rgb).lock_max_diff == 0


def test_a_product_one_pixel_off_its_recorded_place_is_measured() -> None:
    placed, rgb = rendered(STORY, 108, 192)
    assert placed.box is not None
    moved = PlacedBox(x=placed.box.x + 1, y=placed.box.y, width=placed.box.width, height=placed.box.height)
    assert measured(rgb, moved).lock_max_diff > 20


def test_a_product_scaled_without_its_mask_is_measured() -> None:
    placed, rgb = rendered(STORY, 108, 192)
    plain = Reference(rgb=product_photo(WIDTH, HEIGHT), lock=np.ones((HEIGHT, WIDTH), np.bool_), icc_profile=None)
    assert placed.box is not None
    bled = place(
        plain, placement=Placement(scale=1.0, anchor="center"), width=placed.box.width, height=placed.box.height
    )
    canvas = np.zeros((192 + 400, 108 + 400, 3), np.uint8)
    top, left = placed.box.y + 200, placed.box.x + 200
    canvas[top : top + placed.box.height, left : left + placed.box.width] = bled.rgb
    rgb[placed.lock] = canvas[200:392, 200:308][placed.lock]
    assert measured(rgb, placed.box).lock_max_diff > 5
    interior = distance_to(~placed.lock) > 1 + 3 * max(1.0, placed.box.width / WIDTH) * 1.5
    assert interior.sum() > 300
    rgb[placed.lock & ~interior] = placed.rgb[placed.lock & ~interior]
    assert measured(rgb, placed.box).lock_max_diff == 0


def test_a_master_of_another_size_is_refused() -> None:
    with pytest.raises(LockError, match="master is 20 x 10 pixels, not 160 x 120"):
        certify(png(scene(20, 10)), photo=PHOTO, lock_mask=MASK, box=None, width=WIDTH, height=HEIGHT)


def test_a_broken_master_is_refused() -> None:
    with pytest.raises(LockError, match="cannot be read"):
        certify(PHOTO[:60], photo=PHOTO, lock_mask=MASK, box=None, width=WIDTH, height=HEIGHT)


def test_a_box_that_misses_the_canvas_is_refused() -> None:
    _, rgb = rendered(STORY, 108, 192)
    with pytest.raises(LockError, match="does not belong to this master"):
        measured(rgb, PlacedBox(x=5000, y=0, width=100, height=100))


def test_an_unknown_filter_is_refused() -> None:
    _, rgb = rendered(STORY, 108, 192)
    box: Any = PlacedBox(x=0, y=0, width=100, height=100, filter="nearest")  # type: ignore[arg-type]
    with pytest.raises(LockError, match='filter "nearest" is unknown'):
        measured(rgb, box)


def test_the_certificate_names_the_files_and_the_place_and_survives_json() -> None:
    placed, rgb = rendered(STORY, 108, 192)
    certificate = measured(rgb, placed.box)
    box = placed.box
    assert box is not None
    assert certificate.placement == f"{box.x},{box.y},{box.width},{box.height},lanczos"
    assert certificate.photo_sha256 == hashlib.sha256(PHOTO).hexdigest()
    assert certificate.lock_mask_sha256 == hashlib.sha256(MASK).hexdigest()
    assert certificate.master_sha256 == hashlib.sha256(encode_master(rgb, icc_profile=None)).hexdigest()
    assert Certificate.from_json(json.loads(json.dumps(certificate.to_json()))) == certificate
    with pytest.raises(LockError, match="fields"):
        Certificate.from_json({"lock_max_diff": 0})


def test_a_good_picture_is_not_judged() -> None:
    placed, rgb = rendered(None, WIDTH, HEIGHT)
    assert judge(rgb, placed, measured(rgb)) is None


def test_a_noise_texture_is_not_judged() -> None:
    placed = place(reference(PHOTO, MASK), placement=None, width=WIDTH, height=HEIGHT)
    noise = np.random.default_rng(5).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    rgb = finish(placed, paint_frame(placed, size=(64, 64)), noise)
    assert judge(rgb, placed, measured(rgb)) is None


def test_a_flat_picture_is_blank() -> None:
    placed = place(reference(PHOTO, MASK), placement=None, width=WIDTH, height=HEIGHT)
    rgb = finish(placed, paint_frame(placed, size=(64, 64)), np.zeros((64, 64, 3), np.uint8))
    assert judge(rgb, placed, measured(rgb)) == "blank"


def test_the_old_background_around_the_product_is_a_halo() -> None:
    placed, rgb = rendered(None, WIDTH, HEIGHT)
    away = distance_to(placed.lock)
    rim = (away > 0) & (away <= 3)
    rgb[rim] = product_photo(WIDTH, HEIGHT)[rim]
    certificate = measured(rgb)
    assert certificate.rim_contrast > 60
    assert judge(rgb, placed, certificate) == "halo"


def documented_script() -> Callable[..., int]:
    blocks = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(blocks[0], names)  # noqa: S102
    script: Callable[..., int] = names["largest_difference"]
    return script


@pytest.mark.parametrize(("placement", "size"), [(None, (WIDTH, HEIGHT)), (STORY, (108, 192)), (STORY, (400, 90))])
def test_an_outsider_measures_the_same_with_the_script_in_the_docs(
    tmp_path: Path, placement: Placement | None, size: tuple[int, int]
) -> None:
    placed, rgb = rendered(placement, *size)
    box = placed.box and (placed.box.x, placed.box.y, placed.box.width, placed.box.height)
    files = [tmp_path / name for name in ("photo.png", "mask.png", "master.png")]
    for file, data in zip(files, (PHOTO, MASK, encode_master(rgb, icc_profile=None)), strict=True):
        file.write_bytes(data)
    assert documented_script()(*files, box) == 0
    rows, columns = np.nonzero(placed.lock)
    rgb[rows[0], columns[0], 2] ^= 1
    files[2].write_bytes(encode_master(rgb, icc_profile=None))
    assert documented_script()(*files, box) == 1


def test_the_docs_name_every_number_of_the_certificate() -> None:
    text = DOCS.read_text(encoding="utf-8")
    _, rgb = rendered(None, WIDTH, HEIGHT)
    missing = [name for name in measured(rgb).to_json() if f"`{name}`" not in text]
    assert missing == []
