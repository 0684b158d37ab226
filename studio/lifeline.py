"""Ends a process when its supervisor is gone, even when the supervisor was killed and could say nothing.

The supervisor keeps the writing end of a pipe; the kernel closes it with the supervisor, and every child sees the end.
"""

import contextlib
import os
import signal
import threading

VARIABLE = "STUDIO_LIFELINE_FD"
GRACE_S = 20.0


def hold() -> None:
    """Wait until the supervisor is gone, then end this process: politely first, then at once. Returns without one."""
    descriptor = os.environ.get(VARIABLE)
    if not descriptor:
        return
    with contextlib.suppress(OSError):
        os.read(int(descriptor), 1)
    timer = threading.Timer(GRACE_S, os._exit, args=(1,))
    timer.daemon = True  # else a process that ended politely would wait for it
    timer.start()
    os.kill(os.getpid(), signal.SIGTERM)
