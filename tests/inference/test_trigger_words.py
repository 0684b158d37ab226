"""How the words of LoRAs join a prompt."""

import pytest

from inference import trigger_words


@pytest.mark.parametrize(
    ("prompt", "lists", "joined"),
    [
        ("a mug", ["sks"], "sks, a mug"),
        ("a mug", ["sks, glow", "glow, 35mm"], "sks, glow, 35mm, a mug"),
        ("a SKS mug", ["sks"], "a SKS mug"),
        ("a glowing mug", ["glow"], "glow, a glowing mug"),
        ("a mug", ["", " , "], "a mug"),
        ("  ", ["sks"], "  "),
    ],
)
def test_missing_words_stand_in_front_once(prompt, lists, joined):
    assert trigger_words.join(prompt, lists) == joined
