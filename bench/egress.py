"""Which lossless encoder masters should have: CPU time a megapixel and size, over pictures that look like real ones.

    python bench/egress.py [--pictures FOLDER] [--side 1024]

Pillow's and OpenCV's PNG are always there; PNG over isal's or zlib-ng's deflate, fpng and JPEG XL (imagecodecs) join
in where their wheels are installed. Every file is decoded again and compared. The last line has the whole way of a
finished picture, master, thumbnail and hash, against Pillow's defaults; exit code 0 only if it takes 2.5 times less
CPU time.
"""

import argparse
import importlib
import io
import struct
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Encode = Callable[[Pixels], bytes]

PHOTOS = ROOT / "campaigns" / "demo" / "photos"
SYNTHETIC = 4
UP = 2  # PNG's filter of what is above (PNG specification, section 9.2)


def main() -> int:
    from inference.engine.bench import egress

    options = parse()
    pictures = [*photos(options.pictures, options.side), *(egress.picture(n, options.side) for n in range(SYNTHETIC))]
    plain = 0.0
    for name, encode, decode in candidates():
        ms, size = measured(encode, decode, pictures)
        plain = plain or ms
        print(f"{name:24} {ms:6.1f} ms of CPU a megapixel · {size:.2f} bytes a pixel · {plain / ms:5.1f} × Pillow's")
    [goal] = egress.goals(pictures)
    print(f"{len(pictures)} pictures of {options.side} px · {goal}")
    return 0 if goal.is_reached else 1


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, default=PHOTOS, help="photos whose middles are taken beside made ones")
    parser.add_argument("--side", type=int, default=1024, help="of each square, in pixels")
    return parser.parse_args()


def photos(folder: Path, side: int) -> "Iterator[Pixels]":
    """The middle of every photo that is large enough."""
    for path in sorted(folder.iterdir()):
        with Image.open(path) as image:
            if min(image.size) >= side // 2:
                middle = image.convert("RGB")
                cut = min(middle.size)
                left, top = (middle.width - cut) // 2, (middle.height - cut) // 2
                box = (left, top, left + cut, top + cut)
                yield np.asarray(middle.resize((side, side), Image.Resampling.LANCZOS, box=box)).copy()


def candidates() -> "Iterator[tuple[str, Encode, Callable[[bytes], Pixels]]]":
    """Name, encoder and decoder of each; Pillow's default first, then the one in use."""
    from inference.product_lock import encode_master

    yield "Pillow's default", partial(by_pillow, options={}), by_png
    yield "in use (OpenCV)", partial(encode_master, icc_profile=None), by_png
    yield "Pillow, level 1", partial(by_pillow, options={"compress_level": 1}), by_png
    yield "OpenCV's default", by_opencv, by_png
    for module, name, levels in (("isal.isal_zlib", "isal", (0, 1, 2)), ("zlib_ng.zlib_ng", "zlib-ng", (1, 2))):
        if deflate := installed(module):
            for level in levels:
                yield f"{name}, level {level}", partial(by_deflate, deflate=deflate, level=level), by_png
    if fpng := installed("fpng"):
        yield "fpng", lambda pixels: bytes(fpng.from_ndarray(pixels)), by_png
    if codecs := installed("imagecodecs"):
        encode = partial(codecs.jpegxl_encode, lossless=True, effort=1, numthreads=1)
        yield "JPEG XL, effort 1", lambda pixels: bytes(encode(pixels)), codecs.jpegxl_decode


def installed(module: str) -> Any:
    """A module, None where it is not there."""
    try:
        return importlib.import_module(module)
    except ImportError:
        print(f"{module.partition('.')[0]} is not installed: left out", file=sys.stderr)
        return None


def measured(encode: "Encode", decode: "Callable[[bytes], Pixels]", pictures: "list[Pixels]") -> tuple[float, float]:
    """Milliseconds of CPU time a megapixel, and bytes a pixel; fails where a pixel does not come back."""
    encode(pictures[0])
    spent = 0.0
    size = 0
    for pixels in pictures:
        started = time.process_time()
        data = encode(pixels)
        spent += time.process_time() - started
        size += len(data)
        assert np.array_equal(decode(data), pixels), "it is not lossless"
    count = sum(pixels.shape[0] * pixels.shape[1] for pixels in pictures)
    return spent * 1000 / (count / 1e6), size / count


def by_pillow(pixels: "Pixels", options: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", **options)
    return stream.getvalue()


def by_opencv(pixels: "Pixels") -> bytes:
    import cv2

    return cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes()


def by_deflate(pixels: "Pixels", *, deflate: Any, level: int) -> bytes:
    """A PNG whose rows hold the difference to the row above, compressed by another deflate than zlib's."""
    height, width, _ = pixels.shape
    rows = pixels.reshape(height, width * 3)
    filtered = np.empty((height, 1 + width * 3), np.uint8)
    filtered[:, 0] = UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", deflate.compress(filtered, level)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(deflate, kind, data) for kind, data in chunks)


def chunk(deflate: Any, kind: bytes, data: bytes) -> bytes:
    check = deflate.crc32(data, deflate.crc32(kind))
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def by_png(data: bytes) -> "Pixels":
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


if __name__ == "__main__":
    sys.exit(main())
