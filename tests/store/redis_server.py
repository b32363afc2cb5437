"""A real Redis server for tests: started on a free port, killed and started anew on demand."""

import atexit
import os
import shutil
import socket
import subprocess
import tempfile
import time
from functools import cache

import pytest

from tests.waiting import HANG_SECONDS

MUST = "SLOWFAST_TEST_REDIS"  # set where a missing server is a failure, as in CI


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """A server without persistence: each start is empty."""

    def __init__(self, *options: str) -> None:
        binary = shutil.which("redis-server") or shutil.which("valkey-server")
        if binary is None:
            if os.environ.get(MUST):
                pytest.fail("no redis-server is installed")
            pytest.skip("no redis-server is installed")
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = tempfile.TemporaryDirectory()
        self._command = [
            binary, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
            "--appendonly", "no", "--dir", self._folder.name, "--loglevel", "warning", *options,
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None
        self.start()
        atexit.register(self.kill)

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + HANG_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), HANG_SECONDS).close()
            except OSError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.01)
            else:
                return

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@cache
def shared_server() -> RedisServer:
    """The server of all tests of this process that do not kill it."""
    return RedisServer()
