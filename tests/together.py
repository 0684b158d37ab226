"""Runs functions at the same moment, each in a thread with a database connection of its own."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import connections


def together(functions: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each function returned or raised, in order; all begin when all are ready."""
    ready = threading.Barrier(len(functions))

    def run(function: Callable[[], Any]) -> Any:
        try:
            ready.wait(timeout=30)
            return function()
        except Exception as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(functions)) as pool:
        return list(pool.map(run, functions))


def raised(results: Sequence[Any]) -> list[Exception]:
    return [result for result in results if isinstance(result, Exception)]
