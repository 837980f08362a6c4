"""A PgBouncer in session mode, for the length of a block."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from app.embedded.ports import LOOPBACK, free_port
from app.embedded.postgres import APPLICATION, DATABASE
from app.embedded.unprivileged import identity

PROGRAM: Final = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
ABSENT: Final = "there is no pgbouncer on the path"
READY_S_MAX: Final = 10.0


class Pooler:
    """One that leads the application's login to a server, and may be led to another."""

    def __init__(self, folder: Path, password: str) -> None:
        self._folder = folder
        self._password = password
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The application's address by this pooler."""
        return f"postgresql://{APPLICATION}:{self._password}@{LOOPBACK}:{self._port}/{DATABASE}"

    def lead_to(self, port: int) -> None:
        """Take the server at this port from now on."""
        (self._folder / "pgbouncer.ini").write_text(
            f"""[databases]
{DATABASE} = host={LOOPBACK} port={port}
[pgbouncer]
listen_addr = {LOOPBACK}
listen_port = {self._port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {self._folder / "users"}
pool_mode = session
default_pool_size = 80
max_client_conn = 200
server_login_retry = 1
query_wait_timeout = 5
"""
        )
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        assert PROGRAM is not None
        (self._folder / "users").write_text(f'"{APPLICATION}" "{self._password}"\n')
        ours = identity(self._folder, Path(PROGRAM))  # it refuses to run as root
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*ours.prefix, PROGRAM, self._folder / "pgbouncer.ini"],
                stdout=log,
                stderr=log,
                user=ours.user_id,
            )
        deadline = time.monotonic() + READY_S_MAX
        while True:
            try:
                socket.create_connection((LOOPBACK, self._port), timeout=1).close()
                return
            except OSError:
                told = (self._folder / "log").read_text()
                assert self._process.poll() is None, told
                assert time.monotonic() < deadline, told
                time.sleep(0.02)

    def stop(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@contextmanager
def pooling(folder: Path, password: str, port: int) -> Iterator[Pooler]:
    """A pooler whose files are in this folder, before the server at this port."""
    folder.mkdir()
    pooler = Pooler(folder, password)
    pooler.lead_to(port)
    try:
        pooler.start()
        yield pooler
    finally:
        pooler.stop()
