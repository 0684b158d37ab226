"""Named moments at which a drill may end, freeze or fail this process. Knows files of orders, not what is going on.

Nothing happens unless CHAOS=1: then whoever reaches a moment obeys the order that lies under its name in CHAOS_ORDERS.
"""

import errno
import os
import signal
import time
from pathlib import Path

POINTS = (
    *("after_claim", "mid_render", "mid_put", "after_put", "in_settle", "after_settle"),
    *("in_open", "sweeper", "in_cancel", "in_refund"),
)
EVERYBODY = ".all"
TAKEN = "taken"

_ORDERS = Path(os.environ["CHAOS_ORDERS"]) if os.environ.get("CHAOS") == "1" else None


def kill_point(name: str) -> None:
    """Obey the order for this moment, if there is one: "kill", "freeze", "stall SECONDS" or "fail ERRNO_NAME".

    :raises OSError: the order is to fail.
    """
    if _ORDERS is not None and (order := take(name)):
        _obey(order)


def take(name: str) -> str | None:
    """The order under this name, in words; None without one.

    The file ``NAME`` is for whoever comes first, and is moved to ``taken/NAME.PID.NANOSECONDS`` before anything
    happens; ``NAME.all`` is for everybody until it is removed.
    """
    if _ORDERS is None:
        return None
    taken = _ORDERS / TAKEN / f"{name}.{os.getpid()}.{time.monotonic_ns()}"
    try:
        (_ORDERS / name).rename(taken)
        return taken.read_text()
    except FileNotFoundError:
        pass
    try:
        return (_ORDERS / f"{name}{EVERYBODY}").read_text()
    except FileNotFoundError:
        return None


def _obey(order: str) -> None:
    act, _, argument = order.partition(" ")
    if act == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif act == "freeze":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif act == "stall":
        time.sleep(float(argument))
    elif act == "fail":
        number = getattr(errno, argument)
        raise OSError(number, os.strerror(number))
    else:
        raise ValueError(f"There is no order {order!r}.")
