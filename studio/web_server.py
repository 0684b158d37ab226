"""gunicorn's settings: one process of threads, since a page waits for the database and hardly computes."""

import threading

from gunicorn.arbiter import Arbiter

from studio import lifeline

worker_class = "gthread"
workers = 1
threads = 8
accesslog = None
control_socket_disable = True


def when_ready(server: Arbiter) -> None:
    """gunicorn's hook, called once in its first process."""
    threading.Thread(target=lifeline.hold, daemon=True, name="lifeline").start()
