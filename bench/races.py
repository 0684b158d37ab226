"""Too many clicks at once: exactly as many succeed as there are credits for, and one click sent often is one click.

    python bench/races.py [--database sqlite|postgres] [--rounds 100] [--clicks 200] [--connections 16]

In each round so many processes, each with a connection of its own, send the clicks at the same moment: first each under
a key of its own, with credits for a quarter of them, then all under one key, with credits for that one. The last line
has the figures; exit code 0 only if all of them are exact and the audits find nothing.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import ground

BARRIER_S = 600.0
FREE_CREDITS = 20  # what a workspace of the plan "free" has, and what one click of the second kind asks for


@dataclass
class Answers:
    """What one process was answered in a round: how its own clicks ended, and which generations the shared one made."""

    own: Counter[str] = field(default_factory=Counter)
    shared: set[object] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Round:
    """A round's two workspaces."""

    scarce_id: int
    shared_id: int


def main() -> int:
    options = parse()
    started = time.monotonic()
    with ground.ground(options.database):
        from billing import clock

        now = clock.now()
        rounds = [
            Round(
                ground.make_workspace(f"scarce-{number}", credits=options.clicks // 4, now=now),
                ground.make_workspace(f"shared-{number}", credits=FREE_CREDITS, now=now),
            )
            for number in range(options.rounds)
        ]
        raced_at = time.monotonic()
        barrier = ground.fork.Barrier(options.connections)
        acts = [partial(clicker, rounds, place, options, barrier, now) for place in range(options.connections)]
        answers: list[list[Answers]] = ground.together(acts)
        raced_s = time.monotonic() - raced_at
        problems = [problem for number, each in enumerate(rounds) for problem in wrong(each, number, answers, options)]
        audit = ground.broken_invariants()
    for problem in problems[:20]:
        print("BROKEN:", problem)
    own = sum((each.own for mine in answers for each in mine), Counter[str]())
    print(
        f"rounds {options.rounds} · clicks {options.clicks} over {options.connections} connections · "
        f"{', '.join(f'{name} {count}' for name, count in sorted(own.items()))} · rounds not exact {len(problems)} · "
        f"broken invariants {sum(audit.values())} · {raced_s:.0f} of {time.monotonic() - started:.0f} s · "
        f"{options.database}"
    )
    return 1 if problems or audit else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--clicks", type=int, default=200, help="a multiple of 4, at least 80")
    parser.add_argument("--connections", type=int, default=16)
    return parser.parse_args()


def clicker(rounds: list[Round], place: int, options: argparse.Namespace, barrier: Any, now: datetime) -> list[Answers]:
    """One process's share of the clicks of every round, begun when all are ready."""
    from billing.ledger import InsufficientCreditsError

    told = []
    for each in rounds:
        answers = Answers()
        told.append(answers)
        barrier.wait(timeout=BARRIER_S)
        for number in range(place, options.clicks, options.connections):
            try:
                click(each.scarce_id, key=f"click {number}", images=1, now=now)
                answers.own["succeeded"] += 1
            except InsufficientCreditsError:
                answers.own["refused"] += 1
            except Exception as error:
                answers.failures.append(repr(error))
        barrier.wait(timeout=BARRIER_S)
        for _ in range(place, options.clicks, options.connections):
            noted(answers, partial(click, each.shared_id, key="click", images=FREE_CREDITS, now=now))
    return told


def noted(answers: Answers, ask: Callable[[], tuple[int, tuple[int, ...]]]) -> None:
    try:
        answers.shared.add(ask())
    except Exception as error:
        answers.failures.append(repr(error))


def click(workspace_id: int, *, key: str, images: int, now: datetime) -> tuple[int, tuple[int, ...]]:
    """Ask for images, and be told the generation and its renders."""
    from inference import catalog, queue
    from inference.queue import QueuedRequest
    from inference.requests import image_request

    entry = catalog.entry("starter")
    requests = [
        QueuedRequest(
            request=image_request(entry, prompt="a mug on a table", seed=seed, width=256, height=256),
            batch_key="any",
        )
        for seed in range(images)
    ]
    generation, renders = queue.enqueue(workspace_id=workspace_id, key=key, requests=requests, entry=entry, now=now)
    return generation.pk, tuple(renders)


def wrong(each: Round, number: int, answers: list[list[Answers]], options: argparse.Namespace) -> Iterator[str]:
    """What was not exact in a round, from what everybody was told and from the balances."""
    from billing import ledger

    told = [mine[number] for mine in answers]
    own = sum((one.own for one in told), Counter[str]())
    there_was = options.clicks // 4
    if own != {"succeeded": there_was, "refused": options.clicks - there_was}:
        yield f"round {number}: {dict(own)}"
    shared = set().union(*(one.shared for one in told))
    if len(shared) != 1:
        yield f"round {number}: one click made {len(shared)} generations"
    yield from (f"round {number}: {failure}" for one in told for failure in one.failures)
    for workspace_id, held in ((each.scarce_id, there_was), (each.shared_id, FREE_CREDITS)):
        balance = ledger.balance(workspace_id=workspace_id)
        if (balance.available, balance.held) != (0, held * ledger.MILLI):
            yield f"round {number}: {balance}"


if __name__ == "__main__":
    sys.exit(main())
