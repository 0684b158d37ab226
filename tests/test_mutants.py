"""The mutants of bench/mutants.py fit the code as it is; running them takes minutes and is that command's own."""

import ast
import importlib.util
import sys
from pathlib import Path

import pytest
from django.conf import settings

ROOT: Path = settings.BASE_DIR
SPEC = importlib.util.spec_from_file_location("mutants", ROOT / "bench" / "mutants.py")
assert SPEC is not None
assert SPEC.loader is not None
mutants = sys.modules["mutants"] = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(mutants)


@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutants_guard_stands_once_in_its_file_and_its_test_exists(mutant):
    text = (ROOT / mutant.file).read_text()
    assert text.count(mutant.before) == 1
    assert mutant.after != mutant.before
    ast.parse(text.replace(mutant.before, mutant.after))
    file, _, test = mutant.test.partition("::")
    tree = ast.parse((ROOT / file).read_text())
    assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_no_two_mutants_are_one():
    assert len({(each.file, each.before) for each in mutants.MUTANTS}) == len(mutants.MUTANTS) >= 12
