"""docs/brief.md says what the reader of briefs does."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from campaigns.brief import BriefError, load
from campaigns.cells import expand
from campaigns.products_csv import COLUMNS
from inference.loras import KnownLora
from inference.references import ANCHORS

DOCS = (Path(__file__).parents[2] / "docs" / "brief.md").read_text()
EXAMPLE = DOCS.split("```toml\n")[1].split("```")[0]
LORAS = "\n" + DOCS.split("## LoRAs\n")[1].split("```toml\n")[1].split("```")[0]
CSV = "sku,title,photo,mask\nJUICE-APPLE,Juice,a.png,\nCOFFEE-CUP,Cup,a.png,\nOTHER,Other,a.png,\n"


KNOWN = [
    KnownLora(name=name, file=f"1/{name}", trigger_words="", fits=frozenset(("starter",)), is_archived=False)
    for name in ("Soft light", "Film grain")
]


def load_text(folder: Path, text: str, loras: Sequence[KnownLora] = ()):
    (folder / "a.png").write_bytes(b"x")
    (folder / "products.csv").write_text(CSV)
    (folder / "brief.toml").write_text(text)
    return load(folder / "brief.toml", loras=loras)


def known_keys(folder: Path) -> set[str]:
    """Every key that the reader knows, in its own words: what it lists when it is given keys that it does not know."""
    text = EXAMPLE.replace("version = 1", "version = 1\nbogus = 1").replace("scale = 0.7,", "scale = 0.7, bogus = 1,")
    text += LORAS
    for header in ("[campaign]", "[products]", "[prompt]", "[review]", '[[channels]]\nname = "story"', "[[loras]]"):
        text = text.replace(header, f"{header}\nbogus = 1", 1)
    with pytest.raises(BriefError) as caught:
        load_text(folder, text, KNOWN)
    keys = set()
    for problem in caught.value.problems:
        where = problem.split(": ")[1].removesuffix("bogus").replace("]] 2 ", "]] ").replace("]] 1 ", "]] ")
        keys |= {where + key for key in problem.split("Known here: ")[1].rstrip(".").split(", ")}
    return keys


def test_every_key_is_documented_and_every_documented_key_is_known(tmp_path: Path) -> None:
    tables = {"campaign", "products", "prompt", "axes", "channels", "loras", "review"}
    documented = set(re.findall(r"^\| `([^`]+)` \|", DOCS.split("## Keys")[1].split("## The CSV")[0], re.MULTILINE))
    assert documented == known_keys(tmp_path) - tables | {"[axes] NAME"}


def test_every_column_and_anchor_is_documented() -> None:
    columns = re.findall(r"^\| `(\w+)` \|", DOCS.split("## The CSV")[1], re.MULTILINE)
    assert tuple(columns) == COLUMNS
    (line,) = [line for line in DOCS.splitlines() if "placement.anchor" in line]
    assert tuple(re.findall(r"`([a-z-]+)`", line)) == ANCHORS


def test_the_example_makes_as_many_images_as_its_text_says(tmp_path: Path) -> None:
    cells = expand(load_text(tmp_path, EXAMPLE))
    assert len(cells) == 16
    assert "2 × 2 × 4 = 16" in DOCS


def test_the_example_of_loras_is_read_as_it_stands(tmp_path: Path) -> None:
    brief = load_text(tmp_path, EXAMPLE + LORAS, KNOWN)
    assert [(lora.name, lora.weight, lora.file) for lora in brief.loras] == [
        ("Soft light", 0.8, "1/Soft light"),
        ("Film grain", 1.0, "1/Film grain"),
    ]
