"""gunicorn's settings: one process of threads, since a page waits for the database and hardly computes."""

import gc
import threading

from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker

from studio import lifeline

worker_class = "gthread"
workers = 1
threads = 8
accesslog = None
control_socket_disable = True

# Newly made objects after which Python looks for cycles among them, and how many of those looks until it looks among
# older ones. The launch of a campaign makes hundreds of thousands that all stay until it is done: at the usual 700, 10
# and 10, looking through them again and again takes about a fifth of its computing.
COLLECTED_AFTER = (20_000, 20, 50)


def when_ready(server: Arbiter) -> None:
    """gunicorn's hook, called once in its first process."""
    threading.Thread(target=lifeline.hold, daemon=True, name="lifeline").start()


def post_worker_init(worker: Worker) -> None:
    """gunicorn's hook, called in each process that serves."""
    collect_rarely()


def collect_rarely() -> None:
    """Have this process collect cyclic garbage as often as the web process does."""
    gc.set_threshold(*COLLECTED_AFTER)
