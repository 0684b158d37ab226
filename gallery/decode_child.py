"""Decodes uploaded images, one after another, in a process that may die of one: a file's bytes in, a plain PNG out.
Run as ``python -m gallery.decode_child``; knows Pillow, neither Django nor whose the file is.
"""

import ctypes
import dataclasses
import io
import json
import os
import resource
import signal
import sys
from dataclasses import dataclass
from typing import IO, Literal

from PIL import Image, ImageCms, ImageFile, ImageOps, PngImagePlugin, UnidentifiedImageError

Use = Literal["photo", "mask"]

FORMATS = ("JPEG", "PNG", "WEBP", "HEIF", "AVIF", "TIFF")
WANTED = "JPEG, PNG, WebP, HEIC, AVIF or TIFF"
# The first bytes of what people try although no photo comes in it.
FOREIGN = {b"GIF8": "a GIF", b"%PDF": "a PDF", b"8BPS": "a Photoshop file", b"BM": "a BMP", b"PK": "an archive"}
SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")
EIGHT_BIT = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")
# Printing profiles, the largest that photos carry, stay below 3 MB.
MAX_PROFILE_BYTES = 4_000_000
LOCK_THRESHOLD = 128
PR_SET_PDEATHSIG = 1


class RefusalError(ValueError):
    """The file cannot be taken; the words finish a sentence that begins with its name."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """One file to decode. Its bytes follow the order."""

    size_bytes: int
    target: str
    use: Use
    min_side_px: int
    max_pixels: int
    cpu_s: int
    wall_s: int


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of an order: a refusal, or facts about the PNG that now stands at the target.

    ``dark_box`` (left, top, right, bottom) holds all that is dark in a mask; empty where nothing is.
    """

    refusal: str = ""
    format: str = ""
    width: int = 0
    height: int = 0
    has_alpha: bool = False
    has_icc_profile: bool = False
    lock_pixels: int = 0
    dark_box: tuple[int, ...] = ()


def decode(data: bytes, order: Order) -> Answer:
    """Decode one file and write it as an 8-bit PNG without anything but pixels and their RGB profile.

    A photo becomes RGB, or straight RGBA where a pixel is not opaque; a mask one channel of 0 and 255.

    :raises RefusalError: it is not one still picture of an allowed format and size.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            name = "JPEG" if image.format == "MPO" else image.format or ""
            _check_header(image, order)
            image.load()
            upright = _upright(image)
    except UnidentifiedImageError:
        raise RefusalError(_foreign(data)) from None
    if order.use == "mask":
        return _save_mask(_lock(upright), order, name)
    return _save_photo(upright, order, name)


def _foreign(data: bytes) -> str:
    kind = next((words for start, words in FOREIGN.items() if data.startswith(start)), "not an image that can be read")
    return f"is {kind}. Save the picture as {WANTED}."


def _check_header(image: ImageFile.ImageFile, order: Order) -> None:
    """Everything that can be refused before memory for the pixels is taken."""
    width, height = image.size
    if width * height > order.max_pixels:
        raise RefusalError(
            f"is {width:,} × {height:,} pixels; at most {order.max_pixels / 1e6:g} megapixels are taken. Scale it down."
        )
    if min(width, height) < order.min_side_px:
        raise RefusalError(
            f"is {width} × {height} pixels, too small to work with. Give a picture of at least"
            f" {order.min_side_px} × {order.min_side_px}."
        )
    if image.mode not in (*EIGHT_BIT, *SIXTEEN_BIT):
        raise RefusalError(f"has pixels of an unusual kind ({image.mode}). Save it as RGB with 8 or 16 bits a channel.")
    # The second picture of an MPO is a camera's preview or gain map, never another frame.
    if image.format != "MPO" and _has_second_frame(image):
        raise RefusalError("is animated or has several pages. Save the one picture that is meant.")


def _has_second_frame(image: ImageFile.ImageFile) -> bool:
    if image.format != "TIFF":
        return int(getattr(image, "n_frames", 1)) > 1
    # Counting a TIFF's pages would walk through a hostile chain of them.
    try:
        image.seek(1)
    except EOFError:
        image.seek(0)
        return False
    return True


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        # Damaged EXIF says nothing about the pixels.
        return image


def _save_photo(image: Image.Image, order: Order, name: str) -> Answer:
    flat, profile = _flat(image)
    if flat.mode == "RGBA" and flat.getchannel("A").getextrema() == (255, 255):
        flat = flat.convert("RGB")
    _save(flat, order, profile)
    return Answer(
        format=name,
        width=flat.width,
        height=flat.height,
        has_alpha=flat.mode == "RGBA",
        has_icc_profile=profile is not None,
    )


def _save_mask(lock: Image.Image, order: Order, name: str) -> Answer:
    _save(lock, order, None)
    dark = lock.point([255 if level < LOCK_THRESHOLD else 0 for level in range(256)])
    return Answer(
        format=name,
        width=lock.width,
        height=lock.height,
        lock_pixels=lock.histogram()[255],
        dark_box=dark.getbbox() or (),
    )


def _save(image: Image.Image, order: Order, profile: bytes | None) -> None:
    # A fresh image: what the decoder noted about the old one must not find its way into the file.
    clean = Image.new(image.mode, image.size)
    clean.paste(image)
    # Level 6 takes several times as long for files that are a tenth smaller.
    clean.save(order.target, format="PNG", compress_level=1, icc_profile=profile)


def _lock(image: Image.Image) -> Image.Image:
    """The mask's light part: what is transparent is not light."""
    flat, _ = _flat(image)
    if flat.mode == "RGBA":
        flat = Image.composite(flat.convert("RGB"), Image.new("RGB", flat.size), flat.getchannel("A"))
    return flat.convert("L").point([255 if level >= LOCK_THRESHOLD else 0 for level in range(256)])


def _flat(image: Image.Image) -> tuple[Image.Image, bytes | None]:
    """The image as 8-bit RGB or straight RGBA, and the profile that belongs to these values."""
    profile, space = _profile(image)
    if image.mode in SIXTEEN_BIT:
        # Mode I holds whole numbers: half a step is added so that scaling rounds.
        image = image.convert("I").point(lambda level: level * (1 / 257) + 0.5).convert("L")
    if profile is not None and space != "RGB":
        return _to_srgb(image, profile), None
    rgb = image.convert("RGBA" if image.has_transparency_data else "RGB")
    return rgb, profile if image.mode != "CMYK" else None


def _profile(image: Image.Image) -> tuple[bytes | None, str]:
    """The embedded color profile and the kind of values it is for; none where it cannot be read."""
    data = image.info.get("icc_profile")
    if not data or len(data) > MAX_PROFILE_BYTES:
        return None, ""
    try:
        return data, ImageCms.ImageCmsProfile(io.BytesIO(data)).profile.xcolor_space.strip()
    except (OSError, ImageCms.PyCMSError):
        return None, ""


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert gray or CMYK pixels by their profile; by plain arithmetic where it is not one for such pixels."""
    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    colors = image.convert("L") if image.mode in ("1", "LA", "La") else image
    try:
        srgb = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(colors, io.BytesIO(profile), srgb, outputMode="RGB")
    except ImageCms.PyCMSError:
        converted = None
    rgb = converted if converted is not None else image.convert("RGB")
    if alpha is not None:
        rgb.putalpha(alpha)
    return rgb


def answer(data: bytes, order: Order) -> Answer:
    """Like `decode`, with whatever a hostile file can raise put into words."""
    try:
        return decode(data, order)
    except RefusalError as refusal:
        return Answer(refusal=str(refusal))
    except MemoryError:
        return Answer(refusal="needs too much memory to decode. Scale it down, or save it in another format.")
    except Exception:
        return Answer(refusal="is damaged and cannot be decoded. Save it again from its original.")


def serve(orders: IO[bytes], answers: IO[bytes]) -> None:
    """Answer orders until there are no more."""
    answers.write(b"ready\n")
    answers.flush()
    while line := orders.readline():
        order = Order(**json.loads(line))
        data = orders.read(order.size_bytes)
        if len(data) < order.size_bytes:
            return
        _limit_time(order)
        found = answer(data, order)
        signal.alarm(0)
        answers.write(json.dumps(dataclasses.asdict(found)).encode() + b"\n")
        answers.flush()


def _limit_time(order: Order) -> None:
    # The limit counts from the start of the process, which has served other files before.
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit_s = int(used.ru_utime + used.ru_stime) + 1 + order.cpu_s
    resource.setrlimit(resource.RLIMIT_CPU, (limit_s, resource.RLIM_INFINITY))
    # Unhandled on purpose: the signal ends the process even inside a C library.
    signal.alarm(order.wall_s)


def _die_with_parent(parent: int) -> None:
    """Ask Linux to kill this process with the thread that started it; elsewhere the closed pipe ends it."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    except (AttributeError, OSError, TypeError):
        return
    if os.getppid() != parent:
        sys.exit("the parent ended before the decoder started")


def _prepare_libraries(max_memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (max_memory_bytes, max_memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import pillow_heif
    from PIL import AvifImagePlugin

    pillow_heif.register_heif_opener(thumbnails=False)
    # Each thread of a decoder takes address space, which is limited here.
    pillow_heif.options.DECODE_THREADS = 1
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    # Our own check of the header is the stricter one, and has better words.
    Image.MAX_IMAGE_PIXELS = None
    PngImagePlugin.MAX_TEXT_CHUNK = MAX_PROFILE_BYTES


def main() -> None:
    """Serve the parent named on the command line: ``python -m gallery.decode_child PARENT_PID MAX_MEMORY_BYTES``."""
    parent, max_memory_bytes = (int(word) for word in sys.argv[1:])
    for number in (signal.SIGALRM, signal.SIGXCPU):
        signal.signal(number, signal.SIG_DFL)
    # Ctrl-C reaches the parent as well, which may want to finish what it is at.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent(parent)
    # Whatever a library prints must not stand between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _prepare_libraries(max_memory_bytes)
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
