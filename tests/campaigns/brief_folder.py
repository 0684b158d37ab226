"""A folder with a small, good brief in it, for tests that change one thing and look at what is said."""

from pathlib import Path

BRIEF = """\
version = 1

[campaign]
name = "Spring shelf"
checkpoint = "starter"

[products]
csv = "products.csv"

[prompt]
template = "on {surface}, {light}"
negative = "text"

[axes]
surface = ["marble", "wooden table"]
light = ["soft light"]

[[channels]]
name = "original"
placement = "keep"

[[channels]]
name = "story"
width = 1080
height = 1920
placement = { scale = 0.7, anchor = "bottom" }

[review]
must_have = ["the product is whole"]
"""

PRODUCTS = """\
sku,title,photo,mask
CUP,"Cup, white",photos/cup.jpg,
MUG,Mug,photos/mug.png,masks/mug.png
"""


def write_brief(folder: Path, *, brief: str = BRIEF, products: str | bytes = PRODUCTS) -> Path:
    """Write brief, CSV and the files it names (their contents do not matter here); the brief's path."""
    for name in ("photos/cup.jpg", "photos/mug.png", "masks/mug.png"):
        file = folder / name
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_bytes(b"pixels")
    data = products.encode() if isinstance(products, str) else products
    (folder / "products.csv").write_bytes(data)
    path = folder / "brief.toml"
    path.write_bytes(brief.encode())
    return path


def changed(old: str, new: str) -> str:
    """The good brief with one text replaced, which has to be there."""
    assert old in BRIEF
    return BRIEF.replace(old, new)


TEXT_ONLY = """\
version = 1
[campaign]
name = "Words"
checkpoint = "starter"
[prompt]
template = "{season} morning"
[axes]
season = ["spring", "autumn"]
[[channels]]
name = "square"
width = 512
height = 512
"""
