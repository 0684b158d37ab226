"""The docs say what is true: every setting, command and script stands in them."""

import re
from pathlib import Path

from django.core.management import get_commands

from campaigns.manifest import COLUMNS

ROOT = Path(__file__).resolve().parent.parent


def doc(name: str) -> str:
    return (ROOT / name).read_text()


def test_every_setting_is_documented_and_nothing_else() -> None:
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', doc("studio/settings.py")))
    scripts = "".join(path.read_text() for path in (ROOT / "script").iterdir())
    read |= set(re.findall(r"\$\{(STUDIO_VENV)", scripts))
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", doc("docs/settings.md"), re.MULTILINE))
    assert documented == read


def test_every_command_of_ours_is_documented() -> None:
    ours = {name for name, app in get_commands().items() if app == "studio"}
    documented = set(re.findall(r"^\| `manage.py (\w+)` \|", doc("docs/commands.md"), re.MULTILINE))
    assert documented == ours


def test_every_script_is_documented() -> None:
    scripts = {path.name for path in (ROOT / "script").iterdir()}
    documented = set(re.findall(r"^\| `script/(\w+)` \|", doc("docs/commands.md"), re.MULTILINE))
    assert documented == scripts


def test_every_column_of_the_manifest_is_documented_in_order() -> None:
    documented = re.findall(r"^\| `(\w+)` \|", doc("docs/manifest.md"), re.MULTILINE)
    assert tuple(documented) == (*COLUMNS, "axis_NAME")


def test_links_between_the_docs_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
