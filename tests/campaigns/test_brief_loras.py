"""LoRAs in a brief: found by name, told in words what is wrong, and in every image that is asked for."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from campaigns import brief as briefs
from campaigns import cells, launch, planning
from campaigns.brief import Brief
from campaigns.brief_products import KnownProducts
from campaigns.models import Campaign, CellRender
from inference import catalog
from inference.loras import KnownLora
from inference.models import Render
from studio.models import Workspace
from tests.conftest import NOW

BRIEF = """
version = 1

[campaign]
name = "Looks"
checkpoint = "starter"

[prompt]
template = "a vase, {light}"

[axes]
light = ["morning", "evening"]

[[channels]]
name = "square"
width = 256
height = 256
"""
SOFT = KnownLora(
    name="Soft light", file="1/soft.safetensors", trigger_words="glow", fits=frozenset(("starter",)), is_archived=False
)
GRAIN = replace(SOFT, name="Film grain", file="1/grain.safetensors", trigger_words="")


def lora(name: str, weight: object = None) -> str:
    return f'\n[[loras]]\nname = "{name}"\n' + ("" if weight is None else f"weight = {weight}\n")


def problems(*loras: str, known: Sequence[KnownLora] = (SOFT, GRAIN), text: str = BRIEF) -> list[str]:
    reading = briefs.read(text + "".join(loras), file="brief.toml", source=KnownProducts(()), loras=known)
    return [str(problem) for problem in reading.problems]


def read(*loras: str, known: Sequence[KnownLora] = (SOFT, GRAIN)) -> Brief:
    text = BRIEF + "".join(loras)
    return briefs.checked(briefs.read(text, file="brief.toml", source=KnownProducts(()), loras=known))


def test_loras_are_found_by_name_whatever_its_capitals():
    brief = read(lora("soft LIGHT", 0.5), lora("Film grain"))
    assert [(each.file, each.weight) for each in brief.loras] == [(SOFT.file, 0.5), (GRAIN.file, 1.0)]


def test_their_words_stand_in_front_of_every_prompt():
    assert {cell.prompt for cell in cells.expand(read(lora("Soft light")))} == {
        "glow, a vase, morning",
        "glow, a vase, evening",
    }
    assert cells.expand(read(lora("Soft light", 0)))[0].prompt == "a vase, morning"


@pytest.mark.parametrize(
    ("loras", "known", "sentence"),
    [
        (
            [lora("Soft lite")],
            [SOFT],
            'brief.toml:20: [[loras]] 1 name: there is no LoRA "Soft lite" in this workspace.'
            ' Did you mean "Soft light"? Upload it under LoRAs, or leave it out.',
        ),
        (
            [lora("Soft light")],
            [replace(SOFT, is_archived=True)],
            'brief.toml:20: [[loras]] 1 name: "Soft light" is archived. Restore it under LoRAs, or leave it out.',
        ),
        (
            [lora("Film grain"), lora("Soft light")],
            [replace(SOFT, fits=frozenset(("sdxl-base",))), GRAIN],
            'brief.toml:23: [[loras]] 2 name: "Soft light" does not fit Starter. Leave it out, or choose the checkpoint'
            " that it was trained on: sdxl-base.",
        ),
        (
            [lora("Soft light"), lora("soft light", 0.3)],
            [SOFT],
            'brief.toml:23: [[loras]] 2 name: "soft light" is [[loras]] 1 already. Leave one of them out.',
        ),
        (
            [lora("Soft light", 2.1)],
            [SOFT],
            "brief.toml:21: [[loras]] 1 weight: is 2.1. Write a number from 0 to 2.",
        ),
        (
            [lora("Soft light", '"much"')],
            [SOFT],
            'brief.toml:21: [[loras]] 1 weight: is the text "much", but should be a number, as in 0.7.',
        ),
        (
            ["\n[[loras]]\nweight = 1\n"],
            [SOFT],
            'brief.toml:19: [[loras]] 1 name: is missing. Add name = "Soft light".',
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_what_to_do(loras, known, sentence):
    assert problems(*loras, known=known) == [sentence]


def test_more_than_five_are_too_many():
    known = [replace(SOFT, name=f"Look {number}") for number in range(6)]
    [problem] = problems(*(lora(each.name) for each in known), known=known)
    assert problem.endswith("loras: are 6. Take at most 5.")


def test_a_model_that_takes_none_says_which_do(monkeypatch):
    entry = catalog.entry("starter")
    plain = replace(entry, capabilities=entry.capabilities - {"lora"})
    entries = {**catalog.load(), "starter": plain}
    monkeypatch.setattr(catalog, "load", lambda: entries)
    [problem] = problems(lora("Soft light"))
    assert "Starter takes no LoRAs. Leave them out, or choose one of: flux-1-dev" in problem


def test_their_words_count_in_the_length_of_the_prompt():
    words = ", ".join(f"word{number}" for number in range(20))
    text = BRIEF.replace("a vase", "a vase " + "x" * 1900)
    assert not problems(text=text)
    [problem] = problems(lora("Soft light"), known=[replace(SOFT, trigger_words=words)], text=text)
    assert "with its longest values and the words of its LoRAs. Shorten it to 2,000." in problem


# --- launched ---------------------------------------------------------------------------------------------------------


def launched(workspace: Workspace, brief: Brief) -> Campaign:
    source = planning.source_of(catalog.entry("starter"))
    campaign = planning.plan(
        workspace_id=workspace.pk,
        brief=brief,
        cells=cells.expand(brief),
        photos={},
        campaign_digest=planning.digest(brief, file_hashes={}, source=source),
        now=NOW,
    )
    launch.launch(campaign_id=campaign.pk, now=NOW)
    return campaign


def test_every_image_asks_for_them_and_its_recipe_hash_says_so(workspace):
    campaign = launched(workspace, read(lora("Soft light", 0.5), lora("Film grain", 0)))
    plain = launched(workspace, read())
    for render in Render.objects.filter(cell_version__cell__campaign=campaign):
        assert render.request["loras"] == [{"file": SOFT.file, "weight": 0.5}]
    assert not any("loras" in each.request for each in Render.objects.filter(cell_version__cell__campaign=plain))
    hashes = [set(CellRender.objects.filter(cell__campaign=each).values_list("recipe_hash", flat=True))
              for each in (campaign, plain)]  # fmt: skip
    assert len(hashes[0]) == len(hashes[1]) == 2
    assert not hashes[0] & hashes[1]


def test_at_weight_0_a_campaign_asks_for_what_it_would_ask_without(workspace):
    off, plain = launched(workspace, read(lora("Soft light", 0))), launched(workspace, read())
    assert off.pk != plain.pk
    hashes = [
        list(CellRender.objects.filter(cell__campaign=each).order_by("pk").values_list("recipe_hash", flat=True))
        for each in (off, plain)
    ]
    assert hashes[0] == hashes[1]


def test_another_file_behind_the_same_name_is_another_campaign(workspace):
    first = launched(workspace, read(lora("Soft light")))
    assert launched(workspace, read(lora("Soft light"))).pk == first.pk
    other = replace(SOFT, file="1/other.safetensors")
    assert launched(workspace, read(lora("Soft light"), known=[other])).pk != first.pk
    assert launched(workspace, read()).pk == launched(workspace, read()).pk
