from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from inference.product_lock import LockError, certify, encode_master, finish, paint_frame, place, reference
from inference.product_lock.color import is_srgb
from inference.product_lock.pixels import distance_to
from inference.references import Placement
from tests.inference.product_lock_samples import pixels, png, product_lock, product_photo, scene

# Adobe RGB (1998): colorants adapted to D50, gamma 563/256.
COLORANTS = {
    b"rXYZ": (0.60974, 0.31111, 0.01947),
    b"gXYZ": (0.20528, 0.62567, 0.06087),
    b"bXYZ": (0.14919, 0.06322, 0.74457),
}
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _xyz(values: tuple[float, float, float]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def _gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256)) + b"\0\0"


def wide_profile() -> bytes:
    """A small matrix profile (ICC version 2.1) wider than sRGB, written by hand."""
    text = b"Wide\0"
    description = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + b"\0" * 78
    tags = {b"desc": description + b"\0" * (-len(description) % 4), b"wtpt": _xyz((0.9642, 1.0, 0.8249))}
    tags |= {name: _xyz(value) for name, value in COLORANTS.items()}
    tags |= {name: _gamma(563 / 256) for name in (b"rTRC", b"gTRC", b"bTRC")}
    table, body, offset = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += struct.pack(">4sII", name, offset + len(body), len(data))
        body += data
    header = struct.pack(">I4s", offset + len(body), b"none") + struct.pack(">I", 0x02100000) + b"mntrRGB XYZ "
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + b"\0" * 28
    header += struct.pack(">3i", *(round(value * 65536) for value in (0.9642, 1.0, 0.8249)))
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


WIDE = wide_profile()


def to_srgb(rgb: np.ndarray) -> np.ndarray:
    return np.asarray(
        ImageCms.profileToProfile(
            Image.fromarray(rgb),
            ImageCms.ImageCmsProfile(io.BytesIO(WIDE)),
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    )


def test_srgb_is_told_from_a_wider_space_by_its_colors() -> None:
    assert is_srgb(None)
    assert is_srgb(SRGB)
    assert not is_srgb(WIDE)


def test_a_kept_photo_keeps_its_pixels_and_its_profile_and_the_scene_is_converted_into_it() -> None:
    rgb, lock = product_photo(120, 120), product_lock(120, 120)
    photo, mask = png(rgb, icc_profile=WIDE), png(lock)
    placed = place(reference(photo, mask), placement=None, width=120, height=120)
    painted = np.clip(scene(120, 120).astype(int) + np.array([120, 30, 0]), 0, 255).astype(np.uint8)
    done = finish(placed, paint_frame(placed, size=(120, 120)), painted)
    master = encode_master(done, icc_profile=placed.icc_profile)
    assert Image.open(io.BytesIO(master)).info["icc_profile"] == WIDE
    assert np.array_equal(pixels(master)[lock], rgb[lock])
    certificate = certify(master, photo=photo, lock_mask=mask, box=None, width=120, height=120)
    assert certificate.lock_max_diff == 0
    beyond = distance_to(lock) > 3
    shown = to_srgb(pixels(master))[beyond].astype(int)
    assert np.abs(shown - painted[beyond]).max() <= 3
    assert np.abs(pixels(master)[beyond].astype(int) - painted[beyond]).max() > 10


def test_a_scaled_photo_is_converted_to_srgb_once_and_the_master_carries_no_other_profile() -> None:
    rgb, lock = product_photo(120, 120), np.ones((120, 120), np.bool_)
    photo, mask = png(rgb, icc_profile=WIDE), png(lock)
    placed = place(reference(photo, mask), placement=Placement(scale=1.0, anchor="center"), width=120, height=120)
    assert placed.icc_profile is None
    assert np.array_equal(placed.rgb, to_srgb(rgb))
    assert not np.array_equal(placed.rgb, rgb)
    master = encode_master(placed.rgb, icc_profile=None)
    certificate = certify(master, photo=photo, lock_mask=mask, box=placed.box, width=120, height=120)
    assert certificate.lock_max_diff == 0


def test_a_scaled_photo_with_an_srgb_profile_is_not_converted() -> None:
    rgb = product_photo(60, 60)
    photo, mask = png(rgb, icc_profile=SRGB), png(np.ones((60, 60), np.bool_))
    placed = place(reference(photo, mask), placement=Placement(scale=1.0, anchor="center"), width=60, height=60)
    assert np.array_equal(placed.rgb, rgb)


def test_the_model_sees_a_wide_photo_in_srgb() -> None:
    rgb = np.full((64, 64, 3), (200, 60, 60), np.uint8)
    lock = np.ones((64, 64), np.bool_)
    placed = place(reference(png(rgb, icc_profile=WIDE), png(lock)), placement=None, width=64, height=64)
    image = paint_frame(placed, size=(64, 64)).image
    assert np.abs(image.astype(int) - to_srgb(rgb)).max() <= 1


def test_a_kept_master_without_its_photos_profile_is_not_certified() -> None:
    rgb, lock = product_photo(60, 60), product_lock(60, 60)
    photo, mask = png(rgb, icc_profile=WIDE), png(lock)
    with pytest.raises(LockError, match="does not carry its photo's color profile"):
        certify(png(rgb), photo=photo, lock_mask=mask, box=None, width=60, height=60)


def test_a_broken_profile_is_refused_with_what_to_do() -> None:
    with pytest.raises(LockError, match="save the photo as sRGB"):
        reference(png(product_photo(20, 20), icc_profile=b"not a profile" * 20), png(product_lock(20, 20)))
