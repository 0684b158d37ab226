"""The four sentences of the architecture, held by tools; each tool is seen to object when its sentence is broken."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings

ROOT: Path = settings.BASE_DIR
PACKAGES = ("studio", "campaigns", "inference", "gallery", "billing")
LOWER = PACKAGES[1:]
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources, and of nothing else."""
    folder = tmp_path_factory.mktemp("tree")
    for package in PACKAGES:
        for source in (ROOT / package).rglob("*.py"):
            target = folder / source.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.fixture
def tree(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "tree"))


def run(*command: str, cwd: Path) -> tuple[int, str]:
    tool = subprocess.run([str(BIN / command[0]), *command[1:]], cwd=cwd, capture_output=True, text=True, check=False)
    return tool.returncode, tool.stdout + tool.stderr


def lint_imports(tree: Path, *options: str) -> tuple[int, str]:
    return run("lint-imports", "--no-cache", *options, cwd=tree)


def append(tree: Path, module: str, line: str) -> None:
    with (tree / module).open("a") as file:
        file.write(f"\n{line}\n")


# --- import-linter ---------------------------------------------------------------------------------------------------


def test_every_contract_is_kept(pristine):
    status, told = lint_imports(pristine)
    assert status == 0, told
    assert "4 kept, 0 broken" in told


BREACHES = [
    ("layers", "studio → campaigns", "billing/plans.py", "import gallery.storage"),
    ("layers", "studio → campaigns", "gallery/library.py", "import inference.queue"),
    ("layers", "studio → campaigns", "inference/pricing.py", "import campaigns.launch"),
    ("layers", "studio → campaigns", "campaigns/launch.py", "import studio.permissions"),
    ("credits", "Only billing writes credits", "campaigns/launch.py", "from billing.models import Account"),
    ("credits", "Only billing writes credits", "studio/admin.py", "import billing.models"),
    ("torch", "import torch", "studio/views/home.py", "import torch"),
    ("torch", "import torch", "inference/queue/working.py", "import diffusers"),
    ("engine", "The engine knows neither Django", "inference/engine/engine.py", "import django.db"),
    ("engine", "The engine knows neither Django", "inference/engine/engine.py", "import inference.models"),
]


@pytest.mark.parametrize(("contract", "name", "module", "line"), BREACHES)
def test_an_import_against_the_architecture_is_objected_to(tree, contract, name, module, line):
    append(tree, module, line)
    status, told = lint_imports(tree, "--contract", contract)
    assert status != 0
    assert "0 kept, 1 broken" in told
    assert name in told


def test_every_contract_is_broken_in_some_breach():
    declared = [line.split('"')[1] for line in (ROOT / "pyproject.toml").read_text().splitlines() if line[:4] == "id ="]
    assert sorted({contract for contract, *_ in BREACHES}) == sorted(declared)


# --- ruff's banned imports -------------------------------------------------------------------------------------------


def test_only_studio_answers_http(pristine):
    status, told = run("ruff", "check", "--no-cache", "--select", "TID", *PACKAGES, cwd=pristine)
    assert status == 0, told


BANNED = ("django.http", "django.urls", "django.shortcuts", "django.views", "django.contrib.admin")


@pytest.mark.parametrize("package", LOWER)
def test_a_way_in_outside_studio_is_objected_to(tree, package):
    for banned in (*BANNED, "django.core.management"):
        append(tree, f"{package}/models.py", f"import {banned}")
    append(tree, f"{package}/models.py", "from . import apps")
    status, told = run("ruff", "check", "--no-cache", "--select", "TID", package, cwd=tree)
    assert status == 1
    assert [banned for banned in (*BANNED, "django.core.management") if f"`{banned}` is banned" not in told] == []
    assert "TID252" in told


def test_studio_itself_may_answer_http(tree):
    append(tree, "studio/permissions.py", "from django.shortcuts import render")
    status, told = run("ruff", "check", "--no-cache", "--select", "TID", "studio", cwd=tree)
    assert status == 0, told


# --- what the web process loads --------------------------------------------------------------------------------------

WEB = """
import sys
import studio.wsgi
from django.urls import get_resolver
assert get_resolver().url_patterns
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""
HEAVY = {"torch", "diffusers", "transformers", "peft", "accelerate", "cv2", "scipy"}


def test_the_web_process_loads_nothing_that_only_workers_need():
    result = subprocess.run([sys.executable, "-c", WEB], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(result.stdout.split())
    assert {"django", "studio", "campaigns", "inference"} <= loaded
    assert loaded & HEAVY == set()


# --- tenancy ---------------------------------------------------------------------------------------------------------


def test_the_packages_below_refer_to_users_and_workspaces_and_to_nothing_else_of_studio():
    referred = {
        field.related_model._meta.label
        for model in apps.get_models()
        if model._meta.app_label in LOWER
        for field in model._meta.concrete_fields
        if field.related_model is not None and field.related_model._meta.app_label == "studio"
    }
    assert referred == {"studio.User", "studio.Workspace"}


def test_the_packages_below_name_studio_by_string_only_and_only_in_their_models():
    named = set()
    for package in LOWER:
        for source in (ROOT / package).rglob("*.py"):
            if "migrations" in source.parts:
                continue
            for node in ast.walk(ast.parse(source.read_text())):
                if isinstance(node, ast.Constant) and str(node.value).startswith("studio."):
                    named.add((source.name, str(node.value)))
                assert not (isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "studio")
    assert named == {("models.py", "studio.User"), ("models.py", "studio.Workspace")}


def test_every_workspaces_rows_can_be_told_apart():
    """A table without a workspace of its own reaches one through its parents."""
    for model in apps.get_models():
        if model._meta.app_label in LOWER:
            assert reaches_a_workspace(model, set()), model


def reaches_a_workspace(model, seen: set[object]) -> bool:
    # Workers serve all workspaces, and so does what is known of their devices.
    if model._meta.label in ("studio.Workspace", "inference.Worker", "inference.BatchLimit"):
        return True
    seen.add(model)
    parents = [field.related_model for field in model._meta.concrete_fields if field.is_relation and not field.null]
    return any(parent not in seen and reaches_a_workspace(parent, seen) for parent in parents)
