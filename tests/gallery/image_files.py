"""Image files as people and attackers send them, made in memory."""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

from PIL import Image, ImageCms

SIZE = (96, 64)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def picture(mode: str = "RGB", size: tuple[int, int] = SIZE) -> Image.Image:
    """A ramp from black to white along x with a red square of 16 pixels in the top left corner."""
    ramp = Image.linear_gradient("L").rotate(90).resize(size)
    rgb = Image.merge("RGB", (ramp, ramp, ramp))
    rgb.paste((255, 0, 0), (0, 0, 16, 16))
    if mode in ("RGBA", "LA"):
        rgb.putalpha(ramp)
    return rgb.convert(mode)


def saved(image: Image.Image, kind: str, **settings: Any) -> bytes:
    """The image as a file of this format."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **settings)
    return buffer.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    """One chunk of a PNG with its length and checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, rows: bytes, *, depth: int = 8, color: int = 0, extra: bytes = b"") -> bytes:
    """A PNG by hand; rows are the scan lines, each with its filter byte. Color 0 gray, 2 RGB, 4 gray + alpha."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def chunks(data: bytes) -> Iterator[bytes]:
    """The names of a PNG's chunks."""
    at = 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        yield data[at + 4 : at + 8]
        at += length + 12


def gray_profile(gamma: float) -> bytes:
    """A minimal ICC profile (version 2) for gray values with this gamma."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    white = b"XYZ " + bytes(4) + struct.pack(">iii", 63190, 65536, 54061)
    label = b"desc" + bytes(4) + struct.pack(">I", 5) + b"gray\0" + bytes(78)
    label += bytes(-len(label) % 4)
    notice = b"text" + bytes(4) + b"none\0" + bytes(3)
    tags = [(b"kTRC", curve), (b"wtpt", white), (b"desc", label), (b"cprt", notice)]
    table, body, at = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags:
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data
    size = at + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"none", 0x02400000, b"mntr", b"GRAY", b"XYZ ") + bytes(12) + b"acsp"
    header += bytes(28) + struct.pack(">iii", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def pixel(image: Image.Image, point: tuple[int, int]) -> tuple[int, ...]:
    """A pixel of an image with several channels."""
    value = image.getpixel(point)
    assert isinstance(value, tuple)
    return value
