"""Which cell is which after a brief was changed."""

from campaigns.brief import Channel
from campaigns.cells import PlannedCell
from campaigns.matching import Known, match


def planned(*names: tuple[str, str, str]) -> list[PlannedCell]:
    return [
        PlannedCell(
            key="/".join(name),
            sku=name[0],
            channel=Channel(name[1], 64, 64, None),
            axes=(("surface", name[2]),),
            prompt="",
            negative_prompt="",
            seeds=(1,),
        )
        for name in names
    ]


def known(*names: tuple[str, str, str], aside: tuple[int, ...] = ()) -> list[Known]:
    return [
        Known(
            id=at,
            key="/".join(name),
            sku=name[0],
            channel=name[1],
            axes={"surface": name[2]},
            is_asked=at not in aside,
        )
        for at, name in enumerate(names, start=1)
    ]


def test_what_has_its_key_is_itself_wherever_it_stands() -> None:
    before = known(("MUG", "story", "oak"), ("MUG", "story", "sand"))
    assert match(planned(("MUG", "story", "sand"), ("MUG", "story", "oak")), before) == {
        "MUG/story/sand": 2, "MUG/story/oak": 1,
    }  # fmt: skip


def test_a_value_rewritten_in_its_line_is_the_same_cell() -> None:
    before = known(("MUG", "story", "oak"), ("MUG", "story", "sand"), ("CUP", "story", "sand"))
    now = planned(("MUG", "story", "oak"), ("MUG", "story", "snow"), ("CUP", "story", "snow"))
    assert match(now, before) == {"MUG/story/oak": 1, "MUG/story/snow": 2, "CUP/story/snow": 3}


def test_a_channel_and_a_value_rewritten_at_once_are_still_the_same_cell() -> None:
    assert match(planned(("MUG", "reel", "snow")), known(("MUG", "story", "sand"))) == {"MUG/reel/snow": 1}


def test_a_value_taken_out_and_another_put_elsewhere_are_two() -> None:
    before = known(("MUG", "story", "oak"), ("MUG", "story", "sand"))
    assert match(planned(("MUG", "story", "sand"), ("MUG", "story", "snow")), before) == {"MUG/story/sand": 2}


def test_what_was_set_aside_comes_back_before_anything_is_renamed_into_it() -> None:
    before = known(("MUG", "story", "sand"), ("MUG", "story", "snow"), aside=(2,))
    assert match(planned(("MUG", "story", "snow")), before) == {"MUG/story/snow": 2}


def test_what_is_set_aside_is_not_renamed() -> None:
    assert match(planned(("MUG", "story", "snow")), known(("MUG", "story", "sand"), aside=(1,))) == {}


def test_other_products_are_other_cells() -> None:
    assert match(planned(("CUP", "story", "sand")), known(("MUG", "story", "sand"))) == {}
