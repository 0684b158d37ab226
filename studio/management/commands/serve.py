"""``manage.py serve``: web and workers of one machine, until Ctrl-C. script/server is its front door."""

import contextlib
import signal
import socket
import time

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from studio import embedded
from studio.supervisor import WORKERS, Role

POLL_S = 1.0


class Command(BaseCommand):
    help = "Serve the studio on this machine: web, gpu worker, default worker and beat, until Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *, host: str, port: int, **options: object) -> None:
        _check_port(host, port)
        embedded.prepare()
        with embedded.running((_web(host, port), *WORKERS)) as keeper:
            keeper.check()
            if not keeper.is_leading:
                raise CommandError(f"Another server or campaign works in {settings.STUDIO_DATA}. End that one first.")
            self.stdout.write(
                f"Serving on http://{host}:{port}/ (Ctrl-C ends it). Logs: {settings.STUDIO_DATA / 'logs'}"
            )
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            with contextlib.suppress(KeyboardInterrupt):
                while True:
                    keeper.check()
                    time.sleep(POLL_S)
        self.stdout.write("\nEnded.")


def _check_port(host: str, port: int) -> None:
    """gunicorn would say so only in its log, again and again."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CommandError(f"{host}:{port} cannot be served ({error.strerror}). Give another --port.") from error


def _web(host: str, port: int) -> Role:
    arguments = ("-m", "gunicorn", "studio.wsgi", "--config", "python:studio.web_server", "--bind", f"{host}:{port}")
    return Role(name="web", arguments=arguments)
