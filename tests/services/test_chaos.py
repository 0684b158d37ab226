"""A short drill in every run of the tests; docs/reliability.md tells what the long ones did."""

import os
import subprocess
import sys

import pytest
from django.conf import settings

pytestmark = pytest.mark.services
CHAOS = settings.BASE_DIR / "bench" / "chaos.py"


def chaos(*options: str) -> "subprocess.CompletedProcess[str]":
    # Its servers are its own, since it crashes them.
    environment = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "STUDIO_DATA")}
    command = [sys.executable, str(CHAOS), *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


def test_a_drill_with_a_kill_at_each_named_point_loses_nothing_and_charges_once():
    drill = chaos("--database", "postgres", "--jobs", "60", "--kills", "12", "--seed", "3")
    assert drill.returncode == 0, drill.stdout + drill.stderr
    last = drill.stdout.splitlines()[-1]
    assert "lost 0 · charged twice 0 · charge off by 0 · files missing 0 · unexplained exits 0" in last
    assert last.endswith("every invariant holds")


def test_the_same_kills_lose_work_that_only_messages_know_of():
    control = chaos("--control", "--jobs", "60", "--kills", "10", "--seed", "3")
    assert control.returncode == 0, control.stdout + control.stderr
    assert "lost 0," not in control.stdout
