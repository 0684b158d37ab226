"""A whole studio in a folder of its own, served by the real command with its real workers. Knows no browser."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ("DATABASE_URL", "DJANGO_SETTINGS_MODULE", "STUDIO_BROKER_URL", "STUDIO_DEBUG", "STUDIO_HTTPS")


class Site:
    """``with Site(folder) as site``: served at ``site.url``, with one person of each role in the workspace "studio"."""

    slug = "studio"

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        own = {key: value for key, value in os.environ.items() if key not in LOCAL}
        self.environment = {**own, "STUDIO_DATA": str(self.data), "STUDIO_LOG_LEVEL": "WARNING", **settings}
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.password = ""
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Site":
        self.manage("seed_demo")
        self.password = (self.data / "demo-password").read_text()
        self._server = self._start("serve", "--port", str(self.port))
        self._await_health()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.terminate()  # not SIGINT: what a shell starts in the background ignores that one
        try:
            self._server.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._server.kill()
            raise

    def address(self, path: str) -> str:
        """An address of the site: "/…" from its root, anything else inside the workspace."""
        return f"{self.url}{path}" if path.startswith("/") else f"{self.url}/w/{self.slug}/{path}"

    def email(self, role: str) -> str:
        return f"{role}@demo.example"

    def manage(self, *arguments: str, timeout_s: float = 300) -> str:
        """Run a management command over the site's data; what it printed."""
        process = self._start(*arguments)
        output, errors = process.communicate(timeout=timeout_s)
        assert process.returncode == 0, f"{arguments}: {errors.decode()[-2000:]}"
        return output.decode().strip()

    def shell(self, code: str) -> str:
        """Run Python over the site's database; what it printed."""
        return self.manage("shell", "--verbosity", "0", "-c", code)

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        return subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)

    def _await_health(self, timeout_s: float = 90) -> None:
        assert self._server is not None
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self._server.poll() is not None:
                raise AssertionError(self._server.communicate()[1].decode()[-2000:])
            try:
                with urllib.request.urlopen(f"{self.url}/health/", timeout=5):  # noqa: S310  (our own server)
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.2)
        raise AssertionError(f"{self.url} did not answer within {timeout_s:.0f} s; see {self.data / 'logs'}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
