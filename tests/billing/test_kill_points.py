"""The named moments: nothing happens without CHAOS=1; with it an order is obeyed once, by whoever comes first."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from billing.kill_points import POINTS

REACH = "from billing.kill_points import kill_point\nfor name in {names!r}: kill_point(name)\nprint('went on')"


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    (tmp_path / "taken").mkdir()
    return tmp_path


def reach(orders: Path, *names: str, chaos: str = "1") -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "CHAOS": chaos, "CHAOS_ORDERS": str(orders)}
    command = [sys.executable, "-c", REACH.format(names=names)]
    return subprocess.run(command, cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, check=False)


def test_nothing_happens_without_chaos(orders):
    (orders / "after_put").write_text("kill")
    assert reach(orders, "after_put", chaos="0").stdout == "went on\n"
    assert (orders / "after_put").exists()


def test_an_order_kills_whoever_comes_first_and_nobody_else(orders):
    (orders / "after_put").write_text("kill")
    assert reach(orders, "after_claim", "after_put").returncode == -signal.SIGKILL
    assert [path.name.split(".")[0] for path in (orders / "taken").iterdir()] == ["after_put"]
    assert reach(orders, "after_put").stdout == "went on\n"


def test_an_order_for_everybody_is_obeyed_until_it_is_removed(orders):
    (orders / "mid_put.all").write_text("fail ENOSPC")
    for _ in range(2):
        assert "No space left on device" in reach(orders, "mid_put").stderr
    (orders / "mid_put.all").unlink()
    assert reach(orders, "mid_put").stdout == "went on\n"


def test_an_order_that_nobody_knows_is_refused(orders):
    (orders / "mid_put").write_text("dance")
    assert "There is no order 'dance'" in reach(orders, "mid_put").stderr


def test_every_named_moment_stands_somewhere_in_the_product():
    sources = [path.read_text() for package in ("billing", "gallery", "inference") for path in files(package)]
    assert [name for name in POINTS if not any(f'kill_point("{name}")' in source for source in sources)] == []


def files(package: str) -> list[Path]:
    return [path for path in (settings.BASE_DIR / package).rglob("*.py") if path.name != "kill_points.py"]
