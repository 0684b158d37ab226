"""A hostile file costs itself a refusal, never the batch, the machine's memory or a process left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from gallery.decoder import Decoder, DecoderError, Limits
from tests.gallery.image_files import picture, png, saved

GIB = 1024**3
ROOT = Path(__file__).parents[2]
GOOD = saved(picture(), "PNG")


def limits(*, memory: int = 2 * GIB, cpu_s: int = 20) -> Limits:
    return Limits(max_pixels=64_000_000, max_memory_bytes=memory, cpu_s=cpu_s)


def largest() -> bytes:
    """A file of a few kilobytes with as many pixels as are taken, and alpha."""
    return saved(Image.new("P", (8000, 8000)), "PNG", transparency=0, bits=1, compress_level=1)


def children_of(pid: int) -> set[int]:
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid and fields[0] != "Z":
                found.add(int(entry.name))
    return found


def wait_until(is_so: Callable[[], bool], *, timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Watched:
    """A decoder whose child is known."""

    def __init__(self, decoder: Decoder, target: Path) -> None:
        before = children_of(os.getpid())
        assert decoder.decode(GOOD, target=target, use="photo").refusal == ""
        (self.child,) = children_of(os.getpid()) - before


def test_one_child_serves_many_files_and_ends_with_the_context(tmp_path: Path) -> None:
    with Decoder(limits()) as decoder:
        watched = Watched(decoder, tmp_path / "a.png")
        for _ in range(5):
            assert decoder.decode(GOOD, target=tmp_path / "a.png", use="photo").width == 96
        assert watched.child in children_of(os.getpid())
    assert watched.child not in children_of(os.getpid())


def test_too_much_memory_is_a_refusal_and_the_next_file_is_fine(tmp_path: Path) -> None:
    with Decoder(limits(memory=GIB // 2)) as decoder:
        refusal = decoder.decode(largest(), target=tmp_path / "a.png", use="photo").refusal
        assert refusal.startswith(("needs too much memory to decode. Scale it down", "stops the image decoder."))
        assert not (tmp_path / "a.png").exists()
        assert decoder.decode(GOOD, target=tmp_path / "b.png", use="photo").refusal == ""


def test_the_default_memory_is_enough_for_the_largest_picture(tmp_path: Path) -> None:
    with Decoder(limits()) as decoder:
        answer = decoder.decode(largest(), target=tmp_path / "a.png", use="photo")
    assert (answer.refusal, answer.width, answer.has_alpha) == ("", 8000, True)


def test_too_much_processor_time_is_a_refusal_and_the_next_file_is_fine(tmp_path: Path) -> None:
    noise = os.urandom(1 << 20)
    rows = b"".join(b"\0" + noise[: 1000 * 3] + noise[index : index + 6000 * 3] for index in range(2500))
    slow = png(7000, 2500, rows, color=2)
    with Decoder(limits(cpu_s=1)) as decoder:
        assert decoder.decode(GOOD, target=tmp_path / "a.png", use="photo").refusal == ""
        refusal = decoder.decode(slow, target=tmp_path / "a.png", use="photo").refusal
        assert refusal.startswith("takes longer than 1 s to decode. Scale it down")
        # The time that others took is nobody else's.
        for _ in range(3):
            assert decoder.decode(GOOD, target=tmp_path / "b.png", use="photo").refusal == ""


def test_a_hang_is_a_refusal_and_the_next_file_is_fine(tmp_path: Path) -> None:
    with Decoder(limits(cpu_s=1)) as decoder:
        watched = Watched(decoder, tmp_path / "a.png")
        os.kill(watched.child, signal.SIGSTOP)
        refusal = decoder.decode(GOOD, target=tmp_path / "a.png", use="photo").refusal
        assert refusal.startswith("takes longer than 1 s to decode.")
        assert decoder.decode(GOOD, target=tmp_path / "b.png", use="photo").refusal == ""


def test_a_crash_in_the_middle_is_a_refusal_and_the_next_file_is_fine(tmp_path: Path) -> None:
    with Decoder(limits()) as decoder:
        watched = Watched(decoder, tmp_path / "a.png")
        os.kill(watched.child, signal.SIGSTOP)
        threading.Timer(0.3, os.kill, (watched.child, signal.SIGSEGV)).start()
        threading.Timer(0.4, os.kill, (watched.child, signal.SIGCONT)).start()
        refusal = decoder.decode(GOOD * 1000, target=tmp_path / "a.png", use="photo").refusal
        assert refusal == "stops the image decoder. Save it again from its original, or in another format."
        assert decoder.decode(GOOD, target=tmp_path / "b.png", use="photo").refusal == ""


def test_a_child_that_died_between_files_costs_none_of_them(tmp_path: Path) -> None:
    with Decoder(limits()) as decoder:
        watched = Watched(decoder, tmp_path / "a.png")
        os.kill(watched.child, signal.SIGKILL)
        wait_until(lambda: watched.child not in children_of(os.getpid()))
        assert decoder.decode(GOOD, target=tmp_path / "b.png", use="photo").refusal == ""


def test_ctrl_c_in_the_terminal_does_not_cost_a_file(tmp_path: Path) -> None:
    with Decoder(limits()) as decoder:
        watched = Watched(decoder, tmp_path / "a.png")
        os.kill(watched.child, signal.SIGINT)
        assert decoder.decode(GOOD, target=tmp_path / "b.png", use="photo").refusal == ""
        assert watched.child in children_of(os.getpid())


def test_a_decoder_that_cannot_start_is_no_fault_of_the_file(tmp_path: Path) -> None:
    with Decoder(limits(memory=20_000_000)) as decoder, pytest.raises(DecoderError, match="STUDIO_DECODE_MAX_MEMORY"):
        decoder.decode(GOOD, target=tmp_path / "a.png", use="photo")


HOLDER = """
import pathlib, sys, time
from gallery.decoder import Decoder, Limits
with Decoder(Limits(max_pixels=10**6, max_memory_bytes=2**31, cpu_s=20)) as decoder:
    decoder.decode(pathlib.Path(sys.argv[1]).read_bytes(), target=pathlib.Path(sys.argv[2]), use="photo")
    print("decoded", flush=True)
    time.sleep(60)
"""


def test_the_child_dies_with_a_parent_that_is_killed_even_while_it_is_stopped(tmp_path: Path) -> None:
    (tmp_path / "in.png").write_bytes(GOOD)
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "in.png"), str(tmp_path / "out.png")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"decoded\n"
        (child,) = children_of(parent.pid)
        os.kill(child, signal.SIGSTOP)
        parent.kill()
    wait_until(lambda: not Path(f"/proc/{child}/stat").exists() or " Z " in Path(f"/proc/{child}/stat").read_text())


def test_the_child_loads_no_django_and_no_torch() -> None:
    code = (
        "import sys, gallery.decode_child as child; child._prepare_libraries(2**31);"
        "print([name for name in ('django', 'torch', 'cv2', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
