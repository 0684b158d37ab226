"""Stored bytes of masters and lock masks: lossless PNG, quick to write.
Knows arrays and PNG; knows nothing of what they show.
"""

from __future__ import annotations

import cv2
import numpy as np

from inference.product_lock.pixels import Gray, Lock, Rgb

# Run-length matching on the average filter: a fifth of the CPU time of Pillow's default for files of the same size.
MASTER = (
    cv2.IMWRITE_PNG_COMPRESSION, 1,
    cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE,
    cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_AVG,
)  # fmt: skip


class EncodeError(RuntimeError):
    """OpenCV could not write a PNG."""


def encode_master(rgb: Rgb, *, icc_profile: bytes | None) -> bytes:
    """Lossless PNG of rgb uint8 (H, W, 3) with the profile embedded when there is one. Raises EncodeError."""
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    if icc_profile is None:
        done, data = cv2.imencode(".png", bgr, MASTER)
    else:
        profile = np.frombuffer(icc_profile, np.uint8)
        done, data = cv2.imencodeWithMetadata(".png", bgr, [cv2.IMAGE_METADATA_ICCP], [profile], MASTER)
    return _written(done, data)


def encode_mask(lock: Lock) -> bytes:
    """8-bit gray PNG of lock bool (H, W): 255 on the product, 0 elsewhere. Raises EncodeError."""
    done, data = cv2.imencode(".png", lock.astype(np.uint8) * 255, [cv2.IMWRITE_PNG_COMPRESSION, 4])
    return _written(done, data)


def _written(done: bool, data: Gray) -> bytes:
    if not done:
        raise EncodeError("OpenCV could not write the PNG; its size is beyond what PNG holds.")
    return data.tobytes()
