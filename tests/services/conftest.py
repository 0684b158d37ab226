"""These tests need a real PostgreSQL server: DATABASE_URL names one (tests/with_postgres.py starts one)."""

import os

import pytest
from django.db import connection

REASON = "needs a PostgreSQL server in DATABASE_URL; python tests/with_postgres.py python -m pytest starts one"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if connection.vendor == "postgresql" or item.get_closest_marker("services") is None:
        return
    if "services" in os.environ.get("STUDIO_REQUIRE", "").split(","):
        pytest.fail(f"STUDIO_REQUIRE asks for it, but it {REASON}", pytrace=False)
    pytest.skip(REASON)
