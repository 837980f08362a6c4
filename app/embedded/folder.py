"""The data folder: one start at a time, and what it leaves for the programs beside it."""

import fcntl
import json
import os
from dataclasses import asdict
from pathlib import Path

from app.embedded.devbook import DevBook
from app.embedded.start_error import StartError


def write_private(path: Path, text: str) -> None:
    """Whole or not at all, readable by the owner only."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


class DataFolder:
    """A context: no other start uses the folder meanwhile; dev.json is there only when ready."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.logs_dir = self.path / "logs"
        self.secrets_path = self.path / "secrets.json"
        self.book_path = self.path / "dev.json"
        self._lock: int | None = None

    def __enter__(self) -> "DataFolder":
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StartError(
                f"The data folder {self.path} cannot be used: {error.strerror}. "
                "Choose another: --data-dir FOLDER."
            ) from error
        self._take_lock(self._lock)
        self.withdraw()
        return self

    def _take_lock(self, lock: int) -> None:
        try:
            # The kernel gives it back however we end; children do not inherit it.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 32, 0).decode().strip() or "unknown"
            os.close(lock)
            raise StartError(
                f"Tallybook already runs on {self.path} (process {holder}). "
                "Stop it with Ctrl-C there, or use another folder: --data-dir FOLDER."
            ) from None
        os.truncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)

    def publish(self, book: DevBook) -> None:
        write_private(self.book_path, json.dumps(asdict(book), indent=2))

    def withdraw(self) -> None:
        self.book_path.unlink(missing_ok=True)

    def __exit__(self, *_: object) -> None:
        self.withdraw()
        if self._lock is not None:
            os.close(self._lock)
