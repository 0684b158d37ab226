"""Health as a balancer asks for it: alive without a database, ready only when work can be taken, never a secret."""

import re
import shutil
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import DatabaseError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from studio import readiness

WELL = {"database": "ok", "migrations": "ok", "broker": "ok", "storage": "ok", "disk": "ok"}


def gone(*_: object) -> None:
    raise DatabaseError("could not connect to postgresql://studio:secret@db.internal/studio")


@pytest.fixture(autouse=True)
def _broker_of_its_own(settings, tmp_path):
    settings.BROKER_DIR = tmp_path / "broker"


def test_a_live_process_says_so_without_asking_the_database(client, db, django_assert_num_queries):
    with django_assert_num_queries(0), connection.execute_wrapper(gone):
        response = client.get("/health/live/")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert "no-store" in response["Cache-Control"]


def test_ready_names_everything_that_work_needs(client, db, django_assert_max_num_queries):
    with django_assert_max_num_queries(8):
        response = client.get("/health/ready/")
    assert (response.status_code, response.json()) == (200, {"status": "ready", "checks": WELL})
    assert "no-store" in response["Cache-Control"]


def test_readiness_leaves_nothing_behind(client, db, settings):
    client.get("/health/ready/")
    client.get("/health/ready/")
    assert list(settings.MEDIA_ROOT.iterdir()) == []
    assert list((settings.BROKER_DIR / "messages").iterdir()) == []
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            assert cursor.execute("PRAGMA busy_timeout").fetchone() == (20_000,)


def test_a_database_that_is_gone_makes_it_not_ready_and_is_not_named(db):
    with connection.execute_wrapper(gone):
        response = Client().get("/health/ready/")
    assert response.status_code == 503
    told = response.json()["checks"]
    assert told["database"] == "does not answer, or cannot be written to"
    assert told["migrations"] == "not known while the database does not answer"
    assert told["storage"] == "ok"
    assert "secret" not in response.content.decode()
    assert "internal" not in response.content.decode()


def test_a_database_that_refuses_to_be_written_to_is_not_ready(client, db):
    def read_only(execute, sql, *rest):
        if sql.startswith("UPDATE"):
            raise DatabaseError("cannot execute UPDATE in a read-only transaction")
        return execute(sql, *rest)

    with connection.execute_wrapper(read_only):
        told = client.get("/health/ready/").json()["checks"]
    assert told == WELL | {"database": readiness.FALLBACKS["database"]}


def test_a_migration_that_was_not_applied_is_said_with_what_to_do(client, db):
    newest = max(name for app, name in MigrationRecorder(connection).applied_migrations() if app == "billing")
    MigrationRecorder(connection).record_unapplied("billing", newest)
    response = client.get("/health/ready/")
    assert response.status_code == 503
    assert response.json()["checks"] == WELL | {"migrations": "migrations are missing: run manage.py migrate"}


@pytest.mark.parametrize(("setting", "name"), [("MEDIA_ROOT", "storage"), ("BROKER_DIR", "broker")])
def test_a_folder_that_cannot_be_written_to_is_said_without_its_path(client, db, settings, tmp_path, setting, name):
    # A file where the folder should be: fails for root as well, who may write anywhere.
    (tmp_path / "in-the-way").write_text("")
    setattr(settings, setting, tmp_path / "in-the-way" / "folder")
    response = client.get("/health/ready/")
    assert response.status_code == 503
    assert response.json()["checks"] == WELL | {name: readiness.FALLBACKS[name]}
    assert str(tmp_path) not in response.content.decode()


def test_a_redis_that_is_gone_is_said_within_seconds_without_its_password(client, db, settings):
    settings.STUDIO_BROKER_URL = "redis://:hunter2@127.0.0.1:1/0"
    response = client.get("/health/ready/")
    assert response.status_code == 503
    assert response.json()["checks"] == WELL | {"broker": readiness.FALLBACKS["broker"]}
    assert "hunter2" not in response.content.decode()


def test_a_disk_that_is_almost_full_takes_no_more_work(client, db, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(free=400 * 1024**2))
    response = client.get("/health/ready/")
    assert response.status_code == 503
    assert response.json()["checks"] == WELL | {"disk": "less than 512 MB are free"}


def test_health_is_asked_without_tls_and_the_other_pages_are_not(client, db, settings):
    settings.SECURE_SSL_REDIRECT = True
    assert [client.get(f"/health/{name}").status_code for name in ("", "live/", "ready/")] == [200, 200, 200]
    assert client.get("/login/").status_code == 301


@contextmanager
def listening(*, answers: bool) -> Iterator[int]:
    """As much of a Redis as answers a ping, or one that takes every command and says nothing; its port."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while told := self.request.recv(65536):
                for command in re.findall(rb"\*\d+\r\n\$\d+\r\n(\w+)", told) if answers else ():
                    is_new = command.upper() == b"HELLO"
                    self.request.sendall(b"%1\r\n$5\r\nproto\r\n:3\r\n" if is_new else b"+PONG\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_a_redis_that_answers_is_ready_and_one_that_hangs_is_given_up_on(client, db, settings):
    with listening(answers=True) as port:
        settings.STUDIO_BROKER_URL = f"redis://127.0.0.1:{port}/0"
        assert client.get("/health/ready/").json()["checks"] == WELL
    with listening(answers=False) as port:
        settings.STUDIO_BROKER_URL = f"redis://127.0.0.1:{port}/0"
        begun = time.monotonic()
        assert client.get("/health/ready/").json()["checks"] == WELL | {"broker": readiness.FALLBACKS["broker"]}
        assert time.monotonic() - begun < 30
