"""Everything that can be measured here, one after another, each in a process of its own; figures as each last line.

    python bench/all.py          what a machine without a GPU shows (half an hour on two cores)
    python bench/all.py --gpu    what only a GPU shows

Exit code 0 only if every one of them says that its goals are reached.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ON_CPU = (
    "-m inference.engine bench --quick",
    "bench/planner.py",
    "bench/egress.py",
    "bench/lora_switch.py",
    "bench/determinism.py",
    "bench/memory.py",
    "bench/overhead.py",
    "bench/launch.py",
    "bench/polls.py",
    "bench/sdxl_size.py",
)
ON_GPU = (
    "bench/saturation.py --family sdxl",
    "bench/saturation.py --family flux --batch-size 4 --steps 28",
    "bench/memory.py --device cuda --size full --side 1024",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpu", action="store_true", help="measure what only a GPU shows")
    options = parser.parse_args()
    failed = [command for command in (ON_GPU if options.gpu else ON_CPU) if not runs(command)]
    print(f"{len(failed)} did not reach their goals or did not run{': ' if failed else ''}{', '.join(failed)}")
    return 1 if failed else 0


def runs(command: str) -> bool:
    """Run one, print its last line, and say whether it ended with 0."""
    started = time.monotonic()
    done = subprocess.run([sys.executable, *command.split()], cwd=ROOT, capture_output=True, text=True, check=False)
    last = (done.stdout or done.stderr).strip().split("\n")[-1]
    print(f"python {command} ({time.monotonic() - started:.0f} s, exit code {done.returncode})\n    {last}", flush=True)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
