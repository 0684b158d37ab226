"""Good briefs are read as written; whatever is wrong with others is said at once, with file, line, key and a remedy."""

from decimal import Decimal
from pathlib import Path

import pytest

from campaigns.brief import MAX_SHOWN_PROBLEMS, BriefError, load
from inference.references import Placement
from tests.campaigns.brief_folder import BRIEF, PRODUCTS, TEXT_ONLY, changed, write_brief


def problems_of(folder: Path, *, brief: str = BRIEF, products: str | bytes = PRODUCTS) -> tuple[str, ...]:
    with pytest.raises(BriefError) as caught:
        load(write_brief(folder, brief=brief, products=products))
    return caught.value.problems


def only_problem(folder: Path, *, brief: str = BRIEF, products: str | bytes = PRODUCTS) -> str:
    (problem,) = problems_of(folder, brief=brief, products=products)
    return problem


def line_of(text: str, mark: str) -> int:
    return text[: text.index(mark)].count("\n") + 1


# --- what is read ---


def test_a_good_brief_is_read_as_written(tmp_path: Path) -> None:
    brief = load(write_brief(tmp_path))
    assert (brief.name, brief.checkpoint, brief.seed, brief.seed_policy) == ("Spring shelf", "starter", 0, "per_scene")
    assert (brief.images_per_cell, brief.budget_credits, brief.negative) == (1, None, "text")
    assert [(axis.name, axis.values) for axis in brief.axes] == [
        ("surface", ("marble", "wooden table")),
        ("light", ("soft light",)),
    ]
    keep, story = brief.channels
    assert (keep.placement, keep.width, keep.height) == ("keep", None, None)
    assert (story.placement, story.width, story.height) == (Placement(scale=0.7, anchor="bottom"), 1080, 1920)
    cup, mug = brief.products
    assert (cup.sku, cup.title, cup.photo, cup.mask) == ("CUP", "Cup, white", tmp_path / "photos/cup.jpg", None)
    assert (cup.photo_name, cup.line, mug.mask) == ("photos/cup.jpg", 2, tmp_path / "masks/mug.png")
    assert brief.must_have == ("the product is whole",)
    assert brief.text == BRIEF


def test_optional_keys_are_taken_over(tmp_path: Path) -> None:
    more = 'images_per_cell = 8\nseed = 4294967295\nseed_policy = "swept"\nbudget_credits = 12.345\n[products]'
    brief = load(write_brief(tmp_path, brief=changed("[products]", more)))
    assert (brief.images_per_cell, brief.seed, brief.seed_policy) == (8, 2**32 - 1, "swept")
    assert brief.budget_credits == Decimal("12.345")


@pytest.mark.parametrize("convert", [lambda text: "\ufeff" + text, lambda text: text.replace("\n", "\r\n")])
def test_marks_and_line_ends_of_other_systems_do_not_matter(tmp_path: Path, convert) -> None:
    brief = load(write_brief(tmp_path, brief=convert(BRIEF), products=convert(PRODUCTS)))
    assert [row.sku for row in brief.products] == ["CUP", "MUG"]
    assert brief.axes[0].values == ("marble", "wooden table")


def test_only_narrows_the_products_and_spares_the_others_files(tmp_path: Path) -> None:
    products = PRODUCTS.replace("photos/cup.jpg", "photos/lost.jpg")
    brief = load(
        write_brief(tmp_path, brief=changed('"products.csv"', '"products.csv"\nonly = ["MUG"]'), products=products)
    )
    assert [row.sku for row in brief.products] == ["MUG"]


def test_empty_rows_reordered_columns_and_blanks_are_forgiven(tmp_path: Path) -> None:
    products = (
        '\n,,,\n Photo , SKU,mask, title \n\nphotos/cup.jpg , CUP,,"Cup\nof two lines"\n,,,\nphotos/mug.png,MUG,,Mug'
    )
    assert "holds a line break" in only_problem(tmp_path, products=products)
    brief = load(write_brief(tmp_path, products=products.replace("\nof two", " of two")))
    assert [(row.sku, row.title, row.line) for row in brief.products] == [
        ("CUP", "Cup of two lines", 5),
        ("MUG", "Mug", 7),
    ]


def test_paths_may_be_absolute_or_lead_out_of_the_folder(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    path = write_brief(inner, products=f"sku,title,photo,mask\nCUP,Cup,{tmp_path}/a.jpg,../b.png\n")
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / "b.png").write_bytes(b"x")
    (row,) = load(path).products
    assert row.photo is not None
    assert row.mask is not None
    assert row.photo.is_file()
    assert row.mask.is_file()


def test_paths_in_the_csv_are_relative_to_the_csv(tmp_path: Path) -> None:
    write_brief(tmp_path / "data")
    path = tmp_path / "brief.toml"
    path.write_text(changed("products.csv", "data/products.csv"))
    assert load(path).products[0].photo == tmp_path / "data/photos/cup.jpg"


def test_a_brief_of_text_alone_needs_no_products(tmp_path: Path) -> None:
    brief = load(write_brief(tmp_path, brief=TEXT_ONLY))
    assert brief.products == ()
    assert brief.channels[0].placement is None


def test_a_brief_of_text_alone_may_name_its_products_and_needs_no_photos(tmp_path: Path) -> None:
    text = TEXT_ONLY.replace("[prompt]", '[products]\ncsv = "products.csv"\n[prompt]').replace(
        "{season}", "{title}, {season}"
    )
    brief = load(write_brief(tmp_path, brief=text, products="sku,title,photo,mask\nCUP,Cup,,\nMUG,Mug,,\n"))
    assert [row.photo for row in brief.products] == [None, None]


def test_doubled_braces_are_text(tmp_path: Path) -> None:
    brief = load(write_brief(tmp_path, brief=changed("on {surface}", "{{on}} {surface}")))
    assert brief.template.filled({"surface": "{light}", "light": "dusk"}) == "{on} {light}, dusk"


# --- the file itself ---


def test_a_missing_brief_names_the_one_that_was_meant(tmp_path: Path) -> None:
    write_brief(tmp_path)
    with pytest.raises(BriefError, match=r'brief\.tom:1: there is no such file\. Did you mean "brief\.toml"\?'):
        load(tmp_path / "brief.tom")


@pytest.mark.parametrize("name", ["", "x" * 5000, "no/such/folder/brief.toml"])
def test_a_path_that_is_no_file_is_refused_in_words(tmp_path: Path, name: str) -> None:
    with pytest.raises(BriefError, match="file"):
        load(tmp_path / name)


def test_a_device_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(BriefError, match="not a file"):
        load(Path("/dev/zero"))


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_another_encoding_is_named(tmp_path: Path, encoding: str) -> None:
    path = write_brief(tmp_path)
    path.write_bytes(changed("Spring", "Frühling").encode(encoding))
    with pytest.raises(BriefError, match=r"is not UTF-8 text\. Save the file with the encoding UTF-8"):
        load(path)


def test_a_huge_file_is_not_parsed(tmp_path: Path) -> None:
    assert "Split it" in only_problem(tmp_path, brief=BRIEF + "#" * 1_000_001)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('"Spring shelf"', "Spring shelf", 4),
        ("[prompt]", "[prompt", 10),
        ('csv = "products.csv"', 'csv = "products.csv"\ncsv = "other.csv"', 9),
        ("[axes]", "[campaign]", 14),
        ("0.7", "0,7", 26),
        ('"the product is whole"]', '"the product is whole"', 29),
    ],
)
def test_a_syntax_error_names_its_line(tmp_path: Path, old: str, new: str, line: int) -> None:
    problem = only_problem(tmp_path, brief=changed(old, new))
    assert problem.startswith(f"brief.toml:{line}: this is not TOML:")


def test_brackets_nested_without_end_are_refused_in_words(tmp_path: Path) -> None:
    assert "nested far too deep" in only_problem(tmp_path, brief="a = " + "[" * 20_000)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "version: is missing. Add version = 1."),
        ("version = 2", "version: is 2, and this release reads version 1"),
        ("version = true", "version: is true, but should be a whole number"),
        ('version = "1"', 'version: is the text "1", but should be a whole number'),
    ],
)
def test_only_the_version_is_reported_when_it_is_not_ours(tmp_path: Path, line: str, said: str) -> None:
    brief = changed("version = 1", line) + "\n[later]\nkey = 1\n"
    problem = only_problem(tmp_path, brief=brief)
    assert problem.startswith("brief.toml:1: ")
    assert said in problem


# --- keys and types ---


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[campaign]", "[campagn]", 'campagn: is not a key that a brief has. Did you mean "campaign"?'),
        ("checkpoint", "chekpoint", '[campaign] chekpoint: is not a key that a brief has. Did you mean "checkpoint"?'),
        ('csv = "products.csv"', 'csv = "products.csv"\nOnly = ["CUP"]', 'Did you mean "only"?'),
        ("negative", "negatives", '[prompt] negatives: is not a key that a brief has. Did you mean "negative"?'),
        (
            "height = 1920",
            "height = 1920\nheigth = 5",
            'channels]] 2 heigth: is not a key that a brief has. Did you mean "height"?',
        ),
        (
            "scale = 0.7,",
            "scale = 0.7, ancor = 3,",
            '2 placement.ancor: is not a key that a brief has. Did you mean "anchor"?',
        ),
        ("must_have", "musthave", '[review] musthave: is not a key that a brief has. Did you mean "must_have"?'),
        ("negative =", "seed = 3\nnegative =", "[prompt] seed: does not belong here. Move it to [campaign]."),
        ("version = 1", 'version = 1\ntemplate = "x"', "template: does not belong here. Move it to [prompt]."),
        ("[review]", "[review]\nwidth = 3", "[review] width: does not belong here. Move it to [[channels]]."),
    ],
)
def test_an_unknown_key_is_named_with_line_and_remedy(tmp_path: Path, old: str, new: str, said: str) -> None:
    brief = changed(old, new)
    lines = range(line_of(BRIEF, old), line_of(BRIEF, old) + new.count("\n") + 1)
    (problem,) = [each for each in problems_of(tmp_path, brief=brief) if said in each]
    assert problem.startswith(tuple(f"brief.toml:{n}: " for n in lines))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "Spring shelf"', "name = 12", "[campaign] name: is the number 12, but should be a text in quotes"),
        ('name = "Spring shelf"', 'name = ""', "[campaign] name: is empty"),
        (
            'name = "Spring shelf"',
            'name = "a\\u0000b"',
            "[campaign] name: holds a line break, a tab or another control",
        ),
        ('name = "Spring shelf"', f'name = "{"n" * 121}"', "[campaign] name: has 121 characters. Shorten it to 120."),
        ('name = "Spring shelf"\n', "", '[campaign] name: is missing. Add name = "Spring shelf".'),
        (
            '"starter"',
            '"startr"',
            'checkpoint: there is no checkpoint "startr". Did you mean "starter"? Choose one of: ',
        ),
        ('"starter"', '"starter"\nimages_per_cell = 0', "images_per_cell: is 0. Write a whole number from 1 to 8."),
        ('"starter"', '"starter"\nimages_per_cell = 9', "images_per_cell: is 9. Write a whole number from 1 to 8."),
        ('"starter"', '"starter"\nimages_per_cell = 2.0', "images_per_cell: is the number 2.0, but should be a whole"),
        ('"starter"', '"starter"\nseed = -1', "seed: is -1. Write a whole number from 0 to 4,294,967,295."),
        ('"starter"', '"starter"\nseed = 4294967296', "seed: is 4294967296. Write a whole number"),
        ('"starter"', '"starter"\nseed_policy = "sweep"', '"sweep" is not known here. Did you mean "swept"?'),
        ('"starter"', '"starter"\nbudget_credits = 0', "budget_credits: is 0. Write more than 0 credits"),
        ('"starter"', '"starter"\nbudget_credits = -5', "budget_credits: is -5. Write more than 0 credits"),
        ('"starter"', '"starter"\nbudget_credits = nan', "budget_credits: is NaN. Write an ordinary number."),
        ('"starter"', '"starter"\nbudget_credits = 1e400', "budget_credits: is 1E+400."),
        ('"starter"', '"starter"\nbudget_credits = 1.2345', "Credits have at most three decimals."),
        ('"starter"', '"starter"\nbudget_credits = "2000"', 'is the text "2000", but should be a number'),
        ("[campaign]", "[[campaign]]", "campaign: is a list, but should be a table: write [campaign] once"),
        ('csv = "products.csv"', 'csv = ["products.csv"]', "[products] csv: is a list, but should be a text"),
        ('"products.csv"', '"product.csv"', 'csv: product.csv: there is no such file. Did you mean "products.csv"?'),
        ('"products.csv"', '"photos"', "csv: photos: this is not a file."),
        ('"products.csv"', '"products.csv"\nonly = []', "only: is empty. Choose at least one product."),
        (
            '"products.csv"',
            '"products.csv"\nonly = ["cup"]',
            'only[1]: there is no product "cup" in the CSV. Did you mean "CUP"?',
        ),
        ('"products.csv"', '"products.csv"\nonly = ["CUP", "CUP"]', 'only[2]: "CUP" is there already'),
        ('"products.csv"', '"products.csv"\nonly = "CUP"', 'is the text "CUP", but should be a list of texts'),
        ('"on {surface}, {light}"', "1979-05-27", "[prompt] template: is a date or time, but should be a text"),
        ('["marble", "wooden table"]', '"marble"', '[axes] surface: is the text "marble", but should be a list'),
        ('["marble", "wooden table"]', "[]", "[axes] surface: has no values, so there would be no cells."),
        ('["marble", "wooden table"]', '["marble", 7]', "[axes] surface[2]: is the number 7. Write a text in quotes."),
        ('["marble", "wooden table"]', '["marble", " "]', "[axes] surface[2]: is empty."),
        (
            '["marble", "wooden table"]',
            '["oak top", "Oak-Top "]',
            'surface[2]: "Oak-Top " is there already, as "oak top".',
        ),
        ('["marble", "wooden table"]', '["marble", "a\\nb"]', "surface[2]: holds a line break"),
        ("width = 1080", "width = 63", "[[channels]] 2 width: is 63. Write a whole number from 64 to 8,192."),
        ("width = 1080", "width = 8193", "[[channels]] 2 width: is 8193. Write a whole number from 64 to 8,192."),
        ("width = 1080", 'width = "1080px"', '2 width: is the text "1080px", but should be a whole number'),
        ("width = 1080\n", "", "2 width: is missing. Add width = 1080, in pixels."),
        ('placement = "keep"', 'placement = "keep"\nwidth = 800', '1 width: does not go with placement = "keep"'),
        ('placement = "keep"', 'placement = "kept"', '1 placement: is the text "kept", but should be "keep" or {'),
        ("scale = 0.7", "scale = 0", "placement.scale: is 0. Write the product's share of the canvas"),
        ("scale = 0.7", "scale = 70", "placement.scale: is 70. Write the product's share of the canvas"),
        ("scale = 0.7, ", "", "placement.scale: is missing. Add scale = 0.7."),
        ('"bottom"', '"botom"', 'placement.anchor: "botom" is not known here. Did you mean "bottom"?'),
        ('"story"', '"Original"', '2 name: "Original" is the name of [[channels]] 1 already.'),
        ('["the product is whole"]', '["a", "A"]', 'must_have[2]: "A" is there already, as "a".'),
    ],
)
def test_a_wrong_value_is_named_with_line_and_remedy(tmp_path: Path, old: str, new: str, said: str) -> None:
    brief = changed(old, new)
    changed_lines = range(line_of(BRIEF, old), line_of(BRIEF, old) + new.count("\n") + 1)
    matching = [each for each in problems_of(tmp_path, brief=brief) if said in each]
    assert len(matching) == 1
    assert matching[0].startswith(tuple(f"brief.toml:{line}: " for line in (*changed_lines, 3, 22)))


def test_channels_without_double_brackets_are_explained(tmp_path: Path) -> None:
    brief = TEXT_ONLY.replace("[[channels]]", "[channels]")
    assert "channels: is a table, but should be a list of tables: write [[channels]]" in only_problem(
        tmp_path, brief=brief
    )


def test_a_brief_without_channels_says_so(tmp_path: Path) -> None:
    brief = TEXT_ONLY[: TEXT_ONLY.index("[[channels]]")]
    assert "channels: is missing. Add [[channels]]." in only_problem(tmp_path, brief=brief)


def test_an_empty_file_names_what_it_lacks_first(tmp_path: Path) -> None:
    assert only_problem(tmp_path, brief="") == "brief.toml:1: version: is missing. Add version = 1."
    missing = {problem.split(": ")[1] for problem in problems_of(tmp_path, brief="version = 1")}
    assert missing == {"campaign", "prompt", "channels"}


# --- template, axes, channels and products together ---


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("on {surfce}, {light}, {surface}", '{surfce} is not an axis. Did you mean "surface"? Add it to the axes'),
        ("{surface} {light} {0}", "holds {0}. Between braces stands the plain name of an axis"),
        ("{surface} {light} {}", "holds {}. Between braces"),
        ("{surface.__class__} {light}", "holds {surface.__class__}. Between braces"),
        ("{surface[0]} {light}", "holds {surface[0]}. Between braces"),
        ("{surface!r} {light:>9999999}", "holds {surface!r}, {light:>9999999}. Between braces"),
        ("{surface} {light} {__class__}", "holds {__class__}. Between braces"),
        ("{surface} {light", "has a brace without its partner."),
        ("{surface} light}", "has a brace without its partner."),
        ("{surface} {light} {{", None),
        ("", "is empty."),
        ("   ", "is empty."),
        ("{surface} {light} {title}", "names {title}, but the product itself is pasted in"),
        ("{surface} {light} {sku}", "names {sku}, but the product itself is pasted in"),
        ("{surface} {light} " + "x" * 1980, "has 2,004 characters with its longest values. Shorten it to 2,000."),
    ],
)
def test_a_template_that_cannot_be_filled_is_refused(tmp_path: Path, template: str, said: str | None) -> None:
    path = write_brief(tmp_path, brief=changed("on {surface}, {light}", template))
    if said is None:
        load(path)
        return
    with pytest.raises(BriefError) as caught:
        load(path)
    (problem,) = [each for each in caught.value.problems if "template: " in each]
    assert problem.startswith(f"brief.toml:11: [prompt] template: {said}")


def test_an_axis_that_the_template_leaves_out_is_refused(tmp_path: Path) -> None:
    problem = only_problem(tmp_path, brief=changed("on {surface}, {light}", "on {surface}"))
    assert problem.startswith("brief.toml:16: [axes] light: is not in the prompt's template")
    assert "Write {light} in the template, or remove the axis." in problem


@pytest.mark.parametrize(
    ("axis", "said"),
    [
        ("sku", "is what {sku} stands for"),
        ('"on top"', "cannot name an axis"),
        ("Surface", 'reads like the axis "surface"'),
    ],
)
def test_an_axis_needs_a_name_of_its_own(tmp_path: Path, axis: str, said: str) -> None:
    brief = changed("[axes]\n", "[axes]\n").replace("[[channels]]", f'{axis} = ["x"]\n\n[[channels]]', 1)
    assert any(said in problem for problem in problems_of(tmp_path, brief=brief))


def test_a_channel_without_placement_beside_others_is_refused(tmp_path: Path) -> None:
    problem = only_problem(tmp_path, brief=changed('placement = { scale = 0.7, anchor = "bottom" }\n', ""))
    assert problem.startswith("brief.toml:22: [[channels]] 2: has no placement, and other channels have one.")


def test_products_that_would_all_look_the_same_are_refused(tmp_path: Path) -> None:
    text = TEXT_ONLY.replace("[prompt]", '[products]\ncsv = "products.csv"\n[prompt]')
    assert "every product would get the same picture" in only_problem(tmp_path, brief=text)
    load(write_brief(tmp_path, brief=text.replace("[products]", 'seed_policy = "swept"\n[products]')))


def test_channels_that_place_products_need_products(tmp_path: Path) -> None:
    problem = only_problem(tmp_path, brief=changed('[products]\ncsv = "products.csv"\n', ""))
    assert "products: is missing, and the channels place products." in problem


def test_more_images_than_one_launch_takes_are_refused_without_counting_them_out(tmp_path: Path) -> None:
    values = ", ".join(f'"v{index}"' for index in range(500))
    brief = changed('["marble", "wooden table"]', f"[{values}]").replace('["soft light"]', f"[{values}]")
    problem = only_problem(tmp_path, brief=brief)
    assert "2 products × 2 channels × 250,000 combinations × 1 images per cell make 1,000,000 images" in problem
    assert "one launch takes 2,000. Split the brief" in problem


# --- the CSV ---


@pytest.mark.parametrize(
    ("products", "said"),
    [
        ("", "products.csv:1: the file is empty. Begin it with the line sku,title,photo,mask."),
        ("\n\n", "products.csv:1: the file is empty."),
        ("sku,title,photo,mask\n", "products.csv:1: there are no products below the first line."),
        (PRODUCTS.replace(",", ";"), "products.csv:1: the columns are parted by semicolons. Save the file with commas"),
        (PRODUCTS.replace(",", "\t"), "products.csv:1: the columns are parted by tabs."),
        (PRODUCTS.replace(",mask\n", "\n"), 'products.csv:1: the column "mask" is missing.'),
        (
            PRODUCTS.replace("mask\n", "mask,foto\n"),
            'there is no column "foto" in a products file. Did you mean "photo"?',
        ),
        (PRODUCTS.replace("mask\n", "mask,color\n"), 'products.csv:1: there is no column "color" in a products file.'),
        (PRODUCTS.replace("mask\n", "mask,title\n"), 'products.csv:1: there are 2 columns "title". Keep one.'),
        (PRODUCTS.replace("mask\n", "mask,\n"), 'products.csv:1: there is no column "" in a products file.'),
        (PRODUCTS + "CUP,Other,photos/cup.jpg,\n", "products.csv:4: CUP sku: line 2 has CUP already."),
        (PRODUCTS + "cup,Other,photos/cup.jpg,\n", "products.csv:4: cup sku: line 2 has CUP already."),
        (PRODUCTS + "HAT,Hat, red,photos/cup.jpg,\n", "products.csv:4: this row has 5 fields, the first line 4."),
        (PRODUCTS + "HAT,Hat,photos/cup.jpg\n", "products.csv:4: this row has 3 fields, the first line 4."),
        (PRODUCTS + ",Hat,photos/cup.jpg,\n", "products.csv:4: this row sku: is empty."),
        (PRODUCTS + "HAT,,photos/cup.jpg,\n", "products.csv:4: HAT title: is empty."),
        (PRODUCTS + "HAT,Hat,,\n", "products.csv:4: HAT photo: is empty. Name the product's photo."),
        (PRODUCTS + "HAT,Hat,,masks/mug.png\n", "products.csv:4: HAT photo: is empty, and there is a mask."),
        (PRODUCTS + "HAT,Hat,photos/cup.jpg,photos/cup.jpg\n", "products.csv:4: HAT mask: is the photo itself."),
        (PRODUCTS + "HAT,Hat,photos/mgu.png,\n", 'photos/mgu.png. Did you mean "mug.png"?'),
        (PRODUCTS + "HAT,Hat,photos\\cup.jpg,\n", "photos\\cup.jpg. Write / between folders."),
        (PRODUCTS + "HAT,Hat,photos,\n", "photos is a folder. Name a file."),
        (PRODUCTS + "HAT,Hat,/dev/null,\n", "/dev/null is not an ordinary file."),
        (PRODUCTS + f"HAT,Hat,{'p' * 5000},\n", "cannot be opened. Check the name."),
        (PRODUCTS + "HAT,Hat,photos/cup.jpg,masks/none.png\n", "products.csv:4: HAT mask: there is no file"),
        (PRODUCTS + 'HAT,"Hat,photos/cup.jpg,\n', "products.csv:4: this row cannot be read"),
        (PRODUCTS + 'HAT,"Hat" red,photos/cup.jpg,\n', "products.csv:4: this row cannot be read"),
        (
            PRODUCTS + "HAT\x00,Hat,photos/cup.jpg,\n",
            "products.csv:4: sku: holds a line break, a tab or another control",
        ),
        (PRODUCTS + f"{'H' * 81},Hat,photos/cup.jpg,\n", "products.csv:4: sku: has 81 characters. Shorten it to 80."),
        (PRODUCTS.encode() + b"H\xe9T,Hat,photos/cup.jpg,\n", "products.csv: line 4 is not UTF-8 text."),
        (PRODUCTS.encode("utf-16"), "is not UTF-8 text."),
    ],
)
def test_a_products_file_that_cannot_be_used_is_explained(tmp_path: Path, products: str | bytes, said: str) -> None:
    assert said in only_problem(tmp_path, products=products)


# --- together ---


def test_all_problems_of_brief_and_csv_come_together_in_the_order_of_the_files(tmp_path: Path) -> None:
    brief = changed("checkpoint", "chekpoint").replace("{light}", "{ligth}").replace("1080", "10")
    found = problems_of(tmp_path, brief=brief, products=PRODUCTS + "HAT,Hat,photos/hat.jpg,\nCUP,Cup,photos/cup.jpg,\n")
    places = [problem.split(": ")[0] for problem in found]
    brief_lines = [int(place.split(":")[1]) for place in places if place.startswith("brief.toml:")]
    assert brief_lines == sorted(brief_lines)
    assert places == [*(f"brief.toml:{line}" for line in brief_lines), "products.csv:4", "products.csv:5"]
    assert {3, 5, 11, 16, 24} == set(brief_lines)


def test_a_long_list_of_problems_is_cut_when_shown_and_whole_when_asked(tmp_path: Path) -> None:
    rows = "".join(f"S{index},Thing,photos/none-{index}.jpg,\n" for index in range(100))
    with pytest.raises(BriefError) as caught:
        load(write_brief(tmp_path, products=PRODUCTS + rows))
    assert len(caught.value.problems) == 100
    shown = str(caught.value).splitlines()
    assert len(shown) == MAX_SHOWN_PROBLEMS + 1
    assert shown[-1] == "… and 60 more problems like these."
