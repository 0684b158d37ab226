"""The one clock that ledger and queue believe: the database's, so that workers with a wrong one do no harm."""

from datetime import UTC, datetime

from django.db import connection


def now() -> datetime:
    """The database server's present time, in UTC (on PostgreSQL the real time, not the transaction's start)."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            moment: datetime = cursor.fetchone()[0]
            return moment.astimezone(UTC)
    # SQLite lives on this machine: its clock is this process's, at a finer grain.
    return datetime.now(UTC)
