"""How long the stateful machines run: a moment in script/test, STATEFUL_STEPS steps and more in their longest mode.

STATEFUL_STEPS=50000 [STATEFUL_SEED=1] python -m pytest -s tests/billing/test_ledger_machine.py
"""

import itertools
import os
import time
from collections.abc import Callable
from typing import ClassVar

from django.db import transaction
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, run_state_machine_as_test

LONG_EXAMPLE = 50  # steps
AUDITED_EVERY = 10  # steps of a long run: what is broken stays so, and is looked for at the end of each example as well


class CountedMachine(RuleBasedStateMachine):
    """Counts its steps, undoes all of them, and has the audits run every so often and at its end."""

    steps_run: ClassVar[int] = 0
    audited_every: ClassVar[int] = 1
    audit: ClassVar[Callable[[], dict[str, int]]]

    def __init__(self) -> None:
        super().__init__()
        self._step = -1  # the invariants are asked before the first step, too
        self.rollback = transaction.atomic()
        self.rollback.__enter__()

    @invariant()
    def step(self) -> None:
        self._step += 1
        if self._step % self.audited_every == 0:
            self.the_audits_find_nothing()

    def the_audits_find_nothing(self) -> None:
        assert {name: number for name, number in type(self).audit().items() if number} == {}

    def teardown(self) -> None:
        type(self).steps_run += max(self._step, 0)
        try:
            self.the_audits_find_nothing()
        finally:
            transaction.set_rollback(True)
            self.rollback.__exit__(None, None, None)


def run(machine: type[CountedMachine], *, examples: int, steps: int) -> None:
    """Run it for so many examples of so many steps, or, where STATEFUL_STEPS asks for it, for that many steps."""
    machine.steps_run, machine.audited_every = 0, 1
    started = time.monotonic()
    try:
        if wanted := int(os.environ.get("STATEFUL_STEPS", "0")):
            _run_long(machine, wanted, first_seed=int(os.environ.get("STATEFUL_SEED", "1")))
        else:
            run_state_machine_as_test(machine, settings=_settings(examples, steps))
    finally:
        print(f"\n{machine.__name__}: {machine.steps_run} steps in {time.monotonic() - started:.0f} s")


def _run_long(machine: type[CountedMachine], wanted: int, *, first_seed: int) -> None:
    """Until so many steps were counted: an example may end before its last step."""
    machine.audited_every = AUDITED_EVERY
    for number in itertools.count(first_seed):
        if machine.steps_run >= wanted:
            return
        seed(number)(machine)
        examples = -(-(wanted - machine.steps_run) // LONG_EXAMPLE)
        run_state_machine_as_test(machine, settings=_settings(examples, LONG_EXAMPLE))


def _settings(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.generate,),  # shrinking a failure would take minutes
        suppress_health_check=list(HealthCheck),
    )
