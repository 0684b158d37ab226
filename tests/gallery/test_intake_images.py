"""What becomes of an uploaded image: a plain PNG that looks as the original does, or a refusal in words."""

import hashlib
import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image

from gallery.decode_child import Answer
from gallery.decoder import Decoder, Limits
from tests.gallery.image_files import SIZE, SRGB, chunk, chunks, gray_profile, picture, pixel, png, saved

pillow_heif.register_heif_opener()
LIMITS = Limits(max_pixels=4_000_000, max_memory_bytes=2 * 1024**3, cpu_s=20)
BLACK_ROW = b"\0" * (64 * 3 + 1)


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(LIMITS) as decoder:
        yield decoder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out.png"


def normalized(decoder: Decoder, data: bytes, target: Path, *, use="photo") -> tuple[Answer, Image.Image]:
    """The answer and the PNG of a file that has to be taken; nothing but pixels and profile may be in it."""
    answer = decoder.decode(data, target=target, use=use)
    assert answer.refusal == ""
    found = target.read_bytes()
    assert set(chunks(found)) <= {b"IHDR", b"iCCP", b"IDAT", b"IEND"}
    image = Image.open(io.BytesIO(found))
    image.load()
    assert (answer.width, answer.height) == image.size
    assert answer.has_alpha == (image.mode == "RGBA")
    assert answer.has_icc_profile == ("icc_profile" in image.info)
    return answer, image


def refusal(decoder: Decoder, data: bytes, target: Path) -> str:
    answer = decoder.decode(data, target=target, use="photo")
    assert not target.exists()
    return answer.refusal


@pytest.mark.parametrize(
    ("kind", "options", "tolerance"),
    [
        ("JPEG", {"quality": 98, "subsampling": 0}, 8),
        ("JPEG", {"quality": 98, "subsampling": 0, "progressive": True}, 8),
        ("PNG", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("WEBP", {"quality": 99}, 24),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("AVIF", {"quality": 98, "subsampling": "4:4:4"}, 12),
        ("HEIF", {"quality": 98, "chroma": 444}, 12),
    ],
)
def test_every_format_that_we_promise_comes_out_as_it_looked(decoder, target, kind, options, tolerance) -> None:
    answer, image = normalized(decoder, saved(picture(), kind, **options), target)
    assert (answer.format, image.mode, image.size) == (kind, "RGB", SIZE)
    for point in ((4, 4), (40, 30), (90, 60)):
        wanted, got = pixel(picture(), point), pixel(image, point)
        assert max(abs(a - b) for a, b in zip(wanted, got, strict=True)) <= tolerance


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA"])
def test_png_pixels_of_every_kind_keep_their_colors(decoder, target, mode) -> None:
    original = picture(mode)
    _, image = normalized(decoder, saved(original, "PNG"), target)
    wanted = original.convert("RGBA" if original.mode in ("LA", "RGBA") else "RGB")
    assert image.mode == wanted.mode
    assert image.tobytes() == wanted.tobytes()


def test_straight_colors_under_transparent_pixels_are_kept(decoder, target) -> None:
    original = Image.new("RGBA", SIZE, (10, 200, 30, 0))
    original.putpixel((3, 3), (1, 2, 3, 4))
    _, image = normalized(decoder, saved(original, "PNG"), target)
    assert pixel(image, (0, 0)) == (10, 200, 30, 0)
    assert pixel(image, (3, 3)) == (1, 2, 3, 4)


def test_an_opaque_alpha_channel_is_dropped(decoder, target) -> None:
    original = picture()
    original.putalpha(255)
    answer, image = normalized(decoder, saved(original, "PNG"), target)
    assert (answer.has_alpha, image.mode) == (False, "RGB")


def test_a_palettes_transparent_color_becomes_alpha(decoder, target) -> None:
    original = picture().quantize(16)
    red = original.getpixel((4, 4))
    _, image = normalized(decoder, saved(original, "PNG", transparency=red), target)
    assert image.mode == "RGBA"
    assert pixel(image, (4, 4))[3] == 0
    assert pixel(image, (90, 60))[3] == 255


def test_the_transparent_color_of_an_rgb_png_becomes_alpha(decoder, target) -> None:
    _, image = normalized(decoder, saved(picture(), "PNG", transparency=(255, 0, 0)), target)
    assert pixel(image, (4, 4)) == (255, 0, 0, 0)
    assert pixel(image, (40, 30))[3] == 255


def test_sixteen_bits_of_gray_are_scaled_not_clipped(decoder, target) -> None:
    levels = [0, 128, 129, 257, 32768, 65534, 65535, 40000]
    row = b"\0" + struct.pack(">64H", *(levels * 8))
    _, image = normalized(decoder, png(64, 64, row * 64, depth=16), target)
    assert [pixel(image, (x, 5)) for x in range(8)] == [(v, v, v) for v in (round(n / 257) for n in levels)]


def test_sixteen_bits_of_color_and_of_alpha_are_scaled(decoder, target) -> None:
    row = b"\0" + struct.pack(">192H", *([65535, 32896, 0] * 64))
    _, image = normalized(decoder, png(64, 64, row * 64, depth=16, color=2), target)
    assert pixel(image, (9, 9)) == (255, 128, 0)
    row = b"\0" + struct.pack(">128H", *([65535, 32896] * 64))
    _, image = normalized(decoder, png(64, 64, row * 64, depth=16, color=4), target)
    assert pixel(image, (9, 9)) == (255, 255, 255, 128)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb(decoder, target, kind) -> None:
    options = {"quality": 98} if kind == "JPEG" else {}
    _, image = normalized(decoder, saved(picture("CMYK"), kind, **options), target)
    assert image.mode == "RGB"
    for point, wanted in (((4, 4), (255, 0, 0)), ((90, 60), pixel(picture(), (90, 60)))):
        assert max(abs(a - b) for a, b in zip(pixel(image, point), wanted, strict=True)) <= 12


def test_an_rgb_profile_is_kept_byte_for_byte_and_never_put_on_cmyk(decoder, target) -> None:
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"):
        _, image = normalized(decoder, saved(picture(), kind, icc_profile=SRGB), target)
        assert image.info["icc_profile"] == SRGB
    answer, _ = normalized(decoder, saved(picture("CMYK"), "JPEG", icc_profile=SRGB), target)
    assert not answer.has_icc_profile


def test_gray_values_are_converted_by_their_own_profile(decoder, target) -> None:
    flat = Image.new("L", SIZE, 55)
    answer, image = normalized(decoder, saved(flat, "PNG", icc_profile=gray_profile(1.0)), target)
    assert not answer.has_icc_profile
    # 55/255 of the light, in sRGB's encoding (IEC 61966-2-1).
    assert pixel(image, (5, 5)) == (128, 128, 128)
    flat.putalpha(picture("L"))
    _, image = normalized(decoder, saved(flat, "PNG", icc_profile=gray_profile(1.0)), target)
    assert pixel(image, (40, 30)) == (128, 128, 128, picture("L").getpixel((40, 30)))


@pytest.mark.parametrize("profile", [b"nonsense", gray_profile(2.2)[:200], b"\0" * 200])
def test_a_broken_profile_is_dropped(decoder, target, profile) -> None:
    answer, image = normalized(decoder, saved(picture(), "PNG", icc_profile=profile), target)
    assert not answer.has_icc_profile
    assert image.tobytes() == picture().tobytes()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_orientation_is_applied_and_position_and_comments_are_gone(decoder, target, kind) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "SECRET-COMMENT"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 30.0), 29: "SECRET-GPS"})
    data = saved(picture(), kind, exif=exif.tobytes())
    assert b"SECRET-COMMENT" in data
    assert kind == "TIFF" or b"SECRET-GPS" in data
    answer, image = normalized(decoder, data, target)
    assert (answer.width, answer.height) == (SIZE[1], SIZE[0])
    # A quarter turn clockwise takes the top left corner to the top right.
    red, green, blue = pixel(image, (SIZE[1] - 5, 4))
    assert red > 220
    assert max(green, blue) < 40
    assert b"SECRET" not in target.read_bytes()


def test_comments_in_every_place_are_gone(decoder, target) -> None:
    text = chunk(b"tEXt", b"Comment\0SECRET") + chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0SECRET")
    data = png(64, 64, BLACK_ROW * 64, color=2, extra=text + chunk(b"prVt", b"SECRET")) + b"SECRET after the end"
    normalized(decoder, data, target)
    assert b"SECRET" not in target.read_bytes()
    normalized(decoder, saved(picture(), "JPEG", comment=b"SECRET"), target)
    assert b"SECRET" not in target.read_bytes()


def test_damaged_exif_does_not_cost_the_picture(decoder, target) -> None:
    for damage in (
        b"Exif\0\0MM\0*\xff\xff\xff\xff",
        b"Exif\0\0junk",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01" * 40,
    ):
        _, image = normalized(decoder, saved(picture(), "JPEG", exif=damage), target)
        assert image.size == SIZE


def test_a_cameras_preview_is_no_second_page(decoder, target) -> None:
    data = saved(picture(), "MPO", save_all=True, append_images=[picture(size=(64, 64))])
    answer, image = normalized(decoder, data, target)
    assert (answer.format, image.size) == ("JPEG", SIZE)


def test_the_type_is_what_the_bytes_say(decoder, target) -> None:
    answer, _ = normalized(decoder, saved(picture(), "JPEG"), target)
    assert answer.format == "JPEG"


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF", "TIFF", "HEIF"])
def test_animations_and_pages_are_refused(decoder, target, kind) -> None:
    data = saved(picture(), kind, save_all=True, append_images=[picture().rotate(180)])
    assert refusal(decoder, data, target) == ("is animated or has several pages. Save the one picture that is meant.")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            saved(picture("P"), "GIF", save_all=True, append_images=[picture("P").rotate(90)]),
            "is a GIF. Save the picture as",
        ),
        (saved(picture(), "BMP"), "is a BMP. Save the picture as JPEG, PNG, WebP, HEIC, AVIF or TIFF."),
        (b"%PDF-1.7\n", "is a PDF. "),
        (b"PK\x03\x04", "is an archive. "),
        (b"This is not a picture at all.\n" * 50, "is not an image that can be read. "),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is not an image that can be read. "),
        (b"\xff\xd8\xff", "is not an image that can be read. "),
        (saved(picture(), "JPEG")[:500], "is damaged and cannot be decoded. Save it again from its original."),
        (saved(picture(), "JPEG")[:-300], "is damaged and cannot be decoded."),
        (saved(picture(), "PNG")[:-60], "is damaged and cannot be decoded."),
        (saved(picture(), "WEBP")[:-60], "is "),
        (saved(picture(), "AVIF")[:-60], "is "),
        (saved(picture(), "HEIF")[:-60], "is "),
        (saved(picture(), "TIFF")[:-600], "is damaged and cannot be decoded."),
        (
            saved(picture(size=(63, 500)), "PNG"),
            "is 63 × 500 pixels, too small to work with. Give a picture of at least 64 × 64.",
        ),
        (saved(Image.new("RGB", (1, 1)), "PNG"), "is 1 × 1 pixels, too small"),
        (saved(Image.new("L", (2001, 2000)), "PNG"), "is 2,001 × 2,000 pixels; at most 4 megapixels are taken."),
        (saved(Image.new("F", SIZE), "TIFF"), "has pixels of an unusual kind (F). Save it as RGB"),
        (png(60_000, 60_000, b"\0"), "is 60,000 × 60,000 pixels; at most 4 megapixels are taken. Scale it down."),
        (png(64, 64, BLACK_ROW * 64, color=2)[:33] + b"\0" * 40, "is "),
    ],
)
def test_what_is_not_one_whole_still_picture_is_refused_in_words(decoder, target, data, said) -> None:
    assert refusal(decoder, data, target).startswith(said)


@pytest.mark.parametrize(
    "bomb",
    [
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(200_000_000), 9)),
        chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(200_000_000), 9)),
        chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(bytes(200_000_000), 9)),
    ],
    ids=["zTXt", "iCCP", "iTXt"],
)
def test_a_small_block_that_unfolds_without_end_is_refused(decoder, target, bomb) -> None:
    data = png(64, 64, BLACK_ROW * 64, color=2, extra=bomb)
    assert len(data) < 300_000
    assert refusal(decoder, data, target) == "is damaged and cannot be decoded. Save it again from its original."


def test_more_pixel_data_than_the_header_says_is_not_unfolded(decoder, target) -> None:
    answer, image = normalized(decoder, png(64, 64, bytes(100_000_000), color=2), target)
    assert image.size == (64, 64)
    assert answer.format == "PNG"


def test_the_same_file_gives_the_same_bytes(decoder, target) -> None:
    hashes = set()
    for _ in range(2):
        normalized(decoder, saved(picture("RGBA"), "WEBP", lossless=True), target)
        hashes.add(hashlib.sha256(target.read_bytes()).hexdigest())
    assert len(hashes) == 1


# --- masks ---


def white_square(mode: str) -> Image.Image:
    mask = Image.new("L", SIZE, 0)
    mask.paste(255, (10, 10, 30, 30))
    mask.paste(127, (40, 10, 50, 20))
    mask.paste(128, (60, 10, 70, 20))
    return mask.convert(mode)


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "LA", "RGBA", "I;16"])
def test_a_mask_is_white_from_half_light_on_and_has_one_channel(decoder, target, mode) -> None:
    original = (
        white_square("L").convert("I").point(lambda level: level * 257).convert("I;16")
        if mode == "I;16"
        else white_square(mode)
    )
    answer, image = normalized(decoder, saved(original, "PNG"), target, use="mask")
    assert image.mode == "L"
    assert (
        image.get_flattened_data() == white_square("L").point(lambda level: 255 * (level >= 128)).get_flattened_data()
    )
    assert answer.lock_pixels == 20 * 20 + 10 * 10


def test_a_mask_is_black_where_it_is_transparent(decoder, target) -> None:
    mask = Image.new("RGBA", SIZE, (255, 255, 255, 0))
    mask.paste((255, 255, 255, 255), (10, 10, 30, 30))
    answer, _ = normalized(decoder, saved(mask, "PNG"), target, use="mask")
    assert answer.lock_pixels == 400


def test_a_small_mask_is_read_so_that_its_size_can_be_compared(decoder, target) -> None:
    answer, _ = normalized(decoder, saved(Image.new("1", (3, 2), 1), "PNG"), target, use="mask")
    assert (answer.width, answer.height, answer.lock_pixels) == (3, 2, 6)
