"""The supervisor keeps its processes running and ends them together, and no orphan outlives it when it is killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from studio import supervisor
from studio.settings import BASE_DIR
from studio.supervisor import Role, Supervisor, is_alive

CHILD = """
import os, sys, threading, time
from pathlib import Path
from studio import lifeline
threading.Thread(target=lifeline.hold, daemon=True).start()
with Path(sys.argv[1]).open("a") as file:
    file.write(f"{os.getpid()}\\n")
time.sleep(60)
"""
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + CHILD
SUPERVISE = """
import sys, time
from pathlib import Path
from tests.studio.test_supervisor import roles
from studio.supervisor import Supervisor
folder = Path(sys.argv[1])
keeper = Supervisor(roles=roles(folder), data_dir=folder)
assert keeper.start()
while True:
    keeper.check()
    time.sleep(0.1)
"""


def roles(folder: Path, code: str = CHILD) -> tuple[Role, ...]:
    return tuple(Role(name=name, arguments=("-c", code, str(folder / f"{name}.pids"))) for name in ("one", "two"))


def pids(folder: Path, name: str) -> list[int]:
    """The processes that a role has been so far, oldest first."""
    path = folder / f"{name}.pids"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def soon(is_so: Callable[[], bool], *, within_s: float = 20.0) -> bool:
    ends_at = time.monotonic() + within_s
    while time.monotonic() < ends_at:
        if is_so():
            return True
        time.sleep(0.05)
    return False


def is_leading(keeper: Supervisor) -> bool:
    return keeper.is_leading


def both_started(folder: Path) -> bool:
    return all(pids(folder, name) for name in ("one", "two"))


def all_ended(folder: Path) -> bool:
    return not any(is_alive(pid) for name in ("one", "two") for pid in pids(folder, name))


@pytest.fixture
def keeper(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "RESTART_PAUSE_S", 0.1)
    keeper = Supervisor(roles=roles(tmp_path), data_dir=tmp_path)
    yield keeper
    keeper.stop()


def test_the_roles_run_until_they_are_stopped_and_leave_a_log_each(keeper, tmp_path):
    assert keeper.start()
    assert is_leading(keeper)
    assert soon(lambda: both_started(tmp_path))
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == ["one.log", "two.log"]
    keeper.stop()
    assert not is_leading(keeper)
    assert all_ended(tmp_path)


def test_a_dead_child_is_reported_and_started_again_the_other_is_left_alone(keeper, tmp_path):
    deaths = []
    keeper.on_death = lambda: deaths.append(1)
    keeper.start()
    assert deaths == [1]  # what an earlier supervisor's children left behind is looked after first
    assert soon(lambda: both_started(tmp_path))
    os.kill(pids(tmp_path, "one")[0], signal.SIGKILL)

    def is_back() -> bool:
        keeper.check()
        return len(pids(tmp_path, "one")) == 2

    assert soon(is_back)
    assert (keeper.deaths, deaths) == (1, [1, 1])
    assert is_alive(pids(tmp_path, "one")[1])
    assert len(pids(tmp_path, "two")) == 1


def test_a_child_that_will_not_end_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "STOP_GRACE_S", 0.2)
    keeper = Supervisor(roles=roles(tmp_path, STUBBORN), data_dir=tmp_path)
    keeper.start()
    assert soon(lambda: both_started(tmp_path))
    keeper.stop()
    assert all_ended(tmp_path)


def test_a_second_supervisor_over_the_same_folder_waits_and_takes_over(keeper, tmp_path):
    keeper.start()
    assert soon(lambda: both_started(tmp_path))
    second = Supervisor(roles=roles(tmp_path), data_dir=tmp_path)
    try:
        assert not second.start()
        second.check()
        assert not is_leading(second)
        assert len(pids(tmp_path, "one")) == 1
        keeper.stop()
        second.check()
        assert is_leading(second)
        assert soon(lambda: len(pids(tmp_path, "one")) == 2)
    finally:
        second.stop()
    assert all_ended(tmp_path)


def test_the_children_end_when_the_supervisor_is_killed_and_the_next_one_can_start(keeper, tmp_path):
    first = subprocess.Popen([sys.executable, "-c", SUPERVISE, str(tmp_path)], cwd=BASE_DIR)
    assert soon(lambda: both_started(tmp_path))
    assert not keeper.start()
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert soon(lambda: all_ended(tmp_path), within_s=10)
    assert keeper.start()


# --- the lifeline by itself ------------------------------------------------------------------------------------------

POLITE = """
import signal, sys, threading, time
from studio import lifeline
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
threading.Thread(target=lifeline.hold, daemon=True).start()
print("ready", flush=True)
while True:
    time.sleep(0.05)
"""
DEAF = """
import signal, threading, time
from studio import lifeline
lifeline.GRACE_S = 0.3
signal.signal(signal.SIGTERM, signal.SIG_IGN)
threading.Thread(target=lifeline.hold, daemon=True).start()
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(("code", "status"), [(POLITE, 7), (DEAF, 1)], ids=["asked", "made to"])
def test_a_process_ends_when_the_other_end_of_its_lifeline_closes(code, status):
    reading_end, writing_end = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        env={**os.environ, "STUDIO_LIFELINE_FD": str(reading_end)},
        pass_fds=(reading_end,),
        cwd=BASE_DIR,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    assert process.poll() is None
    os.close(writing_end)
    assert process.wait(timeout=10) == status
    process.stdout.close()
    os.close(reading_end)


def test_a_process_without_a_supervisor_has_no_lifeline_and_lives_on():
    code = "from studio import lifeline; lifeline.hold(); print('lives on')"
    env = {name: value for name, value in os.environ.items() if name != "STUDIO_LIFELINE_FD"}
    result = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=BASE_DIR, capture_output=True, text=True, check=True
    )
    assert result.stdout == "lives on\n"


# --- is_alive --------------------------------------------------------------------------------------------------------


def test_a_running_process_is_alive_a_zombie_and_an_ended_one_are_not():
    assert is_alive(os.getpid())
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    assert is_alive(child.pid)
    child.kill()
    assert soon(lambda: not is_alive(child.pid))
    # Nobody has waited for it yet, so it is still in the table, as a zombie.
    os.kill(child.pid, 0)
    child.wait()
    assert not is_alive(child.pid)
