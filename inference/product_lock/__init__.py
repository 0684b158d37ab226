"""The product lock: the product's own pixels, untouched, in a scene that a checkpoint painted around them.
Knows photos, masks and painted pictures; knows neither checkpoints, torch and Django nor who is asking.
"""

from inference.product_lock.edit import cut, extend, paste
from inference.product_lock.judge import judge
from inference.product_lock.measure import Certificate, certify
from inference.product_lock.paint import PaintFrame, finish, lock_in, paint_frame
from inference.product_lock.place import PlacedBox, PlacedProduct, enlarge, place
from inference.product_lock.reference import LockError, Reference, reference
from inference.product_lock.store import encode_mask, encode_master

__all__ = [
    "Certificate",
    "LockError",
    "PaintFrame",
    "PlacedBox",
    "PlacedProduct",
    "Reference",
    "certify",
    "cut",
    "encode_mask",
    "encode_master",
    "enlarge",
    "extend",
    "finish",
    "judge",
    "lock_in",
    "paint_frame",
    "paste",
    "place",
    "reference",
]
