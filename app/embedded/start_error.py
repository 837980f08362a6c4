"""The error that ends a start: a sentence with the remedy, for the person at the terminal."""

from pathlib import Path

LOG_TAIL_BYTES = 4_000


class StartError(Exception):
    """Its text is printed as it stands, without a traceback."""


def log_tail(path: Path, *, lines: int = 12) -> str:
    """The log's last lines, empty where there is no log."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - LOG_TAIL_BYTES))
        text = file.read().decode(errors="replace")
    return "\n".join(text.splitlines()[-lines:])
