"""Each guard taken away, one at a time: the test that is there for it must fail.

    python bench/mutants.py [--at-once N] [NAME ...]

Guards hide each other's absence: two more of them may forgive what one should have refused. So each has a test that
asks for it alone, and here a copy of the tree without it, in which that test has to fail. Exit 0 only if all do.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What the tests of the guards do not look at; the checkpoint is the largest of it.
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "data", "__pycache__", "*.safetensors", "node_modules", ".*_cache")
TIMEOUT_S = 300
TESTS_FAILED = 1


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A guard: the text that makes it, found once in its file, the text without it, and the test that must fail."""

    name: str
    file: str
    before: str
    after: str
    test: str


MUTANTS = (
    Mutant(
        name="a late attempt settles nothing: the fence",
        file="inference/queue/working.py",
        before="for row in running if row.fence == fences[row.pk]}",
        after="for row in running}",
        test="tests/inference/test_queue.py::test_a_late_worker_cannot_settle_what_another_one_is_at",
    ),
    Mutant(
        name="a claim moves the fence on",
        file="inference/queue/working.py",
        before='        fence=F("fence") + 1,\n        attempts',
        after='        fence=F("fence") + 0,\n        attempts',
        test="tests/inference/test_queue_transitions.py::test_a_claim_moves_the_fence_on",
    ),
    Mutant(
        name="only what is queued is claimed",
        file="inference/queue/working.py",
        before="pk__in=[render.id for render in claimed], status=RenderStatus.QUEUED)",
        after="pk__in=[render.id for render in claimed])",
        test="tests/inference/test_queue_transitions.py::test_what_ended_between_choosing_and_claiming_stays_ended",
    ),
    Mutant(
        name="taking back moves the fence on",
        file="inference/queue/sweeping.py",
        before='update(fence=F("fence") + 1)',
        after='update(fence=F("fence") + 0)',
        test="tests/inference/test_queue_transitions.py::"
        "test_taking_a_render_back_moves_its_fence_on_before_anybody_claims_it_again",
    ),
    Mutant(
        name="canceling and expiring move the fence on",
        file="inference/queue/ends.py",
        before='        fence=F("fence") + 1,',
        after='        fence=F("fence") + 0,',
        test="tests/inference/test_queue_transitions.py::test_canceling_and_expiring_move_the_fence_of_what_runs_on",
    ),
    Mutant(
        name="nothing of a paused workspace is claimed",
        file="inference/models.py",
        before="IS_PAUSED = Q(generation__is_paused=True) | Q(workspace__queue_pause__isnull=False)",
        after="IS_PAUSED = Q(generation__is_paused=True)",
        test="tests/inference/test_turn.py::test_a_paused_workspace_is_not_eligible_and_another_one_is",
    ),
    Mutant(
        name="the same click is asked for once: the key",
        file="inference/queue/asking.py",
        before="Generation.objects.filter(workspace_id=workspace_id, key=key).first()",
        after="Generation.objects.none().first()",
        test="tests/inference/test_queue.py::test_asking_again_under_the_same_key_returns_what_was_made_the_first_time",
    ),
    Mutant(
        name="a key stands for its own requests only: their hash",
        file="inference/queue/asking.py",
        before="if generation.request_hash != request_hash:",
        after="if generation.request_hash is None:",
        test="tests/inference/test_queue.py::test_a_key_that_stands_for_other_requests_is_refused",
    ),
    Mutant(
        name="a hold debits only what is there",
        file="billing/ledger/holding.py",
        before="Account.objects.filter(pk=account.pk, available__gte=total).update(",
        after="Account.objects.filter(pk=account.pk).update(",
        test="tests/billing/test_holding.py::test_a_hold_of_everything_is_possible_and_one_millicredit_more_is_not",
    ),
    Mutant(
        name="a hold passes no budget",
        file="billing/budgets.py",
        before="Budget.objects.filter(has_room, pk=pk).update(",
        after="Budget.objects.filter(pk=pk).update(",
        test="tests/billing/test_budgets.py::test_a_refused_hold_leaves_nothing_behind",
    ),
    Mutant(
        name="a line is captured or released once",
        file="billing/ledger/settling.py",
        before="HoldLine.objects.filter(pk__in=ids, resolved_at__isnull=True)",
        after="HoldLine.objects.filter(pk__in=ids)",
        test="tests/billing/test_settling.py::test_a_line_is_resolved_once",
    ),
    Mutant(
        name="nobody is charged more than was held",
        file="billing/ledger/settling.py",
        before="captured = min(taken.cost, line.amount)",
        after="captured = taken.cost",
        test="tests/billing/test_settling.py::"
        "test_a_line_is_settled_on_what_was_really_used_and_never_above_what_it_holds",
    ),
    Mutant(
        name="a line is refunded once, under whichever key",
        file="billing/ledger/settling.py",
        before='HoldLine.objects.filter(pk=line_id, captured__gt=F("refunded")).update(',
        after="HoldLine.objects.filter(pk=line_id).update(",
        test="tests/billing/test_settling.py::test_the_same_refund_twice_moves_credits_once_and_answers_the_same",
    ),
    Mutant(
        name="a day's credits are granted once",
        file="billing/ledger/granting.py",
        before='f"daily:{workspace_id}:{today}"',
        after='f"daily:{workspace_id}:{now}"',
        test="tests/billing/test_granting.py::test_a_plan_grants_today_and_this_month_once",
    ),
    Mutant(
        name="an entry is never changed",
        file="billing/migrations/0003_refunds.py",
        before="billing_entry_no_update BEFORE UPDATE ON billing_entry",
        after="billing_entry_no_update BEFORE UPDATE OF id ON billing_entry",
        test="tests/billing/test_constraints.py::test_an_entry_is_never_changed_or_deleted",
    ),
    Mutant(
        name="an image of another workspace is out of reach",
        file="gallery/library.py",
        before="Asset.objects.filter(workspace_id=workspace_id, pk__in=list(asset_ids), archived_at__isnull=True)",
        after="Asset.objects.filter(pk__in=list(asset_ids), archived_at__isnull=True)",
        test="tests/gallery/test_library.py::test_another_workspaces_assets_are_left_alone",
    ),
    Mutant(
        name="a file appears whole or not at all",
        file="gallery/storage.py",
        before='with os.fdopen(descriptor, "wb") as file:',
        after='with path.open("wb") as file:',
        test="tests/gallery/test_storage.py::test_the_file_that_was_there_before_survives_a_failed_replacement",
    ),
    Mutant(
        name="what dead readers left behind is no message",
        file="studio/embedded_broker.py",
        before='return sum(name.partition(".")[2] == f"{queue}.msg" for name',
        after='return sum(f".{queue}.msg" in name for name',
        test="tests/inference/test_queue_nudges.py::"
        "test_what_dead_readers_and_writers_left_behind_does_not_silence_the_queue",
    ),
)


def run_tests(tree: Path, data: Path, tests: list[str]) -> tuple[int, str]:
    """Run these tests in a tree of their own; the exit code and what pytest said last."""
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    environment |= {"STUDIO_DATA": str(data), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(tree)}
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "--no-header", *tests]
    ended = subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    lines = (ended.stdout + ended.stderr).strip().splitlines()
    return ended.returncode, lines[-1] if lines else "nothing was said"


def copy_to(folder: Path) -> Path:
    """A copy of the tree."""
    return Path(shutil.copytree(ROOT, folder / "tree", ignore=LEFT_OUT))


def is_caught(mutant: Mutant) -> tuple[bool, str]:
    """Whether its test fails in a tree with this mutant, and what pytest said."""
    with tempfile.TemporaryDirectory(prefix="mutant") as name:
        tree = copy_to(Path(name))
        path = tree / mutant.file
        text = path.read_text()
        if text.count(mutant.before) != 1:
            return False, f"{mutant.file} holds the guard's text {text.count(mutant.before)} times"
        path.write_text(text.replace(mutant.before, mutant.after))
        code, said = run_tests(tree, Path(name) / "data", [mutant.test])
        # An error while tests are collected or set up is no failure of the test.
        return code == TESTS_FAILED and "failed" in said, said


def check(mutants: list[Mutant], *, at_once: int) -> int:
    """Run all; returns how many escaped."""
    with tempfile.TemporaryDirectory(prefix="mutant") as name:
        code, said = run_tests(copy_to(Path(name)), Path(name) / "data", sorted({each.test for each in mutants}))
    print(f"without a mutant: {said}", flush=True)
    if code:
        raise SystemExit("The tests have to pass in the tree as it is, before a mutant can tell anything.")
    escaped = 0
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        for mutant, (caught, said) in zip(mutants, pool.map(is_caught, mutants), strict=True):
            escaped += not caught
            print(f"{'caught ' if caught else 'ESCAPED'}  {mutant.name}  ({said})", flush=True)
    return escaped


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="words that the names of the mutants to run hold; all without any")
    parser.add_argument("--at-once", type=int, default=2, help="mutants run beside each other")
    options = parser.parse_args()
    chosen = [each for each in MUTANTS if not options.names or any(word in each.name for word in options.names)]
    started = time.monotonic()
    escaped = check(chosen, at_once=options.at_once)
    spent_s = time.monotonic() - started
    print(f"{len(chosen)} mutants · caught {len(chosen) - escaped} · escaped {escaped} · {spent_s:.0f} s")
    return 1 if escaped else 0


if __name__ == "__main__":
    sys.exit(main())
