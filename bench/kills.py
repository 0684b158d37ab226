"""A campaign through random kill -9: every image must be there in the end, and be charged exactly once.

    python bench/kills.py [--kills 20] [--cells 96] [--seed 1] [--engine diffusers|fixed-rate] [--data DIR]

Starts script/campaign over the project's own photos in a data folder of its own and kills, at random moments, one of
its processes: the gpu worker (every other time, and once it has a batch in hand), the default worker, beat, or the
command itself, which is then started again as a person would. Ends with the figures; exit code 0 only if images, charge
and every invariant are exact, and at least 30 % of the kills came inside a batch.
"""

import argparse
import csv
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEMO_PRODUCTS = ROOT / "campaigns" / "demo" / "products.csv"
BAD_INPUT = 2
WEIGHTS = {"gpu": 10, "default": 3, "beat": 3, "command": 4}
IN_BATCH = "inside a batch"
SHARE_IN_BATCH = 0.3
BATCH_PATIENCE_S = 90.0  # a worker that was just started loads its libraries first
INTO_BATCH_S = 1.0
ROLES = {"gpu": "--queues gpu", "default": "--queues default", "beat": "celery beat"}


def main() -> int:
    options = parse()
    with tempfile.TemporaryDirectory() as scratch:
        data = options.data or Path(scratch)
        data.mkdir(parents=True, exist_ok=True)
        brief = write_brief(data, products=options.products, cells=options.cells)
        environment = {**os.environ, "STUDIO_DATA": str(data), "STUDIO_ENGINE": options.engine}
        started = time.monotonic()
        kills = run_with_kills(brief, data / "out", environment, options)
        seconds = time.monotonic() - started
        in_batch = kills.pop(IN_BATCH, 0)
        problems = list(verify(data / "out", environment, cells=options.cells))
        if in_batch < SHARE_IN_BATCH * kills.total():
            problems.append(f"only {in_batch} of {kills.total()} kills came inside a batch")
    for problem in problems:
        print("BROKEN:", problem)
    per_role = ", ".join(f"{role} {number}" for role, number in sorted(kills.items()))
    print(
        f"cells {options.cells} · kills {kills.total()} ({per_role}; {in_batch} inside a batch) · "
        f"seconds {seconds:.0f} · seed {options.seed} · engine {options.engine} · {'FAILED' if problems else 'exact'}"
    )
    return 1 if problems or kills.total() < options.kills else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--cells", type=int, default=96, help="a multiple of 8")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pause", type=float, default=6.0, help="mean seconds between kills")
    parser.add_argument("--engine", choices=("diffusers", "fixed-rate"), default="diffusers")
    parser.add_argument("--products", type=Path, default=DEMO_PRODUCTS, help="products CSV; its first four are used")
    parser.add_argument("--data", type=Path, help="keep the data folder here instead of a temporary one")
    return parser.parse_args()


def write_brief(data: Path, *, products: Path, cells: int) -> Path:
    """A brief of so many cells over four products: each in one channel, under cells/8 × 2 scenes."""
    folder = products.resolve().parent
    with products.open(newline="") as file:
        rows = list(csv.DictReader(file))[:4]
    with (data / "products.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["sku", "title", "photo", "mask"])
        writer.writeheader()
        for row in rows:
            mask = str(folder / row["mask"]) if row["mask"] else ""
            writer.writerow(row | {"photo": str(folder / row["photo"]), "mask": mask})
    backdrops = ", ".join(f'"sunset sky {number}"' for number in range(cells // 8))
    brief = data / "brief.toml"
    brief.write_text(
        f"""version = 1
[campaign]
name = "Kills"
checkpoint = "starter"
images_per_cell = 1
seed = 7
seed_policy = "per_scene"
[products]
csv = "products.csv"
[prompt]
template = "on {{surface}}, {{backdrop}}"
negative = ""
[axes]
surface = ["marble", "sand"]
backdrop = [{backdrops}]
[[channels]]
name = "square"
width = 320
height = 320
placement = {{ scale = 0.6, anchor = "center" }}
"""
    )
    return brief


def run_with_kills(brief: Path, out: Path, environment: dict[str, str], options: argparse.Namespace) -> Counter[str]:
    """Kill until the number is reached, start again what a person would, wait for the end."""
    dice = random.Random(options.seed)
    kills: Counter[str] = Counter()
    command = [sys.executable, str(ROOT / "manage.py"), "run_campaign", str(brief), "--out", str(out)]
    log = (out.parent / "command.log").open("ab")
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    done = 0
    while True:
        time.sleep(dice.expovariate(1 / options.pause))
        if process.poll() is not None:
            print(f"the command ended with {process.returncode}", flush=True)
            if process.returncode in (0, BAD_INPUT) or done >= options.kills:
                break
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        if done < options.kills:
            (role,) = dice.choices(list(WEIGHTS), list(WEIGHTS.values()))
            if role == "gpu" and wait_for_a_batch(environment):
                time.sleep(dice.uniform(0, INTO_BATCH_S))
            victims = [process.pid] if role == "command" else pids(ROLES[role], environment["STUDIO_DATA"])
            busy = with_batch(environment)
            for pid in victims:
                os.kill(pid, signal.SIGKILL)
                done += 1
                kills[role] += 1
                kills[IN_BATCH] += pid in busy
                print(f"kill {done}: {role}{', ' + IN_BATCH if pid in busy else ''}", flush=True)
            if role == "command":
                process.wait()
        elif process.poll() is None:
            process.wait()
    while process.returncode != 0:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        if process.wait() not in (0, -signal.SIGKILL):
            break
    return kills


def wait_for_a_batch(environment: dict[str, str]) -> bool:
    """Whether a worker has a batch in hand before long."""
    ends_at = time.monotonic() + BATCH_PATIENCE_S
    while time.monotonic() < ends_at:
        # One that was killed in the middle of its batch still stands in the database for a moment.
        if with_batch(environment) & set(pids(ROLES["gpu"], environment["STUDIO_DATA"])):
            return True
        time.sleep(0.1)
    return False


def with_batch(environment: dict[str, str]) -> set[int]:
    """The process ids of workers that have a batch in hand, as the operations page knows them."""
    os.environ |= {**environment, "DJANGO_SETTINGS_MODULE": "studio.settings", "STUDIO_LOG_LEVEL": "ERROR"}
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    import django
    from django.apps import apps
    from django.db import Error, connection

    if not apps.ready:
        django.setup()
    from billing import clock
    from inference import operations

    try:
        workers = operations.standing_workers(now=clock.now())
    except Error:
        return set()  # the command has not made its tables yet
    finally:
        connection.close()
    return {worker.pid for worker in workers if worker.batch_id}


def pids(pattern: str, data: str) -> list[int]:
    """Processes of this data folder whose command line contains the pattern."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if pattern in line and f"STUDIO_DATA={data}\0" in (folder / "environ").read_text():
                found.append(int(folder.name))
        except OSError:
            continue  # it ended in between
    return found


def verify(out: Path, environment: dict[str, str], *, cells: int) -> Iterator[str]:
    """What is wrong in the end, from the files and from the database's own recount."""
    manifest = out / "manifest.csv"
    if not manifest.exists():
        yield "there is no manifest"
        return
    rows = list(csv.DictReader(manifest.open()))
    statuses = Counter(row["status"] for row in rows)
    if statuses != {"succeeded": cells}:
        yield f"statuses are {dict(statuses)}"
    if len({row["cell"] for row in rows}) != cells:
        yield "cells are missing or doubled"
    charged = sum(float(row["credits_charged"]) for row in rows)
    if charged != cells:
        yield f"{charged} credits charged in the manifest"
    for row in rows:
        if row["file"] and hashlib.sha256((out / row["file"]).read_bytes()).hexdigest() != row["sha256"]:
            yield f"{row['file']} does not have its hash"
    audit = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "audit_ledger"], env=environment, capture_output=True, text=True
    )
    if audit.returncode:
        yield audit.stdout + audit.stderr
    spent = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "shell", "--verbosity", "0", "-c",
         "from django.apps import apps; print(sum(a.spent for a in apps.get_model('billing.Account').objects.all()))"],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    if spent.stdout.strip() != str(cells * 1000):
        yield f"the ledger spent {spent.stdout.strip()} millicredits"


if __name__ == "__main__":
    sys.exit(main())
