"""The vocabulary of the starter checkpoint: scenes as plain data, and the captions that name them.

Knows no pixels: `render` draws a `Scene`, `dataset` pairs the picture with `caption`.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

COLORS: dict[str, tuple[int, int, int]] = {
    "red": (206, 44, 48),
    "orange": (238, 126, 36),
    "yellow": (246, 202, 56),
    "green": (66, 148, 74),
    "teal": (22, 138, 140),
    "blue": (46, 104, 206),
    "navy": (26, 40, 88),
    "purple": (122, 70, 178),
    "pink": (242, 150, 178),
    "brown": (122, 78, 48),
    "beige": (226, 206, 176),
    "white": (246, 246, 244),
    "gray": (146, 150, 154),
    "black": (28, 28, 32),
}

COLOR_WORDS: dict[str, tuple[str, ...]] = {
    "gray": ("gray", "grey"),
    "teal": ("teal", "teal", "turquoise"),
    "navy": ("navy", "navy blue", "dark blue"),
    "beige": ("beige", "beige", "cream"),
    "purple": ("purple", "purple", "violet"),
    "green": ("green", "green", "green", "emerald green"),
    "yellow": ("yellow", "yellow", "golden yellow"),
}

# {c} and {d} stand for the first and second color's word.
BACKDROPS: dict[str, tuple[str, ...]] = {
    "plain": ("{c} background", "{c} background", "plain {c} background", "solid {c} backdrop", "{c} wall"),
    "gradient": ("{c} to {d} gradient background", "{c} and {d} gradient", "gradient background from {c} to {d}"),
    "studio": ("{c} studio backdrop", "{c} studio background", "{c} seamless studio sweep"),
    "sunset": ("sunset sky", "sunset sky", "sunset", "golden sunset", "orange sunset sky", "dusk sky"),
    "blue sky": ("blue sky", "blue sky", "clear blue sky", "blue sky with clouds", "sky with white clouds"),
    "night city": ("night city", "city at night", "night city skyline", "city lights at night", "night skyline"),
    "forest": ("forest", "forest background", "green forest", "among trees", "woods", "woodland"),
    "mountains": ("mountains", "mountain landscape", "mountains in the background", "mountain range"),
    "beach": ("beach", "beach background", "seaside", "sea view", "ocean background", "tropical beach"),
    "bokeh": ("bokeh", "bokeh background", "bokeh lights", "blurred lights", "{c} bokeh", "{c} bokeh lights"),
    "interior": ("interior", "living room", "cozy room", "home interior", "living room interior"),
    "kitchen": ("kitchen", "kitchen background", "modern kitchen", "kitchen interior"),
    "starry night": ("starry night", "starry night sky", "night sky with stars", "stars", "starry sky"),
    "desert": ("desert", "desert dunes", "desert landscape", "sand dunes"),
    "garden": ("garden", "flower garden", "garden background", "flowers in the background", "flower meadow"),
    "brick wall": ("brick wall", "red brick wall", "brick background", "brick wall background"),
    "leaf shadows": ("wall with leaf shadows", "{c} wall with palm shadows", "palm leaf shadows", "leaf shadows"),
    "neon": ("neon lights", "neon background", "neon glow", "neon lights background"),
}
COLORED_BACKDROPS = ("plain", "gradient", "studio", "bokeh", "leaf shadows")

# One phrase is put after "on"; an empty kind of surface is the backdrop running on under the product.
SURFACES: dict[str, tuple[str, ...]] = {
    "seamless": (),
    "wood": ("wooden table", "wooden table", "wood", "wooden surface", "oak table", "a wooden table", "wooden floor"),
    "dark wood": ("dark wood", "dark wooden table", "walnut table"),
    "marble": ("marble", "marble", "white marble", "marble table", "a marble countertop", "marble slab"),
    "black marble": ("black marble", "dark marble", "black marble table"),
    "sand": ("sand", "sand", "sandy ground", "the sand"),
    "snow": ("snow", "snow", "fresh snow", "snowy ground"),
    "grass": ("grass", "grass", "green grass", "a lawn"),
    "water": ("water", "water surface", "rippling water", "still water"),
    "concrete": ("concrete", "concrete surface", "gray concrete", "a concrete slab"),
    "fabric": ("fabric", "{s} fabric", "linen cloth", "{s} cloth", "silk", "draped fabric"),
    "podium": ("podium", "{s} podium", "a round podium", "a pedestal", "round pedestal"),
    "stone": ("stone", "stone slab", "rock", "a flat rock", "slate"),
    "glass": ("glass", "glass table", "mirror", "reflective surface", "glossy black surface"),
}
COLORED_SURFACES = ("fabric", "podium")

LIGHTS: dict[str, tuple[str, ...]] = {
    "": (),
    "soft": ("soft light", "soft light", "soft lighting", "diffused light"),
    "dramatic": ("dramatic light", "dramatic lighting", "moody light", "low key lighting"),
    "warm": ("warm light", "warm lighting", "golden hour", "golden light"),
    "cool": ("cool light", "cold light", "cool lighting", "cold blue light"),
    "rim": ("rim light", "rim lighting", "backlight", "backlit"),
    "bright": ("bright light", "bright lighting", "bright and airy", "daylight"),
    "spotlight": ("spotlight", "a spotlight", "spot lighting"),
    "window": ("window light", "light from a window", "natural window light"),
}

SEASONS: dict[str, tuple[str, ...]] = {
    "": (),
    "spring": ("spring", "in spring", "cherry blossoms", "spring blossoms"),
    "summer": ("summer", "in summer", "summer day", "sunny summer"),
    "autumn": ("autumn", "in autumn", "autumn leaves", "fall leaves"),
    "winter": ("winter", "in winter", "falling snow", "snowfall"),
    "christmas": ("christmas", "christmas lights", "festive christmas", "holiday season"),
}

PRODUCTS: dict[str, tuple[str, ...]] = {
    "": (),
    "bottle": ("bottle", "bottle", "glass bottle", "juice bottle", "water bottle"),
    "mug": ("mug", "mug", "coffee mug", "cup"),
    "box": ("box", "box", "cardboard box", "package"),
    "jar": ("jar", "jar", "cosmetic jar", "cream jar"),
    "shoe": ("shoe", "shoe", "sneaker"),
    "bag": ("bag", "bag", "shopping bag", "tote bag"),
    "can": ("can", "can", "soda can", "drink can"),
    "tube": ("tube", "tube", "cosmetic tube", "tube of cream"),
    "candle": ("candle", "candle", "scented candle"),
    "vase": ("vase", "vase", "ceramic vase"),
}

STYLES: dict[str, tuple[str, ...]] = {
    "Auto": (),
    "3D Anime": ("3D anime",),
    "3D Model": ("3D model", "3D model", "3D render"),
    "Japanese Anime": ("Japanese anime", "Japanese anime", "anime"),
    "Movie": ("movie", "movie", "cinematic", "movie still"),
    "Comic": ("comic", "comic", "comic book"),
    "Cyberpunk": ("cyberpunk",),
    "Fantasy": ("fantasy", "fantasy", "fantasy art"),
    "Oil Painting": ("oil painting",),
    "Colored Pencil": ("colored pencil", "colored pencil", "pencil drawing"),
    "Pixel Art": ("pixel art",),
    "Realistic": ("realistic", "realistic", "photo", "photorealistic"),
    "Watercolor": ("watercolor", "watercolor", "watercolor painting"),
}

FILLERS = (
    "product photo",
    "product photography",
    "professional",
    "high quality",
    "beautiful",
    "studio photography",
    "still life",
    "advertising",
    "detailed",
    "elegant",
    "minimalist",
    "4k",
)
DEFECTS: dict[str, tuple[str, ...]] = {
    "blur": ("blurry", "out of focus", "low quality", "blurry, low quality"),
    "noise": ("noisy", "grainy", "low quality", "bad quality"),
    "text": ("text", "watermark", "text, watermark", "letters"),
}
HELD_OUT_SHARE = 0.06


@dataclass(frozen=True)
class Scene:
    """What one picture shows; `seed` decides everything the words leave open. Sizes are pixels."""

    backdrop: str
    color: str
    second_color: str
    surface: str
    surface_color: str
    light: str
    season: str
    product: str
    product_color: str
    style: str
    defect: str
    width: int
    height: int
    seed: int


def is_held_out(*, backdrop: str, surface: str, product: str) -> bool:
    """Tell whether this whole combination is kept out of training, for measuring; the same on every machine."""
    digest = hashlib.sha256(f"{backdrop}|{surface}|{product}".encode()).digest()
    return bool(product) and surface != "seamless" and digest[0] / 256 < HELD_OUT_SHARE


def sample_scene(rng: np.random.Generator, *, width: int = 256, height: int = 256, held_out: bool = False) -> Scene:
    """Draw a scene whose combination is, or is not, among those held out. Sizes are pixels."""
    while True:
        scene = _draw(rng, width, height)
        if is_held_out(backdrop=scene.backdrop, surface=scene.surface, product=scene.product) == held_out:
            return scene


def _draw(rng: np.random.Generator, width: int, height: int) -> Scene:
    colors = list(COLORS)
    # The campaign's plain and sky backdrops are asked for most, so they are also shown most.
    backdrop = "plain" if rng.random() < 0.14 else _pick(rng, BACKDROPS)
    surface = "seamless" if rng.random() < 0.06 else _pick(rng, SURFACES)
    return Scene(
        backdrop=backdrop,
        color=_pick(rng, colors),
        second_color=_pick(rng, colors),
        surface=surface,
        surface_color=_pick(rng, colors),
        light=_pick(rng, LIGHTS) if rng.random() < 0.8 else "",
        season=_pick(rng, SEASONS) if rng.random() < 0.25 else "",
        product=_pick(rng, PRODUCTS) if rng.random() < 0.7 else "",
        product_color=_pick(rng, colors),
        style=_pick(rng, STYLES) if rng.random() < 0.6 else "Auto",
        defect=_pick(rng, DEFECTS) if rng.random() < 0.03 else "",
        width=width,
        height=height,
        seed=int(rng.integers(2**31)),
    )


def caption(scene: Scene, rng: np.random.Generator) -> str:
    """Put the scene in words: mostly the campaign's form "on S, B, L", also other orders and partial ones."""
    product = _product_words(scene, rng)
    surface = _surface_words(scene, rng)
    backdrop = _fill(rng, BACKDROPS[scene.backdrop], scene.color, scene.second_color)
    ending = _endings(scene, rng)
    form = rng.random()
    if form < 0.6:
        parts = [product if rng.random() < 0.6 else "", surface, backdrop, *ending]
        if parts[0] and surface and rng.random() < 0.7:
            parts[:2] = [f"{parts[0]} {surface}"]
    elif form < 0.8:
        parts = [backdrop, surface, product, *ending]
        rng.shuffle(parts)
    else:
        parts = [part for part in (product, surface, backdrop, *ending) if rng.random() < 0.6]
    style = _style_words(scene, rng)
    if style:
        parts = _with_style(parts, style, rng)
    if scene.defect:
        parts.append(_choice(rng, DEFECTS[scene.defect]))
    elif rng.random() < 0.12:
        parts.insert(int(rng.integers(len(parts) + 1)), _choice(rng, FILLERS))
    if rng.random() < 0.1:
        parts.insert(int(rng.integers(len(parts) + 1)), _unknown_word(rng))
    return ", ".join(part for part in parts if part)


def _unknown_word(rng: np.random.Generator) -> str:
    """Make up a word, so that the network learns to pass over what it does not know."""
    consonants, vowels = "bcdfghjklmnpqrstvwxyz", "aeiou"
    return "".join(
        consonants[int(rng.integers(21))] + vowels[int(rng.integers(5))] for _ in range(int(rng.integers(2, 5)))
    )


def _endings(scene: Scene, rng: np.random.Generator) -> list[str]:
    words = [_choice(rng, LIGHTS[scene.light]), _choice(rng, SEASONS[scene.season])]
    return [word for word in words if word and rng.random() < 0.92]


def _style_words(scene: Scene, rng: np.random.Generator) -> str:
    word = _choice(rng, STYLES[scene.style])
    return f"{word} style" if word and rng.random() < 0.5 else word


def _with_style(parts: list[str], style: str, rng: np.random.Generator) -> list[str]:
    return [style, *parts] if rng.random() < 0.5 else [*parts, style]


def _product_words(scene: Scene, rng: np.random.Generator) -> str:
    if not scene.product:
        return ""
    name = _choice(rng, PRODUCTS[scene.product])
    colored = f"{color_word(scene.product_color, rng)} {name}" if rng.random() < 0.75 else name
    return f"{'an' if colored[0] in 'aeiou' else 'a'} {colored}"


def _surface_words(scene: Scene, rng: np.random.Generator) -> str:
    words = _choice(rng, SURFACES[scene.surface])
    return f"on {words.format(s=color_word(scene.surface_color, rng))}" if words else ""


def _fill(rng: np.random.Generator, choices: tuple[str, ...], color: str, second: str) -> str:
    return _choice(rng, choices).format(c=color_word(color, rng), d=color_word(second, rng))


def color_word(color: str, rng: np.random.Generator) -> str:
    """Name a color by one of its words."""
    return _choice(rng, COLOR_WORDS.get(color, (color,)))


def _choice(rng: np.random.Generator, words: tuple[str, ...]) -> str:
    return words[int(rng.integers(len(words)))] if words else ""


def _pick(rng: np.random.Generator, names: dict[str, tuple[str, ...]] | list[str]) -> str:
    keys = list(names)
    return keys[int(rng.integers(len(keys)))]
