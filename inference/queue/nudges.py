"""Waking workers: a message on a queue says that there is work there, and nothing else.

At most one unread message lies on a queue, however long the work takes; a lost one is replaced by the sweeper.
"""

import logging
from datetime import datetime
from typing import Any

from celery import current_app
from django.db import transaction
from kombu import Queue

from inference import turn

logger = logging.getLogger(__name__)


def nudge_on_commit(queue: str) -> None:
    """Tell a worker, once this transaction is real, that there is work. Lost nudges are replaced by the sweeper."""
    transaction.on_commit(lambda: nudge(queue), robust=True)


def nudge(queue: str) -> None:
    """Say that there is work on a queue, unless a message that nobody has read yet says so already.

    Whoever reads that message looks at the database afterwards, and so finds what was committed before this call.
    """
    if not unread(queue):
        current_app.send_task("inference.drain", args=[queue], queue=queue, ignore_result=True)


def unread(queue: str) -> int:
    """How many messages of a queue nobody has taken yet; 0 where the broker has no such queue or does not answer."""
    pool: Any = current_app.pool
    try:
        with pool.acquire(block=True) as connection, connection.channel() as channel:
            return int(Queue(queue, channel=channel).queue_declare(passive=True).message_count)  # type: ignore[union-attr]
    except Exception:
        # Every broker's library has errors of its own; one message too many does no harm, one too few would.
        logger.debug("the messages on %s could not be counted", queue, exc_info=True)
        return 0


def waiting(*, queue: str, now: datetime) -> bool:
    """Whether a worker that asked now would get something."""
    return turn.eligible(queue=queue, now=now).exists()
